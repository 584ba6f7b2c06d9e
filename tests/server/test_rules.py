"""The rules and default roles equal the contract's ``permissions.md``, sections 2 and 3."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from vantage6.server.auth.rules import BOOK, CONTAINER_RIGHTS, DEFAULT_ROLES, NODE_RIGHTS
from vantage6.server.model.tables import Role, Rule, role_rule
from vantage6.server.start import prepare
from vantage6.web.rules import Operation, Rights, Scope
from vantage6.web.rules import Rule as Right

#: In the order of registration: resource, operation, scopes.
RULES = """
node          VIEW    GLOBAL COLLABORATION ORGANIZATION
node          EDIT    GLOBAL COLLABORATION ORGANIZATION
node          CREATE  GLOBAL COLLABORATION ORGANIZATION
node          DELETE  GLOBAL COLLABORATION ORGANIZATION
collaboration VIEW    GLOBAL ORGANIZATION
collaboration EDIT    GLOBAL COLLABORATION
collaboration CREATE  GLOBAL
collaboration DELETE  GLOBAL COLLABORATION
organization  VIEW    GLOBAL ORGANIZATION COLLABORATION
organization  EDIT    GLOBAL ORGANIZATION COLLABORATION
organization  CREATE  GLOBAL
organization  DELETE  GLOBAL
task          VIEW    GLOBAL COLLABORATION ORGANIZATION OWN
task          CREATE  GLOBAL COLLABORATION
task          DELETE  GLOBAL COLLABORATION ORGANIZATION OWN
run           VIEW    GLOBAL COLLABORATION ORGANIZATION OWN
user          VIEW    GLOBAL COLLABORATION ORGANIZATION
user          CREATE  GLOBAL COLLABORATION ORGANIZATION
user          EDIT    GLOBAL COLLABORATION ORGANIZATION OWN
user          DELETE  GLOBAL COLLABORATION ORGANIZATION OWN
role          VIEW    GLOBAL COLLABORATION ORGANIZATION
role          CREATE  GLOBAL COLLABORATION ORGANIZATION
role          EDIT    GLOBAL COLLABORATION ORGANIZATION
role          DELETE  GLOBAL COLLABORATION ORGANIZATION
port          VIEW    GLOBAL ORGANIZATION
event         RECEIVE ORGANIZATION COLLABORATION GLOBAL
event         SEND    ORGANIZATION COLLABORATION GLOBAL
study         VIEW    GLOBAL ORGANIZATION COLLABORATION
study         EDIT    GLOBAL COLLABORATION ORGANIZATION
study         CREATE  GLOBAL COLLABORATION
study         DELETE  GLOBAL COLLABORATION ORGANIZATION
"""

#: Some ids as the contract numbers them, to prove that the order above is its order.
LANDMARKS = {
    1: "node VIEW GLOBAL",
    14: "collaboration VIEW ORGANIZATION",
    22: "organization VIEW COLLABORATION",
    33: "task CREATE COLLABORATION",
    41: "run VIEW OWN",
    55: "user DELETE OWN",
    69: "port VIEW ORGANIZATION",
    74: "event SEND COLLABORATION",
    77: "study VIEW ORGANIZATION",
    86: "study DELETE ORGANIZATION",
}

NODE = {3, 6, 14, 21, 22, 24, 29, 39, 69, 77}
CONTAINER = {3, 14, 21, 22, 29, 39, 69, 77}
VIEWER = {2, 3, 14, 21, 22, 29, 39, 44, 51, 55, 58, 69, 70, 71, 77}
RESEARCHER = VIEWER | {33, 36}
ORGANIZATION_ADMIN = VIEWER | {6, 9, 24, 47, 50, 54, 61, 64, 67, 73}
COLLABORATION_ADMIN = (
    ORGANIZATION_ADMIN | RESEARCHER | {8, 11, 16, 20, 25, 43, 46, 49, 57, 74, 78, 80, 83, 85}
)
ROLES = {
    "Root": set(range(1, 87)),
    "container": CONTAINER,
    "node": NODE,
    "Viewer": VIEWER,
    "Researcher": RESEARCHER,
    "Organization Admin": ORGANIZATION_ADMIN,
    "Collaboration Admin": COLLABORATION_ADMIN,
}


def expected() -> list[str]:
    return [
        f"{resource} {operation} {scope}"
        for resource, operation, *scopes in (line.split() for line in RULES.strip().splitlines())
        for scope in scopes
    ]


def spelled(rule: Right) -> str:
    return f"{rule.resource} {rule.operation.name} {rule.scope.name}"


def test_the_rules_are_the_contracts_in_its_order() -> None:
    assert [spelled(item.rule) for item in BOOK] == expected()
    assert {number: expected()[number - 1] for number in LANDMARKS} == LANDMARKS
    assert len(expected()) == 86


def test_every_rule_is_explained_in_a_sentence_of_its_own() -> None:
    descriptions = [item.description for item in BOOK]
    assert len(set(descriptions)) == len(descriptions)
    assert all(len(text) > 15 for text in descriptions)


def test_default_roles_hold_what_the_contract_gives_them() -> None:
    names = expected()
    assert {role.name: {spelled(rule) for rule in role.rules} for role in DEFAULT_ROLES} == {
        role: {names[number - 1] for number in numbers} for role, numbers in ROLES.items()
    }
    assert {spelled(rule) for rule in NODE_RIGHTS.rules} == {names[n - 1] for n in NODE}
    assert {spelled(rule) for rule in CONTAINER_RIGHTS.rules} == {names[n - 1] for n in CONTAINER}


def test_a_fresh_database_has_the_contracts_ids(server: Any) -> None:
    rules = select(Rule.id, Rule.name, Rule.operation, Rule.scope).order_by(Rule.id)
    assert server.rows(rules) == [
        (number, *rule.split()) for number, rule in enumerate(expected(), start=1)
    ]
    roles = select(Role.id, Role.name, Role.organization_id, Role.is_default_role)
    assert server.rows(roles.order_by(Role.id)) == [
        (number, name, None, True) for number, name in enumerate(ROLES, start=1)
    ]
    for number, numbers in enumerate(ROLES.values(), start=1):
        held = select(role_rule.c.rule_id).where(role_rule.c.role_id == number)
        assert set(server.rows(held)) == numbers


def test_a_start_resets_default_roles_and_brings_back_missing_rules(server: Any) -> None:
    database = server.services.database
    viewer, rule = server.default_role("Viewer"), server.rule("task CREATE GLOBAL")
    with database.write() as db:
        db.execute(delete(Rule).where(Rule.id == 86))
        db.execute(insert(role_rule).values(role_id=viewer, rule_id=rule))
        db.execute(delete(role_rule).where(role_rule.c.role_id == viewer, role_rule.c.rule_id < 30))
        db.execute(update(Role).where(Role.id == viewer).values(description="changed"))
    own = server.role(server.organization(), "task VIEW OWN", name="Viewer")
    prepare(database)
    held = select(role_rule.c.rule_id).where(role_rule.c.role_id == viewer)
    assert set(server.rows(held)) == VIEWER
    assert server.rows(select(Role.description).where(Role.id == viewer)) != ["changed"]
    last = select(Rule.name).where(Rule.operation == "DELETE", Rule.scope == "ORGANIZATION")
    assert "study" in server.rows(last)
    root = select(role_rule.c.rule_id).where(role_rule.c.role_id == server.default_role("Root"))
    assert len(server.rows(root)) == 86
    mine = select(role_rule.c.rule_id).where(role_rule.c.role_id == own)
    assert server.rows(mine) == [server.rule("task VIEW OWN")]


@pytest.mark.parametrize(("held", "asked"), list(itertools.product(Scope, Scope)))
def test_a_wider_scope_covers_a_narrower_one_but_is_not_that_rule(
    held: Scope, asked: Scope
) -> None:
    rights = Rights([Right("task", Operation.VIEW, held)])
    wanted = Right("task", Operation.VIEW, asked)
    assert rights.has(*wanted) == (held is asked)
    assert rights.at_least(*wanted) == (held >= asked)
    assert (rights.lacking([wanted]) is None) == (held >= asked)
    assert not rights.at_least("run", Operation.VIEW, asked)
    assert not rights.at_least("task", Operation.EDIT, asked)
    assert rights.widest("task", Operation.VIEW) is held
