"""What every request passes first: its id, limits, headers for browsers, counting, the log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from vantage6.common.tracing import HEADER, accepted, new_request_id, request_id
from vantage6.web.metrics import Metrics
from vantage6.web.responses import JSON

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_HEADER = HEADER.lower().encode()
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Methods that exist; a made-up one must not make a metric of its own.
_METHODS = _SAFE | {"POST", "PATCH", "PUT", "DELETE"}
#: For browsers; an answer that has one of them itself keeps its own.
_SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-site"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000")


class RateLimit:
    """A bucket of requests per address that fills again with time.

    Parameters
    ----------
    per_second : float
        How fast it fills.
    burst : int
        How many it holds.
    """

    _MOST = 10_000

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, address: str, now: float) -> float:
        """Take one; gives the seconds to wait when there is none, else 0."""
        left, since = self._buckets.get(address, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._per_second)
        if left < 1:
            self._buckets[address] = (left, now)
            return (1 - left) / self._per_second
        if len(self._buckets) >= self._MOST:
            self._forget(now)
        self._buckets[address] = (left - 1, now)
        return 0.0

    def _forget(self, now: float) -> None:
        full = self._burst / self._per_second
        self._buckets = {
            address: bucket for address, bucket in self._buckets.items() if now - bucket[1] < full
        }
        if len(self._buckets) >= self._MOST:
            self._buckets.clear()


@dataclass
class Front:
    """An ASGI application around another.

    Parameters
    ----------
    app
        What answers.
    metrics : Metrics
        Counts.
    most_bytes : int
        Largest body.
    unlimited : str
        Below this path bodies are streamed, whatever their size.
    rate_limit : RateLimit, optional
    sockets : str
        The path of Socket.IO.
    """

    app: App
    metrics: Metrics
    most_bytes: int
    unlimited: str
    rate_limit: RateLimit | None = None
    sockets: str = "/socket.io/"
    _polls: set[asyncio.Task[None]] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(self, scope, receive, send)
        token = request_id.set(exchange.id)
        try:
            refusal = exchange.refuse()
            if refusal is not None:
                await refusal(scope, receive, exchange.send)
            elif scope["path"].startswith(self.sockets):
                await self._poll(scope, receive, exchange.send)
            else:
                await self.app(scope, exchange.receive, exchange.send)
        finally:
            exchange.ended()
            request_id.reset(token)

    async def _poll(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A long poll of Socket.IO ends when the server does: its client then connects anew."""
        poll = asyncio.ensure_future(self.app(scope, receive, send))
        self._polls.add(poll)
        try:
            await asyncio.wait({poll})
        finally:
            self._polls.discard(poll)
            if not poll.done():
                poll.cancel()
                await asyncio.gather(poll, return_exceptions=True)
        if poll.cancelled():
            await JSON({"msg": "The server is stopping. Please connect again"}, 503)(
                scope,
                receive,
                send,
            )
        else:
            poll.result()

    def end_polls(self) -> None:
        """Answer every waiting poll of Socket.IO with 503."""
        for poll in self._polls:
            poll.cancel()


class _Exchange:
    """One request and its answer."""

    def __init__(self, front: Front, scope: Scope, receive: Receive, send: Send) -> None:
        self._front = front
        self._scope = scope
        self._receive = receive
        self._send = send
        self._started = time.perf_counter()
        self._status = 0
        self._received = 0
        self._too_large = False
        self._length: bytes | None = None
        given = None
        for name, value in scope["headers"]:
            if name == _HEADER:
                given = value.decode("latin-1")
            elif name == b"content-length":
                self._length = value
        self.id = accepted(given) or new_request_id()
        self._limited = not scope["path"].startswith(front.unlimited)

    def refuse(self) -> JSON | None:
        """The answer to a request that is not to be looked at."""
        front = self._front
        if front.rate_limit is not None and self._scope.get("client"):
            wait = front.rate_limit.take(self._scope["client"][0], self._started)
            if wait:
                text = f"Too many requests from your address. Try again in {wait:.0f} s"
                return JSON({"msg": text}, 429, {"Retry-After": f"{wait + 0.5:.0f}"})
        if self._limited and self._length is not None:
            with contextlib.suppress(ValueError):
                if int(self._length) > front.most_bytes:
                    return self._refuse_size()
        return None

    def _refuse_size(self) -> JSON:
        most = self._front.most_bytes
        text = f"The request's body is larger than this server takes ({most / 2**20:g} MiB)"
        return JSON({"msg": text}, 413, {"Connection": "close"})

    async def receive(self) -> Message:
        """The request's next part; a body that grows too large ends here."""
        message = await self._receive()
        if self._limited and message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._front.most_bytes:
                self._too_large = True
                return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        """A part of the answer."""
        if self._too_large and self._status in (0, 413):
            if self._status == 0:
                self._status = 413
                await self._refuse_size()(self._scope, self._receive, self._send_first)
            return
        if message["type"] == "http.response.start":
            self._status = message["status"]
            await self._send_first(message)
        else:
            await self._send(message)

    async def _send_first(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"] = list(message.get("headers", ()))
            has = {name.lower() for name, _ in headers}
            headers += [header for header in _SECURITY if header[0] not in has]
            if self._scope.get("scheme") == "https":
                headers.append(_HSTS)
            headers.append((_HEADER, self.id.encode()))
        await self._send(message)

    def ended(self) -> None:
        """Count and log."""
        scope = self._scope
        seconds = time.perf_counter() - self._started
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = scope.get("route")
        path = getattr(route, "path", None) or (
            self._front.sockets if scope["path"].startswith(self._front.sockets) else "unknown"
        )
        self._front.metrics.answered(method, path, self._status, seconds)
        quiet = (method in _SAFE or path == self._front.sockets) and self._status < 500
        level = logging.DEBUG if quiet else logging.INFO
        if log.isEnabledFor(level):
            text = "%s %s: %d in %.0f ms"
            log.log(level, text, method, scope["path"], self._status, seconds * 1000)
