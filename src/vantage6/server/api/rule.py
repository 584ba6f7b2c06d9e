"""Rules, the rights that can be given: ``/rule``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import APIRouter
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from vantage6.server.auth.caller import rules_held_by
from vantage6.server.call import ByUser
from vantage6.server.model.tables import Role, Rule, User, role_rule
from vantage6.web.errors import bad_request, not_found
from vantage6.web.links import Links
from vantage6.web.pagination import Paged
from vantage6.web.parameters import Id
from vantage6.web.responses import JSON
from vantage6.web.rules import Operation, Scope, parse_operation, parse_scope
from vantage6.web.rules import Rule as Right

router = APIRouter(tags=["rule"])

_SORT = {
    "id": Rule.id,
    "name": Rule.name,
    "operation": Rule.operation,
    "scope": Rule.scope,
    "description": Rule.description,
}


def rule_json(rule: Rule, link: Links) -> dict[str, Any]:
    """A rule as the contract shows it."""
    return {
        "id": rule.id,
        "name": rule.name,
        "operation": rule.operation,
        "scope": rule.scope,
        "description": rule.description,
        "users": link.many("user", "rule_id", rule.id),
    }


def find_rule(db: Session, id_: int) -> Rule:
    """The rule with an id.

    Raises
    ------
    Refusal
        404 if there is none.
    """
    rule = db.get(Rule, id_)
    if rule is None:
        raise not_found(f"Rule id={id_} not found!")
    return rule


def known_rules(db: Session, ids: Iterable[int]) -> Sequence[Rule]:
    """The rules that have one of these ids; unknown ids are skipped."""
    return db.scalars(select(Rule).where(Rule.id.in_(set(ids)))).all()


def find_rules(db: Session, ids: Sequence[int]) -> Sequence[Rule]:
    """The rules with these ids.

    Raises
    ------
    Refusal
        404 naming those that do not exist.
    """
    rules = known_rules(db, ids)
    unknown = sorted(set(ids) - {rule.id for rule in rules})
    if unknown:
        raise not_found(f"Rule id={', '.join(map(str, unknown))} not found!")
    return rules


def rights_of(rules: Iterable[Rule]) -> frozenset[Right]:
    """What stored rules give the right to."""
    return frozenset(
        Right(rule.name, Operation[rule.operation], Scope[rule.scope]) for rule in rules
    )


@router.get("/rule")
def list_rules(
    call: ByUser,
    page: Paged,
    name: str | None = None,
    operation: str | None = None,
    scope: str | None = None,
    role_id: Id | None = None,
    user_id: Id | None = None,
    no_pagination: str | None = None,
) -> JSON:
    """List rules: all, those of a role, or those that a user has by role or directly."""
    with call.read() as work:
        where: list[ColumnElement[bool]] = []
        if name is not None:
            where.append(Rule.name == name)
        if operation is not None:
            where.append(Rule.operation == _operation(operation).name)
        if scope is not None:
            where.append(Rule.scope == _scope(scope).name)
        if role_id is not None:
            if work.db.get(Role, role_id) is None:
                raise bad_request(f"Role id={role_id} not found!")
            where.append(
                Rule.id.in_(select(role_rule.c.rule_id).where(role_rule.c.role_id == role_id))
            )
        if user_id is not None:
            if work.db.get(User, user_id) is None:
                raise bad_request(f"User id={user_id} not found!")
            where.append(Rule.id.in_(rules_held_by(user_id)))
        return (page.whole() if no_pagination == "1" else page).fetch(
            work.db,
            select(Rule).where(*where),
            lambda rows: [rule_json(row[0], work.link) for row in rows],
            sort=_SORT,
            default=Rule.id,
        )


@router.get("/rule/{id_:int}")
def get_rule(call: ByUser, id_: int) -> JSON:
    """Get one rule."""
    with call.read() as work:
        return JSON(rule_json(find_rule(work.db, id_), work.link))


def _operation(text: str) -> Operation:
    operation = parse_operation(text)
    if operation is None:
        known = ", ".join(f"{item.name} ({item.value})" for item in Operation)
        raise bad_request(f"Unknown operation '{text}'. Possible are: {known}")
    return operation


def _scope(text: str) -> Scope:
    scope = parse_scope(text)
    if scope is None:
        known = ", ".join(f"{item.name} ({item.code})" for item in Scope)
        raise bad_request(f"Unknown scope '{text}'. Possible are: {known}")
    return scope
