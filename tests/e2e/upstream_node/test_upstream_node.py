"""The unmodified upstream node at our server, beside a node of ours in the same collaboration."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest

import servers
from network_site import Network, Site, make_network
from nodes import our_node
from peers import PeerUnavailable
from upstream_node import UpstreamNode, upstream_node
from vantage6.client import Client

# Making the environment and the images counts as part of the first test.
pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

AVERAGE = "example.org/average"
MISBEHAVING = "example.org/misbehaving"


@dataclass(frozen=True)
class Mixed:
    """A collaboration whose first node is upstream's and whose second is ours."""

    network: Network
    client: Client
    theirs: UpstreamNode

    def run(self, method: str, at: list[Site], image: str = AVERAGE, **kwargs: Any) -> list[Any]:
        """Results of a task, in the order of the sites."""
        task = self.create(method, at, image, **kwargs)
        results = self.client.wait_for_results(task)["data"]
        runs = self.client.run.from_task(task)["data"]
        told = [(run["status"], run["log"]) for run in runs]
        assert [run["status"] for run in runs] == ["completed"] * len(at), told
        return [json.loads(result["result"]) for result in results]

    def create(self, method: str, at: list[Site], image: str = AVERAGE, **kwargs: Any) -> int:
        """A new task; gives its id."""
        task = self.client.task.create(
            collaboration=self.network.collaboration,
            organizations=[site.organization for site in at],
            name=method,
            image=image,
            description="",
            input_={"method": method, "args": [], "kwargs": kwargs},
            databases=[{"label": "default"}],
        )
        assert "id" in task, task
        return int(task["id"])


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "encrypted"])
def mixed(
    request: pytest.FixtureRequest,
    engine: str,
    lacking: Callable[[str], NoReturn],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mixed]:
    folder = tmp_path_factory.mktemp("mixed")
    with servers.start(folder, f"sqlite:///{folder / 'server.sqlite'}", ip="0.0.0.0") as server:  # noqa: S104
        network = make_network(folder, server.port, servers.PASSWORD, encrypted=request.param)
        first, second = network.sites
        # It would rather pull the image, from where there is none.
        policies = {"require_algorithm_pull": False}
        try:
            with (
                our_node(folder, network, second, name="ours", engine=engine),
                upstream_node(engine, folder, network, first, policies=policies) as theirs,
            ):
                yield Mixed(network, network.log_in(), theirs)
        except PeerUnavailable as error:
            lacking(f"the upstream node cannot be installed: {error}")


def test_both_nodes_give_the_shares_of_their_tables(mixed: Mixed) -> None:
    frames = [site.frame for site in mixed.network.sites]
    results = mixed.run("partial_average", mixed.network.sites, column_name="age")
    shares = [{"sum": float(frame["age"].sum()), "count": len(frame)} for frame in frames]
    assert results == shares


@pytest.mark.parametrize("centre", [0, 1], ids=["centre at theirs", "centre at ours"])
def test_a_central_function_at_either_node_asks_both(mixed: Mixed, centre: int) -> None:
    at = [mixed.network.sites[centre]]
    (result,) = mixed.run("central_average", at, column_name="age")
    assert result["average"] == pytest.approx(mixed.network.pooled["age"].mean(), rel=1e-12)


def test_it_tells_what_it_offers(mixed: Mixed) -> None:
    node = mixed.client.node.get(mixed.network.sites[0].node)
    told = {(row["key"], row["value"]) for row in node["config"]}
    assert {("database_labels", "default"), ("db_type_default", "csv")} <= told
    assert {("columns_default", "age"), ("columns_default", "ward")} <= told


def test_it_stops_a_run_that_is_killed(mixed: Mixed) -> None:
    task = mixed.create("sleep", mixed.network.sites[:1], MISBEHAVING, seconds=300)
    (run,) = _until(
        lambda: [
            run
            for run in mixed.client.run.from_task(task)["data"]
            # Its words arrive while it runs.
            if run["status"] == "active" and "sleeping 300" in (run["log"] or "")
        ],
        mixed,
    )
    assert len(mixed.theirs.algorithms()) == 1
    mixed.client.task.kill(task)
    _until(lambda: mixed.theirs.algorithms() == [], mixed)
    assert mixed.client.run.get(run["id"])["status"] == "killed by user"


def test_it_reports_an_algorithm_that_crashed(mixed: Mixed) -> None:
    task = mixed.create("raise_on_purpose", mixed.network.sites[:1], MISBEHAVING)
    mixed.client.wait_for_results(task)
    (run,) = mixed.client.run.from_task(task)["data"]
    assert run["status"] == "crashed"
    assert "please choose another analysis" in run["log"]


def _until(condition: Callable[[], Any], mixed: Mixed) -> Any:
    deadline = time.monotonic() + 120
    while not (found := condition()):
        assert time.monotonic() < deadline, mixed.theirs.log[-3000:]
        time.sleep(0.2)
    return found
