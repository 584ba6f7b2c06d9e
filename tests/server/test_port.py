"""``/port`` and ``/vpn``: what algorithms may listen at, and who may know."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from vantage6.server.model.tables import AlgorithmPort


class Job:
    """A task at two nodes with a parent and a child, each run with one labelled port."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.one, self.two = server.organization(), server.organization()
        self.together = server.collaboration(self.one, self.two)
        self.node = server.node(self.one, self.together, ip="10.76.0.1")
        self.other_node = server.node(self.two, self.together, ip="10.76.0.2")
        self.parent = server.task(self.together, self.one, runs={self.one: "active"})
        self.task = server.task(
            self.together,
            self.one,
            runs={self.one: "active", self.two: "active"},
            parent_id=self.parent,
        )
        self.child = server.task(
            self.together, self.one, runs={self.two: "active"}, parent_id=self.task
        )
        self.run, self.other_run = server.runs(self.task)
        for number, run in enumerate(
            (self.run, self.other_run, *server.runs(self.parent), *server.runs(self.child))
        ):
            server.port(run, 8001 + number, label="odd" if number % 2 else "even")
        self.container = server.container(self.node, self.one, self.together, self.task)

    def ports(self, **params: Any) -> list[int]:
        """Ports of the addresses that the container is told."""
        answer = self.container.get("/vpn/algorithm/addresses", **params)
        assert answer.status_code == 200, answer.text
        return [address["port"] for address in answer.json()["addresses"]]


@pytest.fixture(scope="module")
def shared_job(shared_server: Any) -> Job:
    return Job(shared_server)


def test_a_node_registers_and_withdraws_the_ports_of_its_run(server: Any) -> None:
    job = Job(server)
    run = server.runs(server.task(job.together, job.one, runs={job.one: "active"}))[0]
    made = job.node.post("/port", port=9000, run_id=run, label="com")
    assert made.status_code == 201
    unlabelled = job.node.post("/port", port=9001, run_id=run, label=None)
    assert unlabelled.json() == {"id": unlabelled.json()["id"], "port": 9001, "label": None}
    ports = [made.json(), unlabelled.json()]
    assert made.json() == {"id": ports[0]["id"], "port": 9000, "label": "com"}
    assert job.node.get(f"/run/{run}").json()["ports"] == ports
    listed = {item["id"]: item["ports"] for item in job.node.get("/run").json()["data"]}
    assert listed[run] == ports
    assert job.node.ids("/run", port=9001) == [run]
    assert job.node.delete("/port", params={"run_id": run}).status_code == 200
    assert job.node.get(f"/run/{run}").json()["ports"] == []
    # Before there are any and after there were: the node asks so each time.
    assert job.node.delete("/port", params={"run_id": run}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"port": 80},
        {"run_id": 1},
        {"port": 0, "run_id": 1},
        {"port": 65536, "run_id": 1},
        {"port": 80, "run_id": 1, "label": "x" * 129},
        {"port": 80, "run_id": 1, "more": 1},
    ],
)
def test_a_port_that_is_none_is_refused(shared_job: Job, body: Any) -> None:
    answer = shared_job.node.post("/port", **body)
    assert answer.status_code == 400
    assert answer.json()["errors"]


def test_ports_of_another_nodes_run_are_out_of_reach(server: Any) -> None:
    job = Job(server)
    assert job.node.post("/port", port=9000, run_id=job.other_run).status_code == 401
    assert job.node.delete("/port", params={"run_id": job.other_run}).status_code == 401
    # Neither of a run of the own organization in another collaboration.
    elsewhere = server.collaboration(job.one)
    run = server.runs(server.task(elsewhere, job.one, runs={job.one: "active"}))[0]
    assert job.node.post("/port", port=9000, run_id=run).status_code == 401
    assert job.node.post("/port", port=9000, run_id=999999).status_code == 404
    assert job.node.delete("/port", params={"run_id": 999999}).status_code == 404
    assert job.node.delete("/port").status_code == 400


def test_ports_go_with_their_run(server: Any) -> None:
    job = Job(server)
    root = server.root(job.one)
    assert root.delete(f"/task/{job.task}").status_code == 200
    assert server.rows(select(AlgorithmPort.port)) == [8003]  # the parent's


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, [8001, 8002]),
        ({"include_children": 1}, [8001, 8002, 8004]),
        ({"include_parent": 1}, [8001, 8002, 8003]),
        ({"include_children": 1, "include_parent": 1}, [8001, 8002, 8003, 8004]),
        ({"only_children": 1}, [8004]),
        ({"only_parent": 1}, [8003]),
        ({"only_siblings": 1}, [8002]),
        ({"only_self": 1}, [8001]),
        ({"label": "odd"}, [8002]),
        ({"label": "odd", "include_children": 1}, [8002, 8004]),
        ({"label": "none"}, []),
        ({"only_self": 0, "only_parent": "False"}, [8001, 8002]),
    ],
)
def test_an_algorithm_finds_the_addresses_it_asks_for(
    shared_job: Job, params: Any, expected: list[int]
) -> None:
    assert shared_job.ports(**params) == expected


def test_an_address_says_where_and_of_what(shared_job: Job) -> None:
    answer = shared_job.container.get("/vpn/algorithm/addresses", only_siblings=1)
    assert answer.json() == {
        "addresses": [
            {
                "port": 8002,
                "label": "odd",
                "ip": "10.76.0.2",
                "organization_id": shared_job.two,
                "task_id": shared_job.task,
                "parent_id": shared_job.parent,
            }
        ]
    }


def test_only_one_restriction_at_a_time(shared_job: Job) -> None:
    answer = shared_job.container.get("/vpn/algorithm/addresses", only_self=1, only_parent=1)
    assert answer.status_code == 400
    assert "only_parent, only_self" in answer.json()["msg"]


def test_without_a_parent_the_own_task_is_meant(shared_server: Any, shared_job: Job) -> None:
    job = shared_job
    container = shared_server.container(job.node, job.one, job.together, job.parent)
    answer = container.get("/vpn/algorithm/addresses", only_parent=1).json()
    assert [address["port"] for address in answer["addresses"]] == [8003]


def test_an_algorithm_whose_task_is_gone_is_told_nothing(server: Any) -> None:
    job = Job(server)
    assert server.root(job.one).delete(f"/task/{job.task}").status_code == 200
    assert job.container.get("/vpn/algorithm/addresses").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "/vpn", None), ("POST", "/vpn/update", {"vpn_config": "client"})],
)
def test_there_is_no_vpn_and_the_server_says_so(
    shared_job: Job, method: str, path: str, body: Any
) -> None:
    answer = shared_job.node.request(method, path, json=body)
    assert answer.status_code == 501
    assert "does not support eduVPN" in answer.json()["msg"]
    assert "ovpn_config" not in answer.json()
