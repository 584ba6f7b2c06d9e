"""Creating, finding, killing and deleting tasks (``server.md`` 4.6 and 5)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, select

from vantage6.server.model.tables import Payload, Run, Task, TaskDatabase

INPUT = base64.b64encode(b'{"method": "m"}').decode()
ENCRYPTED = "$".join(base64.b64encode(part * 16).decode() for part in (b"\xff", b"\xfe", b"\xfd"))
RESEARCHER = "Researcher"


@dataclass
class World:
    """Two organizations with nodes in one collaboration, and a researcher of the first."""

    server: Any
    one: int
    two: int
    stranger: int
    collaboration: int
    nodes: list[Any]
    ada: Any

    def body(self, *organizations: int, input_: Any = INPUT, **fields: Any) -> dict[str, Any]:
        return {
            "collaboration_id": self.collaboration,
            "image": "image",
            "name": "average",
            "organizations": [
                {"id": id_, "input": input_} for id_ in organizations or (self.one, self.two)
            ],
            **fields,
        }


@pytest.fixture
def world(server: Any) -> World:
    one, two, stranger = (server.organization() for _ in range(3))
    collaboration = server.collaboration(one, two)
    nodes = [server.node(one, collaboration), server.node(two, collaboration)]
    ada = server.user(one, roles=[server.default_role(RESEARCHER)])
    return World(server, one, two, stranger, collaboration, nodes, ada)


def test_a_task_gets_one_pending_run_per_organization(world: World) -> None:
    databases = [
        {"label": "default"},
        {"label": "pg", "query": "select 1", "arguments": {"a": 1}},
    ]
    answer = world.ada.post("/task", **world.body(databases=databases, description="why"))
    assert answer.status_code == 201
    task = answer.json()
    assert set(task) == {
        "id",
        "name",
        "description",
        "image",
        "job_id",
        "status",
        "created_at",
        "finished_at",
        "collaboration",
        "study",
        "init_org",
        "init_user",
        "algorithm_store",
        "parent",
        "children",
        "runs",
        "results",
        "databases",
    }
    assert (task["status"], task["finished_at"], task["parent"]) == ("pending", None, None)
    assert task["init_org"]["id"] == world.one
    assert task["init_user"]["id"] == world.ada.id
    assert task["databases"][0] == {"label": "default", "parameters": "{}"}
    assert task["databases"][1]["label"] == "pg"
    assert json.loads(task["databases"][1]["parameters"]) == {
        "query": "select 1",
        "arguments": {"a": 1},
    }
    runs = world.ada.get("/run", task_id=task["id"]).json()["data"]
    assert {run["organization"]["id"] for run in runs} == {world.one, world.two}
    for run in runs:
        assert (run["status"], run["input"]) == ("pending", INPUT)
        assert (run["started_at"], run["finished_at"], run["log"]) == (None, None, None)
        assert run["node"]["id"] in {node.id for node in world.nodes}


def test_every_task_of_a_user_is_a_job_of_its_own(world: World) -> None:
    jobs = [world.ada.post("/task", **world.body()).json()["job_id"] for _ in range(3)]
    assert jobs == [jobs[0], jobs[0] + 1, jobs[0] + 2]


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"collaboration_id": 999}, 404, "Collaboration id=999"),
        ({"study_id": 999}, 404, "Study id=999"),
        ({"organizations": []}, 400, "incorrect"),
        ({"organizations": [{"input": INPUT}]}, 400, "incorrect"),
        ({"image": ""}, 400, "incorrect"),
        ({"name": "123"}, 400, "incorrect"),
        ({"name": None}, 400, "incorrect"),
        ({"databases": [{"query": "x"}]}, 400, "incorrect"),
        ({"databases": [{"label": "x", "nonsense": 1}]}, 400, "incorrect"),
        ({"nonsense": 1}, 400, "incorrect"),
        ({"store_id": 7}, 400, "store"),
    ],
)
def test_a_task_that_cannot_be_is_refused_with_the_reason(
    world: World, change: dict[str, Any], status: int, says: str
) -> None:
    answer = world.ada.post("/task", **{**world.body(), **change})
    assert answer.status_code == status
    assert says in answer.json()["msg"]
    assert world.server.rows(select(func.count()).select_from(Task)) == [0]


def test_a_task_needs_a_collaboration_or_a_study(world: World) -> None:
    body = world.body()
    del body["collaboration_id"]
    answer = world.ada.post("/task", **body)
    assert answer.status_code == 400
    assert "study_id" in answer.json()["msg"]


def test_organizations_must_be_members_with_a_node_and_named_once(world: World) -> None:
    for organizations in ([world.stranger], [world.one, world.one]):
        answer = world.ada.post("/task", **world.body(*organizations))
        assert answer.status_code == 400
        assert str(organizations[0]) in answer.json()["msg"]
    third = world.server.organization()
    together = world.server.collaboration(world.one, third)
    answer = world.ada.post("/task", **world.body(third, collaboration_id=together))
    assert answer.status_code == 400
    assert "without a node" in answer.json()["msg"]


def test_a_study_gives_the_collaboration_and_limits_the_organizations(world: World) -> None:
    study = world.server.study(world.collaboration, world.one)
    body = world.body(world.one, study_id=study)
    del body["collaboration_id"]
    answer = world.ada.post("/task", **body)
    assert answer.status_code == 201
    assert answer.json()["study"]["id"] == study
    assert answer.json()["collaboration"]["id"] == world.collaboration
    refused = world.ada.post("/task", **world.body(world.two, study_id=study))
    assert refused.status_code == 400
    other = world.server.collaboration(world.one)
    refused = world.ada.post("/task", **world.body(study_id=study, collaboration_id=other))
    assert refused.status_code == 400


def test_who_is_no_member_cannot_create_tasks_even_with_all_rights(world: World) -> None:
    root = world.server.root(world.stranger)
    assert root.post("/task", **world.body()).status_code == 401


@pytest.mark.parametrize(
    ("encrypted", "input_", "status"),
    [
        (False, INPUT, 201),
        (False, "", 201),
        (False, ENCRYPTED, 400),
        (True, ENCRYPTED, 201),
        (True, INPUT, 400),
        (False, None, 400),
        (False, {"method": "m"}, 400),
    ],
)
def test_input_is_encrypted_exactly_when_the_collaboration_is(
    world: World, encrypted: bool, input_: Any, status: int
) -> None:
    together = world.server.collaboration(world.one, encrypted=encrypted)
    world.server.node(world.one, together)
    body = world.body(world.one, input_=input_, collaboration_id=together)
    answer = world.ada.post("/task", **body)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("key", ["allowed_users", "allowed_orgs"])
def test_what_a_node_shares_of_its_policy_saves_a_useless_task(world: World, key: str) -> None:
    together = world.server.collaboration(world.one, world.two)
    world.server.node(world.two, together, config=[[key, "0"]])
    body = world.body(world.two, collaboration_id=together)
    answer = world.ada.post("/task", **body)
    assert answer.status_code == 400
    assert "policy" in answer.json()["msg"]
    allowed = {"allowed_users": world.ada.id, "allowed_orgs": world.one}[key]
    fits = world.server.collaboration(world.one, world.two)
    world.server.node(world.two, fits, config=[[key, "0"], [key, str(allowed)]])
    body = world.body(world.two, collaboration_id=fits)
    assert world.ada.post("/task", **body).status_code == 201


def test_a_container_creates_subtasks_of_its_own_task_only(world: World) -> None:
    task = world.server.task(
        world.collaboration, world.one, world.ada.id, runs={world.one: "active"}, job_id=77
    )
    algorithm = world.server.container(world.nodes[0], world.one, world.collaboration, task)
    answer = algorithm.post("/task", **world.body(name="subtask"))
    assert answer.status_code == 201
    subtask = answer.json()
    assert subtask["parent"]["id"] == task
    assert subtask["job_id"] == 77
    assert subtask["init_user"]["id"] == world.ada.id
    assert subtask["init_org"]["id"] == world.one
    assert world.ada.get("/task", parent_id=task).json()["data"][0]["id"] == subtask["id"]
    other_image = algorithm.post("/task", **world.body(image="another"))
    assert other_image.status_code == 401
    assert "image" in other_image.json()["msg"]


def test_a_container_whose_task_has_ended_creates_nothing(world: World) -> None:
    task = world.server.task(world.collaboration, world.one, world.ada.id)
    algorithm = world.server.container(world.nodes[0], world.one, world.collaboration, task)
    answer = algorithm.post("/task", **world.body())
    assert answer.status_code == 401
    assert "finished" in answer.json()["msg"]


def test_tasks_are_found_by_every_filter(world: World) -> None:
    server, ada = world.server, world.ada
    plain = ada.post("/task", **world.body(name="plain")).json()
    study = server.study(world.collaboration, world.one, world.two)
    other = ada.post(
        "/task",
        **world.body(
            name="other",
            image="second",
            study_id=study,
            description="because",
            databases=[{"label": "pg"}],
        ),
    ).json()
    done = server.task(world.collaboration, world.two, parent_id=plain["id"])
    run = server.runs(other["id"])[0]
    everything = {plain["id"], other["id"], done}
    assert set(ada.ids("/task")) == everything
    for parameters, expected in (
        ({"name": "pl%"}, {plain["id"]}),
        ({"image": "second"}, {other["id"]}),
        ({"description": "bec%"}, {other["id"]}),
        ({"database": "pg"}, {other["id"]}),
        ({"study_id": study}, {other["id"]}),
        ({"status": "completed"}, {done}),
        ({"collaboration_id": world.collaboration}, everything),
        ({"init_org_id": world.one}, {plain["id"], other["id"]}),
        ({"init_user_id": ada.id}, {plain["id"], other["id"]}),
        ({"parent_id": plain["id"]}, {done}),
        ({"job_id": plain["job_id"]}, {plain["id"]}),
        ({"run_id": run}, {other["id"]}),
        ({"is_user_created": 1}, {plain["id"], other["id"]}),
        ({"is_user_created": 0}, {done}),
    ):
        assert set(ada.ids("/task", **parameters)) == expected, parameters
    assert ada.ids("/task") == sorted(everything, reverse=True)
    assert ada.ids("/task", sort="id") == sorted(everything)
    for parameters in ({"parent_id": 999}, {"run_id": 999}, {"job_id": 999}, {"init_user_id": 999}):
        assert ada.get("/task", **parameters).status_code == 400


def test_runs_and_results_can_be_included(world: World) -> None:
    task = world.ada.post("/task", **world.body()).json()["id"]
    shown = world.ada.get(f"/task/{task}", include="runs,results").json()
    assert [run["status"] for run in shown["runs"]] == ["pending", "pending"]
    assert [result["result"] for result in shown["results"]] == [None, None]
    listed = world.ada.get("/task", include=["runs", "results"]).json()["data"][0]
    assert listed["runs"] == shown["runs"]
    assert listed["results"] == shown["results"]


def test_killing_ends_the_runs_of_a_task_and_of_its_subtasks(world: World) -> None:
    server = world.server
    runs = {world.one: "active", world.two: "completed"}
    task = server.task(world.collaboration, world.one, world.ada.id, runs=runs)
    child = server.task(world.collaboration, world.one, parent_id=task, runs={world.two: "pending"})
    grandchild = server.task(
        world.collaboration, world.one, parent_id=child, runs={world.two: "initializing"}
    )
    assert world.ada.post("/kill/task", id=task).status_code == 401
    admin = server.user(world.one, roles=[server.default_role("Collaboration Admin")])
    assert admin.post("/kill/task", id=task).status_code == 200
    states = {
        id_: [run["status"] for run in admin.get("/run", task_id=id_, sort="id").json()["data"]]
        for id_ in (task, child, grandchild)
    }
    assert states == {
        task: ["killed by user", "completed"],
        child: ["killed by user"],
        grandchild: ["killed by user"],
    }
    assert admin.get(f"/task/{task}").json()["status"] == "killed by user"
    again = admin.post("/kill/task", id=task)
    assert again.status_code == 400
    assert admin.post("/kill/task", id=999).status_code == 404


def test_deleting_a_task_leaves_nothing_of_it(world: World) -> None:
    server = world.server
    task = world.ada.post("/task", **world.body(databases=[{"label": "default"}])).json()["id"]
    server.task(world.collaboration, world.one, parent_id=task, runs={world.two: "active"})
    assert world.ada.delete(f"/task/{task}").status_code == 200
    for table in (Task, Run, Payload, TaskDatabase):
        assert server.rows(select(func.count()).select_from(table)) == [0]
    assert world.ada.delete(f"/task/{task}").status_code == 404


def test_the_id_of_a_deleted_task_is_not_given_out_again(world: World) -> None:
    first = world.ada.post("/task", **world.body()).json()["id"]
    world.ada.delete(f"/task/{first}")
    assert world.ada.post("/task", **world.body()).json()["id"] > first


def test_a_task_for_many_organizations_takes_as_many_statements_as_for_one(
    server: Any,
) -> None:
    organizations = [server.organization() for _ in range(40)]
    collaboration = server.collaboration(*organizations)
    for organization in organizations:
        server.node(organization, collaboration)
    ada = server.user(organizations[0], roles=[server.default_role(RESEARCHER)])

    def count(asked: list[int]) -> int:
        body = {
            "collaboration_id": collaboration,
            "image": "image",
            "databases": [{"label": "default"}],
            "organizations": [{"id": id_, "input": INPUT} for id_ in asked],
        }
        with server.statements() as statements:
            assert ada.post("/task", **body).status_code == 201
        return len(statements)

    count(organizations[:1])  # the first fills caches
    assert count(organizations[:1]) == count(organizations) <= 12


def test_lists_of_tasks_take_few_statements_however_many_there_are(world: World) -> None:
    for _ in range(3):
        world.ada.post("/task", **world.body())
    with world.server.statements() as few:
        world.ada.get("/task", per_page=1)
    with world.server.statements() as many:
        assert len(world.ada.ids("/task", per_page=50)) == 3
    assert len(many) <= len(few) <= 3
    with world.server.statements() as included:
        world.ada.get("/task", per_page=50, include="runs,results")
    assert len(included) == len(many) + 2
