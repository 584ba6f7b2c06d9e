"""Payloads in the store as the database knows them. The bytes are the store's business.

A blob is *uploading*, then *ready*: it belongs to its uploader until an input or a result of a run
names it. From then on it is *used*, and lives as long as a run is attached to it. What is used
and has no run is garbage, and so is what found no use within a day.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from vantage6.common.task_status import TaskStatus
from vantage6.server.auth.caller import Caller
from vantage6.server.auth.tokens import Kind
from vantage6.server.model.tables import Attachment, Blob, Payload, Run, Task
from vantage6.web.responses import utc_now

#: How long an upload waits for the task or result that names it.
UNCLAIMED = timedelta(days=1)
UPLOADING, READY, USED = "uploading", "ready", "used"
_UUID_LENGTH = 36


class NotYours(Exception):
    """There is no such upload of this caller; the message names it."""


def is_blob(text: str | None) -> bool:
    """Whether an input or result is the name of a blob: base64 never has the dashes of a UUID."""
    if text is None or len(text) != _UUID_LENGTH:
        return False
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def owner(caller: Caller) -> str:
    """Whose an upload is: a user's, a node's, or that of one task's algorithm at a node."""
    task = f":{caller.container['task_id']}" if caller.kind is Kind.CONTAINER else ""
    return f"{caller.kind}:{caller.id}{task}"


def announce(db: Session, whose: str) -> str:
    """Note that an upload begins, so that nothing lies in the store unknown; gives its name."""
    name = str(uuid.uuid4())
    db.execute(insert(Blob).values(id=name, owner=whose, state=UPLOADING, created_at=utc_now()))
    return name


def complete(db: Session, name: str, size: int) -> bool:
    """Note that an upload has ended; False if it was given up meanwhile."""
    changed = db.execute(
        update(Blob)
        .where(Blob.id == name, Blob.state == UPLOADING)
        .values(state=READY, size=size)
        .returning(Blob.id)
    )
    return changed.scalar_one_or_none() is not None


def claim(db: Session, whose: str, names: Collection[str]) -> None:
    """Take uploads into use.

    Raises
    ------
    NotYours
        If one is not there, or not this caller's, or in use already.
    """
    if not names:
        return
    claimed = db.scalars(
        update(Blob)
        .where(Blob.id.in_(names), Blob.state == READY, Blob.owner == whose)
        .values(state=USED)
        .returning(Blob.id)
    ).all()
    missing = sorted(set(names) - set(claimed))
    if missing:
        raise NotYours(
            f"There is no upload {missing[0]} of yours that waits for its use: upload the payload "
            "with POST /blobstream first"
        )


def attach(db: Session, pairs: Iterable[tuple[int, str]]) -> None:
    """Tie blobs to runs: ids of runs, each with a name of a blob."""
    rows = [{"run_id": run_id, "blob_id": name} for run_id, name in pairs]
    if rows:
        db.execute(insert(Attachment), rows)


def give_up(db: Session, names: Collection[str]) -> None:
    """Make uploads that nobody uses garbage."""
    db.execute(update(Blob).where(Blob.id.in_(names), Blob.state != USED).values(state=USED))


def expire(db: Session) -> None:
    """Make garbage of uploads that found no use."""
    db.execute(
        update(Blob)
        .where(Blob.state != USED, Blob.created_at < utc_now() - UNCLAIMED)
        .values(state=USED)
    )


def garbage(db: Session, limit: int, after: str = "") -> Sequence[str]:
    """Names of blobs that no run needs, in order, beginning after one of them."""
    attached = exists().where(Attachment.blob_id == Blob.id)
    return db.scalars(
        select(Blob.id)
        .where(Blob.state == USED, Blob.id > after, ~attached)
        .order_by(Blob.id)
        .limit(limit)
    ).all()


def forget(db: Session, names: Collection[str]) -> None:
    """Drop blobs whose bytes are gone."""
    db.execute(delete(Blob).where(Blob.id.in_(names)))


def find(db: Session, name: str) -> Any:
    """The size of a blob and whose the task is that it belongs to; None if it is of none.

    All runs that a blob is attached to are of the same task: it is named once.
    """
    return db.execute(
        select(Blob.size, Task.collaboration_id, Task.init_org_id, Task.init_user_id)
        .join(Attachment, Attachment.blob_id == Blob.id)
        .join(Run, Run.id == Attachment.run_id)
        .join(Task, Task.id == Run.task_id)
        .where(Blob.id == name)
        .limit(1)
    ).one_or_none()


def clean_runs(db: Session, before: datetime, *, inputs: bool, limit: int) -> int:
    """Empty the results (and inputs) of runs that were completed before a time.

    Returns
    -------
    int
        How many runs this was, at most `limit`.
    """
    found = db.execute(
        select(Run.id, func.substr(Payload.input, 1, _UUID_LENGTH + 1).label("input"))
        .join(Payload, Payload.run_id == Run.id)
        .where(
            Run.status == TaskStatus.COMPLETED.value,
            Run.finished_at < before,
            Run.cleanup_at.is_(None),
        )
        .order_by(Run.id)
        .limit(limit)
        .with_for_update(of=Run, skip_locked=True)
    ).all()
    if not found:
        return 0
    ids = [row.id for row in found]
    emptied = {"result": "", "input": ""} if inputs else {"result": ""}
    db.execute(update(Payload).where(Payload.run_id.in_(ids)).values(emptied))
    db.execute(update(Run).where(Run.id.in_(ids)).values(cleanup_at=utc_now()))
    kept = [] if inputs else [row.input for row in found if is_blob(row.input)]
    db.execute(
        delete(Attachment).where(Attachment.run_id.in_(ids), Attachment.blob_id.not_in(kept))
    )
    return len(ids)
