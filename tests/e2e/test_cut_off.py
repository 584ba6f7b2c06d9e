"""A real node that is cut off, moved, woken after long, out of disk space, or there twice.

Server, node and algorithms are processes. The node reaches its server by a name, over a relay
that can be cut. Both processes ask a file how late it is, so that an hour or a month can pass.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from mortal_site import Mortal, MortalSite, mortal_site, until
from relay import Relay
from servers import free_port
from vantage6.node.decisions import entries, verify
from vantage6.node.runtimes.process import sandbox_available

pytestmark = pytest.mark.timeout(300)

NAME = "server.v6.test"
HERE, THERE = "127.0.0.2", "127.0.0.3"
HOUR, MONTH = 3600, 30 * 24 * 3600


@dataclass
class Clock:
    """What a process takes for the time: the real one, and more."""

    file: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"MORTAL_CLOCK": str(self.file)}

    def set_ahead(self, seconds: float) -> None:
        """Have somebody set the calendar; what measures durations does not notice."""
        self._write(seconds, self._read()[1])

    def let_pass(self, seconds: float) -> None:
        """Have time pass."""
        calendar, going_on = self._read()
        self._write(calendar + seconds, going_on + seconds)

    def _read(self) -> list[float]:
        return [float(each) for each in self.file.read_text().split()]

    def _write(self, calendar: float, going_on: float) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(f"{calendar} {going_on}")
        new.rename(self.file)


@dataclass
class Place:
    site: MortalSite
    relay: Relay
    hosts: Path
    disk: Path
    folder: Path
    node_clock: Clock
    server_clock: Clock

    @property
    def node(self) -> Mortal:
        return self.site.nodes[0]

    def running(self, task: int) -> int:
        """Wait until the run of a task is being executed; gives the run."""
        run: int = self.site.run_of(task)["id"]
        until(lambda: self.node.executions(run) == 1, "the run is executed")
        return run


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, lacking: Callable[[str], Any]
) -> Iterator[Place]:
    if problem := sandbox_available():
        lacking(problem)
    trial = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        check=False,
    )
    if trial.returncode != 0:
        lacking("nothing can be mounted here")
    folder = tmp_path_factory.mktemp("cut-off")
    port = free_port()
    node_clock, server_clock = (Clock(folder / f"{name}-clock") for name in ("node", "server"))
    for clock in (node_clock, server_clock):
        clock.file.write_text("0 0")
    hosts, disk = folder / "hosts", folder / "disk"
    hosts.write_text(f"127.0.0.1 localhost\n{HERE} {NAME}\n")
    disk.mkdir()
    # Names of the node's own: the machine's file stays as it is.
    own_names = ["unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts; exec "$@"']
    with ExitStack() as stack:
        mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
        subprocess.run(mount, check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
        relay = stack.enter_context(Relay("127.0.0.1", port, at=(HERE, port)))
        site = stack.enter_context(
            mortal_site(
                folder,
                port=port,
                server_environment=server_clock.environment,
                node_environment=node_clock.environment,
                node_prefix=[*own_names, "sh"],
                server_url=f"http://{NAME}",
                state_dir=str(disk / "state"),
            )
        )
        yield Place(site, relay, hosts, disk, folder, node_clock, server_clock)


@pytest.mark.parametrize("how", ["cut", "hush"])
def test_a_network_that_is_cut_for_seconds(place: Place, how: str) -> None:
    task = place.site.create("answer", seconds=1.0)
    run = place.running(task)
    getattr(place.relay, how)()
    time.sleep(3.0)  # it ends meanwhile
    assert place.site.run_of(task)["status"] == "active"
    place.relay.mend()
    assert place.site.answer(task) == "42"
    assert place.node.executions(run) == 1


@pytest.mark.parametrize("seconds", [HOUR, MONTH], ids=["an hour", "a month"])
def test_a_network_that_is_gone_for_long(place: Place, seconds: float) -> None:
    """After a month neither the node's access token nor its refresh token is worth anything."""
    site = place.site
    task = site.create("answer", seconds=1.0)
    run = place.running(task)
    place.relay.hush()
    until(lambda: f"run {run}: ended" in place.node.output, "the algorithm has ended")
    refused = place.node.output.count("Websocket connection established")
    for clock in (place.node_clock, place.server_clock):
        clock.let_pass(seconds)
    time.sleep(1.0)
    place.relay.mend()
    site.log_in_again()
    assert site.answer(task) == "42"
    assert place.node.executions(run) == 1
    # It listens again too.
    until(
        lambda: place.node.output.count("Websocket connection established") > refused,
        "the node listens",
    )
    assert site.answer(site.create("answer")) == "42"


