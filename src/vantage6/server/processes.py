"""The server processes that share a database: which are at work, and what the others changed.

Only PostgreSQL has several. Each process writes down every few seconds that it is there. One that
no longer does (killed, its machine lost) is buried by the first to notice: the nodes whose
connections it held are offline. Without a bus, or while it is down, a process looks at the
database for what the others changed.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Any, cast

from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.orm import Session

from vantage6.common.task_status import TaskStatus, has_task_finished
from vantage6.server.events import Events, audience
from vantage6.server.model.changes import change_number, horizon, now_number
from vantage6.server.model.database import Database
from vantage6.server.model.tables import Authenticatable, Node, Run, ServerProcess, Task

log = logging.getLogger(__name__)

BEAT_SECONDS = 3.0
#: A process that has not said for this long that it is there is gone.
GONE_SECONDS = 10.0
FOLLOW_SECONDS = 2.0
_MANY = 500
# How long another process, or the bus, may have been gone before it was noticed: microseconds.
_LOOK_BACK = 15_000_000

_WHO = cast(Table, Authenticatable.__table__)
_PROCESS = cast(Table, ServerProcess.__table__)


def new_process_id() -> str:
    """A name that no other process has."""
    return secrets.token_hex(16)


class Processes:
    """This process among the others.

    Parameters
    ----------
    database : Database
        What they share.
    events : Events
        Tells of nodes that went with their process, and of what others changed.
    id_ : str
        This process.
    revived : callable
        Called, in a thread, when the others had taken this process for gone.
    """

    def __init__(
        self, database: Database, events: Events, id_: str, revived: Callable[[Session], None]
    ) -> None:
        self._database = database
        self._events = events
        self._id = id_
        self._revived = revived
        self._others = 0
        self._cursor: int | None = None
        self._told: dict[int, int] = {}

    @property
    def alone(self) -> bool:
        """Whether there can be no other process."""
        return self._database.dialect == "sqlite"

    def beat(self) -> None:
        """Say that this process is there, and bury those that are not."""
        if self.alone:
            return
        with self._database.write(lasting=False) as db:
            there = db.execute(
                update(_PROCESS).where(_PROCESS.c.id == self._id).values(seen=now_number())
            )
            if cast(Any, there).rowcount == 0:
                db.execute(insert(_PROCESS).values(id=self._id, seen=now_number()))
                self._revived(db)
            # Whoever takes the row buries; another that comes at the same moment waits and finds
            # nothing.
            gone = db.scalars(
                delete(_PROCESS)
                .where(_PROCESS.c.seen < now_number() - int(GONE_SECONDS * 1_000_000))
                .returning(_PROCESS.c.id)
            ).all()
            lost = take_offline(db, _WHO.c.process.in_(gone)) if gone else []
            self._others = (db.scalar(select(func.count()).select_from(_PROCESS)) or 1) - 1
        if gone:
            log.warning("%d server process(es) gone, with %d node(s)", len(gone), len(lost))
        tell_offline(self._events, lost)

    def leave(self) -> None:
        """Be gone properly: whoever is still connected connects to another process."""
        with self._database.write() as db:
            left = take_offline(db, _WHO.c.process == self._id)
            db.execute(delete(_PROCESS).where(_PROCESS.c.id == self._id))
        tell_offline(self._events, left)

    def follow(self) -> None:
        """Tell those connected here what other processes changed, unless a bus does."""
        bus = self._events.bus
        if self.alone or not self._others or (bus is not None and bus.working):
            self._cursor = None
            return
        with self._database.read() as db:
            new_cursor = horizon(db)
            since, self._cursor = self._cursor or new_cursor - _LOOK_BACK, new_cursor
            tasks = db.execute(
                select(Task.id, Task.parent_id, Task.status, Task.collaboration_id, Task.changed)
                .where(Task.changed > since)
                .order_by(Task.changed)
                .limit(_MANY)
            ).all()
            news = [task for task in tasks if self._told.get(task.id) != task.changed]
            self._told = {task.id: task.changed for task in tasks}
            runs = db.execute(
                select(Run.task_id, Run.id, Run.organization_id, Run.status, Run.finished_at).where(
                    Run.task_id.in_([task.id for task in news])
                )
            ).all()
        if len(tasks) == _MANY:
            self._cursor = tasks[-1].changed
        for task in news:
            self._pass_on(task, [run for run in runs if run.task_id == task.id])

    def _pass_on(self, task: Any, runs: list[Any]) -> None:
        self._events.changed([task.id], ended=has_task_finished(task.status), here=True)
        collaboration = task.collaboration_id
        waiting = {run.organization_id for run in runs if run.finished_at is None}
        if waiting:
            payload = {"id": task.id, "parent_id": task.parent_id}
            self._events.tell("new_task", payload, audience(collaboration, waiting), here=True)
        killed = [
            {"task_id": task.id, "run_id": run.id, "organization_id": run.organization_id}
            for run in runs
            if run.status == TaskStatus.KILLED
        ]
        if killed:
            rooms = audience(collaboration, {entry["organization_id"] for entry in killed})
            payload = {"kill_list": killed, "collaboration_id": collaboration}
            self._events.tell("kill_containers", payload, rooms, here=True)


def take_offline(db: Session, which: Any) -> list[Any]:
    """Mark users and nodes offline that are online; gives the nodes among them."""
    ids = db.scalars(
        update(_WHO)
        .where(which, _WHO.c.status == "online")
        .values(status="offline", process=None, changed=change_number())
        .returning(_WHO.c.id)
    ).all()
    if not ids:
        return []
    node = cast(Table, Node.__table__)
    gone = db.execute(
        update(node)
        .where(node.c.id.in_(ids))
        .values(config=[])
        .returning(node.c.id, node.c.name, node.c.organization_id, node.c.collaboration_id)
    )
    return list(gone.all())


def tell_offline(events: Events, nodes: list[Any]) -> None:
    """Tell that nodes went offline."""
    for node in nodes:
        if node.collaboration_id is not None:
            payload = {"id": node.id, "name": node.name, "org_id": node.organization_id}
            rooms = audience(node.collaboration_id, [node.organization_id])
            events.tell("node-offline", payload, rooms)
