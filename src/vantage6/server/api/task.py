"""Tasks: ``/task``."""

from __future__ import annotations

import logging
import operator
from collections.abc import Sequence
from functools import reduce
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from vantage6.common.task_status import TaskStatus
from vantage6.server.api.algorithm_store import errand
from vantage6.server.api.run import RESULT_WEIGHT, RESULTS, RUN_WEIGHT, RUNS, result_json, run_json
from vantage6.server.api.task_creation import (
    NewTask,
    check_new_task,
    is_readable,
    parameters_text,
)
from vantage6.server.auth.caller import Caller
from vantage6.server.auth.tokens import Kind
from vantage6.server.auth.visibility import visible
from vantage6.server.call import ByAnyone, ByUser, ByUserOrContainer, Call, Work
from vantage6.server.events import audience, node_room
from vantage6.server.model.blobs import is_blob
from vantage6.server.model.removal import delete_tasks
from vantage6.server.model.runs import add_task, next_job_id
from vantage6.server.model.tables import (
    AlgorithmStore,
    Payload,
    Run,
    Study,
    Task,
    TaskDatabase,
    User,
)
from vantage6.server.payloads.cutting import LongText
from vantage6.server.payloads.intake import claim, keep_apart
from vantage6.server.payloads.long_texts import WithInputs, long_text
from vantage6.server.stores import Algorithm
from vantage6.web.errors import bad_request, lacks_permission, not_found
from vantage6.web.links import Links
from vantage6.web.pagination import Heavy, Paged
from vantage6.web.parameters import Include, Pattern
from vantage6.web.responses import JSON, timestamp
from vantage6.web.rules import Operation

router = APIRouter(tags=["task"])
_with_inputs = APIRouter(route_class=WithInputs)
log = logging.getLogger(__name__)

_SORT = {
    "id": Task.id,
    "name": Task.name,
    "description": Task.description,
    "image": Task.image,
    "job_id": Task.job_id,
    "status": Task.status,
    "created_at": Task.created_at,
    "finished_at": Task.finished_at,
    "collaboration_id": Task.collaboration_id,
    "study_id": Task.study_id,
    "parent_id": Task.parent_id,
    "init_org_id": Task.init_org_id,
    "init_user_id": Task.init_user_id,
}
# Characters that are decoded in less time than a thread takes to begin.
_QUICKLY_READ = 64 * 1024
_INCLUDES = ("runs", "results")
#: Characters of an input that is sent to its node at once; for a longer one the node asks.
_OFFERED = 16 * 1024


def task_json(task: Task, link: Links) -> dict[str, Any]:
    """A task as the contract shows it."""
    id_ = task.id
    return {
        "id": id_,
        "name": task.name,
        "description": task.description,
        "image": task.image,
        "job_id": task.job_id,
        "status": task.status,
        "created_at": timestamp(task.created_at),
        "finished_at": timestamp(task.finished_at),
        "collaboration": link.one("collaboration", task.collaboration_id),
        "study": link.one("study", task.study_id),
        "init_org": link.one("organization", task.init_org_id),
        "init_user": link.one("user", task.init_user_id),
        "algorithm_store": link.one("algorithmstore", task.algorithm_store_id),
        "parent": link.one("task", task.parent_id),
        "children": link.many("task", "parent_id", id_),
        "runs": link.many("run", "task_id", id_),
        "results": link.many("result", "task_id", id_),
        "databases": [
            {"label": database["label"], "parameters": parameters_text(database["parameters"])}
            for database in task.databases
        ],
    }


def find_task(db: Session, id_: int) -> Task:
    """The task with an id.

    Raises
    ------
    Refusal
        404 if there is none.
    """
    task = db.get(Task, id_)
    if task is None:
        raise not_found(f"Task id={id_} not found!")
    return task


def may_view(caller: Caller, task: Task, resource: str = "task") -> bool:
    """Whether the caller may see a task, or (resource ``run``) its runs and results."""
    return caller.may(
        resource,
        Operation.VIEW,
        organization=task.init_org_id,
        collaboration=task.collaboration_id,
        owner=task.init_user_id,
    )


def _with_includes(
    db: Session, link: Links, tasks: Sequence[Task], include: Sequence[str]
) -> list[dict[str, Any]]:
    """Tasks with their runs or results in place of the links; one statement per include."""
    shown = [task_json(task, link) for task in tasks]
    ids = [task.id for task in tasks]
    for name, query, as_json in (
        ("runs", RUNS, run_json),
        ("results", RESULTS, result_json),
    ):
        if name not in include:
            continue
        by_task: dict[int, list[Any]] = {id_: [] for id_ in ids}
        for row in db.execute(query.where(Run.task_id.in_(ids)).order_by(Run.id)):
            by_task[row.Run.task_id].append(as_json(row, link))
        for item in shown:
            item[name] = by_task[item["id"]]
    return shown


