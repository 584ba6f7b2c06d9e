"""The routes below ``/role``; granting is in ``test_granting.py``."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from vantage6.server.model.tables import role_rule, user_role

DEFAULT_ROLES = [
    "Root",
    "container",
    "node",
    "Viewer",
    "Researcher",
    "Organization Admin",
    "Collaboration Admin",
]


def test_a_role_is_shown_as_the_contract_says(server: Any) -> None:
    organization = server.organization()
    role = server.role(organization, name="analyst")
    root = server.root()
    assert root.get(f"/role/{role}").json() == {
        "id": role,
        "name": "analyst",
        "description": None,
        "is_default_role": False,
        "organization": {
            "id": organization,
            "link": f"/api/organization/{organization}",
            "methods": ["GET", "PATCH", "DELETE"],
        },
        "rules": f"/api/rule?role_id={role}",
        "users": f"/api/user?role_id={role}",
    }
    shown = root.get(f"/role/{server.default_role('Root')}").json()
    assert (shown["is_default_role"], shown["organization"]) == (True, None)


def test_a_role_is_created_in_the_own_organization_or_another(server: Any) -> None:
    organization, other = server.organization(), server.organization()
    root = server.root(organization)
    rules = [server.rule("user VIEW GLOBAL"), server.rule("task VIEW OWN")]
    answer = root.post("/role", name="r", description="d", rules=[*rules, *rules])
    assert answer.status_code == 201
    assert answer.json()["organization"]["id"] == organization
    assert root.ids("/rule", role_id=answer.json()["id"]) == sorted(rules)
    answer = root.post("/role", name="r", rules=[], organization_id=other)
    assert answer.json()["organization"]["id"] == other
    assert answer.json()["description"] is None


@pytest.mark.parametrize("name", ["", "123", "root"])
def test_names_of_roles_are_free_but_for_the_default_ones(server: Any, name: str) -> None:
    root = server.root()
    for _ in range(2):
        assert root.post("/role", name=name, rules=[]).status_code == 201


@pytest.mark.parametrize("name", DEFAULT_ROLES)
def test_a_default_role_cannot_be_imitated_changed_or_deleted(server: Any, name: str) -> None:
    root = server.root()
    own = server.role(server.organization())
    assert root.post("/role", name=name, rules=[]).status_code == 400
    assert root.patch(f"/role/{own}", name=name).status_code == 400
    default = server.default_role(name)
    assert root.patch(f"/role/{default}", description="mine").status_code == 400
    assert root.delete(f"/role/{default}?delete_dependents=true").status_code == 400


def test_checks_of_a_new_role_come_in_the_order_of_the_contract(server: Any) -> None:
    nobody, root = server.user(server.organization()), server.root()
    rule = server.rule("user VIEW GLOBAL")

    def create(caller: Any, **body: Any) -> int:
        return int(caller.post("/role", **body).status_code)

    assert create(nobody, name="r") == 400
    assert create(nobody, name="r", rules=[9999]) == 404
    assert create(nobody, name="r", rules=[rule], organization_id=9999) == 401
    assert create(nobody, name="r", rules=[], organization_id=9999) == 404
    assert create(nobody, name="r", rules=[]) == 401
    assert create(root, name="r", rules=[rule], organization_id=9999) == 404
    assert create(root, name="r", rules=None) == 400
    assert create(root, name="r", rules=[], description="x" * 1025) == 400


def test_a_bad_body_is_told_like_everywhere_else(server: Any) -> None:
    answer = server.root().post("/role", name="r", rules=["x"]).json()
    assert answer["msg"] == "Request body is incorrect"
    assert list(answer["errors"]["rules"]) == ["0"]


def test_null_means_unchanged_as_the_client_sends_it(server: Any) -> None:
    root = server.root()
    role = server.role(server.organization(), "task VIEW OWN", name="old")
    answer = root.patch(f"/role/{role}", name=None, description="why", rules=None)
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["description"]) == ("old", "why")
    assert root.ids("/rule", role_id=role) == [server.rule("task VIEW OWN")]
    answer = root.patch(f"/role/{role}", name="new", rules=[])
    assert (answer.json()["name"], answer.json()["description"]) == ("new", "why")
    assert root.ids("/rule", role_id=role) == []
    assert root.patch(f"/role/{role}", organization_id=1).status_code == 400
    assert root.patch(f"/role/{role}", rules=[9999]).status_code == 404


def test_a_role_that_users_have_stays_unless_asked_for(server: Any) -> None:
    organization = server.organization()
    role = server.role(organization, "task VIEW OWN")
    user = server.user(organization, roles=[role])
    root = server.root()
    assert root.delete(f"/role/{role}").status_code == 400
    assert root.delete(f"/role/{role}", params={"delete_dependents": "true"}).status_code == 200
    assert root.ids("/rule", user_id=user.id) == []
    for table in (user_role, role_rule):
        assert server.rows(select(table).where(table.c.role_id == role)) == []
    unused = server.role(organization)
    assert root.delete(f"/role/{unused}").status_code == 200
    assert root.get(f"/role/{unused}").status_code == 404


def test_rules_are_added_and_removed_one_by_one(server: Any) -> None:
    root = server.root()
    role = server.role(server.organization(), "task VIEW OWN")
    one, two = server.rule("run VIEW OWN"), server.rule("task VIEW OWN")
    for _ in range(2):
        answer = root.post(f"/role/{role}/rule/{one}")
        assert answer.status_code == 201
        assert [rule["id"] for rule in answer.json()] == [two, one]
        assert answer.json()[1] == root.get(f"/rule/{one}").json()
    answer = root.delete(f"/role/{role}/rule/{two}")
    assert answer.status_code == 200
    assert [rule["id"] for rule in answer.json()] == [one]
    assert root.ids("/rule", role_id=role) == [one]
    assert root.delete(f"/role/{role}/rule/{two}").status_code == 404
    assert root.post(f"/role/{role}/rule/9999").status_code == 404
    assert root.post(f"/role/9999/rule/{one}").status_code == 404


def test_lists_are_filtered(server: Any) -> None:
    own, partner = server.organization(), server.organization()
    collaboration = server.collaboration(own, partner)
    rule = "task VIEW OWN"
    analyst = server.role(own, rule, name="analyst")
    manager = server.role(partner, name="manager")
    stray = server.role(server.organization(), name="stray")
    user = server.user(own, roles=[analyst])
    root = server.root()
    defaults = [server.default_role(name) for name in DEFAULT_ROLES]

    def found(**params: Any) -> list[int]:
        return root.ids("/role", per_page=100, **params)

    assert found() == [*defaults, analyst, manager, stray]
    assert found(name="ana%") == [analyst]
    assert found(name=["ana%", "stray"]) == [analyst, stray]
    assert found(description="%collaborations%", name="Viewer") == [server.default_role("Viewer")]
    assert found(organization_id=own) == [analyst]
    assert found(organization_id=[own, partner]) == [analyst, manager]
    assert found(collaboration_id=collaboration) == [analyst, manager]
    assert found(organization_id=own, include_root="true") == [*defaults, analyst]
    assert found(collaboration_id=collaboration, include_root=True) == [
        *defaults,
        analyst,
        manager,
    ]
    assert found(include_root="true") == found()
    assert analyst in found(rule_id=server.rule(rule))
    assert manager not in found(rule_id=server.rule(rule))
    assert found(user_id=user.id) == [analyst]
    assert root.get("/role", rule_id=9999).status_code == 404
    assert root.get("/role", user_id=9999).status_code == 400


def test_everybody_sees_the_roles_they_have(server: Any) -> None:
    organization = server.organization()
    role = server.role(organization)
    server.role(organization)
    user = server.user(organization, roles=[role])
    assert user.ids("/role") == [role]
    assert user.ids("/role", user_id=user.id) == [role]
    assert user.get(f"/role/{role}").status_code == 200
