"""Nobody grants more than they have: section 7 of ``permissions.md``."""

from __future__ import annotations

from typing import Any

import pytest

PERSON = {"username": "newcomer", "email": "newcomer@example.org", "password": "Passw0rd!"}
ROLES_AND_USERS = (
    "user CREATE GLOBAL",
    "user EDIT GLOBAL",
    "role CREATE GLOBAL",
    "role EDIT GLOBAL",
)
LACKING = "You don't have the rule (task, collaboration, create)"


def test_a_user_is_created_with_rules_the_creator_holds_in_that_scope_or_a_wider_one(
    server: Any,
) -> None:
    organization = server.organization()
    admin = server.user(organization, *ROLES_AND_USERS, "task CREATE GLOBAL")
    rule = server.rule("task CREATE COLLABORATION")
    role = server.role(organization, "task CREATE COLLABORATION")
    answer = admin.post("/user", **PERSON, rules=[rule], roles=[role])
    assert answer.status_code == 201
    new = answer.json()["id"]
    assert admin.ids("/rule", user_id=new) == [rule]
    assert server.root().ids("/role", user_id=new) == [role]


@pytest.mark.parametrize("given", ["rules", "roles"])
def test_a_user_is_not_created_with_what_the_creator_lacks(server: Any, given: str) -> None:
    organization = server.organization()
    admin = server.user(organization, *ROLES_AND_USERS, "task CREATE GLOBAL")
    lacking = server.user(organization, *ROLES_AND_USERS)
    thing = {
        "rules": server.rule("task CREATE COLLABORATION"),
        "roles": server.role(organization, "task CREATE COLLABORATION"),
    }[given]
    answer = lacking.post("/user", **PERSON, **{given: [thing]})
    assert (answer.status_code, answer.json()["msg"]) == (401, LACKING)
    assert admin.post("/user", **PERSON, **{given: [thing]}).status_code == 201


def test_unknown_roles_and_rules_of_a_new_user_are_skipped(server: Any) -> None:
    root = server.root()
    answer = root.post("/user", **PERSON, roles=[9999], rules=[9999])
    assert answer.status_code == 201
    assert root.ids("/rule", user_id=answer.json()["id"]) == []


def test_a_role_of_another_organization_is_never_assigned(server: Any) -> None:
    root = server.root()
    foreign = server.role(server.organization())
    assert root.post("/user", **PERSON, roles=[foreign]).status_code == 401
    user = server.user(server.organization())
    assert root.patch(f"/user/{user.id}", roles=[foreign]).status_code == 401


def test_a_default_role_is_assigned_anywhere(server: Any) -> None:
    root = server.root()
    user = server.user(server.organization())
    viewer = server.default_role("Viewer")
    assert root.patch(f"/user/{user.id}", roles=[viewer]).status_code == 200
    assert root.ids("/role", user_id=user.id) == [viewer]


@pytest.mark.parametrize("given", ["rules", "roles"])
def test_what_a_user_loses_must_be_held_as_well(server: Any, given: str) -> None:
    organization = server.organization()
    lacking = server.user(organization, *ROLES_AND_USERS)
    rule = "task CREATE COLLABORATION"
    user = (
        server.user(organization, rule)
        if given == "rules"
        else server.user(organization, roles=[server.role(organization, rule)])
    )
    answer = lacking.patch(f"/user/{user.id}", **{given: []})
    assert (answer.status_code, answer.json()["msg"]) == (401, LACKING)
    holding = server.user(organization, *ROLES_AND_USERS, rule)
    assert holding.patch(f"/user/{user.id}", **{given: []}).status_code == 200
    assert holding.ids("/rule", user_id=user.id) == []


def test_unknown_roles_or_rules_of_an_existing_user_are_not_found(server: Any) -> None:
    root = server.root()
    user = server.user(server.organization())
    assert root.patch(f"/user/{user.id}", roles=[9999]).status_code == 404
    assert root.patch(f"/user/{user.id}", rules=[9999]).status_code == 404