@router.get("/task")
def list_tasks(
    call: ByAnyone,
    page: Paged,
    include: Include,
    name: Pattern | None = None,
    description: Pattern | None = None,
    image: Pattern | None = None,
    status: str | None = None,
    database: str | None = None,
    collaboration_id: int | None = None,
    study_id: int | None = None,
    init_org_id: int | None = None,
    init_user_id: int | None = None,
    parent_id: int | None = None,
    job_id: int | None = None,
    run_id: int | None = None,
    store_id: int | None = None,
    is_user_created: Annotated[
        int | None, Query(description="0: only subtasks; otherwise: only tasks of users")
    ] = None,
) -> Response:
    """List tasks, newest first."""
    with call.read() as work:
        db, caller = work.db, work.caller
        where: list[ColumnElement[bool]] = [visible(caller, "task")]
        equal = {
            Task.collaboration_id: collaboration_id,
            Task.study_id: study_id,
            Task.init_org_id: init_org_id,
            Task.init_user_id: init_user_id,
            Task.parent_id: parent_id,
            Task.job_id: job_id,
            Task.status: status,
        }
        where += [column == value for column, value in equal.items() if value is not None]
        alike = {Task.name: name, Task.description: description, Task.image: image}
        where += [column.like(value) for column, value in alike.items() if value is not None]
        for collaboration in _filtered_collaborations(
            db, collaboration_id, study_id, parent_id, job_id, run_id
        ):
            caller.must("task", Operation.VIEW, collaboration=collaboration)
        if run_id is not None:
            where.append(Task.id.in_(select(Run.task_id).where(Run.id == run_id)))
        if init_org_id is not None:
            caller.must("task", Operation.VIEW, organization=init_org_id)
        if init_user_id is not None:
            _must_view_tasks_of(work, init_user_id)
        if store_id is not None:
            if db.get(AlgorithmStore, store_id) is None:
                raise bad_request(f"Algorithm store id={store_id} does not exist!")
            where.append(Task.algorithm_store_id == store_id)
        if database is not None:
            where.append(
                Task.id.in_(select(TaskDatabase.task_id).where(TaskDatabase.label == database))
            )
        if is_user_created is not None:
            top = Task.parent_id.is_(None)
            where.append(top if is_user_created else ~top)
        wanted = include.check(_INCLUDES)
        if "results" in wanted:
            widest = caller.rights.widest("task", Operation.VIEW)
            if widest is None or not caller.rights.at_least("run", Operation.VIEW, widest):
                raise lacks_permission()
        statement, link = select(Task).where(*where), work.link
        if not wanted:
            return page.fetch(
                db,
                statement,
                lambda rows: [task_json(row[0], link) for row in rows],
                sort=_SORT,
                default=Task.id.desc(),
            )
        return page.fetch_heavy(
            db,
            statement,
            Heavy(
                Task.id,
                _weight(wanted),
                lambda db, rows: _with_includes(db, link, [row[0] for row in rows], wanted),
                call.services.database.read,
                by_its_parts=True,
            ),
            sort=_SORT,
            default=Task.id.desc(),
        )


def _weight(include: Sequence[str]) -> ColumnElement[int]:
    """Bytes of what may be large of a task's runs and results."""
    weights = {"runs": RUN_WEIGHT, "results": RESULT_WEIGHT}
    heavy = [weight for name, weight in weights.items() if name in include]
    return (
        select(func.coalesce(func.sum(reduce(operator.add, heavy)), 0))
        .select_from(Run)
        .join(Payload, Payload.run_id == Run.id)
        .where(Run.task_id == Task.id)
        .correlate(Task)
        .scalar_subquery()
    )


_COLLABORATION_OF = {
    "Study": select(Study.collaboration_id).where(Study.id == bindparam("id")),
    "Task": select(Task.collaboration_id).where(Task.id == bindparam("id")),
    "Job": select(Task.collaboration_id).where(Task.job_id == bindparam("id")).limit(1),
    "Run": (
        select(Task.collaboration_id)
        .join(Run, Run.task_id == Task.id)
        .where(Run.id == bindparam("id"))
    ),
}


def _filtered_collaborations(
    db: Session,
    collaboration_id: int | None,
    study_id: int | None,
    parent_id: int | None,
    job_id: int | None,
    run_id: int | None,
) -> list[int]:
    """The collaborations that explicit filters lead to."""
    found: list[int] = []
    if collaboration_id is not None:
        found.append(collaboration_id)
    for name, value in (("Study", study_id), ("Task", parent_id), ("Job", job_id), ("Run", run_id)):
        if value is None:
            continue
        collaboration = db.scalar(_COLLABORATION_OF[name], {"id": value})
        if collaboration is None:
            raise bad_request(f"{name} id={value} does not exist!")
        found.append(collaboration)
    return found


def _must_view_tasks_of(work: Work, user_id: int) -> None:
    organization_id = work.db.scalar(select(User.organization_id).where(User.id == user_id))
    if organization_id is None:
        raise bad_request(f"User id={user_id} does not exist!")
    work.caller.must("task", Operation.VIEW, organization=organization_id, owner=user_id)


@_with_inputs.post("/task", status_code=201)
async def create_task(call: ByUserOrContainer, body: NewTask) -> JSON:
    """Create a task, with one run per organization.

    With `store_id` the image must be one that the store offers, and is fixed by its digest.
    """
    return await make_task(call, body)


