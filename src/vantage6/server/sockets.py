"""The Socket.IO side: connecting, rooms, and what nodes report (``events.md``)."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, cast

import anyio.from_thread
import anyio.to_thread
from sqlalchemy import Table, and_, select, update
from sqlalchemy.orm import Session

from vantage6.server.auth.caller import ended, load_caller
from vantage6.server.auth.tokens import ExpiredToken, InvalidToken, Kind, Token
from vantage6.server.bus import Bus
from vantage6.server.events import (
    NAMESPACE,
    audience,
    collaboration_room,
    node_room,
    organization_room,
)
from vantage6.server.model.changes import change_number
from vantage6.server.model.runs import append_log
from vantage6.server.model.tables import Authenticatable, Collaboration, Node, Run, Task
from vantage6.server.packets import PacketServer
from vantage6.server.processes import take_offline, tell_offline
from vantage6.server.services import Services
from vantage6.server.socket_library import socketio
from vantage6.web.errors import Refusal
from vantage6.web.responses import utc_now
from vantage6.web.rules import Operation, Scope

log = logging.getLogger(__name__)

PING_INTERVAL, PING_TIMEOUT = 25, 60
#: A node that has not been heard of for this long is offline.
SILENCE = timedelta(seconds=130)

_LARGEST_ID = 2**31 - 1
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_AUTHENTICATABLE = cast(Table, Authenticatable.__table__)


def make_socket_server(
    cors_allowed_origins: list[str], bus: Bus | None = None
) -> socketio.AsyncServer:
    """The Socket.IO server.

    It accepts every connection before looking at the token: a node with an expired token must be
    told so (``expired_token``), a refused connection would leave it deaf.
    """
    return PacketServer(
        async_mode="asgi",
        always_connect=True,
        # One after the other per connection: lines of a log must not overtake each other.
        async_handlers=False,
        ping_interval=PING_INTERVAL,
        ping_timeout=PING_TIMEOUT,
        client_manager=bus,
        # None: pages of this server itself; an empty list would not look at all.
        cors_allowed_origins="*" if "*" in cors_allowed_origins else cors_allowed_origins or None,
        # Known here, by their names; whoever asks for others is refused.
        namespaces=["/", NAMESPACE],
    )


@dataclass
class Connection:
    """An identified connection."""

    kind: Kind
    id: int
    name: str
    organization_id: int
    collaboration_id: int | None
    token: Token
    rooms: list[str] = field(default_factory=list)

    @property
    def entered(self) -> list[str]:
        """The rooms it is really in: a node hears only of what concerns itself."""
        if self.kind is not Kind.NODE or self.collaboration_id is None:
            return self.rooms
        return [*self.rooms[-1:], node_room(self.collaboration_id, self.organization_id)]


class Sockets:
    """Handlers of the ``/tasks`` namespace."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sessions: dict[str, Connection] = {}
        # The newest connection of each user or node: an older one that closes late counts no more.
        self._newest: dict[int, str] = {}
        for kind in (Kind.NODE, Kind.USER):
            services.metrics.count_sockets(kind.value, partial(self._count, kind))

    def _count(self, kind: Kind) -> int:
        return sum(session.kind is kind for session in list(self._sessions.values()))

    def register(self, sio: socketio.AsyncServer) -> None:
        """Attach the handlers to a server."""
        self._sio = sio
        sio.on("connect", self.connect, namespace=NAMESPACE)
        sio.on("disconnect", self.disconnect, namespace=NAMESPACE)
        sio.on("ping", self._identified(self.ping), namespace=NAMESPACE)
        sio.on("message", self._identified(self.message), namespace=NAMESPACE)
        sio.on("error", self._identified(self.message), namespace=NAMESPACE)
        for event, handler in (
            ("algorithm_status_change", self.algorithm_status_change),
            ("algorithm_log", self.algorithm_log),
            ("node_info_update", self.node_info_update),
            ("node_metrics_update", self.node_metrics_update),
        ):
            sio.on(event, self._identified(handler, nodes_only=True), namespace=NAMESPACE)

    def _identified(
        self, handler: Callable[[Connection, Any], Awaitable[None]], *, nodes_only: bool = False
    ) -> Callable[..., Awaitable[None]]:
        async def handle(sid: str, data: Any = None, *_: Any) -> None:
            session = self._sessions.get(sid)
            if session is None:
                return
            if nodes_only and session.kind is not Kind.NODE:
                log.warning("Event of a %s dropped: only nodes send it", session.kind)
                return
            try:
                if nodes_only and not isinstance(data, dict):
                    raise TypeError(f"an object is needed, not {type(data).__name__}")
                await handler(session, printable(data))
            except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
                log.warning("Malformed event from %r: %.200r", session.name, error)

        return handle

    async def connect(self, sid: str, environ: dict[str, Any], _auth: Any = None) -> None:
        """Identify whoever connected, by the token of the handshake."""
        try:
            session = await anyio.to_thread.run_sync(
                self._identify, environ.get("HTTP_AUTHORIZATION")
            )
        except ExpiredToken:
            await self._sio.emit("expired_token", to=sid, namespace=NAMESPACE)
            return
        except InvalidToken as error:
            if "Signature" in error.message:
                await self._sio.emit("invalid_token", to=sid, namespace=NAMESPACE)
            return
        except Refusal:
            return
        if session is None:
            return
        others = self._newest.get(session.id) in self._sessions
        self._sessions[sid] = session
        self._newest[session.id] = sid
        if session.kind is Kind.NODE:
            await self._announce("node-online", session)
        for room in session.entered:
            await self._sio.enter_room(sid, room, namespace=NAMESPACE)
        label = "Node" if session.kind is Kind.NODE else "User"
        await self._say(session, f"{label} <{session.name}> joined room <", ">")
        if session.kind is Kind.NODE:
            # Last: what is created while it looks for open runs must already reach its rooms.
            await self._sio.emit("sync", to=sid, namespace=NAMESPACE)
            if others:
                await self._sio.emit("duplicate_node", to=sid, namespace=NAMESPACE)

    def _identify(self, header: str | None) -> Connection | None:
        token = self._services.tokens.verify(header)
        if token.kind is Kind.CONTAINER:
            return None
        with self._services.database.write(lasting=False) as db:
            caller = load_caller(db, token)
            session = Connection(
                caller.kind,
                caller.id,
                caller.name,
                caller.organization_id,
                caller.collaboration_id,
                token,
            )
            if caller.kind is Kind.NODE:
                session.rooms = _node_rooms(session)
            else:
                session.rooms = _user_rooms(db, caller)
            self._set_online(db, [session.id])
        return session

    async def disconnect(self, sid: str, *_: Any) -> None:
        """Forget a connection, and say that a node is gone if it was its newest."""
        session = self._sessions.pop(sid, None)
        if session is None or self._newest.get(session.id) != sid:
            return
        del self._newest[session.id]
        if self._services.events.closing:
            return  # everybody goes: `Processes.leave` writes it down at once
        await self._say(session, f"{session.name} left room ")
        await anyio.to_thread.run_sync(self._gone, session)

    def _gone(self, session: Connection) -> None:
        services = self._services
        services.metrics.node_left(session.id)
        with services.database.write(lasting=False) as db:
            # Unless it has connected to another process since.
            held_here = _AUTHENTICATABLE.c.process == services.process
            nodes = take_offline(db, and_(_is(session.id), held_here))
        tell_offline(services.events, nodes)

    def still_here(self, db: Session) -> None:
        """Say again that whoever is connected here is online."""
        self._set_online(db, list(self._newest))

    def _set_online(self, db: Session, ids: list[int]) -> None:
        db.execute(
            update(_AUTHENTICATABLE)
            .where(_AUTHENTICATABLE.c.id.in_(ids))
            .values(status="online", process=self._services.process, changed=change_number())
        )

    def nudge(self) -> None:
        """Let all nodes connected here look for open runs; for the event loop only."""
        nodes = [sid for sid, session in self._sessions.items() if session.kind is Kind.NODE]
        if nodes:
            self._services.events.tell("sync", None, nodes, here=True)

    async def _announce(self, event: str, session: Connection) -> None:
        payload = {"id": session.id, "name": session.name, "org_id": session.organization_id}
        if session.rooms:  # to no room at all would mean: to everybody
            await self._sio.emit(event, payload, room=session.rooms, namespace=NAMESPACE)

    async def _say(self, session: Connection, before: str, after: str = "") -> None:
        """Tell a text per room of a connection, to whom it may concern and to itself."""
        for room in session.rooms:
            told = session.rooms if session.kind is Kind.NODE else room
            text = before + room + after
            await self._sio.emit("message", text, room=told, namespace=NAMESPACE)

    async def ping(self, session: Connection, _: Any) -> None:
        """Still there."""
        self._services.presence.seen(session.id)
        await anyio.to_thread.run_sync(self._online, session.id)

    def _online(self, id_: int) -> None:
        with self._services.database.read() as db:
            status = db.scalar(select(_AUTHENTICATABLE.c.status).where(_is(id_)))
        if status != "online":
            with self._services.database.write(lasting=False) as db:
                self._set_online(db, [id_])

    async def message(self, session: Connection, data: Any) -> None:
        """Something for the log."""
        # As Python writes it: a line end in it would begin a line that looks like the server's.
        log.info("%r says: %.500r", session.name, data)

    async def algorithm_status_change(self, session: Connection, data: dict[str, Any]) -> None:
        """Relay, with the job added, what a node says of its own run."""
        run = await anyio.to_thread.run_sync(self._own_run, session, _run_id(data))
        if run is None:
            log.warning("%r reported on run %s, which is not its own", session.name, _run_id(data))
            return
        payload = {
            "status": str(data["status"]),
            "run_id": run["run_id"],
            "task_id": run["task_id"],
            "job_id": run["job_id"],
            "collaboration_id": session.collaboration_id,
            "node_id": session.id,
            "organization_id": session.organization_id,
            "parent_id": run["parent_id"],
        }
        await self._sio.emit(
            "algorithm_status_change", payload, room=session.rooms, namespace=NAMESPACE
        )

    async def algorithm_log(self, session: Connection, data: dict[str, Any]) -> None:
        """Append to a run's log and relay."""
        text = str(data["log"])
        run = await anyio.to_thread.run_sync(self._own_run, session, _run_id(data))
        if run is None:
            log.warning(
                "%r sent a log of run %s, which is not its own", session.name, _run_id(data)
            )
            return
        await anyio.to_thread.run_sync(self._append_log, run["run_id"], text)
        payload = {"run_id": run["run_id"], "task_id": run["task_id"], "log": text}
        await self._sio.emit("algorithm_log", payload, room=session.rooms, namespace=NAMESPACE)

    def _own_run(self, session: Connection, run_id: int) -> dict[str, Any] | None:
        with self._services.database.read() as db:
            row = db.execute(
                select(Task.id, Task.job_id, Task.parent_id)
                .join(Run, Run.task_id == Task.id)
                .where(
                    Run.id == run_id,
                    Run.organization_id == session.organization_id,
                    Task.collaboration_id == session.collaboration_id,
                )
            ).one_or_none()
        if row is None:
            return None
        return {"run_id": run_id, "task_id": row[0], "job_id": row[1], "parent_id": row[2]}

    def _append_log(self, run_id: int, text: str) -> None:
        with self._services.database.write() as db:
            append_log(db, run_id, text)

    async def node_info_update(self, session: Connection, data: dict[str, Any]) -> None:
        """Keep what a node shares of its configuration while it is connected."""
        await anyio.to_thread.run_sync(self._store_config, session.id, flatten(data))

    def _store_config(self, node_id: int, config: list[list[str]]) -> None:
        with self._services.database.write(lasting=False) as db:
            db.execute(update(Node).where(Node.id == node_id).values(config=config))

    async def node_metrics_update(self, session: Connection, data: dict[str, Any]) -> None:
        """Keep what a node measured of its machine, for Prometheus."""
        if self._services.config.prometheus.enabled:
            self._services.metrics.node_reported(session.id, data)

    def expel(self) -> None:
        """Close the connections of users whose tokens have ended. For a worker thread."""
        users = {
            sid: session.token
            for sid, session in list(self._sessions.items())
            if session.kind is Kind.USER
        }
        if not users:
            return
        with self._services.database.read() as db:
            gone = ended(db, users)
        for sid in gone:
            anyio.from_thread.run(self._expel, sid)

    async def _expel(self, sid: str) -> None:
        await self._sio.emit("expired_token", to=sid, namespace=NAMESPACE)
        await self._sio.disconnect(sid, namespace=NAMESPACE)

    def sweep(self) -> None:
        """Mark nodes offline that say they are online but have long been silent."""
        limit = utc_now() - SILENCE
        with self._services.database.write(lasting=False) as db:
            db.execute(
                update(_AUTHENTICATABLE)
                .where(
                    _AUTHENTICATABLE.c.type == Kind.NODE.value,
                    _AUTHENTICATABLE.c.status == "online",
                    _AUTHENTICATABLE.c.last_seen < limit,
                )
                .values(status="offline", changed=change_number())
            )