def test_nobody_changes_their_own_roles_or_rules(server: Any) -> None:
    root = server.root()
    for change in ({"roles": []}, {"rules": []}, {"roles": [server.default_role("Viewer")]}):
        assert root.patch(f"/user/{root.id}", **change).status_code == 401


def test_a_role_is_made_of_rules_the_maker_holds(server: Any) -> None:
    organization = server.organization()
    admin = server.user(organization, *ROLES_AND_USERS, "task CREATE COLLABORATION")
    good = server.rule("task CREATE COLLABORATION")
    bad = server.rule("task CREATE GLOBAL")
    assert admin.post("/role", name="r", rules=[good]).status_code == 201
    answer = admin.post("/role", name="r", rules=[good, bad])
    assert answer.status_code == 401
    assert answer.json()["msg"] == "You don't have the rule (task, global, create)"


def test_a_changed_role_is_checked_by_its_new_rules_not_by_those_it_loses(server: Any) -> None:
    organization = server.organization()
    admin = server.user(organization, *ROLES_AND_USERS, "task CREATE COLLABORATION")
    role = server.role(organization, "task CREATE GLOBAL")
    good = server.rule("task CREATE COLLABORATION")
    assert admin.patch(f"/role/{role}", rules=[good]).status_code == 200
    bad = server.rule("task CREATE GLOBAL")
    assert admin.patch(f"/role/{role}", rules=[bad]).status_code == 401
    assert admin.ids("/rule", role_id=role) == [good]


def test_adding_or_removing_one_rule_needs_that_rule(server: Any) -> None:
    organization = server.organization()
    admin = server.user(organization, *ROLES_AND_USERS, "task CREATE COLLABORATION")
    role = server.role(organization, "task CREATE GLOBAL")
    good = server.rule("task CREATE COLLABORATION")
    bad = server.rule("task CREATE GLOBAL")
    assert admin.post(f"/role/{role}/rule/{good}").status_code == 201
    assert admin.delete(f"/role/{role}/rule/{bad}").status_code == 401
    assert admin.delete(f"/role/{role}/rule/{good}").status_code == 200
    assert admin.post(f"/role/{role}/rule/{bad}").status_code == 401
    assert admin.ids("/rule", role_id=role) == [bad]


def test_an_organization_admin_cannot_grant_researcher(server: Any) -> None:
    organization = server.organization()
    admin = server.user(organization, roles=[server.default_role("Organization Admin")])
    user = server.user(organization)
    researcher = server.default_role("Researcher")
    assert admin.patch(f"/user/{user.id}", roles=[researcher]).status_code == 401
    viewer = server.default_role("Viewer")
    assert admin.patch(f"/user/{user.id}", roles=[viewer]).status_code == 200


@pytest.mark.parametrize("held", ["rules", "roles"])
def test_nobody_takes_over_a_stronger_account_by_its_mail(server: Any, held: str) -> None:
    organization = server.organization()
    strong = ["task CREATE COLLABORATION"]
    admin = server.user(organization, "user EDIT ORGANIZATION")
    as_strong = server.user(organization, "user EDIT ORGANIZATION", *strong)
    victim = server.user(organization, "user EDIT OWN", *(strong if held == "rules" else []))
    if held == "roles":
        role = server.role(organization, *strong)
        assert server.root().patch(f"/user/{victim.id}", roles=[role]).status_code == 200
    path = f"/user/{victim.id}"
    before = server.root().get(path).json()
    answer = admin.patch(path, email="mine@example.org", firstname="Eve")
    assert answer.status_code == 401
    assert "rights that you lack" in answer.json()["msg"]
    assert server.root().get(path).json() == before
    assert admin.patch(path, email=before["email"], firstname="Ada").status_code == 200
    assert as_strong.patch(path, email="theirs@example.org").status_code == 200
    assert victim.patch(path, email="own@example.org").status_code == 200
