"""The unmodified upstream node in a container, which is how it is deployed.

Its own image cannot be had here. This one holds nothing: Python and the package are mounted from
this machine, which makes no difference to the node. It gets what upstream's command line would
give it: its configuration, four volumes, the engine's socket, its environment.
"""

from __future__ import annotations

import io
import tarfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
import yaml
from docker.models.containers import Container
from docker.models.networks import Network as Bridge

from network_site import Network, Site, online
from peers import NODE, SERVICES_PYTHON, peer_python

_IMAGE = "vantage6-test-nothing:1"
# Modules are read from a disk that is cold, on a machine that is busy.
_START_SECONDS = 120
_STOP_SECONDS = 60
_LINKS = ("bin", "lib", "lib64", "sbin")
_FOLDERS = ("usr", "etc", "tmp", "mnt", "root", "var", "run", "proc", "sys", "dev")


@dataclass(frozen=True)
class UpstreamNode:
    """A node that is online.

    Attributes
    ----------
    name : str
        Of its configuration: containers and volumes are named after it.
    """

    name: str
    client: docker.DockerClient
    container: Container

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return str(self.container.logs().decode())

    def algorithms(self) -> list[str]:
        """Names of the containers of its runs, whether they run or not."""
        labels = ["vantage6-type=algorithm", f"node={self.name}"]
        found = self.client.containers.list(all=True, filters={"label": labels})
        return [container.name for container in found]


@contextmanager
def upstream_node(
    engine: str, folder: Path, network: Network, site: Site, **keys: Any
) -> Iterator[UpstreamNode]:
    """Run a site's node, until it is stopped as its command line would.

    Parameters
    ----------
    engine : str
        The engine's socket, a ``unix://`` address.
    folder : pathlib.Path
        For its configuration and logs.
    network : Network
        At a server that listens on every address of this machine.
    **keys
        More of its configuration.

    Raises
    ------
    PeerUnavailable
        If it cannot be installed.
    """
    python = peer_python(*NODE, version=SERVICES_PYTHON)
    client = docker.DockerClient(base_url=engine, timeout=120)
    name = f"peer{uuid.uuid4().hex[:8]}"
    outside = client.networks.create(f"{name}-outside", driver="bridge")
    container: Container | None = None
    try:
        _make_image(client)
        container = _start(client, engine, folder, network, site, name, outside, python, keys)
        node = UpstreamNode(name, client, container)
        _wait_until_online(node, network, site)
        yield node
        container.stop(timeout=_STOP_SECONDS)
        ended = container.wait(timeout=_STOP_SECONDS)
        assert ended["StatusCode"] == 0, node.log[-3000:]
    finally:
        if container is not None:
            container.remove(force=True)
        _clean_up(client, name)
        client.close()


def _start(
    client: docker.DockerClient,
    engine: str,
    folder: Path,
    network: Network,
    site: Site,
    name: str,
    outside: Bridge,
    python: Path,
    keys: dict[str, Any],
) -> Container:
    outside.reload()
    gateway = outside.attrs["IPAM"]["Config"][0]["Gateway"]
    config = folder / f"{name}-config"
    config.mkdir(parents=True)
    document = network.node_config(site, host=gateway, **keys)
    document["encryption"]["private_key"] = None
    (config / f"{name}.yaml").write_text(yaml.safe_dump(document))
    home, interpreter = python.parents[1], python.resolve().parents[1]
    volumes = {
        engine.removeprefix("unix://"): "/var/run/docker.sock",
        "/usr": "/usr:ro",
        str(home): f"{home}:ro",
        str(config): "/mnt/config:ro",
        str(site.table): "/mnt/default.csv",
    }
    if not interpreter.is_relative_to("/usr"):
        volumes[str(interpreter)] = f"{interpreter}:ro"
    environment = {
        "PATH": f"{home}/bin:/usr/bin:/bin",
        "HOME": "/root",
        "PROXY_SERVER_PORT": "80",
        "DEFAULT_DATABASE_URI": "default.csv",
    }
    kept = {"DATA": "", "VPN": "-vpn", "SSH_TUNNEL": "-ssh", "SSH_SQUID": "-squid"}
    for variable, suffix in kept.items():
        environment[f"{variable}_VOLUME_NAME"] = volume = f"vantage6-{name}-user{suffix}-vol"
        client.volumes.create(volume)
    volumes[environment["DATA_VOLUME_NAME"]] = "/mnt/data"
    if site.private_key is not None:
        environment["PRIVATE_KEY"] = "/mnt/private_key.pem"
        volumes[str(site.private_key)] = "/mnt/private_key.pem:ro"
    return client.containers.run(
        _IMAGE,
        [
            *(f"{home}/bin/vnode-local", "start", "-c", f"/mnt/config/{name}.yaml"),
            *("-n", name, "--dockerized", "--user"),
        ],
        name=f"vantage6-{name}-user",
        labels={"vantage6-type": "node", "system": "False", "name": name},
        network=outside.name,
        volumes=[f"{source}:{target}" for source, target in volumes.items()],
        environment=environment,
        detach=True,
    )


def _wait_until_online(node: UpstreamNode, network: Network, site: Site) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not online(network, site):
        node.container.reload()
        if node.container.status != "running" or time.monotonic() > deadline:
            pytest.fail(f"the upstream node did not start:\n{node.log[-5000:]}", pytrace=False)
        time.sleep(0.2)


def _clean_up(client: docker.DockerClient, name: str) -> None:
    """Remove what it leaves: its command line removes volumes; a crash leaves the rest too."""
    for container in client.containers.list(all=True, filters={"label": f"node={name}"}):
        container.remove(force=True)
    for volume in client.volumes.list(filters={"name": f"vantage6-{name}-user"}):
        volume.remove(force=True)
    for bridge in client.networks.list(filters={"name": name}):
        bridge.remove()


def _make_image(client: docker.DockerClient) -> None:
    """Folders to mount things in; the links are those of this machine."""
    try:
        client.images.get(_IMAGE)
    except docker.errors.ImageNotFound:
        pass
    else:
        return
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in _FOLDERS:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
        for name in _LINKS:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, f"usr/{name}"
            archive.addfile(entry)
        users = b"root:x:0:0:root:/root:/bin/sh\n"
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(users)
        archive.addfile(entry, io.BytesIO(users))
    client.api.import_image_from_data(content.getvalue(), repository=_IMAGE)
