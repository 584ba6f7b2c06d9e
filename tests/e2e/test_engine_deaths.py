"""A real Docker engine that is killed, or hangs, while a node is at each step of a run's life.

The node is stopped at the step (SIGSTOP), the engine is killed and started again, and the node goes
on. The algorithm is a shell in an image of a few megabytes; it waits for a file in its database.
"""

from __future__ import annotations

import io
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mortal_site import PATIENT, MortalSite, mortal_site, until
from own_engine import OwnEngine

pytestmark = pytest.mark.timeout(300)

SCRIPT = """
echo at work
until [ -e /mnt/gate/open ]; do sleep 0.1; done
for folder in /mnt/data/task-*; do printf '"42"' > "$folder/output"; done
"""


@dataclass
class Place:
    site: MortalSite
    engine: OwnEngine
    gate: Path

    def create(self) -> int:
        """A task whose algorithm waits until the gate is opened."""
        self.gate.unlink(missing_ok=True)
        return self.site.create("any", databases=[{"label": "gate"}])

    def restart_engine(self) -> None:
        self.engine.send(signal.SIGKILL)
        assert self.engine.start() == ""

    def ends(self, task: int) -> dict[str, Any]:
        """The run of a task when it has ended."""
        self.site.client.wait_for_results(task, timeout=120)
        return self.site.run_of(task)

    def starts(self, run: int) -> int:
        """How often the engine started a container of a run, by its own account."""
        client = self.engine.client()
        try:
            wanted = {"type": "container", "event": "start", "label": f"run_id={run}"}
            until_now = int(time.time()) + 1
            return len(list(client.events(since=1, until=until_now, filters=wanted)))
        finally:
            client.close()

    def nothing_is_left(self) -> None:
        """No container but the one that is kept ready for the next run."""
        client = self.engine.client()
        try:
            until(lambda: len(client.containers(all=True)) <= 1, "containers are removed")
        finally:
            client.close()


