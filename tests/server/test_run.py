"""Runs, results and what nodes report of them (``server.md`` 4.7 and 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vantage6.common.task_status import TaskStatus, task_status

NOW = "2026-01-31T12:00:00.123456+00:00"
LATER = "2026-01-31T12:00:01.000000+00:00"


@dataclass
class World:
    """A task of organization one, running at one and two."""

    server: Any
    one: int
    two: int
    collaboration: int
    node: Any
    other: Any
    ada: Any

    def task(self, *states: str) -> tuple[int, list[int]]:
        runs = dict(zip((self.one, self.two), states, strict=False))
        task = self.server.task(self.collaboration, self.one, self.ada.id, runs=runs)
        return task, self.server.runs(task)

    def run(self, id_: int) -> dict[str, Any]:
        answer: dict[str, Any] = self.ada.get(f"/run/{id_}").json()
        return answer


@pytest.fixture
def world(server: Any) -> World:
    one, two = server.organization(), server.organization()
    collaboration = server.collaboration(one, two)
    ada = server.user(one, roles=[server.default_role("Researcher")])
    node, other = server.node(one, collaboration), server.node(two, collaboration)
    return World(server, one, two, collaboration, node, other, ada)


def test_a_run_goes_from_claim_to_result(world: World) -> None:
    task, (mine, _) = world.task("pending", "completed")
    claimed = world.node.patch(f"/run/{mine}", status="active", started_at=NOW)
    assert claimed.status_code == 200
    assert claimed.json()["started_at"] == "2026-01-31T12:00:00.123456"
    assert "container_token" not in claimed.json()
    assert world.ada.get(f"/task/{task}").json()["status"] == "active"
    done = world.node.patch(
        f"/run/{mine}", status="completed", result="e30=", log="done", finished_at=NOW
    )
    assert done.status_code == 200
    assert done.json()["log"] == "done"
    assert "result" not in done.json()
    result = world.ada.get(f"/result/{mine}").json()
    assert (result["result"], result["run"]["id"], result["task"]["id"]) == ("e30=", mine, task)
    shown = world.ada.get(f"/task/{task}").json()
    assert shown["status"] == "completed"
    assert shown["finished_at"] is not None


def test_a_claim_can_bring_the_algorithms_token(world: World) -> None:
    task, (mine,) = world.task("pending")
    body = {"status": "active", "started_at": NOW}
    answer = world.node.request("PATCH", f"/run/{mine}?container_token=1", json=body)
    token = answer.json()["container_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert "exp" not in claims
    assert claims["client_type"] == "container"
    assert claims["sub"] == {
        "client_type": "container",
        "node_id": world.node.id,
        "organization_id": world.one,
        "collaboration_id": world.collaboration,
        "study_id": None,
        "store_id": None,
        "task_id": task,
        "image": "image",
        "databases": [],
    }
    body = {"status": "completed", "finished_at": NOW}
    closed = world.node.request("PATCH", f"/run/{mine}?container_token=1", json=body)
    assert "container_token" not in closed.json()


def test_a_run_can_be_claimed_on_condition_that_nobody_has(world: World) -> None:
    _, (mine,) = world.task("pending")
    claim = {"status": "active", "started_at": NOW}
    path = f"/run/{mine}?container_token=1&from=pending"
    first = world.node.request("PATCH", path, json=claim)
    assert (first.status_code, first.json()["status"]) == (200, "active")
    # The same once more, as when its answer was lost.
    assert "container_token" in world.node.request("PATCH", path, json=claim).json()
    other = world.node.request("PATCH", path, json={**claim, "started_at": LATER})
    assert (other.status_code, other.json()) == (409, {"msg": f"Run id={mine} is active already"})
    anew = world.node.request("PATCH", f"/run/{mine}", json={**claim, "started_at": LATER})
    assert anew.status_code == 200
    world.node.request("PATCH", f"/run/{mine}", json={"status": "completed", "finished_at": NOW})
    assert world.node.request("PATCH", path, json=claim).status_code == 400


def test_a_closed_run_takes_nothing_more(world: World) -> None:
    _, (mine,) = world.task("pending")
    body = {"status": "completed", "result": "e30=", "finished_at": NOW}
    assert world.node.patch(f"/run/{mine}", **body).status_code == 200
    again = world.node.patch(f"/run/{mine}", **{**body, "result": "W10="})
    assert again.status_code == 400
    assert "already finished" in again.json()["msg"]
    assert world.ada.get(f"/result/{mine}").json()["result"] == "e30="


def test_what_is_not_said_stays_as_it_is(world: World) -> None:
    _, (mine,) = world.task("pending")
    world.node.patch(f"/run/{mine}", status="active", started_at=NOW, log="first")
    world.node.patch(f"/run/{mine}", status="active")
    run = world.run(mine)
    assert (run["log"], run["started_at"]) == ("first", "2026-01-31T12:00:00.123456")
    world.node.patch(f"/run/{mine}", status="completed", result="e30=", finished_at=NOW)
    assert world.run(mine)["log"] == "first"


@pytest.mark.parametrize(
    "moment", ["2026-01-31T12:00:00", "2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00Z"]
)
def test_every_form_of_iso_time_is_read_as_utc(world: World, moment: str) -> None:
    _, (mine,) = world.task("pending")
    answer = world.node.patch(f"/run/{mine}", started_at=moment)
    assert answer.json()["started_at"] == "2026-01-31T12:00:00"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"started_at": "yesterday"}, "started_at"),
        ({"nonsense": 1}, "nonsense"),
        ({"log": 1}, "log"),
    ],
)
def test_a_report_that_makes_no_sense_is_refused(
    world: World, body: dict[str, Any], field: str
) -> None:
    _, (mine,) = world.task("pending")
    answer = world.node.patch(f"/run/{mine}", **body)
    assert answer.status_code == 400
    assert field in answer.json()["errors"]


def test_an_unknown_status_is_refused(world: World) -> None:
    _, (mine,) = world.task("pending")
    answer = world.node.patch(f"/run/{mine}", status="sleeping")
    assert answer.status_code == 400
    assert "sleeping" in answer.json()["msg"]


def test_a_node_reports_on_its_own_runs_only(world: World) -> None:
    _, (mine, _) = world.task("pending", "pending")
    assert world.other.patch(f"/run/{mine}", status="active").status_code == 401
    elsewhere = world.server.collaboration(world.one)
    namesake = world.server.node(world.one, elsewhere)
    assert namesake.patch(f"/run/{mine}", status="active").status_code == 401
    assert world.ada.patch(f"/run/{mine}", status="active").status_code == 401
    assert world.node.patch("/run/999", status="active").status_code == 404


def test_a_failure_ends_the_siblings_that_nobody_began(world: World) -> None:
    task, (mine, theirs) = world.task("pending", "pending")
    answer = world.node.patch(
        f"/run/{mine}", status="not allowed", finished_at=NOW, log="not that image"
    )
    assert answer.status_code == 200
    sibling = world.run(theirs)
    assert sibling["status"] == "failed"
    assert sibling["finished_at"] is not None
    assert sibling["log"] == (
        f"Marked as failed because sibling run id={mine} failed with status 'not allowed'."
    )
    assert world.ada.get(f"/task/{task}").json()["status"] == "failed"


def test_a_failure_leaves_the_siblings_that_run(world: World) -> None:
    _, (mine, theirs) = world.task("pending", "pending")
    world.other.patch(f"/run/{theirs}", status="active", started_at=NOW)
    world.node.patch(f"/run/{mine}", status="crashed", finished_at=NOW)
    assert world.run(theirs)["status"] == "active"


def test_a_failure_without_an_end_is_closed_by_the_report_that_follows(world: World) -> None:
    _, (mine,) = world.task("pending")
    world.node.patch(f"/run/{mine}", status="start failed")
    assert world.run(mine)["finished_at"] is None
    assert world.node.patch(f"/run/{mine}", status="active").status_code == 400
    body = {"status": "start failed", "result": "", "log": "why", "finished_at": NOW}
    assert world.node.patch(f"/run/{mine}", **body).status_code == 200
    assert world.run(mine)["log"] == "why"


def test_a_kill_that_a_node_reports_closes_the_run(world: World) -> None:
    _, (mine,) = world.task("active")
    assert world.node.patch(f"/run/{mine}", status="killed by user").status_code == 200
    assert world.run(mine)["finished_at"] is not None


@pytest.mark.parametrize(("result", "status"), [("e30=", "completed"), (None, "unknown error")])
def test_an_end_without_a_status_does_not_leave_the_task_waiting(
    world: World, result: str | None, status: str
) -> None:
    task, (mine,) = world.task("active")
    body = {"finished_at": NOW} | ({"result": result} if result else {})
    assert world.node.patch(f"/run/{mine}", **body).status_code == 200
    assert world.ada.get(f"/task/{task}").json()["status"] == status


def test_a_run_started_anew_ends_the_subtasks_of_its_first_attempt(world: World) -> None:
    task, (mine,) = world.task("pending")
    world.node.patch(f"/run/{mine}", status="active", started_at=NOW)
    add = world.server.task
    left = add(world.collaboration, world.one, parent_id=task, runs={world.two: "active"})
    done = add(world.collaboration, world.one, parent_id=task, runs={world.two: "completed"})
    foreign = add(world.collaboration, world.two, parent_id=task, runs={world.two: "active"})
    again = world.node.patch(f"/run/{mine}", status="active", started_at=NOW)
    assert again.status_code == 200
    states = {id_: world.ada.get(f"/task/{id_}").json()["status"] for id_ in (left, done, foreign)}
    assert states == {left: "killed by user", done: "completed", foreign: "active"}


def test_a_node_finds_its_open_runs_with_their_tasks(world: World) -> None:
    task, (mine, _) = world.task("pending", "pending")
    world.task("completed", "pending")
    parameters = {"state": "open", "node_id": world.node.id, "include": "task"}
    runs = world.node.get("/run", **parameters).json()["data"]
    assert [run["id"] for run in runs] == [mine]
    shown = runs[0]["task"]
    assert "runs" not in shown
    assert (shown["id"], shown["image"], shown["init_org"]["id"]) == (task, "image", world.one)
    assert world.node.ids("/run", **parameters, task_id=task) == [mine]
    assert world.node.get("/run", node_id=999).status_code == 400


def test_runs_are_found_by_time(world: World) -> None:
    _, (mine, theirs) = world.task("pending", "pending")
    world.node.patch(f"/run/{mine}", started_at="2020-01-01T00:00:00", status="active")
    assert world.ada.ids("/run", started_till="2021-01-01") == [mine]
    assert world.ada.ids("/run", started_from="2021-01-01") == []
    assert set(world.ada.ids("/run", assigned_from="2021-01-01T00:00:00Z")) == {mine, theirs}
    assert world.ada.get("/run", started_from="soon").status_code == 400


def test_a_page_of_runs_takes_few_statements_however_many_there_are(world: World) -> None:
    for _ in range(4):
        world.task("pending", "pending")
    for path in ("/run", "/result"):
        with world.server.statements() as few:
            world.ada.get(path, per_page=1)
        with world.server.statements() as many:
            assert len(world.ada.ids(path, per_page=50)) == 8
        assert len(many) <= len(few) <= 3
    with world.server.statements() as asked:
        world.node.get("/run", state="open", node_id=world.node.id, include="task")
    assert len(asked) <= 4


def test_claiming_and_delivering_take_few_statements(world: World) -> None:
    _, (mine,) = world.task("pending")
    with world.server.statements() as claim:
        body = {"status": "active", "started_at": NOW}
        world.node.request("PATCH", f"/run/{mine}?container_token=1", json=body)
    with world.server.statements() as delivery:
        world.node.patch(f"/run/{mine}", status="completed", result="e30=", finished_at=NOW)
    assert len(claim) <= 7
    assert len(delivery) <= 8


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1), st.sampled_from(list(TaskStatus)), st.booleans(), st.booleans()
        ),
        max_size=8,
    )
)
def test_whatever_nodes_propose_the_task_follows_from_its_runs(
    world: World, proposals: list[tuple[int, TaskStatus, bool, bool]]
) -> None:
    task, runs = world.task("pending", "pending")
    nodes = (world.node, world.other)
    for which, status, starts, ends in proposals:
        body: dict[str, Any] = {"status": status}
        if starts:
            body["started_at"] = NOW
        if ends:
            body["finished_at"] = NOW
        before = world.run(runs[which])
        answer = nodes[which].patch(f"/run/{runs[which]}", **body)
        assert answer.status_code in (200, 400)
        if before["finished_at"]:
            assert answer.status_code == 400
            assert world.run(runs[which]) == before
        states = [world.run(id_)["status"] for id_ in runs]
        assert world.ada.get(f"/task/{task}").json()["status"] == task_status(states)
        for id_ in runs:
            run = world.run(id_)
            closed_alive = run["finished_at"] and run["status"] in (
                "pending",
                "initializing",
                "active",
            )
            assert not closed_alive
