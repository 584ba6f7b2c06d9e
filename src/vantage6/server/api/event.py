"""What changed since one last looked: ``/event``. Events themselves are not kept for anybody."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import select

from vantage6.server.auth.visibility import visible
from vantage6.server.call import ByUserOrNode, Work
from vantage6.server.model.changes import horizon
from vantage6.server.model.tables import Node, Run, Task
from vantage6.web.responses import JSON
from vantage6.web.rules import Operation

router = APIRouter(tags=["event"])

_LARGEST = 2**62


@router.get("/event")
def list_changes(
    call: ByUserOrNode,
    since: Annotated[
        int | None, Query(ge=0, le=_LARGEST, description="`cursor` of an earlier answer")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most tasks in one answer")] = 100,
) -> JSON:
    """Tasks and nodes that changed since, as they are now; without `since`: from where to begin."""
    with call.read() as work:
        # Before looking: a change that comes between is then told again, not lost.
        end = horizon(work.db)
        tasks = [] if since is None else _tasks(work, since, limit)
        more = len(tasks) == limit
        if more:
            end = min(end, tasks[-1].changed)
        return JSON(
            {
                "cursor": str(max(end, since or 0)),
                "more": more,
                "tasks": _with_runs(work, tasks),
                "nodes": [] if since is None else _nodes(work, since),
            }
        )


def _tasks(work: Work, since: int, limit: int) -> list[Any]:
    return list(
        work.db.execute(
            select(
                Task.id,
                Task.parent_id,
                Task.job_id,
                Task.collaboration_id,
                Task.status,
                Task.changed,
            )
            .where(visible(work.caller, "task"), Task.changed > since)
            .order_by(Task.changed)
            .limit(limit)
        ).all()
    )


def _with_runs(work: Work, tasks: list[Any]) -> list[dict[str, Any]]:
    runs: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    if tasks and work.caller.rights.widest("run", Operation.VIEW) is not None:
        rows = work.db.execute(
            select(Run.task_id, Run.id, Run.organization_id, Run.status)
            .join(Task, Task.id == Run.task_id)
            .where(visible(work.caller, "run"), Run.task_id.in_([task.id for task in tasks]))
            .order_by(Run.id)
        )
        for row in rows:
            runs[row.task_id].append(
                {"id": row.id, "organization_id": row.organization_id, "status": row.status}
            )
    return [
        {
            "id": task.id,
            "parent_id": task.parent_id,
            "job_id": task.job_id,
            "collaboration_id": task.collaboration_id,
            "status": task.status,
            "runs": runs[task.id],
        }
        for task in tasks
    ]


def _nodes(work: Work, since: int) -> list[dict[str, Any]]:
    if work.caller.rights.widest("node", Operation.VIEW) is None:
        return []
    rows = work.db.execute(
        select(Node.id, Node.name, Node.organization_id, Node.status)
        .where(visible(work.caller, "node"), Node.changed > since)
        .order_by(Node.id)
    )
    return [
        {"id": row.id, "name": row.name, "org_id": row.organization_id, "status": row.status}
        for row in rows
    ]
