"""Hears of containers that ran out of memory: the engine tells of it, while they run on.

Podman does not; there the kernel is asked, which counts what it killed in a control group.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vantage6.node.runtimes.docker.engine import Engine, Unreachable, words

log = logging.getLogger(__name__)

_AGAIN = 2.0
_GROUPS = Path("/sys/fs/cgroup")


class MemoryWatch:
    """Calls back, in the event loop, with the id of each such container.

    Parameters
    ----------
    engine : Engine
        Tells.
    label : str
        ``key=value`` that the containers bear.
    tell : callable
        Takes the container's id.
    """

    def __init__(self, engine: Engine, label: str, tell: Callable[[str], None]) -> None:
        self._engine = engine
        self._filters = {"event": "oom", "label": label}
        self._tell = tell
        self._stream: Any = None
        self._closed = False

    def open(self) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, args=(loop,), name="oom", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._closed = True
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError, *Unreachable):
                self._stream.close()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._closed:
            try:
                self._stream = self._engine.api.events(decode=True, filters=self._filters)
                for event in self._stream:
                    with contextlib.suppress(RuntimeError):  # the loop has ended with the node
                        loop.call_soon_threadsafe(self._tell, str(event["Actor"]["ID"]))
            except Exception as error:
                # Whatever breaks the line, it is taken up again; limits hold all the same.
                if not self._closed:
                    log.debug("The engine's events broke off: %s", words(error))
            if not self._closed:
                time.sleep(_AGAIN)


def lost_a_process(pid: int) -> bool:
    """Whether the kernel killed one for memory in the container that process `pid` is in.

    False too where the control groups cannot be seen, as by a node in a container.
    """
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        counts = _counts(lines).read_text().splitlines()
    except OSError:
        return False
    return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in counts)


def _counts(lines: list[str]) -> Path:
    """The file with the count, for control groups of version 1 or 2."""
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if "memory" in controllers.split(","):
            return _GROUPS / "memory" / group.lstrip("/") / "memory.oom_control"
        if not controllers:
            whole = _GROUPS / group.lstrip("/") / "memory.events"
            if whole.exists():
                return whole
    raise FileNotFoundError
