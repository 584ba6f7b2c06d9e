"""Deleting what others depend on. Foreign keys carry most of it; this is the rest."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import ColumnElement, Table, delete, select
from sqlalchemy.orm import Session

from vantage6.common.task_status import TaskStatus, has_task_finished
from vantage6.server.call import Work
from vantage6.server.model.runs import kill_tasks, refresh_task
from vantage6.server.model.tables import Authenticatable, Run, Task

_AUTHENTICATABLE = cast(Table, Authenticatable.__table__)


def delete_identities(db: Session, ids: Any) -> None:
    """Delete users or nodes, given a list or a subquery of their ids.

    The row that users and nodes share goes; their own rows follow by cascade.
    """
    db.execute(delete(_AUTHENTICATABLE).where(_AUTHENTICATABLE.c.id.in_(ids)))


def delete_tasks(work: Work, *where: ColumnElement[bool]) -> None:
    """Delete tasks with all their descendants; what still runs of them is killed first."""
    tree = select(Task.id).where(*where).cte("doomed", recursive=True)
    tree = tree.union(select(Task.id).join(tree, Task.parent_id == tree.c.id))
    doomed = work.db.scalars(select(tree.c.id)).all()
    # By their runs: a task that failed may still run somewhere.
    running = work.db.scalars(
        select(Run.task_id)
        .where(Run.task_id.in_(select(tree.c.id)), Run.finished_at.is_(None))
        .distinct()
    ).all()
    if running:
        kill_tasks(work, running)
    work.db.execute(delete(Task).where(*where).execution_options(synchronize_session=False))
    work.changed(*doomed, ended=True)
    work.discard_payloads()


def delete_runs_of_organization(work: Work, organization_id: int) -> None:
    """Delete an organization's share of every task, and derive those tasks' states anew."""
    tasks = work.db.scalars(
        select(Task).where(
            Task.id.in_(select(Run.task_id).where(Run.organization_id == organization_id)),
            # Completed without it as much as with it.
            Task.status != TaskStatus.COMPLETED,
        )
    ).all()
    work.db.execute(
        delete(Run)
        .where(Run.organization_id == organization_id)
        .execution_options(synchronize_session=False)
    )
    for task in tasks:
        status = refresh_task(work.db, task.id)
        work.changed(task.id, ended=has_task_finished(status))
    work.discard_payloads()
