"""The one port of the node that algorithms reach: leads each pod to its own run's proxy.

A pod is known by its network address, which its network gives it and it cannot choose. Whoever else
comes is turned away: a pod of another run, of another service, or of none.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Iterable

log = logging.getLogger(__name__)

#: Seconds that a pod may be faster than the news of it.
_PATIENCE = 10.0
_PIECE = 64 * 1024


class Door:
    """Listens for algorithms.

    Parameters
    ----------
    port : int
        Where.
    patience : float
        Seconds that somebody unknown may wait until it is known who it is.
    """

    def __init__(self, port: int, *, patience: float = _PATIENCE) -> None:
        self._port = port
        self._patience = patience
        self._proxies: dict[str, int] = {}
        self._changed = asyncio.Condition()
        self._opening = asyncio.Lock()
        self._server: asyncio.Server | None = None
        #: Connections, and where each leads; 0 is nowhere yet.
        self._visits: dict[asyncio.Task[None], int] = {}
        self._news: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to listen; nothing if it does already.

        Raises
        ------
        OSError
            If the port is taken.
        """
        async with self._opening:
            if self._server is None:
                self._server = await asyncio.start_server(self._visit, None, self._port)

    async def close(self) -> None:
        """Stop, and cut every connection."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in (*self._visits, *self._news):
            task.cancel()
        await asyncio.gather(*self._visits, *self._news, return_exceptions=True)

    def admit(self, addresses: Iterable[str], proxy: int) -> None:
        """Lead whoever comes from addresses to a port of this pod's loopback."""
        new = {_plain(each): proxy for each in addresses}
        if new.items() <= self._proxies.items():
            return
        self._proxies.update(new)
        telling = asyncio.ensure_future(self._tell())
        self._news.add(telling)
        telling.add_done_callback(self._news.discard)

    def dismiss(self, proxy: int) -> None:
        """Lead nobody there any more, and cut the connections that lead there."""
        for visit, leads_to in self._visits.items():
            if leads_to == proxy:
                visit.cancel()
        self._proxies = {key: port for key, port in self._proxies.items() if port != proxy}

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = asyncio.ensure_future(self._serve(reader, writer))
        self._visits[visit] = 0
        visit.add_done_callback(lambda _: self._visits.pop(visit))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = asyncio.current_task()
        try:
            proxy = await self._proxy_of(_plain(writer.get_extra_info("peername")[0]))
            if proxy is not None and visit is not None:
                self._visits[visit] = proxy
                await _relay(reader, writer, proxy)
        except OSError as error:
            log.debug("A connection of an algorithm broke: %s", error)
        finally:
            writer.close()

    async def _proxy_of(self, address: str) -> int | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience), self._changed:
                await self._changed.wait_for(lambda: address in self._proxies)
        proxy = self._proxies.get(address)
        if proxy is None:
            log.warning(
                "Somebody at %s, who is no algorithm of this node, was turned away", address
            )
        return proxy


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    there, to_there = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_copy(reader, to_there))
            both.create_task(_copy(there, writer))
    except* OSError as errors:
        raise OSError(str(errors.exceptions[0])) from errors
    finally:
        to_there.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _plain(address: str) -> str:
    """An address as the cluster writes it, whichever family the socket has."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
