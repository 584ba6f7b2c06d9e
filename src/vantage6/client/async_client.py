"""The client for asyncio: the calls of :class:`UserClient`, to be awaited."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from vantage6.client.bridge import LoopClock, LoopConnection, run, wait_for
from vantage6.client.progress import LogDisplay, Progress
from vantage6.client.subclients.base import UserSubClient
from vantage6.client.user_client import UserClient
from vantage6.common import WhoAmI

P = ParamSpec("P")
T = TypeVar("T")

_END = object()


class _LoopClient(UserClient):
    """The client that does the work, inside of :func:`vantage6.client.bridge.run`."""

    _Connection = LoopConnection
    _connection: LoopConnection

    def _display(self, task_id: int, animate: bool) -> Progress:
        # Many may wait at once: an animation each would be a mess.
        return LogDisplay(task_id, self._connection.clock, self.log)


def _awaited(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    @functools.wraps(method)
    async def call(self: Any, *args: P.args, **kwargs: P.kwargs) -> T:
        return await run(method, self._sync, *args, **kwargs)

    return cast("Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]", call)


def _iterated(method: Callable[..., Any]) -> Callable[..., AsyncIterator[Any]]:
    @functools.wraps(method)
    async def call(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        items = method(self._sync, *args, **kwargs)
        while (item := await run(next, items, _END)) is not _END:
            yield item

    return call


class _Group:
    """A group of calls, each to be awaited."""

    def __init__(self, sync: UserSubClient) -> None:
        self._sync = sync
        for name, inner in vars(sync).items():
            if isinstance(inner, UserSubClient):
                setattr(self, name, _group(type(inner))(inner))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._sync, name)


_groups: dict[type[UserSubClient], type[_Group]] = {}


def _group(kind: type[UserSubClient]) -> type[_Group]:
    """Class with the calls of a group, made coroutines; made once."""
    if kind in _groups:
        return _groups[kind]
    members: dict[str, Any] = {"__doc__": kind.__doc__, "__module__": __name__}
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_"):
            wrap = _iterated if inspect.isgeneratorfunction(method) else _awaited
            members[name] = wrap(method)
    made = _groups[kind] = type(f"Async{kind.__name__}", (_Group,), members)
    return made


class AsyncClient:
    """Client for a vantage6 server, for programs that run in an event loop.

    Everything that :class:`Client` has, under the same names and with the same arguments; what
    asks the server is awaited::

        async with AsyncClient("https://server.example", 443) as client:
            await client.authenticate("username", "password")
            task = await client.task.create(...)
            results = await client.wait_for_results(task["id"])
            async for task in client.task.iterate(status="failed"):
                print(task["name"])

    Any number of calls may be under way at once. Cancelling one ends it where it is: its request
    is cut off, and it makes no further one; a change whose request was on its way may have been
    made all the same.

    Parameters
    ----------
    host, port, path, log_level, timeout, patience, proxy, ca_file, transport, clock
        As for :class:`Client`; `transport` is an asynchronous one.
    """

    def __init__(self, host: str, port: int | None, path: str = "/api", **options: Any) -> None:
        clock = options.pop("clock", None) or LoopClock()
        self._sync = _LoopClient(host, port, path, clock=clock, **options)
        for name, inner in vars(self._sync).items():
            if isinstance(inner, UserSubClient):
                setattr(self, name, _group(type(inner))(inner))

    __init__.__signature__ = inspect.signature(UserClient.__init__)  # type: ignore[attr-defined]

    authenticate = _awaited(UserClient.authenticate)
    setup_encryption = _awaited(UserClient.setup_encryption)
    setup_collaboration = _awaited(UserClient.setup_collaboration)
    wait_for_results = _awaited(UserClient.wait_for_results)
    request = _awaited(UserClient.request)
    refresh_token = _awaited(UserClient.refresh_token)
    check_if_blob_store_enabled = _awaited(UserClient.check_if_blob_store_enabled)

    @functools.wraps(UserClient.wait_for_task_completion)
    async def wait_for_task_completion(
        self,
        request_func: Callable[..., Any],
        task_id: int,
        interval: float = 1,
        log_animation: bool = True,
    ) -> None:
        def ask(endpoint: str) -> Any:
            answer = request_func(endpoint)
            return wait_for(answer) if inspect.isawaitable(answer) else answer

        await run(self._sync.wait_for_task_completion, ask, task_id, interval, log_animation)

    @functools.wraps(UserClient.generate_path_to)
    def generate_path_to(self, endpoint: str, is_for_algorithm_store: bool = False) -> str:
        return self._sync.generate_path_to(endpoint, is_for_algorithm_store)

    async def close(self) -> None:
        """Close the connections to the server; the client stays usable."""
        await self._sync._connection.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def whoami(self) -> WhoAmI | None:
        """Who is logged in; None before login."""
        return self._sync.whoami

    def __getattr__(self, name: str) -> Any:
        """Addresses, token, headers, cryptor and so on, which ask the server nothing."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._sync, name)
