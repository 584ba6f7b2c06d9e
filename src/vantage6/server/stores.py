"""What the server says to algorithm stores, on behalf of a user."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from vantage6.common.transport import NoAnswer, UnusableAnswer, connect_async
from vantage6.web.errors import Refusal, bad_request, not_found

log = logging.getLogger(__name__)

#: A store's answer is no longer than this, in bytes.
_LONGEST_ANSWER = 4 * 2**20
_SERVERS = "/vantage6-server"
_TEXT_LENGTH = 500


@dataclass(frozen=True)
class Errand:
    """A user who wants something of a store.

    Parameters
    ----------
    store_url : str
        The store's base address, with its API path and no slash at the end.
    server_url : str
        Our own address as the store knows it.
    authorization : str
        The user's ``Authorization`` header: the store asks us who that is.
    """

    store_url: str
    server_url: str
    authorization: str


@dataclass(frozen=True)
class Algorithm:
    """An algorithm as a store offers it."""

    image: str
    digest: str | None


@dataclass(frozen=True)
class _Answer:
    status: int
    content: Any

    @property
    def message(self) -> str:
        """What the store says about it."""
        said = self.content.get("msg") if isinstance(self.content, dict) else None
        if isinstance(said, str):
            return f"Algorithm store error: {said[:_TEXT_LENGTH]}, HTTP status: {self.status}"
        return f"Communication to algorithm store failed. HTTP status: {self.status}"

    def refusal(self) -> Refusal:
        """The store's refusal, passed on with its status."""
        passed_on = HTTPStatus.BAD_REQUEST <= self.status < 600
        return Refusal(self.status if passed_on else HTTPStatus.BAD_GATEWAY, self.message)


def is_on_this_machine(url: str) -> bool:
    """Whether an address means the machine of whoever uses it."""
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def own_address(given: str | None, configured: str | None, api_path: str) -> str:
    """Our own address for a store: as the caller gives it, else as configured; with the API path.

    Raises
    ------
    Refusal
        400 if neither is known.
    """
    url = given or configured
    if not url:
        raise bad_request(
            "The algorithm store must know the address of this server. Please give "
            "'server_url', or ask the administrator to set 'server_url' in its configuration"
        )
    url = url.rstrip("/")
    path = api_path.rstrip("/")
    return url if url.endswith(path) else url + path


class Stores:
    """Talks to algorithm stores. For the event loop only: a store asks us back meanwhile.

    Parameters
    ----------
    host_uri : str, optional
        Takes the place of ``localhost`` in a store's address when that does not work.
    transport : optional
        In place of sockets.
    """

    def __init__(self, host_uri: str | None = None, *, transport: Any = None) -> None:
        self._host_uri = host_uri
        self._http = connect_async(transport=transport)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def link(self, errand: Errand, *, force: bool) -> None:
        """Have a store know us; a store that is open to the public need not.

        Raises
        ------
        Refusal
            404 if the store cannot be reached, otherwise with the store's status.
        """
        body = {"url": errand.server_url, **({"force": True} if force else {})}
        answer = await self._ask(errand, "POST", _SERVERS, json=body)
        if answer.status in (HTTPStatus.CREATED, HTTPStatus.ALREADY_REPORTED):
            return
        if answer.status == HTTPStatus.FORBIDDEN:
            policy = await self._ask(errand, "GET", "/policy/public")
            known = policy.content if isinstance(policy.content, dict) else {}
            if policy.status == HTTPStatus.OK and known.get("algorithm_view") == "public":
                return
        raise answer.refusal()

    async def unlink(self, errand: Errand) -> None:
        """Have a store forget us, as far as it lets this user.

        Raises
        ------
        Refusal
            404 if the store cannot be reached, otherwise with the store's status.
        """
        known = await self._ask(errand, "GET", _SERVERS)
        if known.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return  # it never knew us, or does not tell this user
        if known.status != HTTPStatus.OK or not isinstance(known.content, list):
            raise known.refusal()
        for server in known.content:
            if not isinstance(server, dict) or not isinstance(server.get("id"), int):
                continue
            if str(server.get("url", "")).rstrip("/") != errand.server_url:
                continue  # another server's
            answer = await self._ask(errand, "DELETE", f"{_SERVERS}/{server['id']}")
            if answer.status not in (200, 401, 403, 404):
                raise answer.refusal()

    async def algorithm(self, errand: Errand, image: str) -> Algorithm:
        """The approved algorithm of an image.

        Raises
        ------
        Refusal
            400 if the store does not have it or refuses, 404 if it cannot be reached.
        """
        answer = await self._ask(errand, "GET", "/algorithm", params={"image": image})
        if answer.status != HTTPStatus.OK:
            raise bad_request(f"Could not retrieve algorithm from store! {answer.message}")
        content = answer.content
        found = content.get("data") if isinstance(content, dict) else None
        if not isinstance(found, list) or not found:
            raise bad_request("Algorithm not found in store!")
        first = found[0] if isinstance(found[0], dict) else {}
        name, digest = first.get("image"), first.get("digest")
        if not isinstance(name, str) or not name:
            raise bad_request("Algorithm not found in store! It answered with something else")
        return Algorithm(name, digest if isinstance(digest, str) and digest else None)

    async def _ask(self, errand: Errand, method: str, path: str, **options: Any) -> _Answer:
        """Ask a store; one on `localhost` also where `dev.host_uri` says."""
        url = errand.store_url + path
        answer = await self._send(errand, method, url, **options)
        if answer is not None and answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        if is_on_this_machine(url):
            if self._host_uri:
                elsewhere = _with_host(url, self._host_uri)
                answer = await self._send(errand, method, elsewhere, **options) or answer
            elif answer is None:
                raise bad_request(
                    f"The algorithm store at {errand.store_url} cannot be reached. If it runs on "
                    "the machine of this server, set 'dev.host_uri' in the server's configuration"
                )
        if answer is None:
            raise not_found(
                f"The algorithm store at {errand.store_url} cannot be reached. Make sure that it "
                "is online and that its URL includes the API path (default /api)"
            )
        return answer

    async def _send(self, errand: Errand, method: str, url: str, **options: Any) -> _Answer | None:
        headers = {"server_url": errand.server_url, "Authorization": errand.authorization}
        try:
            async with self._http.stream(method, url, headers=headers, **options) as response:
                content = bytearray()
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > _LONGEST_ANSWER:
                        log.warning("Answer of %s %s is too long: left there", method, url)
                        return _Answer(HTTPStatus.BAD_GATEWAY, None)
                return _Answer(response.status_code, _decoded(bytes(content)))
        except (NoAnswer, *UnusableAnswer) as error:
            log.info("%s %s: no answer: %r", method, url, error)
            return None


def _decoded(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _with_host(url: str, host_uri: str) -> str:
    """The address with another host: `host_uri` may have a scheme, and a port of its own."""
    wanted = urlsplit(host_uri if "://" in host_uri else f"//{host_uri}")
    parts = urlsplit(url)
    host = wanted.hostname or ""
    port = wanted.port or parts.port
    scheme = wanted.scheme or parts.scheme
    netloc = f"{host}:{port}" if port else host
    return urlunsplit((scheme, netloc, parts.path, parts.query, ""))
