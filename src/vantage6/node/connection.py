"""The node's REST calls to the server: logged in, patient, and never silently redirected."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

import jwt

from vantage6.common.globals import NODE_CLIENT_REFRESH_BEFORE_EXPIRES_SECONDS
from vantage6.common.transport import backoff
from vantage6.node.http import OCTETS, Answer, Http, NoAnswer

log = logging.getLogger(__name__)

#: Answers that say "not now": the same request may get through later.
_LATER = frozenset({429, 500, 502, 503, 504, 507})
#: Seconds between two attempts at most, so that a returning server is noticed soon.
_LONGEST_PAUSE = 15.0
_RENEW_PAUSE = 30.0
#: Seconds for the server to put a payload where it belongs, once it has arrived.
_UPLOAD_TIMEOUT = 300.0
T = TypeVar("T")


class LoginRefused(Exception):
    """The server does not accept this node; the message says what to check."""


class ServerTrouble(Exception):
    """The server gave no usable answer, however often it was asked."""


class Refused(Exception):
    """The server understood and refused.

    Attributes
    ----------
    status_code : int
        HTTP status.
    """

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code


@dataclass(frozen=True)
class Identity:
    """Who this node is."""

    node_id: int
    name: str
    organization_id: int
    organization_name: str
    collaboration_id: int
    encrypted: bool


class Connection:
    """A logged-in connection.

    Parameters
    ----------
    base_url : str
        Scheme, host and port.
    api_url : str
        Where the REST routes begin.
    api_key : str
        The node's key.
    longest_pause : float
        Seconds between two attempts at most.
    """

    def __init__(
        self,
        base_url: str,
        api_url: str,
        api_key: str,
        *,
        longest_pause: float = _LONGEST_PAUSE,
    ) -> None:
        self._host = Http(base_url)  # the refresh URL is given from the host's root
        self._api_key = api_key
        self._longest_pause = longest_pause
        self._http = Http(api_url)
        self._access = ""
        self._refresh = ""
        self._refresh_url = ""
        self._renew_at = 0.0
        self._renewing = asyncio.Lock()
        self._back = asyncio.Event()

    @property
    def http(self) -> Http:
        """The connections to the API, without any credentials of the node."""
        return self._http

    @property
    def token(self) -> str:
        """The node's access token."""
        return self._access

    async def login(self) -> None:
        """Log in with the API key.

        Raises
        ------
        LoginRefused
            If the server knows no such key, or is no vantage6 server of this version.
        ServerTrouble
            If the server cannot be reached or has trouble; trying again makes sense.
        """
        try:
            body = json.dumps({"api_key": self._api_key}).encode()
            answer = await self._http.request("POST", "/token/node", body=body)
        except NoAnswer as error:
            raise ServerTrouble(str(error)) from error
        if answer.status in (400, 401):
            raise LoginRefused(
                f"The server at {self._http.base_url} does not accept this node's API key: "
                f"{answer.message} Check api_key in the configuration; an administrator can "
                "reset it."
            )
        if 300 <= answer.status < 400:
            raise LoginRefused(
                f"The server redirects to {answer.headers.get('Location')}: set server_url, port "
                "and api_path to that address."
            )
        if answer.status != 200:
            raise ServerTrouble(f"{self._http.base_url} answered {answer.status}: {answer.message}")
        self._store(answer)

    async def identify(self) -> Identity:
        """Ask the server who this node is.

        Raises
        ------
        Refused, ServerTrouble
            If it does not tell.
        """
        claims = jwt.decode(self._access, options={"verify_signature": False})
        node = await self.get(f"/node/{claims['sub']}", attempts=5)
        organization_id = node["organization"]["id"]
        collaboration_id = node["collaboration"]["id"]
        organization = await self.get(f"/organization/{organization_id}", attempts=5)
        collaboration = await self.get(f"/collaboration/{collaboration_id}", attempts=5)
        return Identity(
            node_id=node["id"],
            name=node["name"],
            organization_id=organization_id,
            organization_name=organization["name"],
            collaboration_id=collaboration_id,
            encrypted=bool(collaboration["encrypted"]),
        )

    async def get(
        self, path: str, params: Mapping[str, Any] | None = None, *, attempts: int | None = None
    ) -> dict[str, Any]:
        """``GET``; see :meth:`call`."""
        return await self.call("GET", path, params=params, attempts=attempts)

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        attempts: int | None = None,
    ) -> dict[str, Any]:
        """Make a request that may be repeated, and return the JSON object of the answer.

        Parameters
        ----------
        method, path, params, body
            The request; `path` is below the API's path, `body` goes as JSON.
        attempts : int, optional
            How often to try when no usable answer comes; for ever by default.

        Raises
        ------
        Refused
            If the server refused.
        ServerTrouble
            If there was no usable answer in `attempts` tries.
        LoginRefused
            If the server no longer accepts this node.
        """
        content = None if body is None else json.dumps(body).encode()

        async def ask() -> dict[str, Any]:
            return _object(await self._authenticated(method, path, params, content))

        return await self._patiently(f"{method} {path}", ask, attempts)

    async def download(
        self, path: str, receive: Callable[[AsyncIterator[bytes]], Awaitable[None]]
    ) -> None:
        """``GET`` what is no JSON, piece by piece.

        Parameters
        ----------
        receive
            Takes the pieces. When they break off it is called again, with the first one.

        Raises
        ------
        Refused, LoginRefused
            As :meth:`call`. What `receive` raises goes through.
        """

        async def ask() -> None:
            token = self._access
            answer = await self._receive(path, token, receive)
            if answer is not None and answer.status in (401, 422):
                await self.renew(token)
                answer = await self._receive(path, self._access, receive)
            if answer is not None:
                _object(answer)
                raise ServerTrouble(f"{answer.status} where a payload was expected")

        await self._patiently(f"GET {path}", ask)

    async def upload(self, path: str, body: Callable[[], Awaitable[AsyncIterator[bytes]]]) -> str:
        """``POST`` what is no JSON, piece by piece.

        Parameters
        ----------
        body
            Makes the pieces; called once per attempt.

        Returns
        -------
        str
            The name that the server gave.

        Raises
        ------
        Refused, LoginRefused
            As :meth:`call`. What `body` raises goes through.
        """

        async def ask() -> str:
            token = self._access
            answer = await self._send(path, token, await body())
            if answer.status in (401, 422):
                await self.renew(token)
                answer = await self._send(path, self._access, await body())
            name = _object(answer).get("uuid")
            if not isinstance(name, str):
                raise ServerTrouble("the answer to an upload names no payload")
            return name

        return await self._patiently(f"POST {path}", ask)

    async def _receive(
        self, path: str, token: str, receive: Callable[[AsyncIterator[bytes]], Awaitable[None]]
    ) -> Answer | None:
        """The answer, unless it was a payload and has been received."""
        async with self._http.stream("GET", path, token=token) as answer:
            if answer.status == 200 and OCTETS in answer.headers.get("Content-Type", ""):
                await receive(answer.pieces)
                return None
            return await answer.whole()

    async def _send(self, path: str, token: str, pieces: AsyncIterator[bytes]) -> Answer:
        async with self._http.stream(
            "POST", path, body=pieces, kind=OCTETS, token=token, read_timeout=_UPLOAD_TIMEOUT
        ) as answer:
            return await answer.whole()

    async def _patiently(
        self, what: str, ask: Callable[[], Awaitable[T]], attempts: int | None = None
    ) -> T:
        for made, pause in enumerate(backoff(ceiling=self._longest_pause), start=1):
            try:
                return await ask()
            except (NoAnswer, ServerTrouble) as error:
                if made == attempts:
                    raise ServerTrouble(f"{what}: {error}") from error
                level = logging.WARNING if made % 10 == 3 else logging.DEBUG
                log.log(level, "%s: %s; trying again", what, error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._back.wait(), pause)
        raise AssertionError("backoff ended")  # pragma: no cover

    def server_is_back(self) -> None:
        """Let requests that pause between two attempts try again now."""
        self._back.set()
        self._back = asyncio.Event()

    async def renew(self, stale: str | None = None) -> None:
        """Replace the access token, unless somebody else replaced `stale` meanwhile.

        Raises
        ------
        LoginRefused
            If neither the refresh token nor the API key is accepted.
        ServerTrouble
            If the server cannot be reached.
        """
        async with self._renewing:
            if stale is not None and stale != self._access:
                return
            if not await self._refreshed():
                await self.login()

    async def keep_fresh(self) -> NoReturn:
        """Renew the token before it expires, for ever.

        Raises
        ------
        LoginRefused
            If the server no longer accepts this node.
        """
        while True:
            await asyncio.sleep(max(0.0, self._renew_at - time.monotonic()))
            try:
                await self.renew()
            except ServerTrouble as error:
                log.warning("The access token could not be renewed: %s", error)
                self._renew_at = time.monotonic() + _RENEW_PAUSE

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()
        await self._host.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _authenticated(
        self, method: str, path: str, params: Mapping[str, Any] | None, body: bytes | None
    ) -> Answer:
        token = self._access
        answer = await self._http.request(method, path, params=params, body=body, token=token)
        # 401 also means "not permitted"; only a second one, with a new token, surely does.
        if answer.status in (401, 422):
            await self.renew(token)
            token = self._access
            answer = await self._http.request(method, path, params=params, body=body, token=token)
        return answer

    async def _refreshed(self) -> bool:
        if not self._refresh:
            return False
        try:
            answer = await self._host.request("POST", self._refresh_url, token=self._refresh)
        except NoAnswer as error:
            raise ServerTrouble(str(error)) from error
        if answer.status in _LATER:
            raise ServerTrouble(f"renewing the token: {answer.status} {answer.message}")
        if answer.status != 200:
            return False
        self._store(answer)
        return True

    def _store(self, answer: Answer) -> None:
        reply = _object(answer)
        try:
            self._access, self._refresh = reply["access_token"], reply["refresh_token"]
            self._refresh_url = reply["refresh_url"]
            claims = jwt.decode(self._access, options={"verify_signature": False})
            lifetime = float(claims["exp"]) - float(claims["iat"])
        except (KeyError, TypeError, ValueError, jwt.InvalidTokenError) as error:
            raise ServerTrouble("the answer to the login is not a vantage6 server's") from error
        wait = max(lifetime - NODE_CLIENT_REFRESH_BEFORE_EXPIRES_SECONDS, lifetime / 2)
        self._renew_at = time.monotonic() + wait


def _object(answer: Answer) -> dict[str, Any]:
    """The answer's JSON object; anything else means that no vantage6 server answered."""
    if answer.status in _LATER:
        raise ServerTrouble(f"{answer.status} {answer.message}")
    if answer.status >= 400:
        raise Refused(answer.status, answer.message)
    try:
        body = answer.json()
    except ValueError as error:
        raise ServerTrouble(f"{answer.status} and an answer that is not JSON") from error
    if answer.status >= 300 or not isinstance(body, dict):
        raise ServerTrouble(f"{answer.status} and an answer that is no JSON object")
    return body
