"""What bad input, and bad luck, gets: a clear message at the researcher's side.

Each message names the organization and the cause; the run's status is the contract's; the
node's log has the detail, and no patient's data are in what was sent.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from demos import Demo, running_demo
from vantage6.client import Client
from vantage6.common.exceptions import (
    AuthenticationException,
    ServerUnreachableError,
    WaitTimeoutError,
)

AVERAGE = "harbor2.vantage6.ai/demo/average"
MISBEHAVING = "example.org/misbehaving"
WALL_TIME = 4


@dataclass
class Site:
    """A running demo whose nodes also know the misbehaving algorithm."""

    demo: Demo
    client: Client

    @property
    def ready(self) -> dict[str, Any]:
        return self.demo.ready

    @property
    def organizations(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ready["organizations"]
        return found

    def login(self, role: str) -> Client:
        server = self.ready["server"]
        user = next(user for user in self.ready["users"] if role in user["roles"])
        client = Client(server["url"], server["port"], server["api_path"], log_level="critical")
        client.authenticate(user["username"], user["password"])
        client.setup_encryption(None)
        return client

    def create(
        self, method: Any, organizations: list[int] | None = None, **options: Any
    ) -> dict[str, Any]:
        input_ = {"method": method, "kwargs": options.pop("kwargs", {})}
        task: dict[str, Any] = self.client.task.create(
            **{
                "collaboration": self.ready["collaboration"]["id"],
                "organizations": organizations or [self.organizations[0]["id"]],
                "name": "bad",
                "image": MISBEHAVING,
                "description": "",
                "input_": input_,
                "databases": [{"label": "default"}],
                **options,
            }
        )
        return task

    def fails(self, method: Any, **options: Any) -> tuple[str, str]:
        """Status and log of the one run of a task that fails."""
        task = self.create(method, **options)
        assert "id" in task, task
        self.client.wait_for_results(task["id"], timeout=60)
        (run,) = self.client.run.from_task(task["id"])["data"]
        log: str = run["log"]
        assert self.organizations[0]["name"] in log
        assert "Traceback" not in log
        return run["status"], log

    def node_log(self, position: int = 0) -> str:
        folder = sorted((self.demo.folder / "nodes").glob("*/"))[position]
        return "".join(path.read_text() for path in folder.glob("*.log"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_demo(tmp_path_factory.mktemp("bad"), "--nodes", "2") as demo:
        _teach(demo)
        site = Site(demo, Client("http://127.0.0.1", 1, "/api", log_level="critical"))
        site.client = site.login("Researcher")
        yield site


def _teach(demo: Demo) -> None:
    """Give the nodes the misbehaving algorithm, an empty table, and little patience."""
    for node in demo.ready["nodes"]:
        path = Path(node["config"])
        config = yaml.safe_load(path.read_text())
        empty = path.with_suffix(".empty.csv")
        empty.write_text("gender,age\n")
        config["databases"].append({"label": "empty", "uri": str(empty), "type": "csv"})
        process = config.setdefault("process", {})
        process["algorithms"] = {
            AVERAGE: {"module": "vantage6.algorithms.average"},
            MISBEHAVING: {
                "module": "misbehaving",
                "path": str(Path(__file__).parent / "algorithms"),
            },
        }
        process["limits"] = {"wall_time": WALL_TIME, "memory": "1GiB"}
        path.write_text(yaml.safe_dump(config))
    for node_id, pid in demo.ready["pids"]["nodes"].items():
        restart(demo, node_id, pid)


def restart(demo: Demo, node_id: str, pid: int) -> None:
    """Kill a node and wait until the demo has started it again."""
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while demo.ready["pids"]["nodes"][node_id] == pid:
        assert time.monotonic() < deadline, "the demo did not start the node again"
        time.sleep(0.05)


def test_a_wrong_password_is_refused(site: Site) -> None:
    server = site.ready["server"]
    client = Client(server["url"], server["port"], server["api_path"], log_level="critical")
    with pytest.raises(AuthenticationException, match="Failed to"):
        client.authenticate("root", "not the password")


def test_a_server_that_is_not_there_is_named(site: Site) -> None:
    client = Client("http://127.0.0.1", 1, "/api", log_level="critical", patience=0.5)
    with pytest.raises(ServerUnreachableError, match=r"http://127.0.0.1:1/api"):
        client.authenticate("root", "whatever")


def test_a_collaboration_that_does_not_exist_or_is_not_yours_is_refused(site: Site) -> None:
    missing = site.create("sleep", collaboration=999)
    assert "999" in missing["msg"]
    root = site.login("Root")
    alien = root.organization.create("alien", "", "", "", "", "")
    other = root.collaboration.create("not yours", [alien["id"]])
    root.node.create(collaboration=other["id"], organization=alien["id"])
    refused = site.create("sleep", [alien["id"]], collaboration=other["id"])
    assert "not a member" in refused["msg"]
    stranger = site.create("sleep", [alien["id"]])
    assert str(alien["id"]) in stranger["msg"]


def test_an_image_that_no_node_knows(site: Site) -> None:
    status, log = site.fails("central", image="example.org/unknown:1")
    assert status == "non-existing Docker image"
    assert "example.org/unknown:1" in log


def test_a_method_that_does_not_exist_lists_those_that_do(site: Site) -> None:
    status, log = site.fails("no_such_method", image=AVERAGE)
    assert status == "crashed"
    assert "no_such_method" in log
    assert "partial_average" in log


@pytest.mark.parametrize(
    ("kwargs", "says"),
    [({}, "column_name"), ({"column_name": "age", "colour": "red"}, "colour")],
)
def test_wrong_arguments_are_named(site: Site, kwargs: dict[str, Any], says: str) -> None:
    status, log = site.fails("partial_average", image=AVERAGE, kwargs=kwargs)
    assert status == "crashed"
    assert says in log


def test_a_column_that_does_not_exist(site: Site) -> None:
    status, log = site.fails("partial_average", image=AVERAGE, kwargs={"column_name": "agee"})
    assert status == "crashed"
    assert "agee" in log


def test_a_column_that_is_not_numeric(site: Site) -> None:
    status, log = site.fails("partial_average", image=AVERAGE, kwargs={"column_name": "gender"})
    assert status == "crashed"
    assert "gender" in log
    assert "numeric" in log


def test_an_empty_table(site: Site) -> None:
    status, log = site.fails(
        "partial_average",
        image=AVERAGE,
        kwargs={"column_name": "age"},
        databases=[{"label": "empty"}],
    )
    assert status == "crashed"
    assert "rows" in log or "empty" in log


def test_a_database_that_the_node_lacks(site: Site) -> None:
    status, log = site.fails(
        "partial_average",
        image=AVERAGE,
        kwargs={"column_name": "age"},
        databases=[{"label": "genome"}],
    )
    assert status == "failed"
    assert "genome" in log
    assert "default" in log


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT 'a\0b'", "'DEFAULT_QUERY' holds a zero byte"),
        (f"SELECT '{'x' * 300_000}'", "'DEFAULT_QUERY' is too long"),
    ],
)
def test_a_query_that_cannot_be_handed_over(site: Site, query: str, words: str) -> None:
    databases = [{"label": "default", "query": query}]
    status, log = site.fails("die", databases=databases)
    assert status == "failed"
    assert words in log
    assert len(log) < 1000


def test_an_error_that_quotes_data_tells_its_type_and_place_only(site: Site) -> None:
    status, log = site.fails("raise_with_data")
    assert status == "crashed"
    assert "ValueError" in log
    with open(site.ready["databases"][str(site.organizations[0]["id"])], newline="") as file:
        record = next(csv.DictReader(file))
    assert record["height"] not in log
    assert "cannot handle" not in log
    assert "cannot handle" in site.node_log()


def test_an_error_raised_on_purpose_is_told_in_full(site: Site) -> None:
    status, log = site.fails("raise_on_purpose")
    assert status == "crashed"
    assert "please choose another analysis" in log


@pytest.mark.parametrize(("method", "kwargs"), [("leave", {"code": 3}), ("die", {})])
def test_an_algorithm_that_exits(site: Site, method: str, kwargs: dict[str, Any]) -> None:
    status, log = site.fails(method, kwargs=kwargs)
    assert status == "crashed"
    assert str(kwargs.get("code", 7)) in log


def test_an_algorithm_that_never_returns_is_ended(site: Site) -> None:
    status, log = site.fails("sleep", kwargs={"seconds": 3600})
    assert status == "crashed"
    assert "longer than" in log


def test_an_algorithm_that_takes_all_memory_is_ended(site: Site) -> None:
    status, log = site.fails("exhaust_memory")
    assert status == "crashed"
    assert "memory" in log.lower()


def test_a_result_that_json_cannot_express(site: Site) -> None:
    status, log = site.fails("return_a_set")
    assert status == "crashed"
    assert "answer" in log
    assert "set" in log


def test_an_input_of_ten_megabytes(site: Site) -> None:
    task = site.create("length", kwargs={"text": "x" * 10_000_000})
    results = site.client.wait_for_results(task["id"], timeout=60)
    assert [json.loads(item["result"]) for item in results["data"]] == [10_000_000]


def test_a_task_for_an_offline_node_waits_and_says_so(site: Site) -> None:
    root = site.login("Root")
    collaboration = site.ready["collaboration"]["id"]
    absent = root.organization.create("absent hospital", "", "", "", "", "")
    root.collaboration.add_organization(absent["id"], collaboration)
    root.node.create(collaboration=collaboration, organization=absent["id"])
    task = site.create("sleep", [absent["id"]], kwargs={"seconds": 0})
    with pytest.raises(WaitTimeoutError, match=r"absent hospital: waiting.*offline"):
        site.client.wait_for_results(task["id"], timeout=2)
    assert site.client.task.get(task["id"])["status"] == "pending"
    site.login("Collaboration Admin").task.kill(task["id"])
    assert site.client.task.get(task["id"])["status"] == "killed by user"


def test_a_task_can_be_killed_while_it_runs(site: Site) -> None:
    task = site.create("sleep", kwargs={"seconds": 3})
    killer = threading.Timer(1, site.login("Collaboration Admin").task.kill, [task["id"]])
    killer.start()
    site.client.wait_for_results(task["id"], timeout=60)
    killer.join()
    assert site.client.task.get(task["id"])["status"] == "killed by user"
    (result,) = site.client.result.from_task(task["id"])["data"]
    assert not result["result"]


def test_a_node_that_dies_in_the_run_and_comes_back_ends_it_once(site: Site) -> None:
    task = site.create("sleep", kwargs={"seconds": 2})
    until_active(site, task["id"])
    organization = site.organizations[0]["id"]
    node = next(n for n in site.ready["nodes"] if n["organization_id"] == organization)
    restart(site.demo, str(node["id"]), site.ready["pids"]["nodes"][str(node["id"])])
    results = site.client.wait_for_results(task["id"], timeout=90)
    assert [json.loads(item["result"]) for item in results["data"]] == ["slept"]


def test_a_server_that_dies_in_the_middle_loses_nothing(site: Site) -> None:
    task = site.create("sleep", kwargs={"seconds": 2})
    until_active(site, task["id"])
    os.kill(site.ready["pids"]["server"], signal.SIGKILL)
    results = site.client.wait_for_results(task["id"], timeout=90)
    assert [json.loads(item["result"]) for item in results["data"]] == ["slept"]


def until_active(site: Site, task_id: int) -> None:
    deadline = time.monotonic() + 60
    while site.client.task.get(task_id)["status"] != "active":
        assert time.monotonic() < deadline
        time.sleep(0.05)
