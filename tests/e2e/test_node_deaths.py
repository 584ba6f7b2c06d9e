"""A real node, killed with SIGKILL at each step of a run's life, and started again.

A server, a node and sandboxed algorithms, all processes; see ``tests/support/mortal.py`` for how
one dies exactly there. The proxy is a part of the node's process.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from mortal_points import NODE
from mortal_site import MortalSite, until

pytestmark = pytest.mark.timeout(300)

LARGE = 3 * 1024**2
#: Where a node may die, and how often the algorithm is executed in all.
STEPS = {
    "offered": {1},
    "being accepted": {1},
    "accepted": {1},
    "prepared": {1},
    "claimed at the server only": {1},
    "claimed": {1},
    "image checked": {1},
    "started in the journal": {1, 2},
    "sandboxed": {1},
    "running": {2},
    "ended": {1},
    "seen to have ended": {1},
    "judged": {1},
    "result being noted": {1},
    "result noted": {1},
    "being delivered": {1},
    "delivered at the server only": {1},
    "delivered": {1},
    "half cleaned up": {1},
    "cleaned up": {1},
}


def test_every_point_of_a_node_is_tried() -> None:
    assert set(NODE) == {*STEPS, *UPLOADING, *SUBTASKS}


@pytest.mark.parametrize(("point", "executions"), STEPS.items(), ids=STEPS)
def test_a_node_killed_with_a_run(site: MortalSite, point: str, executions: set[int]) -> None:
    node = site.nodes[0]
    node.order(point)
    task = site.create("answer", seconds=0.3 if point == "running" else 0.0)
    run = site.run_of(task)["id"]
    node.died()
    node.start()
    assert site.answer(task) == "42"
    assert node.executions(run) in executions
    until(lambda: site.runs_left() == [], "the folders of the run are removed")


@pytest.mark.parametrize(
    "point",
    ["prepared", "claimed", "image checked", "sandboxed", "running", "ended", "result noted"],
)
def test_a_warm_parent_killed_with_a_run(site: MortalSite, point: str) -> None:
    """What algorithms are forked from is a process of its own; those that run do without it."""
    node = site.nodes[0]
    until(lambda: warm_parents(node.pid), "one is there, also after an earlier death")
    node.order(f"stop: {point}")
    task = site.create("answer", seconds=0.3 if point == "running" else 0.0)
    run = site.run_of(task)["id"]
    node.stopped()
    parents = warm_parents(node.pid)
    assert parents
    for parent in parents:
        os.kill(parent, signal.SIGKILL)
    node.go_on()
    assert site.answer(task) == "42"
    assert node.executions(run) == 1
    assert site.answer(site.create("answer")) == "42"


def warm_parents(node: int) -> list[int]:
    """Processes that a node forks algorithms from."""
    children = Path(f"/proc/{node}/task/{node}/children").read_text().split()
    names = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    return [pid for pid, name in names.items() if b"sandbox/__main__.py" in name]


UPLOADING = ["result half uploaded", "result uploaded"]


@pytest.mark.parametrize("point", UPLOADING)
def test_a_node_killed_with_a_large_result_on_its_way(site: MortalSite, point: str) -> None:
    node = site.nodes[0]
    node.order(point)
    task = site.create("answer", size=LARGE)
    run = site.run_of(task)["id"]
    node.died()
    node.start()
    assert site.answer(task) == "42".ljust(LARGE, ".")
    assert node.executions(run) == 1


SUBTASKS = [
    "proxy asked for a subtask",
    "proxy got a subtask",
    "proxy passed the subtask on",
]


@pytest.mark.parametrize("point", SUBTASKS)
def test_a_node_killed_while_its_proxy_makes_a_subtask(site: MortalSite, point: str) -> None:
    node = site.nodes[0]
    node.order(point)
    task = site.create("central", organization=site.organizations[0])
    node.died()
    node.start()
    assert site.answer(task) == "42"
    # What the first attempt asked for was ended when the second began, and says why.
    subtasks = site.client.task.list(parent=task)["data"]
    statuses = sorted(subtask["status"] for subtask in subtasks)
    assert statuses[0] == "completed"
    assert statuses[1:] in ([], ["killed by user"])
