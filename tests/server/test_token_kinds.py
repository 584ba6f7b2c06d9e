"""Which kind of token opens which route, and what nodes and containers may do with theirs.

Transcribed from the contract: ``server.md`` 1.2 and ``permissions.md`` 8.
"""

from __future__ import annotations

from typing import Any

import pytest

USER, NODE, CONTAINER = "user", "node", "container"

#: Path, method, kinds of token; N below is the id of something that exists nowhere.
ROUTES = """
/recover/node                POST    U
/password/change             PATCH   U
/user                        GET     U
/user                        POST    U
/user/N                      GET     U
/user/N                      PATCH   U
/user/N                      DELETE  U
/organization                GET     U N C
/organization                POST    U
/organization/N              GET     U N C
/organization/N              PATCH   U N
/organization/N              DELETE  U
/collaboration               GET     U N
/collaboration               POST    U
/collaboration/N             GET     U N C
/collaboration/N             PATCH   U
/collaboration/N             DELETE  U
/collaboration/N/organization POST   U
/collaboration/N/organization DELETE U
/collaboration/N/node        POST    U
/collaboration/N/node        DELETE  U
/study                       GET     U N C
/study                       POST    U
/study/N                     GET     U N C
/study/N                     PATCH   U
/study/N                     DELETE  U
/study/N/organization        POST    U
/study/N/organization        DELETE  U
/node                        GET     U N
/node                        POST    U
/node/N                      GET     U N
/node/N                      PATCH   U N
/node/N                      DELETE  U
/task                        GET     U N C
/task                        POST    U C
/task/N                      GET     U N C
/task/N                      DELETE  U
/task/N/status               GET     U C
/run                         GET     U N C
/run/N                       GET     U N C
/run/N                       PATCH   N
/result                      GET     U N C
/result/N                    GET     U N C
/role                        GET     U
/role                        POST    U
/role/N                      GET     U
/role/N                      PATCH   U
/role/N                      DELETE  U
/role/N/rule/1               POST    U
/role/N/rule/1               DELETE  U
/rule                        GET     U
/rule/N                      GET     U
/kill/task                   POST    U
/kill/node/tasks             POST    U
/token/container             POST    N
/token/user/validate         POST    U
/token/node/validate         POST    N
/algorithmstore              GET     U
/algorithmstore              POST    U
/algorithmstore/N            GET     U N
/algorithmstore/N            PATCH   U
/algorithmstore/N            DELETE  U
/column                      POST    U
/event                       GET     U N
/port                        POST    N
/port                        DELETE  N
/vpn                         GET     N
/vpn/update                  POST    N
/vpn/algorithm/addresses     GET     C
/blobstream                  POST    U N C
/blobstream/status           GET     U N C
/blobstream/{uuid}           GET     U N C
"""

#: Bodies that pass the schema, where there is one.
BODIES = {
    ("POST", "/recover/node"): {"id": 999999},
    ("PATCH", "/password/change"): {"current_password": "x", "new_password": "Passw0rd!"},
    ("POST", "/user"): {"username": "abc", "email": "a@b.org", "password": "Passw0rd!"},
    ("POST", "/organization"): {"name": "new"},
    ("POST", "/collaboration"): {"name": "new", "organization_ids": [1], "encrypted": True},
    ("POST", "/study"): {"name": "new", "organization_ids": [1], "collaboration_id": 999999},
    ("POST", "/node"): {"collaboration_id": 999999},
    ("POST", "/task"): {
        "collaboration_id": 999999,
        "image": "image",
        "organizations": [{"id": 1, "input": "e30="}],
    },
    ("POST", "/role"): {"name": "new", "rules": []},
    ("POST", "/kill/task"): {"id": 999999},
    ("POST", "/algorithmstore"): {
        "name": "store",
        "algorithm_store_url": "https://store.example.org",
        "server_url": "https://server.example.org/api",
        "collaboration_id": 999999,
    },
    ("POST", "/column"): {
        "db_label": "default",
        "collaboration_id": 999999,
        "organizations": [{"id": 1, "input": "e30="}],
    },
    ("POST", "/port"): {"port": 8888, "run_id": 999999},
    ("POST", "/kill/node/tasks"): {"id": 999999},
    ("POST", "/token/container"): {"task_id": 999999, "image": "image"},
}
LETTERS = {"U": USER, "N": NODE, "C": CONTAINER}


class Station:
    """Two organizations in one collaboration and a stranger in another, and a running algorithm."""

    def __init__(self, server: Any) -> None:
        self.own, self.partner, self.foreign = (server.organization() for _ in range(3))
        self.together = server.collaboration(self.own, self.partner)
        self.other = server.collaboration(self.own, self.foreign)
        self.study = server.study(self.together, self.own)
        self.other_study = server.study(self.other, self.own)
        self.node = server.node(self.own, self.together)
        self.partner_node = server.node(self.partner, self.together)
        runs = {self.own: "active", self.partner: "active"}
        self.task = server.task(self.together, self.partner, runs=runs)
        self.other_task = server.task(self.other, self.foreign, runs={self.own: "active"})
        self.container = server.container(self.node, self.own, self.together, self.task)
        self.user = server.user(self.own)
        self.callers = {USER: self.user, NODE: self.node, CONTAINER: self.container}


@pytest.fixture(scope="module")
def station(shared_server: Any) -> Station:
    return Station(shared_server)


