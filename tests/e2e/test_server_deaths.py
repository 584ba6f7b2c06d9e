"""A real server, killed with SIGKILL at each step of a run's life, and started again.

A server, a node and sandboxed algorithms, all processes; see ``tests/support/mortal.py`` for how
one dies exactly there.
"""

from __future__ import annotations

import contextlib

import pytest

from mortal_points import SERVER
from mortal_site import MortalSite, until
from vantage6.common.exceptions import ServerUnreachableError

pytestmark = pytest.mark.timeout(300)

LARGE = 3 * 1024**2
#: How many tasks there are when the server died while it made one.
CREATING = {"task being created": 0, "task created": 1, "task told": 1}
CLAIMING = ["run being claimed", "run claimed"]
ENDING = [
    "result being stored",
    "result stored",
    "result about to be told",
    "result told",
]
UPLOADING = ["upload announced", "upload written", "upload complete"]


def test_every_point_of_a_server_is_tried() -> None:
    assert set(SERVER) == {*CREATING, *CLAIMING, *ENDING, *UPLOADING}


@pytest.mark.parametrize(("point", "tasks"), CREATING.items(), ids=CREATING)
def test_a_server_killed_while_it_makes_a_task(site: MortalSite, point: str, tasks: int) -> None:
    before = {task["id"] for task in site.client.task.list(per_page=100)["data"]}
    site.server.order(point)
    if point == "task told":
        # Whoever asked may have had the answer before.
        with contextlib.suppress(ServerUnreachableError):
            site.create("answer")
    else:
        with pytest.raises(ServerUnreachableError):
            site.create("answer")
    site.server.died()
    site.server.start()
    site.online()
    made = {task["id"] for task in site.client.task.list(per_page=100)["data"]} - before
    # A task is made as a whole or not at all, and one that is made is carried out.
    assert len(made) == tasks
    for task in made:
        finish(site, task)


@pytest.mark.parametrize("point", CLAIMING)
def test_a_server_killed_while_a_node_claims_a_run(site: MortalSite, point: str) -> None:
    before = {task["id"] for task in site.client.task.list(per_page=100)["data"]}
    site.server.order(point)
    # Whoever made the task may get its answer just before, or not.
    with contextlib.suppress(ServerUnreachableError):
        site.create("answer")
    site.server.died()
    site.server.start()
    site.online()
    (task,) = {task["id"] for task in site.client.task.list(per_page=100)["data"]} - before
    finish(site, task)


@pytest.mark.parametrize("point", ENDING)
def test_a_server_killed_while_a_run_is_reported(site: MortalSite, point: str) -> None:
    task = site.create("answer", seconds=1.0)
    until(lambda: site.run_of(task)["status"] == "active", "the run is claimed")
    site.server.order(point)
    site.server.died()
    site.server.start()
    finish(site, task)


@pytest.mark.parametrize("point", UPLOADING)
def test_a_server_killed_while_a_large_result_is_uploaded(site: MortalSite, point: str) -> None:
    task = site.create("answer", seconds=0.5, size=LARGE)
    site.server.order(point)
    site.server.died()
    site.server.start()
    finish(site, task, "42".ljust(LARGE, "."))


def finish(site: MortalSite, task: int, answer: str = "42") -> None:
    """The task has its answer, was executed once, and the node has forgotten it."""
    assert site.answer(task) == answer
    assert site.nodes[0].executions(site.run_of(task)["id"]) == 1
    until(lambda: site.runs_left() == [], "the node has forgotten the run")
