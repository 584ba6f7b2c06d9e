"""The node's requests over HTTP.

A client of its own rather than :mod:`vantage6.common.transport`: a request through aiohttp, which
a node needs for its socket anyway, costs a quarter of the processor time, and a node makes three
for each run, and passes on all that algorithms make.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from vantage6.common import __version__
from vantage6.common.tracing import HEADER, request_id
from vantage6.common.transport import CONNECT_TIMEOUT, READ_TIMEOUT, ssl_context

JSON = "application/json"
OCTETS = "application/octet-stream"
#: Bytes of a payload that are in hand at a time.
PIECE = 256 * 1024


class NoAnswer(Exception):
    """No answer came.

    Attributes
    ----------
    may_have_arrived : bool
        Whether the server may have carried out the request all the same.
    """

    def __init__(self, message: str, *, may_have_arrived: bool) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body as JSON.

        Raises
        ------
        ValueError
            If it is none.
        """
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("the JSON is nested too deeply") from error

    @property
    def message(self) -> str:
        """What the server said in an error, in its own words."""
        try:
            body = self.json()
        except ValueError:
            return f"HTTP {self.status}"
        words = body.get("msg") or body.get("message") if isinstance(body, dict) else None
        if not words:
            return f"HTTP {self.status}"
        errors = body.get("errors")
        return f"{words} {errors}" if errors else str(words)


@dataclass(frozen=True)
class Incoming:
    """What a server is answering; its body comes piece by piece."""

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]

    async def whole(self) -> Answer:
        """The answer, complete."""
        body = b"".join([piece async for piece in self.pieces])
        return Answer(self.status, body, self.headers)


class Http:
    """Connections to one server, without any credentials.

    Parameters
    ----------
    base_url : str
        What the paths of requests are below.
    context : ssl.SSLContext, optional
        For a server of the site's own, which is reached directly: what its certificate is checked
        with. By default the machine's certificates, and the proxy that the environment names.
    """

    def __init__(self, base_url: str, context: ssl.SSLContext | None = None) -> None:
        self.base_url = base_url
        self._context = context
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        kind: str = JSON,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        read_timeout: float = READ_TIMEOUT,
    ) -> Answer:
        """Make one request; redirects are answers like any other.

        Parameters
        ----------
        method, path : str
            The path, percent-encoded, with its query if it has one.
        params : mapping, optional
            More of a query.
        body, kind
            What to send and its content type.
        token : str, optional
            Bearer token.
        headers : mapping, optional
            More headers.
        read_timeout : float
            Seconds to wait for the next bytes of the answer.

        Raises
        ------
        NoAnswer
            If none came.
        """
        query = f"?{urlencode(params)}" if params else ""
        target = f"{path}{query}"
        async with self.stream(
            method,
            target,
            body=body,
            kind=kind,
            token=token,
            headers=headers,
            read_timeout=read_timeout,
        ) as answer:
            return await answer.whole()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        body: bytes | AsyncIterator[bytes] | None = None,
        kind: str = JSON,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        read_timeout: float = READ_TIMEOUT,
    ) -> AsyncIterator[Incoming]:
        """Make one request; the answer is read as far as it is asked for.

        Parameters
        ----------
        body : bytes or asynchronous iterator
            What to send; an iterator goes in chunks.

        Raises
        ------
        NoAnswer
            If none came, or it broke off.
        """
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if id_ := request_id.get():
            sent[HEADER] = id_
        if body is not None:
            sent["Content-Type"] = kind
        with _no_answer():
            answer = await self._open().request(
                method,
                URL(f"{self.base_url}{path}", encoded=True),
                data=body,
                headers=sent,
                allow_redirects=False,
                read_bufsize=PIECE,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_TIMEOUT, sock_read=read_timeout
                ),
            )
        async with answer:
            yield Incoming(answer.status, answer.headers, _pieces(answer))

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Each central function that waits for its subtasks holds one.
                connector=aiohttp.TCPConnector(limit=0, ssl=self._context or tls()),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"vantage6/{__version__}"},
                trust_env=self._context is None,
            )
        return self._session


def tls() -> ssl.SSLContext:
    """What the certificates of servers are checked with: see :func:`.transport.ssl_context`.

    Raises
    ------
    ValueError
        If a file that is to hold certificates does not.
    """
    return ssl_context()


async def _pieces(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    with _no_answer():
        async for piece in answer.content.iter_chunked(PIECE):
            yield piece


@contextmanager
def _no_answer() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise NoAnswer(_describe(error), may_have_arrived=False) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NoAnswer(_describe(error), may_have_arrived=True) from error


def _describe(error: Exception) -> str:
    certificate = isinstance(error, aiohttp.ClientConnectorCertificateError)
    if isinstance(error, aiohttp.ClientConnectorError) and not certificate:
        # The library's own words end in the settings of its connection.
        said = error.os_error.strerror or str(error.os_error)
        return f"Cannot connect to {error.host}:{error.port}: {said}"
    return str(error) or type(error).__name__
