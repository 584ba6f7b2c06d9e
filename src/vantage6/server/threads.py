"""How many threads work on requests: few while they get on, more while some are held up.

Threads that compute take turns at the interpreter's one lock, and at every statement of SQL they
pass it on. With sixteen of them, and the event loop, most of the time goes into that: sixteen
clients at a time were served more slowly than one. One thread that is done within milliseconds
serves them faster. Work that takes longer, or waits for a lock or a network, must not hold up the
rest: it does not count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

from vantage6.server.model.database import POOL_SIZE

T = TypeVar("T")

#: Work that takes longer than this is held up: somebody else gets a thread as well.
PATIENCE_SECONDS = 0.04
#: Threads at a time, by database. One that is asked over a network leaves time to others.
_FEW = {"sqlite": 1, "postgresql": 4}
# Work in the background, small and rare, waits for nobody.
_BACKGROUND = 8


class Threads:
    """The threads of one server process.

    Parameters
    ----------
    dialect : str
        Of the database.
    """

    def __init__(self, dialect: str) -> None:
        self._few = _FEW[dialect]
        # SQLite has one writer at a time; who waits for it shall not keep readers waiting.
        self._writers = anyio.CapacityLimiter(1 if dialect == "sqlite" else POOL_SIZE // 2)
        self._background = anyio.CapacityLimiter(_BACKGROUND)

    async def write(self, action: Callable[..., T], *args: object) -> T:
        """Have something written that is written often."""
        return await anyio.to_thread.run_sync(action, *args, limiter=self._writers)

    async def aside(self, action: Callable[..., T], *args: object) -> T:
        """Have something done that must not wait for requests, nor they for it."""
        return await anyio.to_thread.run_sync(action, *args, limiter=self._background)

    async def keep_flowing(self) -> None:
        """Let as many requests be worked on as is good, for ever."""
        limiter = anyio.to_thread.current_default_thread_limiter()
        limiter.total_tokens = self._few
        before: set[object] = set()
        while True:
            await asyncio.sleep(PATIENCE_SECONDS)
            at_work: set[object] = set(limiter.statistics().borrowers)
            held_up = len(at_work & before)
            limiter.total_tokens = min(POOL_SIZE, self._few + held_up)
            before = at_work
