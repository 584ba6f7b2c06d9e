"""Runs and results: ``/run``, ``/result``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Query
from sqlalchemy import ColumnElement, Table, and_, bindparam, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from vantage6.common.task_status import ALIVE, TransitionError
from vantage6.server.auth.caller import Caller
from vantage6.server.auth.containers import container_token
from vantage6.server.auth.tokens import Kind
from vantage6.server.auth.visibility import visible
from vantage6.server.call import ByAnyone, ByNode, Call, Work
from vantage6.server.model.blobs import attach, is_blob
from vantage6.server.model.json_rows import json_rows
from vantage6.server.model.runs import LockedRun, Proposal, announce_status, lock_run, propose
from vantage6.server.model.tables import AlgorithmPort, Node, Payload, Run, Task
from vantage6.server.model.text_bytes import text_bytes
from vantage6.server.payloads.cutting import LongText
from vantage6.server.payloads.intake import claim, keep_apart
from vantage6.server.payloads.long_texts import WithResult, long_text
from vantage6.web.errors import bad_request, conflict, not_found, unauthorized
from vantage6.web.links import Links
from vantage6.web.pagination import AnyRow, AnySelect, Heavy, Paged
from vantage6.web.parameters import Body, Flag, Include, Moment, at_once
from vantage6.web.responses import JSON, timestamp
from vantage6.web.rules import Operation

router = APIRouter(tags=["run"])
_with_result = APIRouter(route_class=WithResult)

_TASK = cast(Table, Task.__table__)
_DECIDING = ("init_org_id", "collaboration_id", "init_user_id")
_SORT = {
    "id": Run.id,
    "status": Run.status,
    "assigned_at": Run.assigned_at,
    "started_at": Run.started_at,
    "finished_at": Run.finished_at,
    "organization_id": Run.organization_id,
    "task_id": Run.task_id,
}


class RunChange(Body):
    """What a node reports of its run."""

    started_at: Moment = None
    finished_at: Moment = None
    log: str | None = None
    result: str | None = None
    status: str | None = None


_PORTS = (
    select(
        json_rows(
            {"id": AlgorithmPort.id, "port": AlgorithmPort.port, "label": AlgorithmPort.label}
        )
    )
    .where(AlgorithmPort.run_id == Run.id)
    .correlate(Run)
    .scalar_subquery()
)


def _run_query() -> AnySelect:
    return (
        select(
            Run,
            Payload.input,
            Payload.log,
            Node.id.label("node_id"),
            Node.name.label("node_name"),
            Node.ip.label("node_ip"),
            Node.status.label("node_status"),
            _PORTS.label("ports"),
        )
        .join(Task, Run.task_id == Task.id)
        .join(Payload, Payload.run_id == Run.id)
        .outerjoin(
            Node,
            and_(
                Node.organization_id == Run.organization_id,
                Node.collaboration_id == Task.collaboration_id,
            ),
        )
    )


def _result_query() -> AnySelect:
    return (
        select(Run, Payload.result)
        .join(Task, Run.task_id == Task.id)
        .join(Payload, Payload.run_id == Run.id)
    )


#: Runs with their input, log and the node they run at. Building it takes a while: once.
RUNS = _run_query()
#: Runs with their result.
RESULTS = _result_query()
# Likewise with their task, where that is shown or decides who may see them.
_RUNS_AND_TASKS, _RESULTS_AND_TASKS = RUNS.add_columns(Task), RESULTS.add_columns(Task)
#: Bytes of what may be large of a row of the one and of the other.
RUN_WEIGHT = text_bytes(Payload.input, Payload.log)
RESULT_WEIGHT = text_bytes(Payload.result)


def run_json(row: AnyRow, link: Links, *, task: Any = None) -> dict[str, Any]:
    """A run as the contract shows it; ``task`` replaces the link to the task."""
    run: Run = row.Run
    node = {}
    if row.node_id is not None:
        node = {
            "id": row.node_id,
            "name": row.node_name,
            "ip": row.node_ip,
            "status": row.node_status,
        }
    return {
        "id": run.id,
        "organization": link.one("organization", run.organization_id),
        "task": task or link.one("task", run.task_id),
        "results": link.one("result", run.id),
        "node": node,
        "ports": sorted(row.ports or [], key=lambda port: port["id"]),
        "input": row.input,
        "assigned_at": timestamp(run.assigned_at),
        "started_at": timestamp(run.started_at),
        "finished_at": timestamp(run.finished_at),
        "status": run.status,
        "log": row.log,
        "cleanup_at": timestamp(run.cleanup_at),
        # Of the input here and of the result there: readers take it for the field beside it.
        "blob_storage_used": is_blob(row.input),
    }


def result_json(row: AnyRow, link: Links) -> dict[str, Any]:
    """A result as the contract shows it."""
    run: Run = row.Run
    return {
        "id": run.id,
        "result": row.result,
        "run": link.one("run", run.id),
        "task": link.one("task", run.task_id),
        "cleanup_at": timestamp(run.cleanup_at),
        "blob_storage_used": is_blob(row.result),
    }


def _state_json(run: LockedRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "status": run.status,
        "started_at": timestamp(run.started_at),
        "finished_at": timestamp(run.finished_at),
    }


def _run_with_task(row: AnyRow, link: Links) -> dict[str, Any]:
    from vantage6.server.api.task import task_json

    task = task_json(row.Task, link)
    del task["runs"]
    return run_json(row, link, task=task)


class Filters:
    """The filters that runs and results share."""

    def __init__(
        self,
        task_id: int | None = None,
        organization_id: int | None = None,
        node_id: int | None = None,
        collaboration_id: int | None = None,
        state: Annotated[
            str | None, Query(description="`open`: only runs that have not finished")
        ] = None,
        assigned_from: Moment = None,
        assigned_till: Moment = None,
        started_from: Moment = None,
        started_till: Moment = None,
        finished_from: Moment = None,
        finished_till: Moment = None,
        port: int | None = None,
    ) -> None:
        self.task_id = task_id
        self.organization_id = organization_id
        self.node_id = node_id
        self.collaboration_id = collaboration_id
        self.port = port
        self.open_only = state == "open"
        self._between = [
            (Run.assigned_at, assigned_from, assigned_till),
            (Run.started_at, started_from, started_till),
            (Run.finished_at, finished_from, finished_till),
        ]

    def where(self, db: Session, caller: Caller) -> list[ColumnElement[bool]]:
        """The predicates; rights are checked for each filter that is used."""
        where: list[ColumnElement[bool]] = [visible(caller, "run")]
        if self.task_id is not None:
            where += self._of_task(db, caller, self.task_id)
        if self.organization_id is not None:
            caller.must("run", Operation.VIEW, organization=self.organization_id)
            where.append(Run.organization_id == self.organization_id)
        if self.node_id is not None:
            where += self._of_node(db, caller, self.node_id)
        if self.collaboration_id is not None:
            caller.must("run", Operation.VIEW, collaboration=self.collaboration_id)
            where.append(Task.collaboration_id == self.collaboration_id)
        if self.open_only:
            where.append(Run.finished_at.is_(None))
        if self.port is not None:
            where.append(
                Run.id.in_(select(AlgorithmPort.run_id).where(AlgorithmPort.port == self.port))
            )
        for column, from_, till in self._between:
            if from_ is not None:
                where.append(column >= from_)
            if till is not None:
                where.append(column <= till)
        return where

    @staticmethod
    def _of_task(db: Session, caller: Caller, task_id: int) -> list[ColumnElement[bool]]:
        task = db.connection().execute(_WHOSE_TASK, {"id": task_id}).one_or_none()
        if task is None:
            raise bad_request(f"Task id={task_id} does not exist!")
        _must_view(caller, task)
        return [Run.task_id == task_id]

    @staticmethod
    def _of_node(db: Session, caller: Caller, node_id: int) -> list[ColumnElement[bool]]:
        node: Any = caller
        if (caller.kind, caller.id) != (Kind.NODE, node_id):
            node = db.execute(
                select(Node.organization_id, Node.collaboration_id).where(Node.id == node_id)
            ).one_or_none()
        if node is None:
            raise bad_request(f"Node id={node_id} does not exist!")
        caller.must("run", Operation.VIEW, collaboration=node.collaboration_id)
        return [
            Run.organization_id == node.organization_id,
            Task.collaboration_id == node.collaboration_id,
        ]


_WHOSE_TASK = select(*(column for column in _TASK.c if column.name in _DECIDING)).where(
    _TASK.c.id == bindparam("id")
)


def _must_view(caller: Caller, task: Any) -> None:
    caller.must(
        "run",
        Operation.VIEW,
        organization=task.init_org_id,
        collaboration=task.collaboration_id,
        owner=task.init_user_id,
    )


# Called as it stands it would be, in a thread of its own, as much work as the rest of a request.
_Filtered = Annotated[Filters, Depends(at_once(Filters))]


@router.get("/run")
def list_runs(call: ByAnyone, page: Paged, include: Include, filters: _Filtered) -> Response:
    """List runs, newest first."""
    with call.read() as work:
        full = "task" in include.check(("task",))
        as_json = _run_with_task if full else run_json
        return page.fetch_heavy(
            work.db,
            (_RUNS_AND_TASKS if full else RUNS).where(*filters.where(work.db, work.caller)),
            Heavy(
                Run.id,
                RUN_WEIGHT,
                lambda _, rows: [as_json(row, work.link) for row in rows],
                call.services.database.read,
            ),
            sort=_SORT,
            default=Run.id.desc(),
        )


@router.get("/result", tags=["result"])
def list_results(call: ByAnyone, page: Paged, filters: _Filtered) -> Response:
    """List results, newest first."""
    with call.read() as work:
        return page.fetch_heavy(
            work.db,
            RESULTS.where(*filters.where(work.db, work.caller)),
            Heavy(
                Run.id,
                RESULT_WEIGHT,
                lambda _, rows: [result_json(row, work.link) for row in rows],
                call.services.database.read,
            ),
            sort=_SORT,
            default=Run.id.desc(),
        )


def _find(work: Work, query: AnySelect, id_: int) -> AnyRow:
    row = work.db.execute(query.where(Run.id == id_)).one_or_none()
    if row is None:
        raise not_found(f"Run id={id_} not found!")
    _must_view(work.caller, row.Task)
    return row


@router.get("/run/{id_:int}")
def get_run(call: ByAnyone, id_: int, include: Include) -> JSON:
    """Get one run."""
    with call.read() as work:
        row = _find(work, _RUNS_AND_TASKS, id_)
        as_json = _run_with_task if "task" in include.check(("task",)) else run_json
        return JSON(as_json(row, work.link))


@router.get("/result/{id_:int}", tags=["result"])
def get_result(call: ByAnyone, id_: int) -> JSON:
    """Get one result."""
    with call.read() as work:
        return JSON(result_json(_find(work, _RESULTS_AND_TASKS, id_), work.link))


@_with_result.patch("/run/{id_:int}")
async def update_run(
    call: ByNode,
    id_: int,
    body: RunChange,
    container_token_wanted: Annotated[
        Flag,
        Query(
            alias="container_token",
            description="Answer with the algorithm's token if the run stays open",
        ),
    ] = False,
    announce: Annotated[
        Flag, Query(description="Tell whoever follows the run, as the node would by an event")
    ] = False,
    brief: Annotated[
        Flag, Query(description="Answer with the run's state only, not with its input and log")
    ] = False,
    origin: Annotated[
        str | None,
        Query(
            alias="from",
            description="The status that the run must have; 409 if it has another. The same "
            "`started_at` once more is the same request, whose answer was lost",
        ),
    ] = None,
) -> JSON:
    """A node proposes a change of its run; the server accepts or refuses it."""
    if body.result is not None:
        result = long_text(call.request, body.result) or body.result
        if len(result) > call.services.config.inline_payload_limit:
            # From a node that knows no other way.
            body.result = await keep_apart(call, result)
        elif isinstance(result, LongText):
            body.result = result.whole()
    wanted = _Wanted(container_token_wanted, announce, brief, origin)
    return await run_in_threadpool(_update, call, id_, body, wanted)


@dataclass(frozen=True)
class _Wanted:
    """What a change of a run is to be answered with, or to cause, beside the change."""

    container_token: bool
    announce: bool
    brief: bool
    origin: str | None


def _taken(run: LockedRun, body: RunChange, origin: str) -> bool:
    """Whether a run has left the state that it must have, by another request than this one."""
    if run.closed or run.status == origin:
        return False
    return body.started_at is None or run.started_at != body.started_at


def _update(call: Call, id_: int, body: RunChange, wanted: _Wanted) -> JSON:
    with call.write() as work:
        locked = lock_run(work, id_)
        if locked is None:
            raise not_found(f"Run id={id_} not found!")
        caller = work.caller
        if (locked.organization_id, locked.task.collaboration_id) != (
            caller.organization_id,
            caller.collaboration_id,
        ):
            raise unauthorized("This is not your algorithm run to PATCH!")
        if wanted.origin is not None and _taken(locked, body, wanted.origin):
            raise conflict(f"Run id={id_} is {locked.status} already")
        try:
            run = propose(work, locked, Proposal(**dict(body)))
        except TransitionError as error:
            raise bad_request(str(error)) from None
        if body.result is not None and is_blob(body.result):
            claim(work, [body.result])
            attach(work.db, [(id_, body.result)])
        if wanted.brief:
            answer = _state_json(run)
        else:
            answer = run_json(work.db.execute(RUNS.where(Run.id == id_)).one(), work.link)
        if wanted.announce:
            announce_status(work, run)
            answer["announced"] = True
        if wanted.container_token and run.status in ALIVE:
            answer["container_token"] = container_token(call.services.tokens, caller, run.task)
            answer["request_id"] = run.task.request_id
        return JSON(answer)


router.include_router(_with_result)
