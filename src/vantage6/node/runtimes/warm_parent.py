"""The node's hold on a warm parent: starts it, hands it runs, starts it again if it dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from vantage6.node.runtimes.base import RuntimeUnavailable
from vantage6.node.runtimes.sandbox import messages
from vantage6.node.runtimes.sandbox.inside import WRAPPER

_log = logging.getLogger(__name__)

_PROGRAM = Path(__file__).parent / "sandbox" / "__main__.py"
_START_SECONDS = 120
_PACKET = 65536
_ATTEMPTS = 2
#: How often one is started that somebody kills before it is ready.
_STARTS = 3
_DYING_SECONDS = 5.0
#: Seconds without a new run until cells are prepared: short runs that began together are over.
_REST = 0.25
#: Cells that are kept ready: for a central function, and for the subtask it makes here.
_SPARES = 2


class _KilledEarly(Exception):
    """Somebody killed a warm parent before it was ready."""


def sandbox_available(python: Path | None = None) -> str | None:
    """Try whether algorithms can be sandboxed on this machine.

    Parameters
    ----------
    python : pathlib.Path, optional
        The interpreter that shall run algorithms; by default this one.

    Returns
    -------
    str or None
        Why not, and what to install or to set; None if all is well.
    """
    for left in reversed(range(_STARTS)):
        try:
            outcome = subprocess.run(  # noqa: S603 (the interpreter the node's owner names)
                [*_command(python or Path(sys.executable)), "--try"],
                env=_environment(1),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_START_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            if left and getattr(error, "returncode", 0) < 0:
                continue  # somebody killed it: that says nothing of the sandbox
            detail = getattr(error, "stderr", None) or b""
            return f"The sandbox cannot be tried: {error}. {detail.decode(errors='replace')[-500:]}"
        reason = json.loads(outcome.stdout)["reason"]
        return None if reason is None else str(reason)
    raise AssertionError("the last attempt returns")  # pragma: no cover


class WarmParent:
    """One warm parent.

    Parameters
    ----------
    python : pathlib.Path
        The interpreter it runs under.
    preload : sequence of str
        Modules to import; one that is not installed is skipped.
    threads : int
        Threads of numerical libraries in each algorithm.
    isolated : bool
        Whether algorithms are sandboxed.
    """

    def __init__(
        self, python: Path, preload: Sequence[str], *, threads: int, isolated: bool
    ) -> None:
        self.python = python
        self._preload = tuple(preload)
        self._threads = threads
        self._isolated = isolated
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._starting = asyncio.Lock()
        self._spares: deque[socket.socket] = deque()
        self._preparing: asyncio.Task[None] | None = None
        #: When no run has begun for a while (monotonic).
        self._rested = 0.0

    async def open(self) -> None:
        """Start it, unless it runs, and wait until it has imported everything.

        Raises
        ------
        RuntimeUnavailable
            If it does not start, or lacks the algorithm tools.
        """
        async with self._starting:
            if self._process is not None and self._process.poll() is None:
                return
            if self._process is not None:
                _log.warning(
                    "The warm parent of %s ended (code %s) and is started again; "
                    "algorithms that run are not affected",
                    self.python,
                    self._process.returncode,
                )
            for left in reversed(range(_STARTS)):
                await self._discard()
                channel = self._spawn()
                try:
                    await self._greet(channel)
                except _KilledEarly as error:
                    if not left:
                        raise RuntimeUnavailable(str(error)) from error
                    _log.warning("%s; starting another", error)
                else:
                    return

    async def connect(self) -> socket.socket:
        """Have a supervisor forked; gives this end of a connection to it.

        Raises
        ------
        RuntimeUnavailable
            If there is no warm parent and none can be started.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                for _ in range(_ATTEMPTS):
                    await self.open()
                    try:
                        await self._send(theirs)
                    except ConnectionError:
                        # It is dying, though it may not be dead yet.
                        async with self._starting:
                            await self._discard()
                    else:
                        return ours
            except BaseException:
                ours.close()
                raise
        ours.close()
        raise RuntimeUnavailable(f"The warm parent of {self.python} ends as soon as it starts")

    def take_spare(self) -> socket.socket | None:
        """A connection to a supervisor that has made its cell already, if there is one."""
        return self._spares.popleft() if self._spares else None

    def prepare_spares_soon(self) -> None:
        """Have supervisors make cells for the next runs, once no run has begun for a while."""
        self._rested = time.monotonic() + _REST
        if self._preparing is None or self._preparing.done():
            self._preparing = asyncio.create_task(self._prepare_spares())

    async def _prepare_spares(self) -> None:
        try:
            while len(self._spares) < _SPARES:
                if (left := self._rested - time.monotonic()) > 0:
                    await asyncio.sleep(left)
                else:
                    self._spares.append(await self.connect())
        except RuntimeUnavailable as error:
            _log.warning("No cell could be prepared for the next run: %s", error)

    async def close(self) -> None:
        """End it. Supervisors and their algorithms live on, on their own connections."""
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.gather(self._preparing, return_exceptions=True)
        while (spare := self.take_spare()) is not None:
            with spare:
                spare.setblocking(False)
                spare.shutdown(socket.SHUT_WR)
                # Nothing comes but the end, when its supervisor is gone.
                await asyncio.get_running_loop().sock_recv(spare, 1)
        async with self._starting:
            await self._discard()

    async def _send(self, connection: socket.socket) -> None:
        channel = self._channel
        if channel is None:
            raise ConnectionError("closed")
        while True:
            try:
                socket.send_fds(channel, [messages.RUN], [connection.fileno()])
            except BlockingIOError:
                await asyncio.sleep(0.001)
            else:
                return

    def _spawn(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [
                *_command(self.python),
                f"--channel={theirs.fileno()}",
                f"--preload={','.join(self._preload)}",
                f"--sandbox={'required' if self._isolated else 'none'}",
            ]
            try:
                self._process = subprocess.Popen(  # noqa: S603 (see above)
                    command,
                    env=_environment(self._threads),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise RuntimeUnavailable(f"{self.python} cannot be started: {error}") from error
        ours.setblocking(False)
        self._channel = ours
        return ours

    async def _greet(self, channel: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            data = await asyncio.wait_for(loop.sock_recv(channel, _PACKET), _START_SECONDS)
            if not data:
                raise await self._early_end()
            greeting = json.loads(data)
            failures: dict[str, str] = greeting["failures"]
            for needed in (WRAPPER, "sandbox"):
                if needed in failures:
                    raise RuntimeUnavailable(_what_to_do(needed, failures[needed], self.python))
        except TimeoutError:
            await self._discard()
            raise RuntimeUnavailable(
                f"The warm parent under {self.python} took more than {_START_SECONDS} s to import "
                f"{', '.join(self._preload)}"
            ) from None
        except BaseException:
            await self._discard()
            raise
        for name, reason in failures.items():
            _log.warning("%s could not be loaded in advance by %s: %s", name, self.python, reason)

    async def _early_end(self) -> Exception:
        """Why a warm parent ended that had not yet said that it is ready."""
        code = 0
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = await asyncio.to_thread(self._process.wait, _DYING_SECONDS)
        if code < 0:
            return _KilledEarly(
                f"The warm parent under {self.python} was killed by signal {-code} while it started"
            )
        return RuntimeUnavailable(
            f"The warm parent under {self.python} ended while it started; see this log"
        )

    async def _discard(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await asyncio.to_thread(process.wait)


def _command(python: Path) -> list[str]:
    # Isolated: neither the user's own packages nor variables change what is imported.
    return [str(python), "-I", "-X", "utf8", str(_PROGRAM)]


def _environment(threads: int) -> dict[str, str]:
    """All that a warm parent inherits: nothing of the node's."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        # An arena per thread would take up address space that algorithms are limited in.
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }


def _what_to_do(needed: str, reason: str, python: Path) -> str:
    if needed == "sandbox":
        return reason
    return (
        f"{python} has no algorithm tools ({reason}); install them there: "
        f"{python} -m pip install 'vantage6[algorithm]'"
    )
