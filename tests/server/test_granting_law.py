"""Nobody grants more than they have: section 7 of ``permissions.md``, for every rule and every way.

``permission_matrix/grants.txt`` holds the ways. Each is tried for each of the 86 rules by somebody
who holds everything but that rule in its scope or a wider one, and by somebody who holds just that
rule; ``V6_FULL_MATRIX=1`` also tries each other scope of it alone, and nothing. What a request gave
is looked up in the database before it is undone, so that the law does not lean on the status.
:mod:`test_granting` has the single cases to read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from permission_tables import ORDER, RULES, fill, table
from vantage6.server.auth.caller import rules_held_by
from vantage6.server.auth.rules import DEFAULT_ROLES
from vantage6.server.model.tables import Role, Rule, User, role_rule

EVERY_SCOPE = os.environ.get("V6_FULL_MATRIX") == "1"
#: Of how many who may grant a rule in some way one is tried.
SPARED = 10
PERSON = {"username": "newcomer", "email": "new@example.org", "password": "Passw0rd!"}


def covering(rule: str) -> set[str]:
    """The rule itself and what it is in a wider scope."""
    right, _, scope = rule.rpartition(" ")
    return {f"{right} {wider}" for wider in ORDER[: ORDER.index(scope) + 1]} & set(RULES)


@dataclass(frozen=True)
class Way:
    """A request that may give somebody a rule."""

    request: str
    body: Any
    #: The right for the act itself.
    right: str
    status: int
    #: Whether only those get that status who hold the rule.
    if_covered: bool

    @property
    def gives(self) -> bool:
        """Whether it gives the rule to somebody who has it not."""
        return self.if_covered and "_with_" not in self.request and "_with}" not in self.request

    @property
    def label(self) -> str:
        """What tells ways of the same request apart."""
        return " ".join(f"{key}={value}" for key, value in (self.body or {}).items())


@dataclass(frozen=True)
class Holder:
    """Somebody who is to try to grant: with a right for that, and by a role these rules."""

    right: str
    held: frozenset[str]

    @property
    def rules(self) -> frozenset[str]:
        """All that they have."""
        return self.held | {self.right}


def ways() -> list[Way]:
    result = []
    for request, body, right, outcome in table("grants"):
        content = json.loads(body)
        status, _, condition = outcome.partition(" ")
        if request == "POST /user":
            content = PERSON | content
        result.append(Way(request, content, right, int(status), condition == "if covered"))
    return result


def holders(rule: str) -> Iterator[frozenset[str]]:
    """The rules of those who are to try to give this one."""
    yield frozenset(RULES) - covering(rule)
    yield frozenset({rule})
    if EVERY_SCOPE:
        right = rule.rpartition(" ")[0]
        yield frozenset()
        for scope in ORDER:
            if (other := f"{right} {scope}") in RULES and other != rule:
                yield frozenset({other})


#: Rules by user and by role: what somebody has, and what those will have who get the role.
Grants = dict[tuple[str, int], frozenset[str]]


class World:
    """Two organizations in one collaboration, people who grant, and what is granted to."""

    def __init__(self, server: Any, callers: Collection[Holder]) -> None:
        self.server = server
        own, partner = server.organization(), server.organization()
        server.collaboration(own, partner)
        self.own, self.partner = own, partner
        roles = {held: server.role(own, *held) for held in {caller.held for caller in callers}}
        self._callers = {
            caller: server.user(own, caller.right, roles=[roles[caller.held]]) for caller in callers
        }
        self._held = roles
        self.fixed = {
            "partner": partner,
            "role_without": server.role(own),
            "partner_role_without": server.role(partner),
            "user_without": server.user(own).id,
            "partner_user": server.user(partner).id,
            "default_role": server.default_role("container"),
        }
        self._with = {rule: self._subjects(rule) for rule in RULES}
        self._names = {server.rule(rule): rule for rule in RULES}
        # The last things added: what has a greater id was made by a request.
        self._last_user = server.user(partner).id
        self._last_role = server.role(partner)

    def _subjects(self, rule: str) -> dict[str, int]:
        role = self.server.role(self.own, rule)
        return {
            "rule": self.server.rule(rule),
            "role_with": role,
            "partner_role_with": self.server.role(self.partner, rule),
            "user_with_rule": self.server.user(self.own, rule).id,
            "user_with_role": self.server.user(self.own, roles=[role]).id,
        }

    def ids(self, rule: str, holder: Holder) -> dict[str, int]:
        """Everything that the table names."""
        return {
            **self.fixed,
            **self._with[rule],
            "right": self.server.rule(holder.right),
            "self": self._callers[holder].id,
            "role_held": self._held[holder.held],
        }

    def grants(self, db: Session, ids: Collection[int]) -> Grants:
        """What users and roles have that have one of these ids, or are new."""
        found: Grants = {}
        users = select(User.id).where(or_(User.id > self._last_user, User.id.in_(ids)))
        for user in db.scalars(users):
            found["user", user] = self._rules(db.scalars(rules_held_by(user)))
        roles = select(Role.id).where(or_(Role.id > self._last_role, Role.id.in_(ids)))
        for role in db.scalars(roles):
            held = select(role_rule.c.rule_id).where(role_rule.c.role_id == role)
            found["role", role] = self._rules(db.scalars(held))
        return found

    def _rules(self, ids: Iterable[int]) -> frozenset[str]:
        return frozenset(self._names[id_] for id_ in ids)

    def attempt(self, holder: Holder, way: Way, rule: str) -> Attempt:
        """Send a request, look what it gave to whom, and undo it."""
        caller, ids = self._callers[holder], self.ids(rule, holder)
        method, path = fill(way.request, ids).split()
        touched = [caller.id, *(ids[name] for name in ids if f"{{{name}}}" in way.request)]
        gained: Grants = {}

        def look(changed: Session) -> None:
            with self.server.services.database.read() as kept:
                before = self.grants(kept, touched)
            for who, rules in self.grants(changed, touched).items():
                gained[who] = rules - before.get(who, frozenset())

        with self.server.rehearse(look):
            answer = caller.request(method, path, json=fill(way.body, ids))
        return Attempt(answer, gained)


@dataclass(frozen=True)
class Attempt:
    """What came of a request, and who got rules by it that they had not."""

    answer: Any
    gained_by: Grants

    @property
    def gained(self) -> frozenset[str]:
        """All that anybody got."""
        return frozenset().union(*self.gained_by.values())


@dataclass(frozen=True)
class Trial:
    """Somebody is to try to give a rule."""

    rule: str
    holder: Holder

    @property
    def covered(self) -> bool:
        """Whether they hold it in its scope or a wider one."""
        return bool(covering(self.rule) & self.holder.rules)


def trials(way: Way, number: int) -> Iterator[Trial]:
    """Who tries this way, the `number`-th."""
    for index, rule in enumerate(RULES):
        lacking, *others = holders(rule)
        yield Trial(rule, Holder(way.right, lacking))
        # Those who may are tried in some ways only: one that refused too much breaks other tests.
        for held in others if EVERY_SCOPE or (index + number) % SPARED == 0 else []:
            yield Trial(rule, Holder(way.right, held))


NUMBERED = list(enumerate(ways()))


@pytest.fixture(scope="module")
def world(shared_server: Any) -> Iterator[World]:
    callers = {trial.holder: None for number, way in NUMBERED for trial in trials(way, number)}
    with pytest.MonkeyPatch.context() as patch:
        # Slow on purpose, and not what is looked at here.
        patch.setattr("vantage6.server.api.user.hash_password", lambda _: "not a hash")
        with shared_server.filling():
            made = World(shared_server, list(callers))
        yield made


@pytest.mark.parametrize(
    ("number", "way"),
    [pytest.param(number, way, id=f"{way.request} {way.label}") for number, way in NUMBERED],
)
def test_whoever_grants_a_rule_holds_it(world: World, number: int, way: Way) -> None:
    wrong = []
    refused = gave = 0
    for trial in trials(way, number):
        attempt = world.attempt(trial.holder, way, trial.rule)
        problem = judge(way, trial, attempt)
        refused += way.if_covered and not trial.covered
        gave += trial.rule in attempt.gained
        if problem:
            wrong.append(f"{trial.rule} by one with {len(trial.holder.rules)} rules: {problem}")
    assert not wrong, "\n".join(wrong)
    if way.if_covered:
        # Of the right for the act itself everybody has the narrowest scopes.
        assert refused >= len(RULES) - len(ORDER)
    assert bool(gave) == way.gives


def judge(way: Way, trial: Trial, attempt: Attempt) -> str | None:
    """What is wrong with what came of it."""
    status, message = attempt.answer.status_code, attempt.answer.json()
    lacks = way.if_covered and not trial.covered
    if status != (401 if lacks else way.status):
        return f"{status}: {message}"
    resource, operation, scope = trial.rule.split()
    expected = f"You don't have the rule ({resource}, {scope.lower()}, {operation.lower()})"
    if lacks and message["msg"] != expected:
        return f"the message is {message['msg']!r}"
    # The law itself, whatever was answered.
    ungranted = [rule for rule in attempt.gained if not covering(rule) & trial.holder.rules]
    return f"gave {ungranted}" if ungranted else None


@pytest.mark.parametrize("role", [role.name for role in DEFAULT_ROLES])
def test_whoever_gives_a_default_role_holds_all_of_it(server: Any, role: str) -> None:
    organization = server.organization()
    id_ = server.default_role(role)
    held = server.rows(
        select(Rule.name, Rule.operation, Rule.scope)
        .join(role_rule, role_rule.c.rule_id == Rule.id)
        .where(role_rule.c.role_id == id_)
    )
    rules = {" ".join(rule) for rule in held}
    assert rules
    act = "user EDIT ORGANIZATION"
    with server.filling():
        user = server.user(organization)
        lacking = {
            rule: server.user(organization, *({*rules, act} - covering(rule) | {act}))
            for rule in rules
            if act not in covering(rule)
        }
        holding = server.user(organization, *{*rules, act})
    for rule, caller in lacking.items():
        assert caller.patch(f"/user/{user.id}", roles=[id_]).status_code == 401, rule
    assert holding.patch(f"/user/{user.id}", roles=[id_]).status_code == 200
