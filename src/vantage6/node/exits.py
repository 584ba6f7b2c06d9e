"""How a node connects to a host for an algorithm: directly, by the site's proxy, or by a tunnel."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from vantage6.common.addresses import Target
from vantage6.node.http import tls
from vantage6.node.tunnels import TunnelDown, Tunnels

_CONNECT_TIMEOUT = 15.0
_MAX_HEAD = 32 * 1024


class Reader(Protocol):
    """What comes from a host."""

    async def read(self, count: int, /) -> bytes:
        """Up to so many bytes; none at the end."""
        ...


class Writer(Protocol):
    """What goes to a host."""

    def write(self, data: bytes, /) -> None: ...
    async def drain(self) -> None: ...
    def can_write_eof(self) -> bool: ...
    def write_eof(self) -> None: ...
    def close(self) -> None: ...


class NoWay(Exception):
    """A host cannot be reached; the message says why, without credentials."""


@dataclass(frozen=True)
class Way:
    """A connection that leads to a host.

    ``headers`` is not None if it ends at the site's proxy: a request is then to name the host,
    and to have these headers.
    """

    reader: Reader
    writer: Writer
    headers: Mapping[str, str] | None = None


class SiteProxy:
    """The site's forward proxy.

    Parameters
    ----------
    address : str
        ``http://`` or ``https://``, with user name and password if it wants them.
    """

    def __init__(self, address: str) -> None:
        url = urlsplit(address if "://" in address else f"http://{address}")
        self._url: SplitResult = url
        self._headers = {}
        if url.username is not None:
            pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
            code = base64.b64encode(pair.encode()).decode("ascii")
            self._headers = {"Proxy-Authorization": f"Basic {code}"}

    def __str__(self) -> str:
        return f"{self._url.hostname}:{self._port}"

    @property
    def _port(self) -> int:
        return self._url.port or (443 if self._url.scheme == "https" else 80)

    async def connect(self, target: Target, *, tunnel: bool) -> Way:
        """A connection to a host: through it with ``CONNECT``, or only to it.

        Raises
        ------
        NoWay
            If it refuses, or makes no sense.
        OSError
            If it cannot be reached.
        """
        context = tls() if self._url.scheme == "https" else None
        reader, writer = await asyncio.open_connection(
            self._url.hostname, self._port, ssl=context, limit=_MAX_HEAD
        )
        if not tunnel:
            return Way(reader, writer, self._headers)
        host, port = target
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {name} HTTP/1.1", f"Host: {name}"]
        lines += [f"{key}: {value}" for key, value in self._headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(None, 2)[1])
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError):
            status = 0
        except BaseException:
            writer.close()
            raise
        if 200 <= status < 300:
            return Way(reader, writer)
        writer.close()
        raise NoWay(_refusal(status))


@dataclass(frozen=True)
class Exits:
    """The ways out of a node.

    ``proxies`` are those of the site, by scheme of what is asked for.
    """

    tunnels: Tunnels = field(default_factory=Tunnels)
    proxies: Mapping[str, SiteProxy] = field(default_factory=dict)

    @classmethod
    def of_this_machine(cls, tunnels: Tunnels) -> Exits:
        """As the environment says, where :func:`.main.set_up_network` puts the configured proxy."""
        found = getproxies_environment()
        schemes = (scheme for scheme in ("http", "https") if found.get(scheme))
        return cls(tunnels, {scheme: SiteProxy(found[scheme]) for scheme in schemes})

    async def connect(
        self,
        target: Target,
        *,
        leaves: bool,
        plain: bool,
        approved: Callable[[str], bool] | None = None,
    ) -> Way:
        """A connection to a host.

        Parameters
        ----------
        target : (str, int)
            Host and port.
        leaves : bool
            Whether the host is outside the site: then the site's proxy is used, unless
            ``NO_PROXY`` names the host.
        plain : bool
            Whether a single request over HTTP is to be made, rather than anything else.
        approved : callable, optional
            Says whether the host's name may mean an address; asked unless somebody else looks the
            name up (the site's proxy, the end of a tunnel).

        Raises
        ------
        NoWay
            If it cannot be made.
        """
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                return await self._connect(target, leaves, plain, approved)
        except TunnelDown as problem:
            raise NoWay(str(problem)) from problem
        except TimeoutError as error:
            raise NoWay("no answer") from error
        except OSError as error:
            raise NoWay(_words(error)) from error

    async def _connect(
        self, target: Target, leaves: bool, plain: bool, approved: Callable[[str], bool] | None
    ) -> Way:
        tunnel = self.tunnels.get(target)
        if tunnel is not None:
            return Way(*await tunnel.open())
        host, port = target
        proxy = self.proxies.get("http" if plain else "https")
        if leaves and proxy is not None and not proxy_bypass(f"{host}:{port}"):
            try:
                return await proxy.connect(target, tunnel=not plain)
            except OSError as error:
                raise NoWay(f"the site's proxy {proxy} does not answer: {_words(error)}") from error
        if approved is None or host == "localhost":
            return Way(*await asyncio.open_connection(host, port))
        return await _by_name(host, port, approved)


async def _by_name(host: str, port: int, approved: Callable[[str], bool]) -> Way:
    """Connect to an address that was approved, rather than to what the name means a moment later.

    Raises
    ------
    NoWay
        If the name means something else.
    OSError
        If none can be reached.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    problem: OSError | None = None
    for *_, place in found:
        address = str(place[0])
        if not approved(address):
            raise NoWay(
                f"its name means {address}, which only this machine reaches; list that address "
                "under whitelist.ips if that is meant"
            )
    for *_, place in found:
        try:
            return Way(*await asyncio.open_connection(str(place[0]), port))
        except OSError as error:
            problem = error
    raise problem or OSError("its name means nothing")


def _refusal(status: int) -> str:
    if status == 407:
        return "the site's proxy wants other credentials (407): see outgoing_proxy"
    return f"the site's proxy refuses ({status or 'it is no HTTP proxy'})"


def _words(error: OSError) -> str:
    if error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__
