"""Few threads at a time while they get on, more while some are held up.

Threads that compute take turns at the interpreter's one lock, and at every step of a query they
pass it on. With sixteen of them, and the event loop, most of the time went into that: sixteen
clients at a time were served more slowly than one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

#: Whoever is inside for longer is held up: by a long query, a lock, a network.
PATIENCE_SECONDS = 0.04


class Gate:
    """Lets threads pass in the order in which they come, a few at a time.

    When nobody has gone in for a while, although some wait, those wait no longer: what takes long
    never stalls what does not, and nothing can wait in a circle.

    Parameters
    ----------
    few : int
        How many may be inside.
    """

    def __init__(self, few: int) -> None:
        self._lock = threading.Lock()
        self._free = few
        self._waiting: deque[threading.Lock] = deque()
        self._entered = 0.0

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Be inside."""
        counted = self._enter()
        try:
            yield
        finally:
            if counted:
                self._leave()

    def _enter(self) -> bool:
        """Go in; whether that counts, or those inside are held up."""
        with self._lock:
            if self._free:
                self._free -= 1
                self._entered = time.monotonic()
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        while not turn.acquire(timeout=PATIENCE_SECONDS):
            with self._lock:
                if turn in self._waiting and time.monotonic() - self._entered > PATIENCE_SECONDS:
                    self._waiting.remove(turn)
                    return False
        return True

    def _leave(self) -> None:
        with self._lock:
            self._entered = time.monotonic()
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
