"""Asking an algorithm store whether it has an image."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

from vantage6.node.connection import Connection, Refused
from vantage6.node.http import Http, NoAnswer
from vantage6.node.policy import StoreAnswer

_TRIES = 3
_LOCAL = ("localhost", "127.0.0.1")


async def ask(
    connection: Connection, store_id: int, image: str, *, is_allowed: Callable[[str], bool]
) -> StoreAnswer:
    """Look a store up at the server; if it is allowed, ask it for an image.

    Parameters
    ----------
    is_allowed : callable
        Says of the store's URL whether it may be asked: it gets the node's token.
    """
    try:
        url = str((await connection.get(f"/algorithmstore/{store_id}"))["url"])
    except Refused as error:
        return StoreAnswer(f"{store_id}", problem=f"the server does not name it: {error}")
    if not is_allowed(url):
        return StoreAnswer(url)
    server = connection.http.base_url
    http = Http(_reachable(url, server).rstrip("/"))
    headers = {
        "Server-Url": server.replace("host.docker.internal", "localhost"),
        "Client-Type": "node",
    }
    problem = ""
    try:
        for _ in range(_TRIES):
            try:
                answer = await http.request(
                    "GET",
                    "/algorithm",
                    params={"image": image},
                    token=connection.token,
                    headers=headers,
                )
            except NoAnswer as error:
                problem = str(error)
                continue
            if answer.status != 200:
                return StoreAnswer(url, problem=answer.message)
            try:
                found = answer.json()["data"]
            except (ValueError, KeyError, TypeError):
                return StoreAnswer(url, problem="what answers is no algorithm store")
            return StoreAnswer(url, has_image=bool(found))
    finally:
        await http.close()
    return StoreAnswer(url, problem=problem)


def _reachable(url: str, server: str) -> str:
    """A store that the server calls its own machine is at the server's."""
    store, at = urlsplit(url), urlsplit(server)
    if store.hostname not in _LOCAL or at.hostname in _LOCAL:
        return url
    netloc = at.hostname or ""
    if store.port:
        netloc = f"{netloc}:{store.port}"
    return urlunsplit((at.scheme, netloc, store.path, store.query, ""))
