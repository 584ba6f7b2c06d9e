"""Requests with patience: what may safely be sent again is, everything else fails clearly.

A request that surely never reached the server (nobody listens, no connection) is sent again
whatever it is. One that may have arrived is sent again only if it just reads. Nothing is tried
longer than `patience` seconds.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import httpx2 as httpx

from vantage6.common.clock import Clock, SystemClock
from vantage6.common.exceptions import ServerUnreachableError
from vantage6.common.tracing import HEADER, new_request_id
from vantage6.common.transport import READ_TIMEOUT, NoAnswer, backoff, connect

T = TypeVar("T")

#: Seconds for which a server may be out of reach before a request fails.
PATIENCE = 60.0

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
#: What a reverse proxy says while the server behind it restarts.
GATEWAY_ERRORS = frozenset({502, 503, 504})


class Connection:
    """A pool of connections with a policy for repeating.

    Parameters
    ----------
    log : logging.Logger
        Where each failed attempt is told.
    transport : httpx2.BaseTransport, optional
        Replaces the network, for tests.
    timeout : float
        Seconds to wait for the next bytes of an answer.
    patience : float
        Seconds for which an unreachable server is tried again.
    proxy, ca_file : str, optional
        See :func:`vantage6.common.transport.connect`.
    clock : Clock
    """

    def __init__(
        self,
        log: logging.Logger,
        *,
        transport: Any = None,
        timeout: float = READ_TIMEOUT,
        patience: float = PATIENCE,
        proxy: str | None = None,
        ca_file: str | Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.patience = patience
        self.clock = clock if clock is not None else SystemClock()
        self._log = log
        self._timeout = timeout
        self._proxy = proxy
        self._ca_file = ca_file
        self._transport = transport
        self._pool: httpx.Client | None = None

    def lock(self) -> AbstractContextManager[Any]:
        """A lock for those who share this connection."""
        return threading.Lock()

    def aside(self, function: Callable[..., T], *arguments: Any) -> T:
        """Do what takes the processor long; where others wait for the same thread, beside it."""
        return function(*arguments)

    def _exchange(
        self,
        method: str,
        url: str,
        content: Callable[[], Iterator[bytes]] | None,
        receive: Callable[[Iterator[bytes]], object] | None,
        **request: Any,
    ) -> httpx.Response:
        """One request, one answer, taken whole. The only place that touches the network."""
        if self._pool is None:
            self._pool = connect(
                read_timeout=self._timeout,
                proxy=self._proxy,
                ca_file=self._ca_file,
                transport=self._transport,
            )
        body = content() if content else None
        with self._pool.stream(method, url, content=body, **request) as response:
            if receive is None or response.status_code != 200:
                response.read()
            else:
                receive(response.iter_bytes())
        return response

    def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def send(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content: Callable[[], Iterator[bytes]] | None = None,
        receive: Callable[[Iterator[bytes]], object] | None = None,
        repeatable: bool | None = None,
        attempts: int | None = None,
        patience: float | None = None,
        timeout: float | None = None,
    ) -> httpx.Response:
        """Send a request and take the whole answer, whatever its status.

        Parameters
        ----------
        params : mapping
            None is left out, booleans become ``True``/``False``, lists repeat the key.
        content : callable, optional
            Makes the body, chunk by chunk; called once per attempt.
        receive : callable, optional
            Takes the body of an answer with status 200, piece by piece, out of the answer;
            called once per attempt, so it has to begin anew.
        repeatable : bool, optional
            Whether it does no harm to send this twice; by default only GET.
        attempts : int, optional
            Give up after this many failed attempts, however long they take.
        patience, timeout : float, optional
            In place of the connection's own, seconds.

        Raises
        ------
        ServerUnreachableError
            If no answer came.
        """
        method = method.upper()
        repeatable = method == "GET" if repeatable is None else repeatable
        patience = self.patience if patience is None else patience
        waiting = httpx.USE_CLIENT_DEFAULT if timeout is None else httpx.Timeout(timeout)
        deadline = self.clock.now() + patience
        # The same for each attempt: the server's log tells what became of it.
        headers = {HEADER: new_request_id(), **(headers or {})}
        for attempt, pause in enumerate(backoff(first=0.5, ceiling=8.0), start=1):
            outcome: httpx.Response | NoAnswer
            try:
                outcome = self._exchange(
                    method,
                    url,
                    content,
                    receive,
                    json=json,
                    params=query(params),
                    headers=headers,
                    timeout=waiting,
                )
            except NoAnswer as error:
                if _is_hopeless(error) or not (repeatable or isinstance(error, NOT_SENT)):
                    raise _unreachable(method, url, error) from None
                outcome = error
            except (httpx.InvalidURL, httpx.TooManyRedirects, httpx.DecodingError) as error:
                raise _unreachable(method, url, error) from None
            else:
                if outcome.status_code not in GATEWAY_ERRORS or not repeatable:
                    return outcome
            given_up = (
                attempt >= attempts if attempts is not None else self.clock.now() + pause > deadline
            )
            if given_up:
                if isinstance(outcome, httpx.Response):
                    return outcome
                raise _unreachable(method, url, outcome) from None
            self._tell(method, url, outcome)
            self.clock.sleep(pause)
        raise AssertionError("backoff never ends")

    def _tell(self, method: str, url: str, outcome: httpx.Response | NoAnswer) -> None:
        self._log.error("Connection error... Retrying")
        if isinstance(outcome, httpx.Response):
            self._log.info("%s %s: the server answered %s", method, url, outcome.status_code)
        else:
            self._log.info("%s %s: %s", method, url, _reason(outcome))


def query(params: Mapping[str, Any] | None) -> httpx.QueryParams | None:
    """Encode query parameters the way the contract wants them."""
    pairs: list[tuple[str, str | int | float | bool | None]] = []
    for key, value in (params or {}).items():
        if isinstance(value, list | tuple | set | frozenset):
            pairs.extend((key, str(item)) for item in value)
        elif value is not None:
            pairs.append((key, str(value)))
    return httpx.QueryParams(pairs) if pairs else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _is_hopeless(error: BaseException) -> bool:
    """A wrong certificate or address does not get better by trying again."""
    return any(
        isinstance(cause, ssl.SSLError | httpx.UnsupportedProtocol) for cause in _causes(error)
    )


def _reason(error: BaseException) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _unreachable(method: str, url: str, error: BaseException) -> ServerUnreachableError:
    arrived = not (isinstance(error, NOT_SENT) or _is_hopeless(error)) and method != "GET"
    if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        hint = (
            "Is the address right (https or http, port)? If your own authority has signed the "
            "server's certificate, name the authority's: Client(..., ca_file=...), or the "
            "environment variable SSL_CERT_FILE."
        )
    elif isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        hint = "The address has to look like https://server.example, then port and path."
    elif arrived:
        hint = "The request may have been carried out all the same: look before you repeat it."
    else:
        hint = "Is the address right, is the server running, can this machine reach it?"
    return ServerUnreachableError(
        f"No answer from {url} to {method}: {_reason(error)}. {hint}",
        url,
        may_have_arrived=arrived,
    )
