"""The unmodified upstream node at our server, beside nodes of ours in the same collaboration.

And an algorithm on upstream's tools, unmodified too, at all of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
import pytest

import servers
from network_site import Network, Site, make_network
from nodes import our_node
from peers import PeerUnavailable
from upstream_node import UpstreamNode, upstream_node
from vantage6.client import Client

# Making the environment and the images counts as part of the first test.
pytestmark = [pytest.mark.peer, pytest.mark.long, pytest.mark.timeout(600)]

AVERAGE = "example.org/average"
MISBEHAVING = "example.org/misbehaving"
SETTING = {"algorithm_env": {"SETTING": "at this site"}}


@dataclass
class Mixed:
    """A collaboration whose first node is upstream's; the other two are ours."""

    folder: Path
    #: Servers, each in the place of the one before.
    started: list[servers.Process]
    network: Network
    client: Client
    theirs: UpstreamNode

    def restart_server(self, **keys: Any) -> None:
        """Stop the server, and start it with other keys in its configuration."""
        former = self.started[-1]
        former.end()
        self.started.append(start_server(self.folder, port=former.port, **keys).until_ready())
        self.client = self.network.log_in()

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


def start_server(folder: Path, **keys: Any) -> servers.Process:
    """One that containers can reach."""
    uri = f"sqlite:///{folder / 'server.sqlite'}"
    return servers.start(folder, uri, ip="0.0.0.0", **keys)  # noqa: S104


@pytest.fixture(
    scope="module",
    params=[pytest.param(False, id="plain"), pytest.param(True, id="encrypted")],
)
def mixed(
    request: pytest.FixtureRequest,
    engine: str,
    lacking: Callable[[str], NoReturn],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mixed]:
    folder = tmp_path_factory.mktemp("mixed")
    started = [start_server(folder)]

    def end_server() -> None:
        started[-1].end()

    with ExitStack() as stack:
        # After the nodes.
        stack.callback(end_server)
        started[0].until_ready()
        port = started[0].port
        network = make_network(folder, port, servers.PASSWORD, encrypted=request.param, sites=3)
        first, *others = network.sites
        for site in others:
            name = f"ours-{site.node}"
            stack.enter_context(
                our_node(folder, network, site, name=name, engine=engine, **SETTING)
            )
        # It would rather pull images, from where there are none.
        policies = {"require_algorithm_pull": False}
        try:
            theirs = stack.enter_context(
                upstream_node(engine, folder, network, first, policies=policies, **SETTING)
            )
        except PeerUnavailable as error:
            lacking(f"the upstream node cannot be installed: {error}")
        yield Mixed(folder, started, network, network.log_in(), theirs)


def test_all_nodes_give_the_shares_of_their_tables(mixed: Mixed) -> None:
    frames = [site.frame for site in mixed.network.sites]
    results = mixed.run("partial_average", mixed.network.sites, column_name="age")
    shares = [{"sum": float(frame["age"].sum()), "count": len(frame)} for frame in frames]
    assert results == shares


@pytest.mark.parametrize(
    "centre", [pytest.param(0, id="centre at theirs"), pytest.param(1, id="centre at ours")]
)
def test_a_central_function_at_either_kind_of_node_asks_all(mixed: Mixed, centre: int) -> None:
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


@pytest.mark.parametrize(
    ("centre", "asked"),
    [(1, [1, 2]), (1, [0, 1, 2]), (0, [1, 2])],
    ids=["among ours", "from ours to all", "from theirs to ours"],
)
def test_an_algorithm_on_upstreams_tools(
    mixed: Mixed, upstream_image: str, centre: int, asked: list[int]
) -> None:
    sites = mixed.network.sites
    (result,) = mixed.run(
        "central",
        [sites[centre]],
        upstream_image,
        column="age",
        organizations=[sites[each].organization for each in asked],
    )
    pooled = pd.concat([sites[each].frame for each in asked])
    assert result["mean"] == pytest.approx(pooled["age"].mean(), rel=1e-12)
    assert result["shares"] == len(asked)


def test_what_an_algorithm_on_upstreams_tools_can_ask(mixed: Mixed, upstream_image: str) -> None:
    network = mixed.network
    _, second, third = network.sites
    (seen,) = mixed.run("look_around", [second], upstream_image, organization=third.organization)
    where = {
        "organization": third.organization,
        "collaboration": network.collaboration,
        "note": "kept for the job",
        "setting": "at this site",
    }
    assert seen == {
        "where": where,
        "task": "completed",
        "run": "completed",
        "result": where,
        "collaboration": "encrypted" if network.encrypted else "plain",
        "organization": third.name,
        "organizations": [site.name for site in network.sites],
        "studies": [],
        "mine": second.organization,
    }


def test_an_algorithm_on_upstreams_tools_that_fails(mixed: Mixed, upstream_image: str) -> None:
    task = mixed.create("fail", mixed.network.sites[1:2], upstream_image)
    mixed.client.wait_for_results(task)
    (run,) = mixed.client.run.from_task(task)["data"]
    assert run["status"] == "crashed"
    assert "the moon is in the wrong house" in run["log"]


def test_it_comes_back_to_a_server_that_was_started_again(mixed: Mixed) -> None:
    # Its token is worth nothing any more, which the server has to tell it.
    mixed.restart_server(jwt_secret_key="another secret of sufficient length")
    first = mixed.network.sites[0]
    frame = first.frame
    results = mixed.run("partial_average", [first], column_name="age")
    assert results == [{"sum": float(frame["age"].sum()), "count": len(frame)}]
    _until(lambda: mixed.client.node.get(first.node)["status"] == "online", mixed)


def _until(condition: Callable[[], Any], mixed: Mixed) -> Any:
    deadline = time.monotonic() + 120
    while not (found := condition()):
        assert time.monotonic() < deadline, mixed.theirs.log[-3000:]
        time.sleep(0.2)
    return found
