"""Every call of the client makes the request of the contract: method, path, query, body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vantage6.client import UserClient

Call = Callable[[UserClient], Any]

READS: list[tuple[Call, str]] = [
    (lambda c: c.util.get_server_version(), "version"),
    (lambda c: c.util.get_server_health(), "health"),
    (lambda c: c.collaboration.get(4), "collaboration/4"),
    (lambda c: c.collaboration.list(), "collaboration?page=1&per_page=20&organization_id=3"),
    (
        lambda c: c.collaboration.list(
            "global", name="a%", encrypted=True, organization=9, algorithm_store=2, page=3
        ),
        "collaboration?page=3&per_page=20&name=a%&encrypted=True&algorithm_store_id=2"
        "&organization_id=9",
    ),
    (lambda c: c.organization.get(), "organization/3"),
    (lambda c: c.organization.get(8), "organization/8"),
    (lambda c: c.organization.list(), "organization"),
    (
        lambda c: c.organization.list("n", "NL", 4, 5, 2, 50),
        "organization?page=2&per_page=50&name=n&country=NL&collaboration_id=4&study_id=5",
    ),
    (lambda c: c.user.get(), "user/7"),
    (
        lambda c: c.user.list("u", 2, "f", "l", "e", 3, 4, "2026-01-01", "2026-02-01"),
        "user?page=1&per_page=20&username=u&organization_id=2&firstname=f&lastname=l&email=e"
        "&role_id=3&rule_id=4&last_seen_from=2026-01-01&last_seen_till=2026-02-01",
    ),
    (lambda c: c.role.get(5), "role/5"),
    (
        lambda c: c.role.list("n", "d", 2, 3, 4, True),
        "role?page=1&per_page=20&name=n&description=d&organization_id=2&rule_id=3"
        "&include_root=True&user_id=4",
    ),
    (lambda c: c.rule.get(5), "rule/5"),
    (
        lambda c: c.rule.list("task", "VIEW", "GLOBAL", 2),
        "rule?page=1&per_page=20&name=task&operation=VIEW&scope=GLOBAL&role_id=2",
    ),
    (lambda c: c.node.get(5), "node/5"),
    (
        lambda c: c.node.list(is_online=False, collaboration=1),
        "node?page=1&per_page=20&collaboration_id=1&status=offline",
    ),
    (
        lambda c: c.node.list("n", 2, 1, 6, True, "10.0.0.1", "2026-01-01", "2026-02-01"),
        "node?page=1&per_page=20&name=n&organization_id=2&collaboration_id=1&study_id=6"
        "&ip=10.0.0.1&last_seen_from=2026-01-01&last_seen_till=2026-02-01&status=online",
    ),
    (lambda c: c.study.get(5), "study/5"),
    (
        lambda c: c.study.list("n", 2, 1, include_organizations=True),
        "study?page=1&per_page=20&name=n&organization_id=2&collaboration_id=1"
        "&include=organizations",
    ),
    (lambda c: c.task.get(5), "task/5"),
    (lambda c: c.task.get(5, include_results=True), "task/5?include=results"),
    (
        lambda c: c.task.list(
            1, 2, 3, 4, 5, "i", 6, 7, "n", True, "d", "default", 8, "active", False
        ),
        "task?init_org_id=1&init_user_id=2&collaboration_id=3&study_id=4&store_id=5&image=i"
        "&parent_id=6&job_id=7&name=n&page=1&per_page=20&description=d&database=default&run_id=8"
        "&status=active&include=results&is_user_created=0",
    ),
    (lambda c: c.run.get(5, decrypt_input=False), "run/5"),
    (lambda c: c.run.get(5, include_task=True, decrypt_input=False), "run/5?include=task"),
    (lambda c: c.store.get(5), "algorithmstore/5"),
    (
        lambda c: c.store.list("n", "u", 2),
        "algorithmstore?name=n&url=u&collaboration_id=2&page=1&per_page=10",
    ),
]

WRITES: list[tuple[Call, str, Any]] = [
    (
        lambda c: c.util.change_my_password("old", "new"),
        "PATCH password/change",
        {"current_password": "old", "new_password": "new"},
    ),
    (lambda c: c.util.reset_my_password(username="u"), "POST recover/lost", {"username": "u"}),
    (
        lambda c: c.util.set_my_password("t", "p"),
        "POST recover/reset",
        {"reset_token": "t", "password": "p"},
    ),
    (
        lambda c: c.util.reset_two_factor_auth("p", username="u"),
        "POST recover/2fa/lost",
        {"username": "u", "password": "p"},
    ),
    (
        lambda c: c.util.set_two_factor_auth("t"),
        "POST recover/2fa/reset",
        {"reset_token": "t"},
    ),
    (
        lambda c: c.collaboration.create("n", [1, 2], True),
        "POST collaboration",
        {"name": "n", "organization_ids": [1, 2], "encrypted": True},
    ),
    (
        lambda c: c.collaboration.update(4, encrypted=False),
        "PATCH collaboration/4",
        {"encrypted": False},
    ),
    (lambda c: c.collaboration.delete(4), "DELETE collaboration/4?delete_dependents=False", None),
    (
        lambda c: c.collaboration.add_organization(2, 4),
        "POST collaboration/4/organization",
        {"id": 2},
    ),
    (
        lambda c: c.collaboration.remove_organization(2, 4),
        "DELETE collaboration/4/organization",
        {"id": 2},
    ),
    (
        lambda c: c.organization.create("n", "a1", "a2", "z", "c", "d"),
        "POST organization",
        {
            "name": "n",
            "address1": "a1",
            "address2": "a2",
            "zipcode": "z",
            "country": "c",
            "domain": "d",
        },
    ),
    (lambda c: c.organization.update(name="new"), "PATCH organization/3", {"name": "new"}),
    (
        lambda c: c.organization.delete(5, True),
        "DELETE organization/5?delete_dependents=True",
        None,
    ),
    (
        lambda c: c.user.create("u", "f", "l", "p", "e@x.org", 2, roles=[1]),
        "POST user",
        {
            "username": "u",
            "firstname": "f",
            "lastname": "l",
            "password": "p",
            "email": "e@x.org",
            "roles": [1],
            "rules": [],
            "organization_id": 2,
        },
    ),
    (lambda c: c.user.update(rules=[]), "PATCH user/7", {"rules": []}),
    (lambda c: c.user.delete(9), "DELETE user/9", None),
    (
        lambda c: c.role.create("n", "d", [1]),
        "POST role",
        {"name": "n", "description": "d", "rules": [1], "organization_id": 3},
    ),
    (lambda c: c.role.update(2, name="n"), "PATCH role/2", {"name": "n"}),
    (lambda c: c.role.delete(2), "DELETE role/2", None),
    (
        lambda c: c.node.create(1),
        "POST node",
        {"organization_id": 3, "collaboration_id": 1},
    ),
    (
        lambda c: c.node.create(1, 2, "n"),
        "POST node",
        {"organization_id": 2, "collaboration_id": 1, "name": "n"},
    ),
    (lambda c: c.node.update(5, clear_ip=True), "PATCH node/5", {"clear_ip": True}),
    (lambda c: c.node.delete(5), "DELETE node/5", None),
    (lambda c: c.node.kill_tasks(5), "POST kill/node/tasks", {"id": 5}),
    (
        lambda c: c.study.create("n", [1, 2], 4),
        "POST study",
        {"name": "n", "organization_ids": [1, 2], "collaboration_id": 4},
    ),
    (lambda c: c.study.update(5, name="n"), "PATCH study/5", {"name": "n"}),
    (lambda c: c.study.delete(5), "DELETE study/5", None),
    (lambda c: c.study.add_organization(2, 5), "POST study/5/organization", {"id": 2}),
    (lambda c: c.study.remove_organization(2, 5), "DELETE study/5/organization", {"id": 2}),
    (lambda c: c.task.delete(5), "DELETE task/5", None),
    (lambda c: c.task.kill(5), "POST kill/task", {"id": 5}),
    (
        lambda c: c.store.create("http://s/api", "n", 5),
        "POST algorithmstore",
        {
            "algorithm_store_url": "http://s/api",
            "name": "n",
            "force": False,
            "server_url": "http://server:5000/api",
            "collaboration_id": 5,
        },
    ),
    (
        lambda c: c.store.update(2, all_collaborations=True),
        "PATCH algorithmstore/2",
        {"collaboration_id": None},
    ),
    (
        lambda c: c.store.delete(2),
        "DELETE algorithmstore/2?server_url=http://server:5000/api",
        None,
    ),
]


@pytest.mark.parametrize(("call", "expected"), READS, ids=[line for _, line in READS])
def test_a_reading_call_asks_for_what_the_contract_says(
    client: UserClient, server: Any, call: Call, expected: str
) -> None:
    path = "/api/" + expected.partition("?")[0]
    server.on(f"GET {path}", {"data": [], "links": {}})
    call(client)
    assert server.lines == [f"GET /api/{expected}"]
    assert server.last_body is None
    assert server.requests[0].headers["Authorization"] == f"Bearer {client.token}"


@pytest.mark.parametrize(
    ("call", "expected", "body"), WRITES, ids=[f"{line} {body}" for _, line, body in WRITES]
)
def test_a_writing_call_sends_what_the_contract_says(
    client: UserClient, server: Any, call: Call, expected: str, body: Any
) -> None:
    method, _, target = expected.partition(" ")
    server.on(f"{method} /api/{target.partition('?')[0]}", {"id": 1, "msg": "fine"})
    call(client)
    assert server.lines == [f"{method} /api/{target}"]
    assert server.last_body == body


STORE_CALLS: list[tuple[Call, str, Any]] = [
    (lambda c: c.algorithm.get(1), "GET algorithm/1", None),
    (
        lambda c: c.algorithm.list(image="i", under_review=False),
        "GET algorithm?image=i&page=1&per_page=10&under_review=False",
        None,
    ),
    (
        lambda c: c.algorithm.create("n", "d", "i", "horizontal", "4.15", "code", []),
        "POST algorithm",
        {
            "name": "n",
            "image": "i",
            "partitioning": "horizontal",
            "vantage6_version": "4.15",
            "functions": [],
            "description": "d",
            "code_url": "code",
        },
    ),
    (
        lambda c: c.algorithm.update(1, refresh_digest=True),
        "PATCH algorithm/1",
        {"refresh_digest": True},
    ),
    (lambda c: c.algorithm.invalidate(1), "POST algorithm/1/invalidate", None),
    (lambda c: c.algorithm.delete(1), "DELETE algorithm/1", None),
    (lambda c: c.store.role.list(user=2), "GET role?user_id=2&page=1&per_page=10", None),
    (
        lambda c: c.store.role.create("n", "d", [1]),
        "POST role",
        {"name": "n", "description": "d", "rules": [1]},
    ),
    (lambda c: c.store.role.edit(2, rules=[1]), "PATCH role/2", {"rules": [1]}),
    (lambda c: c.store.role.delete(2), "DELETE role/2", None),
    (lambda c: c.store.rule.list(role=2), "GET rule?role_id=2&page=1&per_page=10", None),
    (
        lambda c: c.store.rule.list(username="u"),
        "GET rule?page=1&per_page=10&username=u&server_url=http://server:5000/api",
        None,
    ),
    (lambda c: c.store.user.list("u"), "GET user?username=u&page=1&per_page=10", None),
    (lambda c: c.store.user.get(2), "GET user/2", None),
    (lambda c: c.store.user.register("u", [1]), "POST user", {"username": "u", "roles": [1]}),
    (lambda c: c.store.user.update(2, [1]), "PATCH user/2", {"roles": [1]}),
    (lambda c: c.store.user.delete(2), "DELETE user/2", None),
    (lambda c: c.store.policy.get(), "GET policy", None),
    (lambda c: c.store.policy.get(public=True), "GET policy/public", None),
    (
        lambda c: c.store.review.list(algorithm=1, approved=True),
        "GET review?algorithm_id=1&page=1&per_page=10&approved=True",
        None,
    ),
    (lambda c: c.store.review.get(1), "GET review/1", None),
    (
        lambda c: c.store.review.create(1, 2),
        "POST review",
        {"algorithm_id": 1, "reviewer_id": 2},
    ),
    (lambda c: c.store.review.delete(1), "DELETE review/1", None),
    (lambda c: c.store.review.approve(1), "POST review/1/approve", {}),
    (lambda c: c.store.review.reject(1, "no"), "POST review/1/reject", {"comment": "no"}),
]


@pytest.mark.parametrize(
    ("call", "expected", "body"), STORE_CALLS, ids=[line for _, line, _ in STORE_CALLS]
)
def test_a_call_to_the_store_goes_there_and_names_the_server(
    client: UserClient, server: Any, call: Call, expected: str, body: Any
) -> None:
    client.store.url, client.store.store_id = "http://store:5001/store", 2
    method, _, target = expected.partition(" ")
    server.on(f"{method} /store/{target.partition('?')[0]}", {"msg": "fine", "data": []})
    call(client)
    assert server.lines == [f"{method} /store/{target}"]
    assert server.last_body == body
    assert server.requests[0].url.host == "store"
    assert server.requests[0].headers["server_url"] == "http://server:5000/api"
    assert server.requests[0].headers["Authorization"] == f"Bearer {client.token}"


def test_setting_up_a_collaboration_makes_it_the_default(client: UserClient, server: Any) -> None:
    server.on("GET /api/collaboration/6", {"id": 6})
    client.setup_collaboration(6)
    for resource in ("organization", "node", "task", "algorithmstore"):
        server.on(f"GET /api/{resource}", {"data": [], "links": {}})
    server.forget()
    client.organization.list()
    client.node.list()
    client.task.list()
    client.store.list()
    assert all("collaboration_id=6" in line for line in server.lines)
    server.on("POST /api/study", {"id": 1})
    client.study.create("n", [1])
    assert server.last_body["collaboration_id"] == 6


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.collaboration.update(name="n"),
        lambda c: c.collaboration.delete(),
        lambda c: c.collaboration.add_organization(1),
        lambda c: c.node.create(),
        lambda c: c.study.create("n", [1]),
        lambda c: c.study.delete(),
        lambda c: c.study.add_organization(1),
    ],
)
def test_a_call_that_lacks_its_id_says_so_and_asks_nothing(
    client: UserClient, server: Any, call: Call
) -> None:
    with pytest.raises(ValueError, match=r"No (collaboration|study) id provided"):
        call(client)
    assert server.lines == []


def test_selecting_a_store_makes_new_tasks_use_it(client: UserClient, server: Any) -> None:
    server.on("GET /api/algorithmstore/2", {"id": 2, "url": "http://store:5001/api"})
    client.store.set(2)
    assert (client.store.url, client.store.store_id) == ("http://store:5001/api", 2)
    server.on("POST /api/task", (201, {"id": 9}))
    client.task.create([1], "n", "i", "", {"method": "m"}, collaboration=1)
    assert server.last_body["store_id"] == 2


def test_a_store_call_before_selecting_one_says_what_to_do(client: UserClient) -> None:
    with pytest.raises(TypeError, match=r"client\.store\.set\(\)"):
        client.algorithm.list()
