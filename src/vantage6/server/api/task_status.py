"""A task's state, and waiting for it to change: ``/task/<id>/status``."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import and_, select
from starlette.concurrency import run_in_threadpool

from vantage6.common.task_status import has_task_finished
from vantage6.server.api.task import find_task, may_view
from vantage6.server.call import ByUserOrContainer, Call
from vantage6.server.model.tables import Node, Organization, Run
from vantage6.web.errors import lacks_permission
from vantage6.web.responses import JSON, timestamp

router = APIRouter(tags=["task"])

#: A request waits no longer than this, whatever it asks for: proxies cut idle connections.
LONGEST_WAIT = 30.0


@router.get("/task/{id_:int}/status")
async def get_task_status(
    call: ByUserOrContainer,
    id_: int,
    wait: Annotated[
        float | None, Query(ge=0, description="Seconds to wait for a change; answers in detail")
    ] = None,
    seen: Annotated[str | None, Query(description="`seen` of an earlier answer")] = None,
    until: Annotated[
        str | None, Query(description="`finished`: do not answer for anything less")
    ] = None,
) -> JSON:
    """The state of a task; with `wait`, as soon as it differs from what was seen."""
    if wait is None:
        state = await run_in_threadpool(_state, call, id_, detailed=False)
        return JSON({"status": state["status"]})
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(wait, LONGEST_WAIT)
    # Watch before looking: a change in between is then not missed.
    only_end = until == "finished"
    with call.services.events.watch(id_, only_end=only_end) as changed:
        while True:
            changed.clear()
            state = await run_in_threadpool(_state, call, id_, detailed=True)
            left = deadline - loop.time()
            if call.services.events.closing:
                return JSON(state)
            news = state["seen"] != seen and not only_end
            if news or has_task_finished(state["status"]) or left <= 0:
                return JSON(state)
            try:
                await asyncio.wait_for(changed.wait(), left)
            except TimeoutError:
                continue


def _state(call: Call, id_: int, *, detailed: bool) -> dict[str, Any]:
    with call.read() as work:
        task = find_task(work.db, id_)
        if not may_view(work.caller, task):
            raise lacks_permission()
        if not detailed:
            return {"status": task.status}
        runs = work.db.execute(
            select(
                Run.id,
                Run.status,
                Run.assigned_at,
                Organization.id.label("organization_id"),
                Organization.name,
                Node.status.label("node_status"),
            )
            .join(Organization, Organization.id == Run.organization_id)
            .outerjoin(
                Node,
                and_(
                    Node.organization_id == Run.organization_id,
                    Node.collaboration_id == task.collaboration_id,
                ),
            )
            .where(Run.task_id == id_)
            .order_by(Run.id)
        ).all()
    digest = hashlib.sha256(
        repr([(run.id, run.status, run.node_status) for run in runs]).encode()
    ).hexdigest()
    return {
        "status": task.status,
        "seen": digest[:16],
        "runs": [
            {
                "id": run.id,
                "organization": {"id": run.organization_id, "name": run.name},
                "status": run.status,
                "assigned_at": timestamp(run.assigned_at),
                "node_status": run.node_status,
            }
            for run in runs
        ],
    }
