"""Runs and the state of their tasks. Nothing else writes them.

A task's ``status`` and ``finished_at`` follow from its runs. Every change locks the task's row
first, so that two runs which end at the same moment on different connections see each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from vantage6.common.task_status import (
    ALIVE,
    TaskStatus,
    has_task_failed,
    has_task_finished,
    task_status,
    transition,
)
from vantage6.common.tracing import request_id
from vantage6.server.call import Work
from vantage6.server.events import audience
from vantage6.server.model.blobs import attach, is_blob
from vantage6.server.model.changes import change_number
from vantage6.server.model.tables import Counter, Payload, Run, Task, TaskDatabase
from vantage6.web.responses import utc_now

_TASK, _RUN, _PAYLOAD, _DATABASE, _COUNTER = (
    cast(Table, table.__table__) for table in (Task, Run, Payload, TaskDatabase, Counter)
)

# The statements of every report of a node, built once: building takes longer than executing.
_NEXT_JOB = (
    update(_COUNTER)
    .where(_COUNTER.c.name == "job")
    .values(value=_COUNTER.c.value + 1)
    .returning(_COUNTER.c.value)
)
_LOCK_TASK = (
    select(_TASK.c.id)
    .join(_RUN, _RUN.c.task_id == _TASK.c.id)
    .where(_RUN.c.id == bindparam("run"))
    .with_for_update(of=_TASK)
)
_LOAD_RUN = (
    select(
        _RUN.c.id,
        _RUN.c.task_id,
        _RUN.c.organization_id,
        _RUN.c.status,
        _RUN.c.started_at,
        _RUN.c.finished_at,
        _TASK.c.collaboration_id,
        _TASK.c.study_id,
        _TASK.c.job_id,
        _TASK.c.parent_id,
        _TASK.c.init_org_id,
        _TASK.c.image,
        _TASK.c.databases,
        _TASK.c.algorithm_store_id,
        _TASK.c.request_id,
    )
    .join(_TASK, _RUN.c.task_id == _TASK.c.id)
    .where(_RUN.c.id == bindparam("run"))
)
_SET_RUN = (
    update(_RUN)
    .where(_RUN.c.id == bindparam("run"))
    .values(
        status=bindparam("new_status"),
        started_at=bindparam("new_started_at"),
        finished_at=bindparam("new_finished_at"),
    )
)
_SET_PAYLOAD = (
    update(_PAYLOAD)
    .where(_PAYLOAD.c.run_id == bindparam("run"))
    .values(
        result=func.coalesce(bindparam("new_result"), _PAYLOAD.c.result),
        log=func.coalesce(bindparam("new_log"), _PAYLOAD.c.log),
    )
)
_STATES = (
    select(_RUN.c.status, func.max(_RUN.c.finished_at))
    .where(_RUN.c.task_id == bindparam("task"))
    .group_by(_RUN.c.status)
)
_SET_TASK = (
    update(_TASK)
    .where(_TASK.c.id == bindparam("task"))
    .values(
        status=bindparam("new_status"),
        finished_at=bindparam("new_finished_at"),
        changed=change_number(),
    )
)
_ADD_TASK = insert(_TASK).values(changed=change_number()).returning(_TASK.c.id)


@dataclass(frozen=True)
class TaskFacts:
    """What does not change of a task."""

    id: int
    collaboration_id: int
    study_id: int | None
    job_id: int
    parent_id: int | None
    init_org_id: int
    image: str
    databases: list[dict[str, Any]]
    algorithm_store_id: int | None
    request_id: str | None


def next_job_id(db: Session) -> int:
    """A number that no other job has."""
    number: int = db.connection().execute(_NEXT_JOB).scalar_one()
    return number


def add_task(
    db: Session, inputs: Sequence[tuple[int, str]], **fields: Any
) -> tuple[Task, dict[int, int]]:
    """Store a task and assign it to organizations, each with its input.

    Parameters
    ----------
    inputs
        Ids of organizations, each once, with its input.
    fields
        Columns of the task.

    Returns
    -------
    Task
        The task, detached from the session.
    dict of int to int
        The run of each organization.
    """
    connection = db.connection()
    now = utc_now()
    fields |= {"created_at": now, "status": TaskStatus.PENDING.value, "finished_at": None}
    fields["request_id"] = request_id.get()
    id_ = connection.execute(_ADD_TASK, fields).scalar_one()
    labels = {database["label"] for database in fields["databases"]}
    if labels:
        connection.execute(
            insert(_DATABASE), [{"task_id": id_, "label": label} for label in sorted(labels)]
        )
    # No organization occurs twice, so it tells which run got which id.
    runs = connection.execute(
        insert(_RUN).returning(_RUN.c.id, _RUN.c.organization_id),
        [
            {
                "task_id": id_,
                "organization_id": organization_id,
                "assigned_at": now,
                "status": TaskStatus.PENDING.value,
            }
            for organization_id, _ in inputs
        ],
    ).all()
    texts = dict(inputs)
    payloads = [(run_id, texts[organization]) for run_id, organization in runs]
    connection.execute(
        insert(_PAYLOAD), [{"run_id": run_id, "input": text} for run_id, text in payloads]
    )
    attach(db, [(run_id, text) for run_id, text in payloads if is_blob(text)])
    return Task(id=id_, **fields), {organization: run_id for run_id, organization in runs}


@dataclass(frozen=True)
class LockedRun:
    """A run with what its changes need of its task."""

    id: int
    organization_id: int
    status: str
    started_at: datetime | None
    finished_at: datetime | None
    task: TaskFacts

    @property
    def closed(self) -> bool:
        """Whether nothing may change it any more."""
        return self.finished_at is not None


def lock_run(work: Work, run_id: int) -> LockedRun | None:
    """A run whose task is locked until the end of the transaction; None if there is none."""
    connection = work.db.connection()
    if connection.dialect.name != "sqlite":  # whose writers are alone anyway
        connection.execute(_LOCK_TASK, {"run": run_id})
    row = connection.execute(_LOAD_RUN, {"run": run_id}).one_or_none()
    if row is None:
        return None
    facts = TaskFacts(
        id=row.task_id,
        collaboration_id=row.collaboration_id,
        study_id=row.study_id,
        job_id=row.job_id,
        parent_id=row.parent_id,
        init_org_id=row.init_org_id,
        image=row.image,
        databases=row.databases,
        algorithm_store_id=row.algorithm_store_id,
        request_id=row.request_id,
    )
    return LockedRun(
        row.id, row.organization_id, row.status, row.started_at, row.finished_at, facts
    )


@dataclass(frozen=True)
class Proposal:
    """A change of a run as a node proposes it; what is absent stays as it is."""

    status: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: str | None = None
    log: str | None = None


def propose(work: Work, run: LockedRun, proposal: Proposal) -> LockedRun:
    """Carry out a proposed change of a run, or refuse it.

    Returns
    -------
    LockedRun
        The run as it is from now on.

    Raises
    ------
    TransitionError
        If the run is closed, or may not take that state.
    """
    before = TaskStatus(run.status)
    after = transition(before, proposal.status or before, closed=run.closed)
    finished_at = proposal.finished_at
    if finished_at is not None and after in ALIVE:
        # A node that says "finished" without a state: what it delivered tells which.
        after = TaskStatus.UNKNOWN_ERROR if proposal.result is None else TaskStatus.COMPLETED
    if after is TaskStatus.KILLED and finished_at is None:
        # Nothing follows a kill: a node that reports one sends no log or result.
        finished_at = utc_now()
    started_anew = (
        run.started_at is not None
        and proposal.started_at is not None
        and before in ALIVE
        and after in ALIVE
    )
    changed = replace(
        run,
        status=after.value,
        started_at=proposal.started_at or run.started_at,
        finished_at=finished_at,
    )
    _store(work.db, changed, proposal)
    if started_anew:
        _kill_leftovers(work, run)
    if has_task_failed(after) and not has_task_failed(before):
        _give_up_siblings(work, changed)
    if finished_at is not None:
        work.ended(after.value)
    status = refresh_task(work.db, run.task.id)
    rooms = audience(run.task.collaboration_id, [run.organization_id])
    work.tell("status_update", {"run_id": run.id}, rooms)
    work.changed(run.task.id, ended=has_task_finished(status))
    return changed


def announce_status(work: Work, run: LockedRun) -> None:
    """Tell of a run's state on behalf of the node that is calling."""
    payload = {
        "status": run.status,
        "run_id": run.id,
        "task_id": run.task.id,
        "job_id": run.task.job_id,
        "collaboration_id": run.task.collaboration_id,
        "node_id": work.caller.id,
        "organization_id": run.organization_id,
        "parent_id": run.task.parent_id,
    }
    rooms = audience(run.task.collaboration_id, [run.organization_id])
    work.tell("algorithm_status_change", payload, rooms)


