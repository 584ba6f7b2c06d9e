"""Running the client's one implementation, which waits like any program, in an event loop.

Its code runs in a greenlet: wherever it would wait, for an answer or for time to pass, it hands
what it waits for to the loop, and goes on with the outcome. So there is no second copy of the
client, no thread per waiting task, and cancelling ends a wait where it is: the request is cut off
and no further one goes out.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar

import greenlet
import httpx2 as httpx

from vantage6.common.client.connection import Connection
from vantage6.common.transport import connect_async

T = TypeVar("T")


class _Greenlet(greenlet.greenlet):
    """One call of the client; its parent runs in the event loop."""

    def __init__(self, function: Callable[..., Any], parent: greenlet.greenlet) -> None:
        super().__init__(function, parent)
        self.gr_context = parent.gr_context


async def run(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a function that may :func:`wait_for` something."""
    call = _Greenlet(function, greenlet.getcurrent())
    outcome = call.switch(*args, **kwargs)
    while not call.dead:
        try:
            value = await outcome
        except BaseException:  # also being cancelled is the call's to know
            outcome = call.throw(*sys.exc_info())
        else:
            outcome = call.switch(value)
    result: T = outcome
    return result


def wait_for(awaitable: Awaitable[T]) -> T:
    """Wait without keeping the event loop waiting; only inside of :func:`run`."""
    call = greenlet.getcurrent()
    if not isinstance(call, _Greenlet) or call.parent is None:
        if asyncio.iscoroutine(awaitable):
            awaitable.close()
        raise RuntimeError("This object belongs to an AsyncClient: use the client's own calls")
    value: T = call.parent.switch(awaitable)
    return value


class LoopClock:
    """The machine's clock; sleeping leaves the event loop to others."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        wait_for(asyncio.sleep(seconds))


class _LoopLock(AbstractContextManager[None]):
    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    def __enter__(self) -> None:
        wait_for(self._lock.acquire())

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()


class LoopConnection(Connection):
    """The connection of a client in an event loop; it opens a new pool in each loop."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._async_pool: httpx.AsyncClient | None = None

    def lock(self) -> AbstractContextManager[Any]:
        """A lock for the calls that share this connection."""
        return _LoopLock()

    def aside(self, function: Callable[..., T], *arguments: Any) -> T:
        """Let a thread do what takes the processor long."""
        return wait_for(asyncio.to_thread(function, *arguments))

    def _exchange(
        self,
        method: str,
        url: str,
        content: Callable[[], Iterator[bytes]] | None,
        receive: Callable[[Iterator[bytes]], object] | None,
        **request: Any,
    ) -> httpx.Response:
        loop = asyncio.get_running_loop()
        if self._async_pool is None or self._loop is not loop:
            self._loop = loop
            self._async_pool = connect_async(
                read_timeout=self._timeout,
                proxy=self._proxy,
                ca_file=self._ca_file,
                transport=self._transport,
            )
        pool = self._async_pool
        body = _stream(content()) if content else None
        asked = pool.build_request(method, url, content=body, **request)
        response = wait_for(pool.send(asked, stream=True, follow_redirects=True))
        try:
            if receive is None or response.status_code != 200:
                wait_for(response.aread())
            else:
                receive(_pieces(response))
        finally:
            wait_for(response.aclose())
        return response

    def close(self) -> None:
        """Forget the pool; :meth:`aclose` closes its connections properly."""
        self._async_pool = None

    async def aclose(self) -> None:
        """Close all connections; a later request opens new ones."""
        pool, self._async_pool = self._async_pool, None
        if pool is not None and self._loop is asyncio.get_running_loop():
            await pool.aclose()


async def _stream(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    # Making a chunk may take the processor long.
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk


def _pieces(response: httpx.Response) -> Iterator[bytes]:
    pieces = response.aiter_bytes()
    while True:
        try:
            piece = wait_for(anext(pieces))
        except StopAsyncIteration:
            return
        yield piece
