"""Stopping what runs: ``/kill``."""

from __future__ import annotations

from fastapi import APIRouter

from vantage6.common.task_status import has_task_finished
from vantage6.server.api.task import find_task
from vantage6.server.call import ByUser
from vantage6.server.events import audience
from vantage6.server.model.runs import kill_tasks
from vantage6.server.model.tables import Node
from vantage6.web.errors import bad_request, not_found
from vantage6.web.parameters import Reference
from vantage6.web.responses import JSON
from vantage6.web.rules import Operation

router = APIRouter(tags=["kill"])


@router.post("/kill/task")
def kill_task(call: ByUser, body: Reference) -> JSON:
    """Stop a task and its subtasks everywhere."""
    with call.write() as work:
        task = find_task(work.db, body.id)
        if has_task_finished(task.status):
            raise bad_request(f"Task id={body.id} has already finished with '{task.status}'")
        work.caller.must("event", Operation.SEND, collaboration=task.collaboration_id)
        kill_tasks(work, [task.id])
    return JSON({"msg": f"Task id={body.id} is being killed"})


@router.post("/kill/node/tasks")
def kill_node_tasks(call: ByUser, body: Reference) -> JSON:
    """Tell a node to stop everything it runs."""
    with call.read() as work:
        node = work.db.get(Node, body.id)
        if node is None:
            raise not_found(f"Node id={body.id} not found!")
        if node.status != "online" or node.collaboration_id is None:
            raise bad_request(f"Node id={body.id} is not online: it cannot be told to stop")
        work.caller.must(
            "event",
            Operation.SEND,
            organization=node.organization_id,
            collaboration=node.collaboration_id,
        )
        work.tell(
            "kill_containers",
            {"node_id": node.id, "collaboration_id": node.collaboration_id},
            audience(node.collaboration_id, [node.organization_id]),
        )
        work.publish()
    return JSON({"msg": f"Node id={body.id} was told to stop all its algorithms"})
