"""One run, from its cell to the record of how it ended."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from .cell import Cell
from .explain import explain
from .folder import RunFolder
from .groundwork import Groundwork
from .limits import Meter, Usage
from .logs import BoundedLog
from .messages import Connection
from .request import Bounds, Request, SandboxError
from .wording import duration, size

_DRAIN_SECONDS = 2.0


@dataclass(frozen=True)
class End:
    """How a run ended; as ``Ended`` of the node's runtimes."""

    exit_code: int | None
    reason: str | None = None


def supervise(control: socket.socket, groundwork: Groundwork, work: Callable[[], int]) -> None:
    """Make a cell, run in it what the node asks for on this connection, say how it ended.

    Parameters
    ----------
    control : socket.socket
        The run's own connection to the node.
    groundwork : Groundwork
        What the warm parent knows.
    work : callable
        What the algorithm's process does; gives its exit code.
    """
    connection = Connection(control)
    cell: Cell | None = None
    problem = ""
    try:
        cell = Cell(groundwork, work)
    except Exception as error:
        problem = _in_words(error)
    if cell is not None and connection.is_idle:
        cell.rehearse()
    message = connection.receive()
    if message is None:
        return
    if cell is None:
        connection.send({"event": "failed", "message": problem})
        return
    try:
        run = Run(Request.from_json(message), cell)
    except Exception as error:
        cell.end()
        connection.send({"event": "failed", "message": _in_words(error)})
        return
    listeners = [] if cell.listener is None else [cell.listener, *cell.doors]
    connection.send({"event": "ready"}, [listener.fileno() for listener in listeners])
    for listener in listeners:
        listener.close()
    end = run.attend(connection)
    if end is not None:
        connection.send({"event": "ended", "exit_code": end.exit_code, "reason": end.reason})


def _in_words(error: Exception) -> str:
    if isinstance(error, SandboxError):
        return str(error)
    if isinstance(error, OSError):
        return explain(error)
    traceback.print_exception(error)
    return f"The supervisor failed ({type(error).__name__}); the node's log has the details"