@pytest.mark.parametrize("line", ROUTES.strip().splitlines(), ids=lambda line: line[:40].strip())
def test_a_route_is_open_to_the_kinds_of_token_of_the_contract(
    shared_server: Any, station: Station, line: str
) -> None:
    path, method, *letters = line.split()
    path = path.replace("N", "999999")
    body = BODIES.get((method, path)) or ({"id": 999999} if method in ("POST", "DELETE") else {})
    for kind, caller in station.callers.items():
        with shared_server.rehearse():
            answer = caller.request(method, path, json=body)
        refused = answer.status_code == 401 and "This needs a token" in answer.json()["msg"]
        expected = kind not in {LETTERS[letter] for letter in letters}
        assert refused == expected, f"{kind}: {answer.status_code} {answer.text}"
        assert answer.status_code < 500 or path.startswith("/vpn")  # which is not implemented


def test_every_route_of_the_server_is_in_the_table(shared_server: Any) -> None:
    table = {
        (method.lower(), "/api" + path.replace("N", "{id_}").replace("/1", "/{rule_id}"))
        for path, method, *_ in (line.split() for line in ROUTES.strip().splitlines())
    }
    described = shared_server.http.get("/openapi.json").json()["paths"]
    secured = {
        (method, path)
        for path, methods in described.items()
        for method, route in methods.items()
        if route.get("security")
    }
    assert secured - {("post", "/api/token/refresh")} == table


def test_a_node_and_a_container_see_the_organizations_of_their_collaboration(
    station: Station,
) -> None:
    for caller in (station.node, station.container):
        assert caller.ids("/organization") == [station.own, station.partner]
        assert caller.get(f"/organization/{station.partner}").status_code == 200
        assert caller.get(f"/organization/{station.foreign}").status_code == 401


def test_a_node_lists_its_collaboration_and_a_container_reads_it(station: Station) -> None:
    assert station.node.ids("/collaboration") == [station.together]
    for caller in (station.node, station.container):
        assert caller.get(f"/collaboration/{station.together}").status_code == 200
        assert caller.get(f"/collaboration/{station.other}").status_code == 401


def test_a_node_and_a_container_see_the_studies_of_their_organization_and_collaboration(
    station: Station,
) -> None:
    for caller in (station.node, station.container):
        assert caller.ids("/study") == [station.study]
        assert caller.ids("/study", collaboration_id=station.together) == [station.study]
        assert caller.get(f"/study/{station.study}").status_code == 200
        assert caller.get(f"/study/{station.other_study}").status_code == 401


def test_a_node_sees_the_nodes_of_its_organization_only(station: Station) -> None:
    assert station.node.ids("/node") == [station.node.id]
    assert station.node.get(f"/node/{station.node.id}").status_code == 200
    assert station.node.get(f"/node/{station.partner_node.id}").status_code == 401
    # What the reference node asks after its login.
    answer = station.node.get(f"/node/{station.node.id}").json()
    assert answer["collaboration"]["id"] == station.together
    assert answer["organization"]["id"] == station.own


def test_a_node_and_a_container_see_tasks_runs_and_results_of_their_collaboration(
    station: Station,
) -> None:
    for caller in (station.node, station.container):
        assert caller.ids("/task") == [station.task]
        assert caller.get(f"/task/{station.task}").status_code == 200
        assert caller.get(f"/task/{station.other_task}").status_code == 401
        for path in ("/run", "/result"):
            assert len(caller.ids(path)) == 2
            assert {item["task"]["id"] for item in caller.get(path).json()["data"]} == {
                station.task
            }


def test_a_node_changes_itself_and_its_organizations_key_and_nothing_else(
    shared_server: Any, station: Station
) -> None:
    node = station.node
    with shared_server.rehearse():
        assert node.patch(f"/node/{node.id}", ip="10.0.0.1").json()["ip"] == "10.0.0.1"
        assert node.patch(f"/node/{node.id}", clear_ip=True).json()["ip"] is None
        assert node.patch(f"/organization/{station.own}", public_key="a2V5").status_code == 200
        for path in (f"/node/{station.partner_node.id}", f"/organization/{station.partner}"):
            assert node.patch(path).status_code == 401


@pytest.mark.parametrize("path", ["/rule", "/user/1", "/organization", "/collaboration/1"])
def test_without_a_token_or_with_a_bad_one_nothing_is_answered(
    shared_server: Any, station: Station, path: str
) -> None:
    http = shared_server.http
    missing = http.get(f"/api{path}")
    assert (missing.status_code, missing.json()["msg"]) == (401, "Missing Authorization Header")
    token = station.user.token
    for header, status in (
        (token, 401),
        (f"Basic {token}", 401),
        ("Bearer", 401),
        ("Bearer nonsense", 422),
        (f"Bearer {token[:-8]}AAAAAAAA", 422),
    ):
        answer = http.get(f"/api{path}", headers={"Authorization": header})
        assert answer.status_code == status, header
        assert isinstance(answer.json()["msg"], str)


def test_a_token_of_someone_deleted_opens_nothing(server: Any) -> None:
    root = server.root()
    organization = server.organization()
    node = server.node(organization, server.collaboration(organization))
    user = server.user(organization)
    assert root.delete(f"/node/{node.id}").status_code == 200
    assert root.delete(f"/user/{user.id}").status_code == 200
    for caller, path in ((node, "/node"), (user, "/rule")):
        answer = caller.get(path)
        assert answer.status_code == 401
        assert answer.json()["msg"] == f"Error loading the user {caller.id}"


def test_a_node_that_was_moved_works_in_its_new_collaboration_only(server: Any) -> None:
    station = Station(server)
    root = server.root()
    assert root.post(f"/collaboration/{station.other}/node", id=station.node.id).status_code == 201
    assert station.node.ids("/collaboration") == [station.other]
    assert station.node.ids("/task") == [station.other_task]
