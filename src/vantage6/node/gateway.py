"""The way from an algorithm to the few hosts its node's owner allows: an HTTP proxy, and doors.

The first shares the socket of the node's own proxy: a request that names another host, by
``CONNECT`` or by an absolute ``http://`` address, is for the gateway. Everything else is refused by
exact host and port before anything is connected. Who connects to a door means the one host it is
for, and says nothing of the gateway's: a driver that knows of no proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from vantage6.common.addresses import Target
from vantage6.node.config import Whitelist
from vantage6.node.exits import Exits, NoWay, Reader, Way, Writer
from vantage6.node.runtimes.sandbox.doors import SQUID

log = logging.getLogger(__name__)

_MAX_HEAD = 32 * 1024
_HEAD_TIMEOUT = 30.0
_CHUNK = 64 * 1024
_FOR_US = re.compile(rb"CONNECT |[A-Z]+ http://")
_LONGEST_START = 16
# Meant for a proxy, or for the connection to it.
_DROPPED = ("proxy-", "connection:", "keep-alive:")


@dataclass(frozen=True)
class Reach:
    """What a run may reach: the hosts of its own databases, and what the whitelist names.

    ``on_sent`` is called with the bytes sent to hosts of the whitelist: they leave the site.
    ``on_door`` is called whenever somebody came to a door: with the reason if it led nowhere, which
    the visitor cannot be told, or with nothing.
    """

    databases: Collection[Target] = ()
    whitelist: Whitelist | None = None
    on_sent: Callable[[int], None] = field(default=lambda _: None)
    on_door: Callable[[str], None] = field(default=lambda _: None)

    def __bool__(self) -> bool:
        return bool(self.databases) or self.whitelist is not None

    def allows(self, host: str, port: int) -> bool:
        """Whether a host may be reached at a port."""
        return (host, port) in self.databases or self.leaves(host, port)

    def leaves(self, host: str, port: int) -> bool:
        """Whether it is the whitelist that allows it."""
        listed = self.whitelist
        if listed is None or port not in listed.ports:
            return False
        if host in listed.domains:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in listed.networks)


def doors_to(tunnels: Iterable[Target], whitelist: Whitelist | None) -> frozenset[Target]:
    """Hosts and ports that algorithms are to know by name.

    Parameters
    ----------
    tunnels : Iterable of (str, int)
        Of the node, or of a run.
    whitelist : Whitelist, optional
        The node's; then there is the contract's ``squid``, too.
    """
    return frozenset(tunnels) | ({SQUID} if whitelist is not None else frozenset())


class Gateway:
    """Serves one run.

    Parameters
    ----------
    run_id : int
        For the log.
    reach : Reach
        What it may reach.
    exits : Exits
        How.
    """

    def __init__(self, run_id: int, reach: Reach, exits: Exits) -> None:
        self._run_id = run_id
        self._reach = reach
        self._exits = exits
        self._relays: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Serve; at the end every connection is cut."""
        try:
            yield
        finally:
            for relay in self._relays:
                relay.cancel()
            await asyncio.gather(*self._relays, return_exceptions=True)

    def in_front_of(self, inner: Callable[[], asyncio.BaseProtocol]) -> asyncio.Protocol:
        """A protocol for one connection, which hands over what is not for the gateway."""
        return _Doorman(inner, self._begin)

    def at_door(self, target: Target) -> asyncio.Protocol:
        """A protocol for one connection that means one host and port from its first byte."""

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._keep(self._lead(target, reader, writer))

        return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=_MAX_HEAD), begin)

    def _keep(self, doing: Coroutine[Any, Any, None]) -> None:
        relay = asyncio.ensure_future(doing)
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)

    def _begin(self, transport: asyncio.Transport, start: bytes) -> None:
        reader = asyncio.StreamReader(limit=_MAX_HEAD)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        reader.feed_data(start)
        writer = asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
        self._keep(self._relay(reader, writer))

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_TIMEOUT):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            await self._serve(head, reader, writer)
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # whoever asked has gone, or never made sense
        finally:
            writer.close()

    async def _lead(
        self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Lead a visitor of a door on; where there is no way, the connection is reset."""
        host, port = target
        try:
            if not self._reach.allows(host, port):
                # It outlived a change of the configuration.
                raise NoWay("this node no longer lets the run through")
            way = await self._exits.connect(target, leaves=False, plain=False)
        except NoWay as problem:
            log.warning("run %s: %s:%s cannot be reached: %s", self._run_id, host, port, problem)
            self._reach.on_door(str(problem))
            _reset(writer)
            return
        except BaseException:
            _reset(writer)
            raise
        self._reach.on_door("")
        log.info("run %s: connected to %s:%s", self._run_id, host, port)
        try:
            await _join(reader, writer, way, _ignore)
        except OSError as problem:
            log.info("run %s: lost %s:%s: %s", self._run_id, host, port, problem)
            _reset(writer)
        finally:
            way.writer.close()
            writer.close()

    async def _serve(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        asked = _understand(head)
        if asked is None:
            _answer(writer, "400 Bad Request", "This is no request to a proxy")
            return
        host, port = asked.target
        if not self._reach.allows(host, port):
            log.warning("run %s: was not let through to %s:%s", self._run_id, host, port)
            _answer(
                writer,
                "403 Forbidden",
                f"This node does not let algorithms reach {host}:{port} (whitelist)",
            )
            return
        leaves = self._reach.leaves(host, port)
        plain = asked.method != "CONNECT"
        try:
            way = await self._exits.connect(asked.target, leaves=leaves, plain=plain)
        except NoWay as problem:
            log.warning("run %s: %s:%s cannot be reached: %s", self._run_id, host, port, problem)
            _answer(writer, "502 Bad Gateway", f"{host}:{port} cannot be reached: {problem}")
            return
        count = self._reach.on_sent if leaves else _ignore
        log.info("run %s: connected to %s:%s", self._run_id, host, port)
        try:
            if plain:
                request = asked.request(way.headers)
                way.writer.write(request)
                count(len(request))
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _join(reader, writer, way, count)
        finally:
            way.writer.close()


class _Doorman(asyncio.Protocol):
    """Looks at the first bytes of a connection to tell whom it is for."""

    def __init__(
        self,
        inner: Callable[[], asyncio.BaseProtocol],
        begin: Callable[[asyncio.Transport, bytes], None],
    ) -> None:
        self._inner = inner
        self._begin = begin
        self._start = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (narrows a type)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        self._start += data
        if _FOR_US.match(self._start):
            self._begin(transport, self._start)
        elif len(self._start) >= _LONGEST_START or b"\n" in self._start:
            inner = self._inner()
            transport.set_protocol(inner)
            inner.connection_made(transport)
            if isinstance(inner, asyncio.Protocol):
                inner.data_received(self._start)


@dataclass(frozen=True)
class _Asked:
    """What an algorithm asks of the gateway."""

    method: str
    target: Target
    address: str
    path: str
    version: str
    headers: list[str]

    def request(self, by_proxy: Mapping[str, str] | None) -> bytes:
        """The request as the target is to get it, or the proxy that these headers are for."""
        where = self.path if by_proxy is None else self.address
        more = [f"{key}: {value}" for key, value in (by_proxy or {}).items()]
        lines = [f"{self.method} {where} {self.version}", *self.headers, *more]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def _understand(head: str) -> _Asked | None:
    line, _, rest = head.partition("\r\n")
    parts = line.split(" ")
    if len(parts) != 3:
        return None
    method, address, version = parts
    try:
        url = urlsplit(f"//{address}" if method == "CONNECT" else address)
        host, port = url.hostname, url.port
    except ValueError:
        return None
    if method != "CONNECT" and url.scheme == "http":
        port = port or 80
    if not host or not port or url.username is not None:
        return None
    path = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
    kept = [header for header in rest.split("\r\n") if header and not _is_dropped(header.lower())]
    host = host.rstrip(".")
    # Made anew from what was judged, so that a proxy cannot read it in another way.
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return _Asked(method, (host, port), f"http://{place}{path}", path, version, kept)


def _is_dropped(header: str) -> bool:
    return header.startswith(_DROPPED)


def _answer(writer: asyncio.StreamWriter, status: str, message: str) -> None:
    body = json.dumps({"msg": message})
    writer.write(
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
    )


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection so that it cannot be taken for one that has come to its end."""
    at_once = struct.pack("ii", 1, 0)
    with contextlib.suppress(OSError):  # it has ended already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    writer.transport.abort()


async def _join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    way: Way,
    count: Callable[[int], None],
) -> None:
    """Pass on what comes from either side, until both have ended."""
    await asyncio.gather(_copy(reader, way.writer, count), _copy(way.reader, writer, _ignore))


async def _copy(reader: Reader, writer: Writer, count: Callable[[int], None]) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        count(len(chunk))
        await writer.drain()
    with contextlib.suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()


def _ignore(_: int) -> None:
    pass