def _store(db: Session, run: LockedRun, proposal: Proposal) -> None:
    connection = db.connection()
    connection.execute(
        _SET_RUN,
        {
            "run": run.id,
            "new_status": run.status,
            "new_started_at": run.started_at,
            "new_finished_at": run.finished_at,
        },
    )
    if proposal.result is not None or proposal.log is not None:
        connection.execute(
            _SET_PAYLOAD,
            {"run": run.id, "new_result": proposal.result, "new_log": proposal.log},
        )


def _kill_leftovers(work: Work, run: LockedRun) -> None:
    """A central part that starts anew makes new subtasks: end those of its first attempt."""
    leftovers = work.db.scalars(
        select(Task.id).where(
            Task.parent_id == run.task.id,
            Task.init_org_id == run.organization_id,
            Task.status.in_(ALIVE),
        )
    ).all()
    if leftovers:
        kill_tasks(work, leftovers)


def _give_up_siblings(work: Work, failed: LockedRun) -> None:
    """Runs of the same task that nobody has begun have no use any more."""
    db = work.db
    siblings = db.scalars(
        select(Run.id).where(
            Run.task_id == failed.task.id,
            Run.id != failed.id,
            Run.started_at.is_(None),
            Run.finished_at.is_(None),
        )
    ).all()
    if not siblings:
        return
    work.ended(TaskStatus.FAILED.value, len(siblings))
    db.execute(
        update(Run)
        .where(Run.id.in_(siblings))
        .values(status=TaskStatus.FAILED.value, finished_at=utc_now())
    )
    text = (
        f"Marked as failed because sibling run id={failed.id} failed with status '{failed.status}'."
    )
    db.execute(
        update(Payload)
        .where(Payload.run_id.in_(siblings), func.coalesce(Payload.log, "") == "")
        .values(log=text)
    )


