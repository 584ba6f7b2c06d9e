"""Keep child processes running, as a service manager would, and stop them all at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from vantage6.common.transport import backoff

#: A child that has run this many seconds is taken to be healthy: its back-off starts anew.
HEALTHY_AFTER = 5.0
#: Seconds a child has to end by itself before it is killed.
GRACE = 10.0


@dataclass
class Child:
    """A command that is kept running.

    ``log`` receives all it writes. ``pid`` is that of the running process, or of the last one;
    ``deaths`` counts the processes that ended though nobody asked them to.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    pid: int = 0
    deaths: int = 0

    def tail(self, lines: int = 20) -> str:
        """The last lines of the log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Supervisor:
    """Runs children until the ``with`` block ends, then stops them together.

    Parameters
    ----------
    on_start
        Called when a process has been started again.
    on_death
        Called when a process has ended unasked, with the child, how it ended, and the seconds
        until it is started again.
    """

    def __init__(
        self,
        on_start: Callable[[Child], None] = lambda child: None,
        on_death: Callable[[Child, str, float], None] = lambda child, how, pause: None,
    ) -> None:
        self.children: list[Child] = []
        self._on_start = on_start
        self._on_death = on_death
        self._threads: list[threading.Thread] = []
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, child: Child) -> None:
        """Start a child; returns when its process exists.

        Raises
        ------
        OSError
            If the command cannot be executed.
        """
        started = threading.Event()
        failures: list[OSError] = []
        # The kernel ties a child to the thread that started it, so each has one that lasts.
        thread = threading.Thread(
            target=self._keep_running, args=(child, started, failures), name=child.name, daemon=True
        )
        self.children.append(child)
        self._threads.append(thread)
        thread.start()
        started.wait()
        if failures:
            raise failures[0]

    def stop(self) -> None:
        """Ask every child to end, kill those that do not, and wait until all have ended."""
        with self._lock:
            self._stopping.set()
            running = list(self._processes.values())
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for process in running:
            _kill_group(process.pid)
        for thread in self._threads:
            thread.join()

    def _keep_running(
        self, child: Child, started: threading.Event, failures: list[OSError]
    ) -> None:
        pauses = backoff(first=0.1, ceiling=10.0)
        while True:
            since = time.monotonic()
            try:
                process = self._spawn(child)
            except OSError as error:
                if not started.is_set():
                    failures.append(error)
                    started.set()
                    return
                how = f"could not be started: {error}"
            else:
                if process is None:
                    started.set()
                    return
                if started.is_set():
                    self._on_start(child)
                started.set()
                how = _describe(process.wait())
                # What it started and left behind goes with it.
                _kill_group(process.pid)
            if self._stopping.is_set():
                return
            child.deaths += 1
            if time.monotonic() - since > HEALTHY_AFTER:
                pauses = backoff(first=0.1, ceiling=10.0)
            pause = next(pauses)
            self._on_death(child, how, pause)
            if self._stopping.wait(pause):
                return

    def _spawn(self, child: Child) -> subprocess.Popen[bytes] | None:
        child.log.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, child.log.open("ab") as log:
            if self._stopping.is_set():
                return None
            process = subprocess.Popen(  # noqa: S603 (the command is ours)
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **child.environment},
                # Ctrl-C in the terminal reaches the supervisor only, which then stops all in order.
                start_new_session=True,
            )
            self._processes[child.name] = process
            child.pid = process.pid
            return process


def v6_command(*arguments: str) -> list[str]:
    """The command line that runs ``v6`` with this interpreter, tied to this process."""
    return [
        sys.executable,
        "-P",
        "-m",
        "vantage6.cli",
        *arguments,
        "--with-parent",
        str(os.getpid()),
    ]


def _describe(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # Nothing of it is left, or the number is someone else's by now.
        return
