"""Who is asking, and what they may do and see.

Decisions follow ``permissions.md``: one function answers "may they do this?", one SQL predicate
per resource answers "what may they see?" (:mod:`.visibility`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import EllipsisType
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Select,
    Table,
    bindparam,
    exists,
    select,
    true,
    union,
)
from sqlalchemy.orm import Session

from vantage6.server.auth.rules import CONTAINER_RIGHTS, NODE_RIGHTS
from vantage6.server.auth.tokens import ExpiredToken, Kind, Token
from vantage6.server.model.tables import Node, Rule, User, member, role_rule, user_role, user_rule
from vantage6.web.errors import lacks_permission, unauthorized
from vantage6.web.rules import Operation, Rights, Scope
from vantage6.web.rules import Rule as Right


@dataclass
class Caller:
    """A user, node or container in one transaction."""

    db: Session
    kind: Kind
    id: int
    organization_id: int
    rights: Rights
    name: str = ""
    # Nodes and containers work in one collaboration only.
    collaboration_id: int | None = None
    # Of a user's tokens, see `auth/session.py`.
    generation: int = 0
    container: dict[str, Any] = field(default_factory=dict)

    @property
    def own_collaborations(self) -> Select[Any]:
        """Subquery: ids of the collaborations of the caller's organization."""
        query = select(member.c.collaboration_id).where(
            member.c.organization_id == self.organization_id
        )
        if self.kind is not Kind.USER:
            query = query.where(member.c.collaboration_id == self.collaboration_id)
        return query

    @cached_property
    def _collaborations(self) -> frozenset[int]:
        return frozenset(self.db.scalars(self.own_collaborations))

    def is_in(self, collaboration_id: int | None) -> bool:
        """Whether a collaboration is one of the caller's."""
        return collaboration_id in self._collaborations

    def may(
        self,
        resource: str,
        operation: Operation,
        *,
        organization: int | EllipsisType | None = ...,
        collaboration: int | EllipsisType | None = ...,
        owner: int | None = None,
    ) -> bool:
        """Whether a rule of the caller reaches something.

        Parameters
        ----------
        resource, operation
            What is to be done.
        organization
            The organization it belongs to. None: to none, only GLOBAL reaches it.
        collaboration
            The collaboration it belongs to. When not given, COLLABORATION scope reaches the
            organizations with which the caller's shares a collaboration.
        owner
            Id of the user it belongs to.
        """

        def has(scope: Scope) -> bool:
            return self.rights.has(resource, operation, scope)

        if has(Scope.GLOBAL):
            return True
        if owner is not None and self.kind is Kind.USER and owner == self.id and has(Scope.OWN):
            return True
        if organization == self.organization_id and has(Scope.ORGANIZATION):
            return True
        if not has(Scope.COLLABORATION):
            return False
        if collaboration is not ...:
            return self.is_in(collaboration)
        return isinstance(organization, int) and self._collaborates_with(organization)

    def must(self, resource: str, operation: Operation, **reach: Any) -> None:
        """Like :meth:`may`.

        Raises
        ------
        Refusal
            401 if they may not.
        """
        if not self.may(resource, operation, **reach):
            raise lacks_permission()

    def must_hold(self, rules: Any) -> None:
        """Nobody grants more than they have.

        Raises
        ------
        Refusal
            401 naming the first rule that the caller lacks.
        """
        lacking = self.rights.lacking(rules)
        if lacking:
            raise unauthorized(
                f"You don't have the rule ({lacking.resource}, {lacking.scope.name.lower()}, "
                f"{lacking.operation.name.lower()})"
            )

    def _collaborates_with(self, organization_id: int) -> bool:
        return bool(
            self.db.scalar(
                select(
                    exists().where(
                        member.c.organization_id == organization_id,
                        member.c.collaboration_id.in_(self.own_collaborations),
                    )
                )
            )
        )


def load_caller(db: Session, token: Token) -> Caller:
    """Load who holds a token, with the rights of this moment. One statement, or none.

    Raises
    ------
    Refusal
        401 if the user or node no longer exists, or the token was ended before its time.
    """
    if isinstance(token.subject, dict):
        claims = token.subject
        return Caller(
            db,
            token.kind,
            claims["node_id"],
            claims["organization_id"],
            CONTAINER_RIGHTS,
            collaboration_id=claims["collaboration_id"],
            container=claims,
        )
    if token.kind is Kind.USER:
        return _load_user(db, token.subject, token)
    return _load_node(db, token.subject)


def rules_held_by(user_id: int | BindParameter[int]) -> CompoundSelect[Any]:
    """Subquery: ids of the rules a user has, by role or directly."""
    return union(
        select(role_rule.c.rule_id)
        .join(user_role, user_role.c.role_id == role_rule.c.role_id)
        .where(user_role.c.user_id == user_id),
        select(user_rule.c.rule_id).where(user_rule.c.user_id == user_id),
    )


_USER = cast(Table, User.__table__)
_NODE = cast(Table, Node.__table__)


def _user_query() -> Any:
    held = rules_held_by(bindparam("id")).subquery()
    rules = (
        select(Rule.name, Rule.operation, Rule.scope)
        .join(held, held.c.rule_id == Rule.id)
        .subquery()
    )
    return (
        select(
            _USER.c.organization_id,
            _USER.c.username,
            _USER.c.token_generation,
            _USER.c.spared_login,
            rules,
        )
        .select_from(_USER.outerjoin(rules, true()))
        .where(_USER.c.id == bindparam("id"))
    )


# Built once: every request runs one of these.
_LOAD_USER = _user_query()
_LOAD_NODE = select(_NODE.c.organization_id, _NODE.c.collaboration_id, _NODE.c.name).where(
    _NODE.c.id == bindparam("id")
)


@lru_cache(maxsize=512)
def _rights(rules: frozenset[tuple[str, str, str]]) -> Rights:
    return Rights(
        Right(name, Operation[operation], Scope[scope]) for name, operation, scope in rules
    )


def _load_user(db: Session, id_: int, token: Token) -> Caller:
    rows = db.connection().execute(_LOAD_USER, {"id": id_}).all()
    if not rows:
        raise unauthorized(f"Error loading the user {id_}")
    organization_id, username, generation, spared = rows[0][:4]
    if not _goes_on(token, generation, spared):
        raise ExpiredToken
    rights = _rights(frozenset(tuple(row[4:]) for row in rows if row[4]))
    return Caller(db, Kind.USER, id_, organization_id, rights, username, generation=generation)


def _goes_on(token: Token, generation: int, spared: str | None) -> bool:
    return token.generation == generation or (spared is not None and token.login == spared)


def ended(db: Session, tokens: Mapping[str, Token]) -> list[str]:
    """Keys of those users' tokens that were ended before their time."""
    rows = db.execute(
        select(_USER.c.id, _USER.c.token_generation, _USER.c.spared_login).where(
            _USER.c.id.in_({token.subject for token in tokens.values()})
        )
    )
    known = {id_: (generation, spared) for id_, generation, spared in rows}
    return [
        key
        for key, token in tokens.items()
        if token.subject not in known or not _goes_on(token, *known[token.subject])
    ]


def _load_node(db: Session, id_: int) -> Caller:
    node = db.connection().execute(_LOAD_NODE, {"id": id_}).one_or_none()
    if node is None:
        raise unauthorized(f"Error loading the user {id_}")
    return Caller(
        db, Kind.NODE, id_, node.organization_id, NODE_RIGHTS, node.name, node.collaboration_id
    )
