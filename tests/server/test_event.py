"""What one missed while away: ``GET /event``."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from vantage6.server.model.changes import change_number
from vantage6.server.model.tables import Task

NOW = "2026-01-01T00:00:00"
INPUT = "e30="


class World:
    """Two organizations with nodes in one collaboration, a third outside."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.one, self.two, self.outside = (server.organization() for _ in range(3))
        self.together = server.collaboration(self.one, self.two)
        self.node = server.node(self.one, self.together)
        server.node(self.two, self.together)
        rules = ("task CREATE", "task VIEW", "run VIEW", "node VIEW")
        self.ada = server.user(self.one, *(f"{rule} COLLABORATION" for rule in rules))
        self.eve = server.user(self.outside, *(f"{rule} COLLABORATION" for rule in rules[1:]))

    def create(self) -> dict[str, Any]:
        organizations = [{"id": id_, "input": INPUT} for id_ in (self.one, self.two)]
        answer = self.ada.post(
            "/task", collaboration_id=self.together, image="image", organizations=organizations
        )
        assert answer.status_code == 201, answer.text
        task: dict[str, Any] = answer.json()
        return task

    def changes(self, cursor: str, **params: Any) -> dict[str, Any]:
        answer = self.ada.get("/event", since=cursor, **params)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def world(server: Any) -> World:
    return World(server)


def test_who_was_away_learns_of_tasks_and_runs_that_changed(world: World) -> None:
    start = world.ada.get("/event").json()
    assert (start["tasks"], start["nodes"], start["more"]) == ([], [], False)
    first, second = world.create(), world.create()
    found = world.changes(start["cursor"])
    assert [task["id"] for task in found["tasks"]] == [first["id"], second["id"]]
    (mine,) = world.node.ids("/run", task_id=first["id"], organization_id=world.one)
    world.node.patch(f"/run/{mine}", status="active", started_at=NOW)
    later = world.changes(found["cursor"])["tasks"]
    assert later[-1] == {
        "id": first["id"],
        "parent_id": None,
        "job_id": first["job_id"],
        "collaboration_id": world.together,
        "status": "active",
        "runs": [
            {"id": mine, "organization_id": world.one, "status": "active"},
            {"id": mine + 1, "organization_id": world.two, "status": "pending"},
        ],
    }


def test_a_cursor_in_the_past_leads_through_everything_page_by_page(world: World) -> None:
    made = [world.create()["id"] for _ in range(5)]
    cursor, found, deadline = "0", [], time.monotonic() + 20
    while found[-1:] != made[-1:]:
        assert time.monotonic() < deadline, found
        page = world.changes(cursor, limit=2)
        found += [task["id"] for task in page["tasks"]]
        if page["cursor"] == cursor:  # PostgreSQL tells the newest changes again for a second
            time.sleep(0.1)
        cursor = page["cursor"]
    assert list(dict.fromkeys(found)) == made


def test_nobody_learns_of_what_they_may_not_see(world: World) -> None:
    world.create()
    assert world.eve.get("/event", since=0).json()["tasks"] == []
    stranger = world.server.user(world.one)
    assert stranger.get("/event", since=0).status_code == 401
    assert world.ada.get("/event", since="soon").status_code == 400


def test_a_cursor_that_outlived_the_newest_task_still_works(world: World) -> None:
    task = world.create()["id"]
    cursor = world.changes("0")["cursor"]
    root = world.server.root(world.one)
    assert root.delete(f"/task/{task}").status_code == 200
    later = world.create()["id"]
    assert [task["id"] for task in world.changes(cursor)["tasks"]] == [later]


def test_a_change_that_is_committed_late_is_not_skipped(world: World) -> None:
    database = world.server.services.database
    if database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    task = world.create()["id"]
    with Session(database.engine) as slow:
        slow.execute(
            update(Task).where(Task.id == task).values(changed=change_number(), name="slow")
        )
        other = world.create()["id"]
        found = world.changes("0")
        assert other in [task["id"] for task in found["tasks"]]
        slow.commit()
    assert task in [task["id"] for task in world.changes(found["cursor"])["tasks"]]


def test_the_cursor_costs_no_statement(world: World) -> None:
    with world.server.statements() as creating:
        world.create()
    assert not [statement for statement in creating if "event" in statement.lower()]
    with world.server.statements() as asking:
        world.changes("0")
    assert len(asking) <= 5