def small_root() -> bytes:
    """A root file system with a shell and what the script calls."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        wanted = {"/bin/sh", "/bin/sleep"}
        for program in tuple(wanted):
            told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
            wanted |= {word for word in told.stdout.split() if word.startswith("/")}
        for name in sorted(wanted):
            archive.add(Path(name).resolve(), name.lstrip("/"))
        for name in ("mnt", "tmp", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
    return content.getvalue()


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, lacking: Callable[[str], Any]
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("engine-deaths")
    with OwnEngine() as engine:
        if problem := engine.start():
            lacking(problem)
        client = engine.client()
        client.import_image_from_data(small_root(), repository=f"{PATIENT}-small")
        container = client.create_container(f"{PATIENT}-small", ["/bin/sh", "-c", SCRIPT])
        client.commit(container["Id"], repository=PATIENT, tag="latest")
        client.remove_container(container["Id"])
        client.close()
        gate = folder / "gate" / "open"
        gate.parent.mkdir()
        with mortal_site(
            folder,
            runtime="docker",
            docker={"host": engine.host, "pull": "missing"},
            databases=[{"label": "gate", "uri": str(gate.parent), "type": "folder"}],
        ) as site:
            yield Place(site, engine, gate)


def _long(*points: str) -> list[Any]:
    return [pytest.param(point, marks=pytest.mark.long) for point in points]


#: Each takes a restart of the engine, some twenty seconds.
BEFORE_IT_RUNS = [
    *("claimed", "container made"),
    *_long("offered", "prepared", "container image checked"),
]
AFTER_IT_RAN = [
    "container ended",
    *_long("judged", "result noted", "being delivered", "cleaned up"),
]


@pytest.mark.parametrize("point", BEFORE_IT_RUNS)
def test_an_engine_killed_before_the_algorithm_runs(place: Place, point: str) -> None:
    node = place.site.nodes[0]
    node.order(f"stop: {point}")
    task = place.create()
    node.stopped()
    place.restart_engine()
    node.go_on()
    place.gate.touch()
    run = place.ends(task)
    assert run["status"] == "completed", run
    place.nothing_is_left()


def test_an_engine_killed_with_a_running_algorithm(place: Place) -> None:
    task = place.create()
    until(lambda: "at work" in (place.site.run_of(task)["log"] or ""), "it runs")
    place.restart_engine()
    run = place.ends(task)
    assert run["status"] == "crashed"
    assert "the container engine ended while it ran" in run["log"]
    place.nothing_is_left()


@pytest.mark.parametrize("point", AFTER_IT_RAN)
def test_an_engine_killed_after_the_algorithm_ran(place: Place, point: str) -> None:
    node = place.site.nodes[0]
    node.order(f"stop: {point}")
    task = place.create()
    place.gate.touch()
    node.stopped()
    place.restart_engine()
    node.go_on()
    run = place.ends(task)
    assert run["status"] == "completed", run
    assert place.site.answer(task) == "42"
    place.nothing_is_left()


def test_an_engine_that_is_away_when_a_run_is_to_start(place: Place) -> None:
    place.engine.send(signal.SIGKILL)
    task = place.create()
    place.gate.touch()
    told = "it waits: the container engine does not answer"
    until(lambda: told in (place.site.run_of(task)["log"] or ""), "the researcher is told")
    assert place.engine.start() == ""
    assert place.ends(task)["status"] == "completed"
    assert told not in place.site.run_of(task)["log"]
    place.nothing_is_left()


def test_an_engine_that_hangs_with_a_running_algorithm(place: Place) -> None:
    """One run waits it out, another is killed meanwhile: neither holds up anything."""
    first = place.create()
    until(lambda: "at work" in (place.site.run_of(first)["log"] or ""), "it runs")
    place.engine.send(signal.SIGSTOP)
    place.gate.touch()
    time.sleep(1.0)
    assert place.site.run_of(first)["status"] == "active"
    second = place.site.create("any", databases=[{"label": "gate"}])
    place.site.root.task.kill(second)
    until(lambda: place.site.run_of(second)["status"] == "killed by user", "it is killed")
    place.engine.send(signal.SIGCONT)
    assert place.ends(first)["status"] == "completed"
    place.nothing_is_left()


def hang_during_a_start(place: Place) -> tuple[int, int]:
    """A task, and its run, whose container the engine is asked to start when it hangs."""
    node = place.site.nodes[0]
    node.order("stop: container made")
    task = place.create()
    run = place.site.run_of(task)["id"]
    node.stopped()
    place.engine.send(signal.SIGSTOP)
    node.go_on()
    return task, run


def test_a_run_that_is_killed_while_the_engine_hangs_during_its_start(place: Place) -> None:
    """The node does not wait for the engine, and the algorithm never runs unseen."""
    task, run = hang_during_a_start(place)
    time.sleep(1.0)
    place.site.root.task.kill(task)
    until(lambda: not place.site.runs_left(), "the node is done with it", seconds=20)
    place.engine.send(signal.SIGCONT)
    place.nothing_is_left()
    assert place.starts(run) <= 1
    assert place.site.run_of(task)["status"] == "killed by user"


def test_an_engine_that_hangs_during_the_start_of_a_run(place: Place) -> None:
    task, run = hang_during_a_start(place)
    time.sleep(3.0)
    place.gate.touch()
    place.engine.send(signal.SIGCONT)
    assert place.ends(task)["status"] == "completed"
    assert place.starts(run) == 1
    place.nothing_is_left()


@pytest.mark.long
def test_a_kill_while_the_engine_hangs_is_acknowledged(place: Place) -> None:
    task = place.create()
    until(lambda: "at work" in (place.site.run_of(task)["log"] or ""), "it runs")
    place.engine.send(signal.SIGSTOP)
    place.site.root.task.kill(task)
    until(lambda: not place.site.runs_left(), "the node is done with it", seconds=45)
    place.site.online()
    assert "is to be ended, but the container engine does not answer" in place.site.nodes[0].output
    place.engine.send(signal.SIGCONT)
    place.nothing_is_left()


@pytest.mark.long
def test_a_node_that_is_stopped_while_the_engine_hangs(place: Place) -> None:
    """It ends in time, does not start without an engine, and runs anew what it ended itself."""
    node = place.site.nodes[0]
    task = place.create()
    until(lambda: "at work" in (place.site.run_of(task)["log"] or ""), "it runs")
    place.engine.send(signal.SIGSTOP)
    began = time.monotonic()
    assert node.end() == 0
    assert time.monotonic() - began < 55, "the CLI waits for a minute"
    began = time.monotonic()
    assert node.start().ended_with() == 1
    assert time.monotonic() - began < 40
    assert "does not answer within 20 seconds" in node.output
    assert "Traceback" not in node.output
    place.engine.send(signal.SIGCONT)
    place.gate.touch()
    node.start()
    assert place.ends(task)["status"] == "completed"
    assert place.starts(place.site.run_of(task)["id"]) == 2
    place.nothing_is_left()


@pytest.mark.long
def test_a_node_that_is_killed_while_the_engine_hangs(place: Place) -> None:
    node = place.site.nodes[0]
    task = place.create()
    until(lambda: "at work" in (place.site.run_of(task)["log"] or ""), "it runs")
    place.engine.send(signal.SIGSTOP)
    node.kill()
    node.start()
    time.sleep(2.0)
    place.engine.send(signal.SIGCONT)
    until(lambda: place.site.root.node.list(is_online=True, per_page=10), "it is back")
    place.gate.touch()
    assert place.ends(task)["status"] == "completed"
    assert place.starts(place.site.run_of(task)["id"]) == 1
    place.nothing_is_left()
