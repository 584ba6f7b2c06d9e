"""A few threads for work that is slow, with a queue that has an end."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from vantage6.web.errors import Refusal

T = TypeVar("T")


class PoolFull(Refusal):
    """So much is waiting already that it would not be done in time."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "The server is busy. Please try again in a few seconds",
            headers={"Retry-After": "3"},
        )


class Pool:
    """Threads apart from those that answer requests.

    Parameters
    ----------
    name : str
        For the threads' names.
    threads : int
        How much is worked on at a time.
    waiting : int
        How much may wait for that.
    niceness : int
        How much the threads give way to others (Linux only), see ``nice(1)``.
    """

    def __init__(self, name: str, threads: int, waiting: int, *, niceness: int = 0) -> None:
        self._room = threading.BoundedSemaphore(threads + waiting)
        self._threads = ThreadPoolExecutor(
            threads, thread_name_prefix=name, initializer=_give_way, initargs=(niceness,)
        )

    def submit(self, action: Callable[..., T], *args: object) -> Future[T]:
        """Have something done.

        Raises
        ------
        PoolFull
            503 if too much waits already.
        """
        if not self._room.acquire(blocking=False):
            raise PoolFull
        try:
            future = self._threads.submit(action, *args)
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())
        return future

    async def run(self, action: Callable[..., T], *args: object) -> T:
        """Like :meth:`submit`, and wait for it without holding a thread."""
        return await asyncio.wrap_future(self.submit(action, *args))

    def shutdown(self, *, wait: bool = True) -> None:
        """Take nothing more; what has not begun is dropped."""
        self._threads.shutdown(wait=wait, cancel_futures=True)


def _give_way(niceness: int) -> None:
    # On Linux, a thread has a niceness of its own.
    if niceness and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
