"""The socket to the server: nudges in, news out.

An event is never the truth: whoever misses one finds out from the server's list of open runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

import aiohttp

from vantage6.common.socket_library import SocketIOError, socketio
from vantage6.common.transport import backoff
from vantage6.node.connection import Connection, ServerTrouble
from vantage6.node.http import tls

log = logging.getLogger(__name__)

NAMESPACE = "/tasks"
_FIRST_PING, _PING = 5.0, 60.0
#: Seconds a server may take to greet a node after the connection is made.
_GREETING = 30.0
_LONGEST_PAUSE = 15.0

Handler = Callable[[Any], Awaitable[None]]


class Events:
    """A socket that is always being kept open.

    Parameters
    ----------
    connection : Connection
        Gives the access token.
    url : str
        Scheme, host and port of the server.
    handlers : mapping of str to Handler
        What to do on which event; ``sync`` comes after every connect, with None.
    verbose : bool
        Log what the socket library does.
    """

    def __init__(
        self,
        connection: Connection,
        url: str,
        handlers: Mapping[str, Handler],
        *,
        verbose: bool = False,
    ) -> None:
        self._connection = connection
        self._url = url
        self._handlers = handlers
        self._verbose = verbose
        self._client: socketio.AsyncClient | None = None
        self._greeted = asyncio.Event()
        self._ended = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()

    async def run(self) -> NoReturn:
        """Connect, listen, and connect again when the connection is lost; for ever.

        Raises
        ------
        LoginRefused
            If the server no longer accepts this node.
        """
        pauses = backoff(first=0.5, ceiling=_LONGEST_PAUSE)
        while True:
            token = self._connection.token
            try:
                if await self._session(token):
                    pauses = backoff(first=0.5, ceiling=_LONGEST_PAUSE)
                else:
                    await self._connection.renew(token)
            except (SocketIOError, aiohttp.ClientError, OSError, ServerTrouble) as error:
                log.warning("No socket to %s (%s); trying again", self._url, error)
            await asyncio.sleep(next(pauses))

    def tell(self, event: str, data: Any = None) -> None:
        """Send an event soon; it is dropped when there is no connection."""
        task = asyncio.ensure_future(self._emit(event, data))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def close(self) -> None:
        """Send what is being sent, then close."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=1.0)
        if self._client is not None:
            await _disconnect(self._client)

    async def _emit(self, event: str, data: Any) -> None:
        client = self._client
        if client is None:
            return
        try:
            # Not asked first whether it is connected: the greeting is answered before it says so.
            await client.emit(event, data, namespace=NAMESPACE)
        except (SocketIOError, aiohttp.ClientError, OSError) as error:
            log.debug("Event %s was not sent: %s", event, error)

    async def _session(self, token: str) -> bool:
        """Listen until the connection ends; whether the server knew us."""
        self._greeted.clear()
        self._ended.clear()
        connector = aiohttp.TCPConnector(ssl=tls())
        async with aiohttp.ClientSession(connector=connector, trust_env=True) as http:
            client = socketio.AsyncClient(
                reconnection=False,
                logger=self._verbose,
                engineio_logger=self._verbose,
                handle_sigint=False,
                http_session=http,
            )
            self._listen(client)
            self._client = client
            try:
                await _connect(client, self._url, token)
                return await self._stay()
            finally:
                self._client = None
                await _disconnect(client)

    async def _stay(self) -> bool:
        ended = asyncio.ensure_future(self._ended.wait())
        greeted = asyncio.ensure_future(self._greeted.wait())
        pings = asyncio.ensure_future(self._ping())
        try:
            await asyncio.wait(
                (ended, greeted), timeout=_GREETING, return_when=asyncio.FIRST_COMPLETED
            )
            if not greeted.done():
                log.warning("The server did not accept the socket's token; logging in again")
                return False
            log.info("Websocket connection established (%s)", self._url)
            await ended
            log.info("The socket to %s was closed", self._url)
            return True
        finally:
            for task in (ended, greeted, pings):
                task.cancel()

    def _listen(self, client: socketio.AsyncClient) -> None:
        for name, handler in self._handlers.items():
            client.on(name, self._guarded(name, handler), namespace=NAMESPACE)

        async def ended(*_: Any) -> None:
            self._ended.set()

        for name in ("disconnect", "expired_token", "invalid_token"):
            client.on(name, ended, namespace=NAMESPACE)

    def _guarded(self, name: str, handler: Handler) -> Callable[..., Awaitable[None]]:
        async def guarded(*arguments: Any) -> None:
            if name == "sync":
                self._greeted.set()
            try:
                await handler(arguments[0] if arguments else None)
            except Exception:
                # A malformed event must not end the socket: the next sync makes up for it.
                log.exception("Event %s could not be handled", name)

        return guarded

    async def _ping(self) -> None:
        await asyncio.sleep(_FIRST_PING)
        while True:
            await self._emit("ping", None)
            await asyncio.sleep(_PING)


async def _connect(client: socketio.AsyncClient, url: str, token: str) -> None:
    connecting = asyncio.ensure_future(
        client.connect(
            url,
            headers={"Authorization": f"Bearer {token}"},
            namespaces=[NAMESPACE],
            wait_timeout=10,
        )
    )
    try:
        await asyncio.shield(connecting)
    except asyncio.CancelledError:
        # Half-made connections are not closed by the library: let it finish.
        await asyncio.wait([connecting], timeout=2.0)
        connecting.cancel()
        raise


async def _disconnect(client: socketio.AsyncClient) -> None:
    if not client.connected:
        return
    with contextlib.suppress(SocketIOError, aiohttp.ClientError, OSError):
        await asyncio.wait_for(client.disconnect(), timeout=2.0)
