"""The node as a process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from urllib.request import getproxies_environment

from vantage6.common import __version__
from vantage6.common.configuration import ConfigurationError
from vantage6.node import logs
from vantage6.node.agent import Agent, Fatal
from vantage6.node.config import FILE_TYPES, NodeConfig
from vantage6.node.gateway import doors_to
from vantage6.node.http import tls
from vantage6.node.lock import FolderInUse, exclusive
from vantage6.node.runtimes.base import Runtime

log = logging.getLogger(__name__)


def serve(config_path: Path, *, console: bool = True) -> None:
    """Run a node in the foreground until SIGTERM or SIGINT; then stop it gracefully.

    Parameters
    ----------
    config_path : pathlib.Path
        The YAML file of the node.
    console : bool
        Whether the log may go to standard error too; False for a node nobody watches.

    Raises
    ------
    SystemExit
        With code 1 if the node cannot work; what is wrong has been said on standard error.
    """
    try:
        config = NodeConfig.load(Path(config_path))
    except ConfigurationError as error:
        _leave(str(error))
    set_up_network(config)
    settings = config.logging
    if not console:
        settings = settings.model_copy(update={"use_console": False})
    try:
        with exclusive(config.folder) as ready:
            logs.configure(settings, config.log_file, config.secrets)
            _introduce(config)
            asyncio.run(_run(config, ready))
            log.info("Stopped")
    except (FolderInUse, OSError) as error:
        _leave(str(error))
    except Fatal as error:
        log.critical("%s", error)
        _leave(str(error))


def set_up_network(config: NodeConfig) -> None:
    """Tell this process, by its environment, of the site's proxy and certificates.

    Raises
    ------
    SystemExit
        If the file of certificates cannot be used.
    """
    if config.outgoing_proxy:
        for scheme in ("http", "https"):
            _set(f"{scheme}_proxy", config.outgoing_proxy)
    # Sockets go the way of requests.
    for socket, scheme in {"ws": "http", "wss": "https"}.items():
        if way := getproxies_environment().get(scheme):
            _set(f"{socket}_proxy", way)
    if config.ca_file:
        path = config.beside(str(config.ca_file))
        os.environ["REQUESTS_CA_BUNDLE"] = str(path)
        try:
            tls()
        except ValueError as error:
            _leave(f"ca_file: {path} holds no certificates (PEM): {error}")


def _set(name: str, value: str) -> None:
    os.environ[name] = os.environ[name.upper()] = value


def _introduce(config: NodeConfig) -> None:
    log.info("Started application vantage6: vantage6 node %s", __version__)
    log.info("Current working directory is '%s'", os.getcwd())
    log.info("Successfully loaded configuration from '%s'", config.path)
    log.info("Logging to '%s'", config.log_file)


async def _run(config: NodeConfig, ready: Callable[[], None]) -> None:
    agent = Agent(config, make_runtime(config), on_ready=ready)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.stop)
    await agent.run()


def make_runtime(config: NodeConfig) -> Runtime:
    """The runtime that the configuration names."""
    # Imported here: each runtime needs things that a site with another one may lack.
    if config.runtime == "docker":
        return _docker(config)
    if config.runtime == "kubernetes":
        return _kubernetes(config)
    from vantage6.node.runtimes.process import DEFAULT_PRELOAD, ProcessRuntime, Registration

    section = config.process
    return ProcessRuntime(
        {
            image: Registration(algorithm.module, algorithm.python, algorithm.path)
            for image, algorithm in section.algorithms.items()
        },
        preload=DEFAULT_PRELOAD if section.preload is None else section.preload,
        sandbox=section.sandbox,
        interpreter=section.interpreter,
        hidden=config.private_files,
    )


def _docker(config: NodeConfig) -> Runtime:
    from vantage6.node.runtimes.docker import DockerRuntime, Registry, Settings

    section = config.docker
    return DockerRuntime(
        config.name,
        config.folder.absolute(),
        Settings(
            host=section.host,
            require_pull=config.policies.require_algorithm_pull,
            pull_always=section.pull == "always",
            registries=[
                Registry(each.registry, each.username, each.password.get_secret_value())
                for each in config.docker_registries
            ],
            user=section.user,
            read_only=section.read_only,
            cpus=section.cpus,
            gpu=config.algorithm_device_requests.gpu,
            services=config.docker_services,
            doors=doors_to((each.target for each in config.ssh_tunnels), config.whitelist),
        ),
    )


def _kubernetes(config: NodeConfig) -> Runtime:
    from vantage6.node.runtimes.kubernetes import KubernetesRuntime, Settings, Volume

    section = config.kubernetes
    user, _, group = section.user.partition(":")
    files = [each.uri for each in config.databases if each.type.lower() in FILE_TYPES]
    return KubernetesRuntime(
        config.name,
        Settings(
            claim=section.claim or "",
            claim_path=section.claim_path,
            volumes=[
                Volume(config.beside(str(each.path)), each.claim, each.sub_path)
                for each in section.volumes
            ],
            databases=[config.beside(uri) for uri in files if "://" not in uri],
            api=section.api,
            namespace=section.namespace,
            token_file=_beside(config, section.token_file),
            ca_file=_beside(config, section.ca_file),
            service=section.service,
            proxy_port=section.proxy_port,
            user=int(user),
            group=int(group),
            cpus=section.cpus,
            gpu=config.algorithm_device_requests.gpu,
            pull_always=section.pull == "always",
            image_pull_secrets=section.image_pull_secrets,
            node_selector=section.node_selector,
            start_time=section.start_time,
            keep_finished=section.keep_finished,
        ),
    )


def _beside(config: NodeConfig, path: Path | None) -> Path | None:
    return None if path is None else config.beside(str(path))


def _leave(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(1)