async def make_task(call: Call, body: NewTask) -> JSON:
    """Create a task from a body that is well-formed, and answer it.

    Raises
    ------
    Refusal
        With the reason.
    """
    inline = [
        (item, long_text(call.request, item.input) or item.input)
        for item in body.organizations
        if not is_blob(item.input)
    ]
    readable = await _readable(call, [text for _, text in inline])
    algorithm = None
    if body.store_id is not None and call.token.kind is Kind.USER:
        url = await run_in_threadpool(_store_url, call, body, readable)
        wanted = errand(call, url, body.server_url)
        algorithm = await call.services.stores.algorithm(wanted, body.image)
    limit = call.services.config.inline_payload_limit
    for (item, text), plain in zip(inline, readable, strict=True):
        # Encrypted ones stay: the page's form of them is none for the store.
        if plain and len(text) > limit:
            item.input = await keep_apart(call, text)
        elif isinstance(text, LongText):
            item.input = text.whole()
    return await run_in_threadpool(_add, call, body, algorithm, readable)


async def _readable(call: Call, texts: Sequence[str | LongText]) -> list[bool]:
    """Which inputs are readable; many or long ones are looked at in a thread."""

    def look() -> list[bool]:
        return [is_readable(text) for text in texts]

    if sum(map(len, texts)) <= _QUICKLY_READ:
        return look()
    return await run_in_threadpool(look)


def _store_url(call: Call, body: NewTask, readable: Sequence[bool]) -> str:
    with call.read() as work:
        store = check_new_task(work.db, work.caller, body, readable).store
        assert store is not None  # noqa: S101 (a user named one)
        return store.url


def _add(call: Call, body: NewTask, algorithm: Algorithm | None, readable: Sequence[bool]) -> JSON:
    with call.write() as work:
        db, caller = work.db, work.caller
        checked = check_new_task(db, caller, body, readable)
        parent = checked.parent
        image, store_id = body.image, parent.algorithm_store_id if parent else None
        if algorithm and checked.store:
            image = algorithm.image
            # Without a digest nothing proves that it is the store's: then it is not called so.
            if algorithm.digest:
                image, store_id = f"{image}@{algorithm.digest}", checked.store.id
        claim(work, {item.input for item in body.organizations if is_blob(item.input)})
        inputs = {item.id: item.input for item in body.organizations}
        task, runs = add_task(
            db,
            list(inputs.items()),
            name=body.name or "",
            description=body.description,
            image=image,
            algorithm_store_id=store_id,
            collaboration_id=checked.collaboration.id,
            study_id=checked.study.id if checked.study else None,
            job_id=parent.job_id if parent else next_job_id(db),
            parent_id=parent.id if parent else None,
            init_org_id=caller.organization_id,
            init_user_id=parent.init_user_id if parent else caller.id,
            databases=body.stored_databases(),
        )
        shown = task_json(task, work.link)
        collaboration_id = task.collaboration_id
        offers: list[tuple[str, Any, list[str]]] = [
            ("new_run", _offer(run_id, shown, input_), [node_room(collaboration_id, organization)])
            for organization, run_id in runs.items()
            if len(input_ := inputs[organization]) <= _OFFERED
        ]
        news = {"id": task.id, "parent_id": task.parent_id}
        # Last: a node that has its run by then need not ask what is new.
        work.tell_in_order([*offers, ("new_task", news, audience(collaboration_id, list(inputs)))])
        answer = JSON(shown, 201)
    log.info("Task %d with %d run(s) created", task.id, len(body.organizations))
    return answer


def _offer(run_id: int, task: dict[str, Any], input_: str) -> dict[str, Any]:
    """What a node needs of a new run, as it would find it at ``GET /run?include=task``."""
    return {
        "id": run_id,
        "status": TaskStatus.PENDING.value,
        "input": input_,
        "blob_storage_used": is_blob(input_),
        "task": task,
    }


@router.get("/task/{id_:int}")
def get_task(call: ByAnyone, id_: int, include: Include) -> JSON:
    """Get one task."""
    with call.read() as work:
        task = find_task(work.db, id_)
        if not may_view(work.caller, task):
            raise lacks_permission()
        wanted = include.check(_INCLUDES)
        if "results" in wanted and not may_view(work.caller, task, "run"):
            raise lacks_permission()
        return JSON(_with_includes(work.db, work.link, [task], wanted)[0])


@router.delete("/task/{id_:int}")
def delete_task(call: ByUser, id_: int) -> JSON:
    """Delete a task and its subtasks; what still runs is killed first."""
    with call.write() as work:
        task = find_task(work.db, id_)
        work.caller.must(
            "task",
            Operation.DELETE,
            organization=task.init_org_id,
            collaboration=task.collaboration_id,
            owner=task.init_user_id,
        )
        delete_tasks(work, Task.id == id_)
    return JSON({"msg": f"Task id={id_} and its subtasks are deleted"})


router.include_router(_with_inputs)
