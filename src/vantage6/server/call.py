"""One authenticated call: the transaction it works in, and what it tells afterwards."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from sqlalchemy.orm import Session

from vantage6.server.auth.caller import Caller, load_caller
from vantage6.server.auth.tokens import Kind, Token
from vantage6.server.services import Services
from vantage6.web.errors import unauthorized
from vantage6.web.links import Links

# Only declares the scheme in the API description; `allow` reads the header.
_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT")


@dataclass
class Work:
    """A transaction on behalf of a caller.

    Events told with :meth:`tell` go out when the transaction is committed, never before.
    """

    db: Session
    caller: Caller
    services: Services
    _told: list[Callable[[], None]] = field(default_factory=list)

    @property
    def link(self) -> Links:
        """Makes links to resources."""
        return self.services.links

    def tell(self, event: str, payload: Any, rooms: list[str]) -> None:
        """Tell these rooms, after the commit."""
        self._told.append(lambda: self.services.events.tell(event, payload, rooms))

    def tell_in_order(self, news: Sequence[tuple[str, Any, list[str]]]) -> None:
        """Tell several things (event, payload, rooms) one after the other, after the commit."""
        self._told.append(lambda: self.services.events.tell_in_order(news))

    def changed(self, *task_ids: int, ended: bool) -> None:
        """Wake whoever waits for these tasks (for their end), after the commit."""
        self._told.append(lambda: self.services.events.changed(task_ids, ended=ended))

    def ended(self, status: str, number: int = 1) -> None:
        """Count runs that ended, after the commit."""
        self._told.append(lambda: self.services.metrics.run_ended(status, number))

    def discard_payloads(self) -> None:
        """Have payloads deleted that no run needs any more, after the commit."""
        self._told.append(self.services.discarded)

    def publish(self) -> None:
        """Send what was told."""
        for send in self._told:
            send()


class Call:
    """A request whose token is verified; opens transactions."""

    def __init__(self, request: Request, token: Token) -> None:
        self.request = request
        self.token = token
        self.services: Services = request.app.state.services

    @contextmanager
    def read(self) -> Iterator[Work]:
        """Work that changes nothing."""
        with self.services.database.read() as db:
            yield self._work(db)

    @contextmanager
    def write(self) -> Iterator[Work]:
        """Work that is committed at the end, and then told."""
        with self.services.database.write() as db:
            work = self._work(db)
            yield work
        work.publish()

    def _work(self, db: Session) -> Work:
        caller = load_caller(db, self.token)
        if caller.kind is not Kind.CONTAINER:
            self.services.presence.seen(caller.id)
        return Work(db, caller, self.services)


def allow(*kinds: Kind, refresh: bool = False) -> Any:
    """Dependency: the call, if its token is of one of these kinds.

    Raises
    ------
    Refusal
        401 without a token or with one of another kind, 422 if it is malformed.
    """

    async def call(request: Request, _: Annotated[Any, Security(_bearer)] = None) -> Call:
        services: Services = request.app.state.services
        token = services.tokens.verify(request.headers.get("authorization"), refresh=refresh)
        if token.kind not in kinds:
            wanted = " or ".join(kinds)
            raise unauthorized(f"This needs a token of a {wanted}, not of a {token.kind}")
        return Call(request, token)

    dependency: Callable[..., Coroutine[Any, Any, Call]] = call
    return Depends(dependency)


ByUser = Annotated[Call, allow(Kind.USER)]
ByNode = Annotated[Call, allow(Kind.NODE)]
ByContainer = Annotated[Call, allow(Kind.CONTAINER)]
ByUserOrNode = Annotated[Call, allow(Kind.USER, Kind.NODE)]
ByUserOrContainer = Annotated[Call, allow(Kind.USER, Kind.CONTAINER)]
ByAnyone = Annotated[Call, allow(Kind.USER, Kind.NODE, Kind.CONTAINER)]
ByRefreshToken = Annotated[Call, allow(Kind.USER, Kind.NODE, refresh=True)]
