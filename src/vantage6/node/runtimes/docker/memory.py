"""Hears of containers that ran out of memory: the engine tells of it, while they run on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from vantage6.node.runtimes.docker.engine import Engine, Unreachable, words

log = logging.getLogger(__name__)

_AGAIN = 2.0


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
