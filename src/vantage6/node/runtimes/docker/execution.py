"""One started run: its logs, its end, its bounds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import DockerException
from docker.utils.socket import frames_iter

from vantage6.common.addresses import Target
from vantage6.node.runtimes import exit_codes, files
from vantage6.node.runtimes.base import Ended, Limits, killed
from vantage6.node.runtimes.docker.cells import Cell, Cells
from vantage6.node.runtimes.docker.engine import Engine, Unreachable, is_gone, words
from vantage6.node.runtimes.docker.memory import lost_a_process
from vantage6.node.runtimes.sandbox.wording import duration, size

log = logging.getLogger(__name__)

#: Seconds between two measurements: of a run that has just begun, and of one that lasts.
_SOONEST, _LATEST = 0.25, 5.0
_AGAIN = 2.0
#: Seconds for the rest of the log to arrive after the end.
_LOG_SECONDS = 10.0
_frames: Callable[..., Iterator[tuple[int, bytes]]] = frames_iter
#: The engine's word for an exit code that it could not learn.
_UNKNOWN = 255
_ABANDONED = Ended(None, "abandoned")


@dataclass(frozen=True)
class Container:
    """A run's container; ``began`` is when, on this machine's monotonic clock."""

    id: str
    run_id: int
    folder: Path
    limits: Limits
    began: float


class DockerExecution:
    """A run in its container.

    Attributes
    ----------
    run_id : int
        The run.
    proxy_socket : socket.socket or None
        Listens in the run's own network; whoever serves on it closes it.
    doors : mapping of (str, int) to socket.socket
        Likewise, for hosts and ports that the algorithm knows by name.
    """

    def __init__(
        self,
        engine: Engine,
        cells: Cells,
        container: Container,
        cell: Cell | None,
        forget: Callable[[DockerExecution], None],
    ) -> None:
        self.run_id = container.run_id
        self.proxy_socket: socket.socket | None = cell.listener if cell else None
        self.doors: Mapping[Target, socket.socket] = cell.doors if cell else {}
        self._engine = engine
        self._cells = cells
        self._container = container
        self._cell = cell
        #: What to remove at the end, in this order: whoever has joined another's network before
        #: that one, as Podman insists.
        self._containers = [container.id, *([cell.container] if cell else [])]
        self._forget = forget
        self._verdict: Ended | None = None
        #: Whether the engine was gone for a while, and what it did not keep running with it.
        self._engine_was_away = False
        self._logs_end = asyncio.Event()
        self._ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._life: asyncio.Task[None] | None = None

    def begin(self, said: Iterator[tuple[int, bytes]], *, network: str = "") -> None:
        """Keep the log, and watch the container until its end.

        Parameters
        ----------
        said : iterator of (int, bytes)
            What it writes, with the number of the stream: `attached` or `replayed`.
        network : str
            Of a run that was found again: the container that held its network first. The cell has
            then joined the run's.
        """
        if network:
            self._containers = [*reversed(self._containers), network]
        logs = files.Logs(self._container.folder, self._container.limits.log_size)
        loop = asyncio.get_running_loop()

        def told() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended with the node
                loop.call_soon_threadsafe(self._logs_end.set)

        name = f"log of run {self.run_id}"
        threading.Thread(target=_keep, args=(said, logs, told), name=name, daemon=True).start()
        self._life = asyncio.create_task(self._live(), name=f"container of run {self.run_id}")

    async def wait(self) -> Ended:
        """Wait for the end. Safe to call more than once and to cancel."""
        return await asyncio.shield(self._ended)

    async def kill(self, reason: str) -> None:
        """End it with everything it started; returns when nothing of it is left."""
        await self._end(killed(reason))

    async def abandon(self) -> None:
        """End it without a record, so that it is run anew."""
        await self._end(_ABANDONED)

    @property
    def container_id(self) -> str:
        """The engine's id of its container."""
        return self._container.id

    async def end_out_of_memory(self) -> None:
        """End it because one of its processes was ended for using too much memory."""
        await self._end(Ended(None, _out_of_memory(self._container.limits)))

    async def _end(self, verdict: Ended) -> None:
        if self._life is None:
            return
        if self._verdict is None and not self._ended.done():
            self._verdict = verdict
            await self._kill()
        await asyncio.shield(self._life)

    async def _kill(self) -> None:
        try:
            await self._engine.call(self._engine.api.kill, self._container.id)
        except DockerException as error:
            # It may just have ended. Otherwise removing it, which comes next, ends it too.
            log.debug("Run %s cannot be killed: %s", self.run_id, words(error))
            if not is_gone(error):
                await self._cells.remove(self._container.id)

    async def _live(self) -> None:
        guard = asyncio.create_task(self._guard())
        try:
            state = await self._over()
        finally:
            guard.cancel()
            await asyncio.gather(guard, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._logs_end.wait(), _LOG_SECONDS)
        ended = await asyncio.to_thread(self._conclude, state)
        for container in self._containers:
            await self._cells.remove(container)
        self._forget(self)
        self._ended.set_result(ended)

    async def _over(self) -> dict[str, Any] | None:
        """Wait for the end; the engine's last word on the container, None if it is gone."""
        api = self._engine.api
        while True:
            try:
                await _in_thread(api.wait, self._container.id, timeout=None)
                found = await self._engine.call(api.inspect_container, self._container.id)
            except Unreachable as error:
                if is_gone(error):
                    return None
                log.warning("The engine does not answer (run %s): %s", self.run_id, words(error))
                self._engine_was_away = True
                await asyncio.sleep(_AGAIN)
                continue
            state: dict[str, Any] = found["State"]
            if not state.get("Running"):
                return state

    async def _guard(self) -> None:
        """End the run when it takes more than it may."""
        limits, began = self._container.limits, self._container.began
        while True:
            age = time.monotonic() - began
            pause = min(max(age / 20, _SOONEST), _LATEST)
            await asyncio.sleep(max(0.0, min(pause, limits.wall_time - age)))
            if time.monotonic() - began >= limits.wall_time:
                excess = f"ran longer than {duration(limits.wall_time)}"
            else:
                try:
                    excess = await self._excess()
                except (*Unreachable, OSError, KeyError, TypeError) as error:
                    log.debug("Run %s cannot be measured: %s", self.run_id, error)
                    continue
            if excess:
                if self._verdict is None:
                    self._verdict = Ended(None, excess)
                await self._kill()
                return

    async def _excess(self) -> str:
        limits, api = self._container.limits, self._engine.api
        if files.written(self._container.folder) > limits.output_size:
            return _too_much_output(limits)
        found = await self._engine.call(api.inspect_container, self._container.id)
        state = found["State"]
        if state.get("OOMKilled") or (self._engine.podman and lost_a_process(state["Pid"])):
            return _out_of_memory(limits)
        usage = await self._engine.call(api.stats, self._container.id, stream=False, one_shot=True)
        if usage["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9 > limits.cpu_time:
            return _out_of_time(limits)
        return ""

    def _conclude(self, state: dict[str, Any] | None) -> Ended:
        folder, limits = self._container.folder, self._container.limits
        files.take_back(folder)
        written = files.written(folder)
        if written > limits.output_size:
            files.drop_output(folder)
        if self._verdict is _ABANDONED:
            return _ABANDONED
        ended = self._verdict or judge(state, written, limits)
        if self._engine_was_away and self._verdict is None and _was_killed(state):
            ended = Ended(None, "the container engine ended while it ran, and it with the engine")
        try:
            files.write_exit(folder, ended)
        except OSError:
            # A full disk: the node can still be told.
            log.exception("The end of run %s cannot be noted", self.run_id)
        return ended


def judge(state: dict[str, Any] | None, written: int, limits: Limits) -> Ended:
    """Say how a run ended that nobody killed."""
    if state is None:
        return Ended(None)
    if written > limits.output_size:
        return Ended(None, _too_much_output(limits))
    code = int(state.get("ExitCode", 0))
    if state.get("OOMKilled") and code != 0:
        return Ended(None, _out_of_memory(limits))
    if code == 128 + signal.SIGXCPU:
        return Ended(None, _out_of_time(limits))
    return exit_codes.judge(code)


def _was_killed(state: dict[str, Any] | None) -> bool:
    return state is None or int(state.get("ExitCode", 0)) in (128 + signal.SIGKILL, _UNKNOWN)


def _too_much_output(limits: Limits) -> str:
    return f"wrote more than {size(limits.output_size)} of output"


def _out_of_memory(limits: Limits) -> str:
    return f"ran out of memory (limit {size(limits.memory)})"


def _out_of_time(limits: Limits) -> str:
    return f"used more CPU time than {duration(limits.cpu_time)}"


def attached(stream: Any) -> Iterator[tuple[int, bytes]]:
    """Yield what arrives on a socket that was attached to a container before its start."""
    try:
        yield from _frames(stream, tty=False)
    finally:
        close_stream(stream)


def replayed(api: Any, container: str, *, follow: bool) -> Iterator[tuple[int, bytes]]:
    """Yield what a container wrote since its start, by the engine's own log of it.

    Attaching anew would lose its beginning: what arrives with the answer's headers stays in the
    buffer of the library that read those.
    """
    for number, (stdout, stderr) in enumerate(((True, False), (False, True)), start=1):
        # The second after the end of the first: the engine has kept it until then.
        said = api.logs(container, stdout=stdout, stderr=stderr, stream=True, follow=follow)
        for data in said:
            yield number, data


def _keep(said: Iterator[tuple[int, bytes]], logs: files.Logs, at_end: Callable[[], None]) -> None:
    """Read a container's streams to their end; always, for it waits until they are read."""
    try:
        for number, data in said:
            logs.keep(number, data)
    except (OSError, ValueError, *Unreachable) as error:
        log.debug("A log ended: %s", error)
    finally:
        logs.close()
        at_end()


def close_stream(stream: Any) -> None:
    """Close what the engine's library gave, and the connection that it keeps below it."""
    below = getattr(stream, "_sock", None)
    response = getattr(stream, "_response", None)
    # In this order: the inner ones refuse to be closed after the outer.
    for part in (response, stream, below):
        if part is not None:
            part.close()


async def _in_thread(action: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Make a call that lasts, in a thread of its own that does not hold up the node's end."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: Exception | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    def work() -> None:
        result: Any = None
        problem: Exception | None = None
        try:
            result = action(*args, **kwargs)
        except Exception as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop has ended with the node
            loop.call_soon_threadsafe(settle, result, problem)

    threading.Thread(target=work, daemon=True).start()
    return await answer