class Run:
    """A run in its cell, ready to begin.

    Raises
    ------
    SandboxError, OSError
        If it cannot be started; then nothing was executed.
    """

    def __init__(self, request: Request, cell: Cell) -> None:
        self.request = request
        self.cell = cell
        self._folder = RunFolder(request.folder)
        self._output, stdout, stderr = self._folder.prepare()
        try:
            cell.furnish(request, self._folder, self._output)
        except BaseException:
            self._folder.take_back()
            raise
        self._pidfd = os.pidfd_open(cell.pid)
        room = request.bounds.log_size
        self._logs = [BoundedLog(cell.stdout, stdout, room), BoundedLog(cell.stderr, stderr, room)]
        self._meter = _meter(cell)

    def attend(self, connection: Connection) -> End | None:
        """Watch the run until it is over.

        Returns
        -------
        End or None
            None if the node went away first: the run was killed and has no end, so that the
            node starts it anew when it comes back.
        """
        killed = self._watch(connection)
        status, usage = self._reap()
        for log in self._logs:
            self._drain_rest(log)
        written = os.fstat(self._output).st_size
        if written > self.request.bounds.output_size:
            # Nobody will read it; it should not take up the disk.
            os.ftruncate(self._output, 0)
        self._folder.take_back()
        if not self.cell.isolated:
            shutil.rmtree(self.request.scratch_folder, ignore_errors=True)
        if killed is _ABANDONED:
            return None
        end = killed or _judge(status, usage, written, self.request.bounds)
        try:
            self._folder.write_exit(end.exit_code, end.reason)
        except OSError:
            # A full disk: the node can still be told.
            traceback.print_exc()
        return end

    def _watch(self, connection: Connection) -> End | None:
        bounds = self.request.bounds
        deadline: float | None = None
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        poll.register(self._pidfd, select.POLLIN)
        pipes = {log.pipe: log for log in self._logs}
        for pipe in pipes:
            poll.register(pipe, select.POLLIN)
        while True:
            due = self._meter.due if deadline is None else min(self._meter.due, deadline)
            ready = {fd for fd, _ in poll.poll(max(0.0, due - time.monotonic()) * 1000)}
            for pipe in ready & pipes.keys():
                if not pipes[pipe].drain():
                    poll.unregister(pipe)
            if self._pidfd in ready:
                return None
            while connection.fileno() in ready or connection.has_message:
                ready.discard(connection.fileno())
                message = connection.receive()
                if message is None:
                    return _ABANDONED
                if message["event"] == "kill":
                    return End(None, f"killed: {message['reason']}")
                if message["event"] == "go":
                    self.cell.begin()
                    deadline = time.monotonic() + bounds.wall_time
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return End(None, f"ran longer than {duration(bounds.wall_time)}")
            if now >= self._meter.due:
                excess = self._excess(self._meter.measure(bounds.memory))
                if excess:
                    return End(None, excess)

    def _excess(self, usage: Usage) -> str | None:
        bounds = self.request.bounds
        if usage.memory > bounds.memory:
            return _OUT_OF_MEMORY.format(size(bounds.memory))
        if usage.cpu_time > bounds.cpu_time:
            return _OUT_OF_TIME.format(duration(bounds.cpu_time))
        if os.fstat(self._output).st_size > bounds.output_size:
            return _TOO_MUCH_OUTPUT.format(size(bounds.output_size))
        if not self.cell.isolated and usage.processes > bounds.processes:
            return f"started more than {bounds.processes} processes"
        return None

    def _reap(self) -> tuple[int, float]:
        """End everything that is left; give the algorithm's wait status and seconds of CPU."""
        if not _has_ended(self._pidfd):
            os.kill(self.cell.pid, signal.SIGKILL)
        # With process 1 of a namespace the kernel kills all others in it, and waits for them.
        _, status, used = os.wait4(self.cell.pid, 0)
        os.close(self._pidfd)
        if not self.cell.isolated:
            _kill_descendants(self._meter)
        return status, used.ru_utime + used.ru_stime

    @staticmethod
    def _drain_rest(log: BoundedLog) -> None:
        # All writers are dead; what the pipe still holds is little.
        end = time.monotonic() + _DRAIN_SECONDS
        while log.drain() and time.monotonic() < end:
            select.select([log.pipe], [], [], 0.1)


_ABANDONED = End(None, "abandoned")
_OUT_OF_MEMORY = "ran out of memory (limit {})"
_OUT_OF_TIME = "used more CPU time than {}"
_TOO_MUCH_OUTPUT = "wrote more than {} of output"


def _judge(status: int, cpu_time: float, written: int, bounds: Bounds) -> End:
    """Say how a run ended that nobody killed."""
    code = os.waitstatus_to_exitcode(status)
    if written > bounds.output_size:
        return End(None, _TOO_MUCH_OUTPUT.format(size(bounds.output_size)))
    if code >= 0:
        return End(code)
    number = -code
    if number in (signal.SIGXCPU, signal.SIGKILL) and cpu_time >= bounds.cpu_time:
        return End(None, _OUT_OF_TIME.format(duration(bounds.cpu_time)))
    if number == signal.SIGKILL:
        return End(None, "was killed by the system, probably because its memory ran out")
    return End(128 + number, f"crashed with signal {signal.Signals(number).name}")


def _meter(cell: Cell) -> Meter:
    if cell.isolated and os.path.exists("/proc/1/stat"):
        return Meter(os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), None)
    return Meter(cell.host_proc, os.getpid())


def _has_ended(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], 0)[0])


def _kill_descendants(meter: Meter) -> None:
    """Kill until none is left: a process may be starting others meanwhile."""
    while True:
        for pid in meter.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)
