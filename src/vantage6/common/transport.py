"""The one way out over HTTP, for client, algorithm and node; sync and async with one API.

Tests hand in their own ``transport`` (an ASGI app, a recorder) instead of a socket.
"""

from __future__ import annotations

import functools
import logging
import os
import random
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx

from vantage6.common._version import __version__

#: Raised when no answer came: nothing is known of what the other side did.
NoAnswer = httpx.TransportError
#: Raised when an answer cannot be used: endless redirects, a broken encoding, no address.
UnusableAnswer = (httpx.DecodingError, httpx.TooManyRedirects, httpx.InvalidURL)

#: Seconds to connect, and to wait for the next bytes of an answer.
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0

_HEADERS = {"User-Agent": f"vantage6/{__version__}"}
# Shorter than uvicorn's 5 s, so that no request goes out on a connection the server is closing.
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=4.0)

_CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

# At debug, httpcore writes response headers to the log; a login's answer has its token there.
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@functools.cache
def _context(ca_file: str | None, *environment: str | None) -> ssl.SSLContext:
    """Certificates to trust: making this takes 25 ms, so pools share it."""
    context = httpx.create_ssl_context()
    extra = ca_file or next(filter(None, environment[2:]), None)
    if extra:
        path = Path(extra).expanduser()
        kind = {"capath": str(path)} if path.is_dir() else {"cafile": str(path)}
        try:
            context.load_verify_locations(**kind)
        except OSError as error:  # ssl.SSLError is one
            raise ValueError(f"No certificates can be read from {path}: {error}") from error
    return context


def ssl_context(ca_file: str | Path | None = None) -> ssl.SSLContext:
    """Trust the machine's certificate authorities, and those in a file or folder.

    The environment variable ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` replaces the machine's;
    ``REQUESTS_CA_BUNDLE`` or ``CURL_CA_BUNDLE`` adds to them, as `ca_file` does.

    Raises
    ------
    ValueError
        If the file holds no certificates.
    """
    return _context(str(ca_file) if ca_file else None, *map(os.environ.get, _CA_VARIABLES))


def _options(read_timeout: float, proxy: str | None, ca_file: str | Path | None) -> dict[str, Any]:
    return {
        "timeout": httpx.Timeout(read_timeout, connect=CONNECT_TIMEOUT),
        "verify": ssl_context(ca_file),
        "proxy": proxy,
        "headers": _HEADERS,
        "limits": _LIMITS,
        "follow_redirects": True,
    }


def connect(
    base_url: str = "",
    *,
    read_timeout: float = READ_TIMEOUT,
    proxy: str | None = None,
    ca_file: str | Path | None = None,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """Open a pool of connections.

    Parameters
    ----------
    read_timeout : float
        Seconds to wait for the next bytes of an answer.
    proxy : str, optional
        Address of a proxy for all requests; by default what the environment says
        (``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``, ``NO_PROXY``).
    ca_file : path, optional
        See :func:`ssl_context`.
    transport : httpx2.BaseTransport, optional
        Replaces the network, for tests.
    """
    options = _options(read_timeout, proxy, ca_file)
    return httpx.Client(base_url=base_url, transport=transport, **options)


def connect_async(
    base_url: str = "",
    *,
    read_timeout: float = READ_TIMEOUT,
    proxy: str | None = None,
    ca_file: str | Path | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """Like :func:`connect`, for asyncio."""
    options = _options(read_timeout, proxy, ca_file)
    return httpx.AsyncClient(base_url=base_url, transport=transport, **options)


def backoff(first: float = 0.2, ceiling: float = 30.0, factor: float = 2.0) -> Iterator[float]:
    """Yield pauses in seconds, growing up to `ceiling`, with jitter so that crowds spread out."""
    pause = first
    while True:
        yield pause * random.uniform(0.75, 1.25)  # noqa: S311 (not a secret)
        pause = min(pause * factor, ceiling)
