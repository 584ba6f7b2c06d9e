"""Our node, with both runtimes, at the unmodified upstream server; with its client and ours."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import docker
import pytest

from listener import connected
from network_site import RESEARCHER, Network, Site, connect, make_network
from nodes import our_node
from peers import PeerUnavailable, peer_python, upstream_server

# Making the environments and the images counts as part of the first test.
pytestmark = [pytest.mark.peer, pytest.mark.long, pytest.mark.timeout(600)]

CREATE = Path(__file__).parent / "create_task.py"
AVERAGE = "example.org/average"
MISBEHAVING = "example.org/misbehaving"
ALGORITHMS = Path(__file__).parents[1] / "algorithms"
CLIENTS = ["their client", "our client"]


@dataclass(frozen=True)
class Elsewhere:
    """A collaboration at an upstream server, with a node of processes and one of containers."""

    network: Network
    pythons: dict[str, str]
    engine: str
    logs: list[Path]

    @property
    def sites(self) -> list[Site]:
        return self.network.sites

    def run(self, client: str, method: str, at: list[Site], **options: Any) -> list[dict[str, Any]]:
        """What came of a task, by organization: its run with its result as ``result``."""
        arguments = self.arguments(method, at, **options)
        done = subprocess.run(
            [
                *(self.pythons[client], str(CREATE)),
                *(json.dumps(self.network.to_json()), json.dumps(arguments)),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said = "\n".join([done.stdout, done.stderr, *(path.read_text() for path in self.logs)])
        assert done.returncode == 0, said
        answer = json.loads(done.stdout.splitlines()[-1])
        results = {each["run"]["id"]: each["result"] for each in answer["results"]}
        runs = {run["organization"]["id"]: run for run in answer["runs"]}
        for run in runs.values():
            text = results[run["id"]]
            run["result"] = json.loads(text) if text else None
        return [runs[site.organization] for site in at]

    def arguments(
        self, method: str, at: list[Site], image: str = AVERAGE, **kwargs: Any
    ) -> dict[str, Any]:
        """Those of ``task.create``, the collaboration excepted."""
        return {
            "organizations": [site.organization for site in at],
            "name": method,
            "image": image,
            "description": "",
            "input_": {"method": method, "args": [], "kwargs": kwargs},
            "databases": [{"label": "default"}],
        }


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "encrypted"])
def elsewhere(
    request: pytest.FixtureRequest,
    engine: str,
    lacking: Callable[[str], NoReturn],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Elsewhere]:
    folder = tmp_path_factory.mktemp("elsewhere")
    algorithms = {
        AVERAGE: {"module": "vantage6.algorithms.average"},
        MISBEHAVING: {"module": "misbehaving", "path": str(ALGORITHMS)},
    }
    with ExitStack() as stack:
        try:
            theirs = peer_python("vantage6-client==4.15.2")
            server = stack.enter_context(upstream_server(folder))
        except PeerUnavailable as error:
            lacking(f"the upstream server cannot be run: {error}")
        network = make_network(folder, server.port, "root", encrypted=request.param)
        first, second = network.sites
        process = {"algorithms": algorithms}
        options: list[tuple[Site, str, dict[str, Any]]] = [
            (first, "processes", {"process": process}),
            (second, "containers", {"engine": engine}),
        ]
        logs = [
            stack.enter_context(our_node(folder, network, site, name=name, **keys))
            for site, name, keys in options
        ]
        pythons = {"their client": str(theirs), "our client": sys.executable}
        yield Elsewhere(network, pythons, engine, logs)


@pytest.mark.parametrize("client", CLIENTS)
def test_both_nodes_give_the_shares_of_their_tables(elsewhere: Elsewhere, client: str) -> None:
    runs = elsewhere.run(client, "partial_average", elsewhere.sites, column_name="age")
    assert [run["status"] for run in runs] == ["completed"] * 2, runs
    frames = [site.frame for site in elsewhere.sites]
    shares = [{"sum": float(frame["age"].sum()), "count": len(frame)} for frame in frames]
    assert [run["result"] for run in runs] == shares
    for run in runs:
        assert "Computing sum and count of column 'age'" in run["log"]
        assert run["assigned_at"] <= run["finished_at"]
        assert run["started_at"] <= run["finished_at"]


@pytest.mark.parametrize("centre", [0, 1], ids=["processes", "containers"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_central_function_asks_both(elsewhere: Elsewhere, client: str, centre: int) -> None:
    at = [elsewhere.sites[centre]]
    (run,) = elsewhere.run(client, "central_average", at, column_name="age")
    assert run["status"] == "completed", run
    mean = elsewhere.network.pooled["age"].mean()
    assert run["result"]["average"] == pytest.approx(mean, rel=1e-12)


def test_an_algorithm_that_crashes_and_one_that_is_not_there(elsewhere: Elsewhere) -> None:
    site = elsewhere.sites[:1]
    (run,) = elsewhere.run("our client", "raise_on_purpose", site, image=MISBEHAVING)
    assert run["status"] == "crashed"
    assert "please choose another analysis" in run["log"]
    (run,) = elsewhere.run("our client", "anything", site, image="example.org/unknown")
    assert run["status"] == "non-existing Docker image"


@pytest.mark.parametrize("at", [0, 1], ids=["processes", "containers"])
def test_a_run_is_watched_and_killed(elsewhere: Elsewhere, at: int) -> None:
    network, site = elsewhere.network, elsewhere.sites[at]
    client = network.log_in()
    with listening(elsewhere) as heard:
        arguments = elsewhere.arguments("sleep", [site], image=MISBEHAVING, seconds=300)
        task = client.task.create(collaboration=network.collaboration, **arguments)
        assert heard("new_task") == {"id": task["id"], "parent_id": None}
        told = heard("algorithm_status_change")
        (run,) = client.run.from_task(task["id"])["data"]
        expected = {
            "status": "active",
            "run_id": run["id"],
            "task_id": task["id"],
            "job_id": task["job_id"],
            "collaboration_id": network.collaboration,
            "node_id": site.node,
            "organization_id": site.organization,
            "parent_id": None,
        }
        assert told == expected
        # Its words arrive while it runs.
        words = ""
        while "sleeping 300 seconds" not in words:
            line = heard("algorithm_log")
            assert (line["run_id"], line["task_id"]) == (run["id"], task["id"])
            words += line["log"]
        client.task.kill(task["id"])
        assert heard("algorithm_status_change") == {**expected, "status": "killed by user"}
    assert client.run.get(run["id"])["status"] == "killed by user"
    if at == 1:
        deadline = time.monotonic() + 60
        while left := containers(elsewhere.engine, run["id"]):
            assert time.monotonic() < deadline, left
            time.sleep(0.2)


def containers(engine: str, run: int) -> list[str]:
    """Those of a run of the node named ``containers``."""
    client = docker.APIClient(base_url=engine, version="auto", timeout=60)
    labels = ["vantage6-type=algorithm", "node=containers", f"run_id={run}"]
    try:
        found = client.containers(all=True, filters={"label": labels})
    finally:
        client.close()
    return [name for each in found for name in each["Names"]]


@contextmanager
def listening(elsewhere: Elsewhere) -> Iterator[Callable[[str], Any]]:
    """A function that waits for an event at the user's socket, and gives its data."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def do(work: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, loop)
        return future.result(130)

    try:
        port = elsewhere.network.port
        token = connect(port, *RESEARCHER).token
        context = connected(f"http://127.0.0.1:{port}", token)
        listener = do(context.__aenter__())

        def heard(event: str) -> Any:
            try:
                return do(listener.until(event, 120))
            except TimeoutError:
                said = "\n".join(path.read_text()[-3000:] for path in elsewhere.logs)
                pytest.fail(f"no {event}, but {listener.heard}; the nodes say:\n{said}")

        try:
            yield heard
        finally:
            do(context.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
