"""The columns of the nodes' databases, for the page: ``/column``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from vantage6.server.api.collaboration import find_collaboration
from vantage6.server.api.task import make_task
from vantage6.server.api.task_creation import Assignment, NewTask, TaskDatabaseBody
from vantage6.server.call import ByUser, Call
from vantage6.server.model.tables import Node
from vantage6.web.parameters import Body, Id
from vantage6.web.responses import JSON
from vantage6.web.rules import Operation

router = APIRouter(tags=["column"])

#: What finds the columns of a database that no node tells of.
IMAGE = "ghcr.io/vantage6/algorithm-basics:latest"


class ColumnRequest(Body):
    """Of which database the columns are wanted, and whom to ask."""

    db_label: Annotated[str, Field(min_length=1, max_length=128)]
    collaboration_id: Id
    organizations: Annotated[list[Assignment], Field(min_length=1)]
    sheet_name: str | None = None
    query: str | None = None

    def task(self) -> NewTask:
        """The task that finds them."""
        given = self.model_dump(include={"sheet_name", "query"}, exclude_none=True)
        return NewTask(
            name="get_column_names",
            image=IMAGE,
            collaboration_id=self.collaboration_id,
            organizations=self.organizations,
            databases=[TaskDatabaseBody(label=self.db_label, **given)],
        )


@router.post("/column")
async def find_columns(call: ByUser, body: ColumnRequest) -> JSON:
    """The columns of a database: at once if a node tells them, else (201) the task to wait for."""
    columns = await run_in_threadpool(_told_by_a_node, call, body)
    if columns is not None:
        return JSON({"columns": columns})
    return await make_task(call, body.task())


def _told_by_a_node(call: Call, body: ColumnRequest) -> list[str] | None:
    with call.read() as work:
        find_collaboration(work.db, body.collaboration_id)
        work.caller.must("task", Operation.CREATE, collaboration=body.collaboration_id)
        configs = work.db.scalars(
            select(Node.config)
            .where(Node.collaboration_id == body.collaboration_id)
            .order_by(Node.id)
        )
        for config in configs:
            told = [value for key, value in config if key == f"columns_{body.db_label}"]
            if told:
                return told
    return None