@pytest.mark.parametrize("days", [-400, 400])
def test_a_clock_that_is_set_while_an_algorithm_runs(place: Place, days: int) -> None:
    task = place.site.create("answer", seconds=1.0)
    run = place.running(task)
    place.node_clock.set_ahead(days * 24 * 3600)
    assert place.site.answer(task) == "42"
    assert place.node.executions(run) == 1
    assert place.site.answer(place.site.create("answer")) == "42"
    place.node_clock.set_ahead(0)
    decisions = place.disk / "state" / "decisions"
    assert not verify(decisions).flaws
    (ended,) = (e for e in entries(decisions) if e["event"] == "ended" and e["run"] == run)
    assert ended["seconds"] >= 0


def test_a_server_that_comes_back_at_another_address_of_its_name(place: Place) -> None:
    """The old address answers nothing any more, as that of a machine that is gone."""
    site = place.site
    task = site.create("answer", seconds=1.0)
    run = place.running(task)
    place.relay.hush()
    site.server.kill()
    with Relay("127.0.0.1", site.port, at=(THERE, site.port)):
        # In place: the node has the file mounted.
        place.hosts.write_text(f"127.0.0.1 localhost\n{THERE} {NAME}\n")
        site.server.start()
        for clock in (place.node_clock, place.server_clock):
            clock.let_pass(120.0)  # longer than anybody waits for an answer
        assert site.answer(task) == "42"
        assert place.node.executions(run) == 1
        site.online()
        assert site.answer(site.create("answer")) == "42"
        place.hosts.write_text(f"127.0.0.1 localhost\n{HERE} {NAME}\n")
        place.relay.mend()
    assert site.answer(site.create("answer")) == "42"


def test_a_full_disk_holds_a_run_up_and_its_researcher_is_told_why(place: Place) -> None:
    site = place.site
    hog = place.disk / "hog"
    fill(hog)
    task = site.create("answer")
    told = "the node cannot accept the run: its disk is full"
    until(lambda: told in (site.run_of(task)["log"] or ""), "the researcher is told")
    assert site.run_of(task)["status"] == "pending"
    hog.unlink()
    assert site.answer(task) == "42"
    assert told not in site.run_of(task)["log"]


def fill(hog: Path) -> None:
    """Write a file until not a byte more can be written anywhere."""

    def write_on() -> None:
        while True:
            file.write(b"x" * 4096)

    with hog.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        write_on()


def another_with_the_same_key(place: Place, name: str) -> Mortal:
    folder = place.folder / name
    folder.mkdir()
    config = yaml.safe_load(place.site.configs[0].read_text())
    config |= {"state_dir": str(folder / "state"), "server_url": "http://127.0.0.1"}
    path = folder / "node.yaml"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return Mortal(["node", "start", "-c", str(path)], folder / "process").start()


def test_a_second_node_with_the_same_key_is_told(place: Place) -> None:
    site, second = place.site, another_with_the_same_key(place, "second")
    told = "Another node is connected to the server with this node's API key"
    try:
        for node in (second, place.node):
            until(lambda node=node: told in node.output, "it is told")
        assert second.end() == 0
    finally:
        second.clear_away()
    until(lambda: "is gone from the server" in place.node.output, "the first is told of the end")
    # The first goes on alone, and whatever the second took is executed anew.
    assert site.answer(site.create("answer")) == "42"


def test_two_nodes_with_the_same_key_never_execute_the_same_run(place: Place) -> None:
    """Nor is anything lost: what the second had begun when it was killed is begun anew."""
    site, twin = place.site, another_with_the_same_key(place, "twin")
    try:
        until(lambda: "Another node is connected" in twin.output, "it is told")
        twin.order("stop: accepted")
        began = site.create("answer", seconds=4.0)
        run = site.run_of(began)["id"]
        twin.stopped()
        until(lambda: place.node.executions(run), "the first executes it")
        twin.go_on()
        until(lambda: "it is left to that one" in twin.output, "the second leaves it alone")
        tasks = [site.create("answer", seconds=0.2) for _ in range(12)]
        assert site.answer(began) == "42"
        assert [site.answer(task) for task in tasks] == ["42"] * len(tasks)
        runs = [run, *(site.run_of(task)["id"] for task in tasks)]
        assert [place.node.executions(each) + twin.executions(each) for each in runs] == [1] * 13
        # One that the second has begun, and will not end.
        while True:
            last = site.create("answer", seconds=3.0)
            run = site.run_of(last)["id"]
            until(lambda run=run: place.node.executions(run) + twin.executions(run), "it is begun")
            if twin.executions(run):
                break
        twin.kill()
        assert site.answer(last) == "42"
        assert place.node.executions(run) == 1
    finally:
        twin.clear_away()
