"""A network of its own for each run, with nothing in it but the node's proxy.

A small container holds it: no interface but loopback, so there is no way to anywhere. In it the
proxy's port is opened, and the open socket handed to the node. The algorithm's container then
joins that network. No firewall, no address, no network of the engine's is involved, and nothing
that listens on the machine can be reached. One cell is kept ready for the next run; so it gets the
doors of every run, and those that are not for the run it is given to are shut first.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import logging
import os
import socket
import sys
import tarfile
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from docker.errors import DockerException, ImageNotFound
from docker.types import Mount, Ulimit

from vantage6.common.addresses import Target
from vantage6.node.runtimes.base import RuntimeUnavailable, StartFailed
from vantage6.node.runtimes.docker import holder
from vantage6.node.runtimes.docker.engine import (
    Engine,
    Unreachable,
    container_options,
    is_gone,
    words,
)
from vantage6.node.runtimes.sandbox.doors import Door
from vantage6.node.runtimes.sandbox.messages import PROXY_PORT

log = logging.getLogger(__name__)

_START_SECONDS = 60.0
_MEMORY = 64 * 1024**2
#: The engine's own start of a container takes several threads of this, more on a busy machine.
_PROCESSES = 32
_FILES = 64
#: Below it, only the mighty may listen; in the cell's own network that protects nobody.
_FIRST_FREE_PORT = {"net.ipv4.ip_unprivileged_port_start": "0"}
_NOBODY = 65534
_IMAGE = "vantage6-helper"
#: Seconds until the next cell is made, so that it takes no time from the run that began.
_REST = 0.5


@dataclass(frozen=True)
class Cell:
    """A network that waits for, or has, a run; ``container`` holds it.

    ``listener`` is for the proxy, ``doors`` for the hosts and ports that the run knows by name.
    """

    container: str
    listener: socket.socket
    doors: dict[Target, socket.socket] = field(default_factory=dict)

    @property
    def network(self) -> str:
        """What another container joins."""
        return f"container:{self.container}"

    def shut_all_but(self, targets: Collection[Target]) -> None:
        """Have nobody listen at the other doors any more.

        Raises
        ------
        StartFailed
            If there is no such door.
        """
        for target in self.doors.keys() - set(targets):
            self.doors.pop(target).close()
        if missing := set(targets) - self.doors.keys():
            raise StartFailed(f"The network of the run has no door to {sorted(missing)}")

    def close(self) -> None:
        """Close the sockets."""
        for listener in (self.listener, *self.doors.values()):
            listener.close()


class Cells:
    """Makes cells.

    Parameters
    ----------
    engine : Engine
        Runs the containers that hold them.
    labels : mapping
        Labels that tell this node's containers from others.
    prefix : str
        Begins the names of its containers.
    folder : pathlib.Path
        For the sockets by which cells and node find each other; made if absent.
    services : mapping of str to str
        Alias → container that runs can reach; their networks then have more than loopback.
    doors : sequence of Door
        Of all runs together.
    """

    def __init__(
        self,
        engine: Engine,
        labels: Mapping[str, str],
        prefix: str,
        folder: Path,
        services: Mapping[str, str],
        doors: Sequence[Door] = (),
    ) -> None:
        self._engine = engine
        self._labels = dict(labels)
        self._prefix = prefix
        self._folder = folder
        self._services = dict(services)
        self._doors = tuple(doors)
        self._image = ""
        self._spare: asyncio.Task[Cell] | None = None
        #: Containers that could not be removed.
        self._left: set[str] = set()
        self._closing = asyncio.Event()

    async def open(self) -> None:
        """Get ready, and try it out.

        Raises
        ------
        RuntimeUnavailable
            If no cell can be made.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        try:
            self._image = await self._engine.call(self._import_image)
            cell = await self._make()
        except (StartFailed, *Unreachable) as error:
            raise RuntimeUnavailable(
                f"The container engine cannot run the node's helper: {words(error)}"
            ) from error
        self._spare = asyncio.ensure_future(_given(cell))

    async def close(self) -> None:
        """Remove what waits for a run."""
        self._closing.set()
        spare, self._spare = self._spare, None
        if spare is not None:
            # Not cancelled: what a thread is making then would be left behind.
            outcome = (await asyncio.gather(spare, return_exceptions=True))[0]
            if isinstance(outcome, Cell):
                await self.discard(outcome)
        await self._remove_what_is_left()

    async def take(self) -> Cell:
        """A cell for a run.

        Raises
        ------
        StartFailed
            If none can be made.
        """
        spare = self._spare
        if spare is not None and spare.done():
            self._spare = None
            if spare.exception() is None:
                return spare.result()
        return await self._make()

    def prepare_soon(self) -> None:
        """Have a cell made for the next run."""
        if self._spare is None:
            self._spare = asyncio.ensure_future(self._make_later())
            self._spare.add_done_callback(_look_at)

    async def reopen(self, network: str, doors: Sequence[Door]) -> Cell:
        """Open the proxy's port and doors again in a network that has lost its node.

        Raises
        ------
        StartFailed
            If it cannot be done.
        """
        return await self._make(doors, network)

    async def discard(self, cell: Cell) -> None:
        """Remove a cell."""
        cell.close()
        await self.remove(cell.container)

    async def remove(self, container: str) -> None:
        """Remove a container with all that belongs to it; one that is gone is no fault.

        What cannot be removed now, by an engine that is away, is when the next cell is made, or the
        node stops.
        """
        self._left.discard(container)
        try:
            await self._engine.call(self._remove, container)
        except Unreachable as error:
            if not is_gone(error):
                log.error("Container %s cannot be removed yet: %s", container[:12], words(error))
                self._left.add(container)

    def _remove(self, container: str) -> None:
        api = self._engine.api
        network = ""
        if self._services:
            network = str(api.inspect_container(container)["HostConfig"]["NetworkMode"])
        api.remove_container(container, v=True, force=True)
        if network.startswith(f"{self._prefix}-"):
            for service in self._services.values():
                with contextlib.suppress(DockerException):  # it may have gone
                    api.disconnect_container_from_network(service, network, force=True)
            api.remove_network(network)

    async def _make_later(self) -> Cell:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), _REST)
            raise StartFailed("the node is stopping")
        await self._remove_what_is_left()
        return await self._make()

    async def _remove_what_is_left(self) -> None:
        for container in tuple(self._left):
            await self.remove(container)

    async def _make(self, doors: Sequence[Door] | None = None, network: str | None = None) -> Cell:
        if doors is None:
            doors = self._doors
        token = uuid.uuid4().hex[:12]
        path = self._folder / token
        with socket.socket(socket.AF_UNIX) as waiting:
            _bind(waiting, self._folder, token)
            path.chmod(0o666)  # the folder above is the node's alone
            waiting.listen(1)
            waiting.setblocking(False)
            container = ""
            try:
                container = await self._engine.call(self._create, token, path, doors, network)
                if self._services and network is None:
                    await self._engine.call(self._join_services, container)
                await self._engine.call(self._engine.api.start, container)
                async with asyncio.timeout(_START_SECONDS):
                    listener, *others = await _receive(waiting, 1 + len(doors))
                targets = [door.target for door in doors]
                return Cell(container, listener, dict(zip(targets, others, strict=True)))
            except (*Unreachable, OSError, TimeoutError) as error:
                said = await self._last_words(container)
                await self.remove(container or f"{self._prefix}-{token}-helper")
                raise StartFailed(
                    f"The network of the run could not be made: {words(error)} {said}".rstrip()
                ) from error
            finally:
                path.unlink(missing_ok=True)

    def _create(self, token: str, path: Path, doors: Sequence[Door], network: str | None) -> str:
        mounts = [_bind_mount(str(path.absolute()), holder.NODE, read_only=False)]
        mounts += [_bind_mount(folder, folder, read_only=True) for folder in _software()]
        default = "none" if not self._services else self._network(token)
        user = os.geteuid() or _NOBODY
        group = os.getegid() or _NOBODY
        files = _FILES + len(doors)
        host = container_options(
            self._engine,
            network or default,
            mounts=mounts,
            mem_limit=_MEMORY,
            memswap_limit=_MEMORY,
            pids_limit=_PROCESSES,
            read_only=True,
            ulimits=[Ulimit(name="nofile", soft=files, hard=files)],
            log_config={"Type": "json-file", "Config": {"max-size": "64k", "max-file": "1"}},
            # A network that exists has it already.
            sysctls=_FIRST_FREE_PORT if doors and network is None else None,
        )
        places = [f"127.0.0.1:{PROXY_PORT}", *(f"{door.address}:{door.port}" for door in doors)]
        made = self._engine.api.create_container(
            self._image,
            command=[
                os.path.realpath(sys.executable),
                *("-I", "-S", "-c", Path(holder.__file__).read_text(), *places),
            ],
            user="0:0" if self._engine.rootless and not self._engine.podman else f"{user}:{group}",
            name=f"{self._prefix}-{token}-helper",
            labels={**self._labels, "vantage6-type": "algorithm-helper"},
            host_config=host,
        )
        return str(made["Id"])

    async def _last_words(self, container: str) -> str:
        if not container:
            return ""
        with contextlib.suppress(*Unreachable):
            said = await self._engine.call(self._engine.api.logs, container, tail=3)
            return bytes(said).decode(errors="replace").strip()
        return ""

    def _import_image(self) -> str:
        """An image with nothing in it: the helper runs the machine's own Python."""
        content = _empty_root()
        name = f"{_IMAGE}:{hashlib.sha256(content).hexdigest()[:12]}"
        try:
            self._engine.api.inspect_image(name)
        except ImageNotFound:
            self._engine.api.import_image_from_data(content, repository=name)
        return name

    def _network(self, token: str) -> str:
        """A network for one run and the services, in which the machine itself has no address."""
        name = f"{self._prefix}-{token}-net"
        self._engine.api.create_network(
            name,
            driver="bridge",
            internal=True,
            options={"com.docker.network.bridge.inhibit_ipv4": "true"},
            labels=self._labels,
        )
        return name

    def _join_services(self, container: str) -> None:
        api = self._engine.api
        mode = api.inspect_container(container)["HostConfig"]["NetworkMode"]
        for alias, service in self._services.items():
            try:
                api.connect_container_to_network(service, mode, aliases=[alias])
            except DockerException as error:
                log.error("Service %s (%s) cannot be linked: %s", alias, service, words(error))


