"""Runs algorithms as containers."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from docker.errors import APIError

from vantage6.common.transport import backoff
from vantage6.node.runtimes import files
from vantage6.node.runtimes.base import (
    Execution,
    Limits,
    RunSpec,
    RuntimeAway,
    RuntimeUnavailable,
    StartFailed,
)
from vantage6.node.runtimes.docker import container
from vantage6.node.runtimes.docker.cells import Cell, Cells
from vantage6.node.runtimes.docker.engine import (
    Engine,
    Unreachable,
    is_away,
    is_gone,
    join,
    words,
)
from vantage6.node.runtimes.docker.execution import (
    Container,
    DockerExecution,
    attached,
    close_stream,
    replayed,
)
from vantage6.node.runtimes.docker.images import Image, Images
from vantage6.node.runtimes.docker.memory import MemoryWatch
from vantage6.node.runtimes.docker.settings import Settings
from vantage6.node.runtimes.sandbox.doors import hosts_file, lay
from vantage6.node.runtimes.sandbox.messages import PROXY_PORT

log = logging.getLogger(__name__)

_CONFLICT = 409
#: Seconds after which the node's log tells that a start takes long.
_SLOW_START = 60.0
#: Seconds that a kill waits for a start that it cuts short, and the node's end for all that runs.
_UNDO_SECONDS, _CLOSE_SECONDS = 5.0, 10.0
_LONGEST_PAUSE = 10.0
T = TypeVar("T")
P = ParamSpec("P")


class DockerRuntime:
    """Runs algorithms as containers of Docker or Podman.

    Parameters
    ----------
    node : str
        Name of the node's configuration: its containers bear it.
    folder : pathlib.Path
        The node's own, for what its containers need to find it; the engine must see it under
        the same path.
    settings : Settings
        What the node's owner chose.
    """

    name = "docker"

    def __init__(self, node: str, folder: Path, settings: Settings | None = None) -> None:
        self._node = node
        self._settings = settings or Settings()
        self._engine = Engine(self._settings.host, folder)
        self._doors = lay(self._settings.doors)
        self._images = Images(
            self._engine,
            require_pull=self._settings.require_pull,
            pull_always=self._settings.pull_always,
        )
        self._cells = Cells(
            self._engine,
            container.node_label(node),
            container.prefix(node),
            folder / "cells",
            self._settings.services,
            self._doors,
        )
        self._executions: set[DockerExecution] = set()
        #: Runs whose start was cut short, until nothing is left of it.
        self._undoing: dict[int, asyncio.Task[None]] = {}
        self._reports: set[asyncio.Task[None]] = set()
        self._memory = MemoryWatch(self._engine, f"node={node}", self._out_of_memory)

    async def open(self) -> None:
        """Connect to the engine, log in at registries, and try whether runs can be isolated.

        Raises
        ------
        RuntimeUnavailable
            If there is no engine, or it cannot isolate runs.
        """
        await self._engine.open()
        try:
            if self._settings.gpu and self._engine.podman:
                # It would take the request, and not heed it.
                raise RuntimeUnavailable(
                    "Podman does not hand out graphics processors by Docker's requests; use "
                    "Docker, or turn off algorithm_device_requests.gpu"
                )
            await self._images.log_in(self._settings.registries)
            await self._cells.open()
            self._memory.open()
        except BaseException:
            self._engine.close()
            raise

    async def close(self) -> None:
        """Kill whatever still runs and leave nothing behind.

        The runs have no end on record: a node that starts again runs them anew. What an engine
        that hangs does not end is found, and ended, by the next start.
        """
        ends = [asyncio.ensure_future(each.abandon()) for each in tuple(self._executions)]
        if ends or self._undoing:
            await asyncio.wait({*ends, *self._undoing.values()}, timeout=_CLOSE_SECONDS)
        left = sorted({*self._undoing, *(each.run_id for each in self._executions)})
        if left:
            log.error(
                "The container engine does not answer; what is left there is seen to at the next "
                "start: runs %s",
                ", ".join(map(str, left)),
            )
        for end in (*ends, *self._undoing.values()):
            end.cancel()
        await self._cells.close()
        self._memory.close()
        self._engine.close()

    def proxy_address(self, spec: RunSpec) -> tuple[str, int]:
        """Host URL (with scheme) and port under which an algorithm reaches the proxy."""
        return "http://127.0.0.1", PROXY_PORT

    async def start(self, spec: RunSpec) -> Execution:
        """Start a run; returns when the algorithm is being executed.

        Raises
        ------
        UnknownImage
            If the image cannot be had.
        StartFailed
            If the engine refuses; nothing was executed.
        RuntimeAway
            If there is no engine just now. What it began, if anything, the next attempt removes.
        """
        try:
            return await self._start_image(spec)
        except (StartFailed, *Unreachable) as error:
            cause = error.__cause__ if isinstance(error, StartFailed) else error
            if not is_away(cause):
                raise
            raise RuntimeAway("the container engine does not answer") from error

    async def _start_image(self, spec: RunSpec) -> Execution:
        image = await self._images.get(spec.image)
        if not image.runnable:
            raise StartFailed(
                f"The image {spec.image} has neither an entry point nor a command; build it with "
                "one, such as CMD python -c 'from vantage6.algorithm.tools.wrap import "
                "wrap_algorithm; wrap_algorithm()'"
            )
        if spec.run_id in self._undoing:
            # It must not meet what the engine may yet start of an earlier attempt.
            raise RuntimeAway("the container engine does not answer")
        starting = asyncio.ensure_future(self._start(spec, image))
        try:
            done, _ = await asyncio.wait({starting}, timeout=_SLOW_START)
            if not done:
                log.warning(
                    "Run %s: the container engine has not started it for %.0f s; waiting on",
                    spec.run_id,
                    _SLOW_START,
                )
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            undoing = asyncio.ensure_future(self._undo(starting))
            self._undoing[spec.run_id] = undoing
            undoing.add_done_callback(lambda _: self._undoing.pop(spec.run_id, None))
            # Not longer: whoever kills a run need not wait for an engine that hangs.
            await asyncio.wait({undoing}, timeout=_UNDO_SECONDS)
            raise
        finally:
            self._cells.prepare_soon()

    async def _undo(self, starting: asyncio.Task[DockerExecution]) -> None:
        """End by the book what has been begun: half of it may be under way in a thread."""
        outcome = (await asyncio.gather(starting, return_exceptions=True))[0]
        if isinstance(outcome, DockerExecution):
            await outcome.abandon()
            if outcome.proxy_socket is not None:
                outcome.proxy_socket.close()
            for door in outcome.doors.values():
                door.close()

    async def running(self) -> AsyncIterator[Execution]:
        """Executions that outlived an earlier process of this node.

        For those that ended meanwhile, the end is put on record and nothing else is done.
        """
        # Not when it is opened: whoever only looks must not take them from a node that runs.
        await self._until_answered(self._remove_idle_helpers)
        for found in await self._until_answered(self._list, container.ALGORITHM):
            holder = await self._until_answered(self._holder_of, found["Id"])
            execution = await self._until_answered(self._adopt, found)
            if execution is None:
                await self._cells.remove(found["Id"])
                if holder:
                    await self._cells.remove(holder)
                continue
            yield execution

    def _out_of_memory(self, container_id: str) -> None:
        for execution in self._executions:
            if execution.container_id == container_id:
                report = asyncio.ensure_future(execution.end_out_of_memory())
                self._reports.add(report)
                report.add_done_callback(self._reports.discard)

    async def _start(self, spec: RunSpec, image: Image) -> DockerExecution:
        given = await asyncio.to_thread(files.prepare, spec.folder)
        doors = [door for door in self._doors if door.target in spec.doors]
        try:
            # What cannot be started must not cost a cell.
            options = container.options(
                self._engine,
                self._settings,
                self._node,
                spec,
                image=image.id,
                given=given,
                doors=doors,
            )
            cell = await self._cells.take()
        except BaseException:
            await asyncio.to_thread(files.take_back, spec.folder)
            raise
        join(options["host_config"], cell.network, self._engine)
        made = ""
        try:
            cell.shut_all_but(spec.doors)
            # The engine names a container by the beginning of its id.
            hosts = hosts_file(doors, cell.container[:12])
            await asyncio.to_thread(files.write_hosts, spec.folder, hosts)
            made = await self._engine.call(self._create, options)
            stream = await self._engine.call(self._start_attached, made, spec.limits)
            execution = DockerExecution(
                self._engine,
                self._cells,
                Container(made, spec.run_id, spec.folder, spec.limits, time.monotonic()),
                cell,
                self._executions.discard,
            )
            execution.begin(attached(stream))
        except (StartFailed, OSError, *Unreachable) as error:
            if made:
                await self._cells.remove(made)
            await self._cells.discard(cell)
            await asyncio.to_thread(files.take_back, spec.folder)
            if isinstance(error, StartFailed):
                raise
            raise StartFailed(self._refusal(spec, words(error))) from error
        self._executions.add(execution)
        return execution

    def _refusal(self, spec: RunSpec, said: str) -> str:
        if self._settings.gpu and re.search("gpu|nvidia", said, re.IGNORECASE):
            return (
                "This node gives algorithms graphics processors, but its container engine has none "
                f"to give ({said}). Its owner must install the drivers and the engine's support "
                "for them, or turn off algorithm_device_requests.gpu"
            )
        return f"The container engine refuses {spec.image}: {said}"

    def _create(self, options: dict[str, Any]) -> str:
        api = self._engine.patient
        try:
            return str(api.create_container(**options)["Id"])
        except APIError as error:
            if error.status_code != _CONFLICT:
                raise
            # Left by an earlier attempt at the same run.
            api.remove_container(options["name"], v=True, force=True)
            return str(api.create_container(**options)["Id"])

    def _start_attached(self, made: str, limits: Limits) -> Any:
        """Start it; what it writes from its first word on."""
        api = self._engine.patient
        stream = api.attach_socket(made, params={"stdout": 1, "stderr": 1, "stream": 1})
        try:
            api.start(made)
            if self._engine.podman and self._engine.rootless:
                # Without root rights it takes `ulimits`, and does not heed them.
                pid = int(api.inspect_container(made)["State"]["Pid"])
                if not container.bound_afterwards(made, pid, limits):
                    log.warning("%s: open files and sizes of files are not bounded", made[:12])
        except BaseException:
            close_stream(stream)
            raise
        return stream

    async def _adopt(self, found: dict[str, Any]) -> DockerExecution | None:
        """Go on with a container; None if that is of no use.

        Raises
        ------
        requests.exceptions.RequestException, docker.errors.DockerException
            If the engine does not answer.
        """
        try:
            run_id, folder, limits, doors = container.from_labels(found["Labels"])
        except (ValueError, KeyError, TypeError) as error:
            log.error("Container %s has lost its labels: %s", found["Id"][:12], error)
            return None
        if not folder.is_dir():
            return None  # the node has forgotten it
        if files.read_exit(folder) is not None:
            # Its end has been decided; an engine that hung may not have heard of it.
            return None
        try:
            state = await self._engine.call(self._engine.api.inspect_container, found["Id"])
            cell: Cell | None = None
            lives = bool(state["State"].get("Running"))
            if lives:
                cell = await self._cells.reopen(f"container:{found['Id']}", doors)
        except (StartFailed, *Unreachable) as error:
            cause = error.__cause__ if isinstance(error, StartFailed) else error
            if is_away(cause):
                raise (cause or error) from error
            if not is_gone(error):
                log.error("Run %s cannot be taken up again: %s", run_id, words(error))
            return None
        age = max(0.0, (datetime.now(UTC) - _time(state["State"]["StartedAt"])).total_seconds())
        execution = DockerExecution(
            self._engine,
            self._cells,
            Container(found["Id"], run_id, folder, limits, time.monotonic() - age),
            cell,
            self._executions.discard,
        )
        self._executions.add(execution)
        network = str(state["HostConfig"]["NetworkMode"]).removeprefix("container:")
        said = replayed(self._engine.patient, found["Id"], follow=lives)
        execution.begin(said, network=network)
        return execution

    async def _until_answered(
        self, action: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do something with an engine; again, as long as it does not answer."""
        for pause in backoff(first=0.5, ceiling=_LONGEST_PAUSE):
            try:
                return await action(*args, **kwargs)
            except Unreachable as error:
                if not is_away(error):
                    raise
                log.error(
                    "Runs of before are looked for as soon as the container engine answers: %s",
                    words(error),
                )
            await asyncio.sleep(pause)
        raise AssertionError("backoff ended")  # pragma: no cover

    async def _list(self, kind: str) -> list[dict[str, Any]]:
        wanted = {**container.node_label(self._node), container.TYPE: kind}
        return list(
            await self._engine.call(
                self._engine.api.containers,
                all=True,
                filters={"label": [f"{key}={value}" for key, value in wanted.items()]},
            )
        )

    async def _holder_of(self, algorithm: str) -> str:
        """The container that holds the network of another, or nothing; Podman's list lacks it."""
        try:
            found = await self._engine.call(self._engine.api.inspect_container, algorithm)
        except Unreachable as error:
            if not is_gone(error):
                raise
            return ""
        mode = str(found["HostConfig"]["NetworkMode"])
        return mode.removeprefix("container:") if mode.startswith("container:") else ""

    async def _remove_idle_helpers(self) -> None:
        """Remove what an earlier process of this node kept ready, or held for runs that ended."""
        runs = await self._list(container.ALGORITHM)
        held = {await self._holder_of(found["Id"]) for found in runs}
        for found in await self._list(container.HELPER):
            if found["Id"] not in held and not self._cells.keeps(found["Id"]):
                await self._cells.remove(found["Id"])


def _time(text: str) -> datetime:
    """The engine's time, without the digits of it that no clock of ours has."""
    whole, _, rest = text.partition(".")
    zone = rest.lstrip("0123456789") if rest else ""
    if zone in ("", "Z"):
        return datetime.fromisoformat(whole.removesuffix("Z")).replace(tzinfo=UTC)
    return datetime.fromisoformat(f"{whole}{zone}")