def flatten(config: dict[str, Any]) -> list[list[str]]:
    """A node's configuration as (key, value) pairs of text (``events.md``, 6.1)."""
    pairs: list[list[str]] = []

    def add(key: str, value: Any) -> None:
        for item in value if isinstance(value, list) else [value]:
            pairs.append([str(key), str(item)])

    for key, value in config.items():
        if isinstance(value, dict):
            for inner, item in value.items():
                add(inner, item)
        else:
            add(key, value)
    return pairs


def printable(data: Any) -> Any:
    """JSON with U+FFFD for what is no text to a database or a response: NUL, lone surrogates."""
    if isinstance(data, str):
        return _NO_TEXT.sub("\ufffd", data)
    if isinstance(data, list):
        return [printable(item) for item in data]
    if isinstance(data, dict):
        return {printable(key): printable(value) for key, value in data.items()}
    return data


def _run_id(data: dict[str, Any]) -> int:
    value = data["run_id"]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _LARGEST_ID:
        raise ValueError("'run_id' is not the id of a run")
    return value


def _is(id_: int) -> Any:
    return _AUTHENTICATABLE.c.id == id_


def _node_rooms(session: Connection) -> list[str]:
    if session.collaboration_id is None:
        return []
    return audience(session.collaboration_id, [session.organization_id])


def _user_rooms(db: Session, caller: Any) -> list[str]:
    scope = caller.rights.widest("event", Operation.RECEIVE)
    if scope is None:
        return []
    ids = select(Collaboration.id) if scope is Scope.GLOBAL else caller.own_collaborations
    if scope is Scope.ORGANIZATION:
        return [organization_room(id_, caller.organization_id) for id_ in db.scalars(ids)]
    return [collaboration_room(id_) for id_ in db.scalars(ids)]