async def _given(cell: Cell) -> Cell:
    return cell


def _look_at(task: asyncio.Task[Cell]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("No cell could be prepared for the next run: %s", task.exception())


def _bind(waiting: socket.socket, folder: Path, name: str) -> None:
    """Bind in a folder whose path may be longer than the address of a socket."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        waiting.bind(f"/proc/self/fd/{descriptor}/{name}")
    finally:
        os.close(descriptor)


async def _receive(waiting: socket.socket, number: int) -> list[socket.socket]:
    loop = asyncio.get_running_loop()
    connection, _ = await loop.sock_accept(waiting)
    with connection:
        await _readable(connection)
        _, descriptors, _, _ = socket.recv_fds(connection, 1, number)
    listeners = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    for listener in listeners:
        listener.setblocking(False)
    if len(listeners) != number:
        for listener in listeners:
            listener.close()
        raise OSError("the helper did not send its sockets")
    return listeners


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connection, _settle, arrived)
    try:
        await arrived
    finally:
        loop.remove_reader(connection)


def _settle(arrived: asyncio.Future[None]) -> None:
    if not arrived.done():
        arrived.set_result(None)


def _bind_mount(source: str, target: str, *, read_only: bool) -> Mount:
    return Mount(target, source, type="bind", read_only=read_only, propagation="rprivate")


def _software() -> list[str]:
    """Folders that this machine's Python needs."""
    wanted = ["/usr", *(f"/{name}" for name in _SYSTEM if not os.path.islink(f"/{name}"))]
    wanted += [sys.base_prefix]
    found = [folder for folder in wanted if os.path.isdir(folder)]
    inside = [f for f in found if any(f != o and f.startswith(o + "/") for o in found)]
    return sorted(set(found) - set(inside))


_SYSTEM = ("lib", "lib64", "bin")


def _empty_root() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in ("dev", "proc", "run", "sys", "tmp", "usr"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name in _SYSTEM:
            if os.path.islink(f"/{name}"):
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(f"/{name}")
                archive.addfile(entry)
    return content.getvalue()
