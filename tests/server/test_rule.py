"""The routes below ``/rule``."""

from __future__ import annotations

from typing import Any


def test_anybody_sees_every_rule_page_by_page(server: Any) -> None:
    user = server.user(server.organization())
    answer = user.get("/rule")
    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 10
    assert answer.headers["total-count"] == "86"
    assert answer.json()["data"][0] == {
        "id": 1,
        "name": "node",
        "operation": "VIEW",
        "scope": "GLOBAL",
        "description": "See nodes of everybody",
        "users": "/api/user?rule_id=1",
    }


def test_no_pagination_answers_all_rules_on_one_page(server: Any) -> None:
    user = server.user(server.organization())
    answer = user.get("/rule", no_pagination="1").json()
    assert len(answer["data"]) == 86
    assert "next" not in answer["links"]
    assert len(user.get("/rule", no_pagination="2").json()["data"]) == 10


def test_rules_are_found_by_name_operation_and_scope_in_words_or_codes(server: Any) -> None:
    user = server.user(server.organization())
    wanted = [server.rule("task CREATE COLLABORATION")]
    assert user.ids("/rule", name="task", operation="CREATE", scope="COLLABORATION") == wanted
    assert user.ids("/rule", name="task", operation="c", scope="col") == wanted
    assert user.ids("/rule", name="tas%") == []


def test_an_unknown_operation_or_scope_is_refused_with_the_known_ones(server: Any) -> None:
    user = server.user(server.organization())
    answer = user.get("/rule", operation="look")
    assert answer.status_code == 400
    assert "VIEW (v)" in answer.json()["msg"]
    assert user.get("/rule", scope="all").status_code == 400


def test_rules_of_a_role(server: Any) -> None:
    organization = server.organization()
    role = server.role(organization, "user VIEW GLOBAL", "task CREATE GLOBAL")
    user = server.user(organization)
    assert user.ids("/rule", role_id=role) == [
        server.rule("task CREATE GLOBAL"),
        server.rule("user VIEW GLOBAL"),
    ]
    assert user.get("/rule", role_id=9999).status_code == 400


def test_rules_of_a_user_are_those_of_the_roles_and_the_direct_ones_each_once(server: Any) -> None:
    organization = server.organization()
    role = server.role(organization, "user VIEW GLOBAL", "task CREATE GLOBAL")
    user = server.user(organization, "user VIEW GLOBAL", "node VIEW GLOBAL", roles=[role])
    assert user.ids("/rule", user_id=user.id, no_pagination="1") == [
        server.rule("node VIEW GLOBAL"),
        server.rule("task CREATE GLOBAL"),
        server.rule("user VIEW GLOBAL"),
    ]
    assert user.get("/rule", user_id=9999).status_code == 400


def test_one_rule(server: Any) -> None:
    user = server.user(server.organization())
    assert user.get("/rule/86").json()["name"] == "study"
    assert user.get("/rule/87").status_code == 404