def refresh_task(db: Session, task_id: int) -> str:
    """Derive a task's state from its runs; gives the state."""
    connection = db.connection()
    rows = connection.execute(_STATES, {"task": task_id}).all()
    status = task_status(status for status, _ in rows)
    done = status == TaskStatus.COMPLETED
    finished_at = max((at for _, at in rows if at), default=None) if done else None
    connection.execute(
        _SET_TASK, {"task": task_id, "new_status": status, "new_finished_at": finished_at}
    )
    return status


def family(task_ids: Iterable[int]) -> Any:
    """Subquery: ids of tasks and of all their descendants."""
    tree = select(Task.id).where(Task.id.in_(list(task_ids))).cte("family", recursive=True)
    return tree.union_all(select(Task.id).join(tree, Task.parent_id == tree.c.id))


def kill_tasks(work: Work, task_ids: Iterable[int]) -> None:
    """End all open runs of tasks and of their descendants, and tell the nodes."""
    tree = family(task_ids)
    tasks = work.db.scalars(
        select(Task).where(Task.id.in_(select(tree.c.id))).with_for_update()
    ).all()
    by_id = {task.id: task for task in tasks}
    runs = work.db.execute(
        select(Run.id, Run.task_id, Run.organization_id).where(
            Run.task_id.in_(by_id), Run.finished_at.is_(None)
        )
    ).all()
    if not runs:
        return
    work.db.execute(
        update(Run)
        .where(Run.id.in_([run.id for run in runs]))
        .values(status=TaskStatus.KILLED.value, finished_at=utc_now())
    )
    work.ended(TaskStatus.KILLED.value, len(runs))
    kill_list: dict[int, list[dict[str, int]]] = {}
    for run in runs:
        kill_list.setdefault(by_id[run.task_id].collaboration_id, []).append(
            {"task_id": run.task_id, "run_id": run.id, "organization_id": run.organization_id}
        )
    for task_id in {run.task_id for run in runs}:
        refresh_task(work.db, task_id)
        work.changed(task_id, ended=True)
    for collaboration_id, entries in kill_list.items():
        work.tell(
            "kill_containers",
            {"kill_list": entries, "collaboration_id": collaboration_id},
            audience(collaboration_id, {entry["organization_id"] for entry in entries}),
        )


def append_log(db: Session, run_id: int, text: str) -> None:
    """Add lines to a run's log."""
    old = db.scalar(select(Payload.log).where(Payload.run_id == run_id))
    between = "\n" if old and not old.endswith("\n") else ""
    db.execute(
        update(Payload).where(Payload.run_id == run_id).values(log=(old or "") + between + text)
    )
