"""What a caller sees in lists: one SQL predicate per resource (``permissions.md``, section 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, false, or_, select, true

from vantage6.server.auth.caller import Caller
from vantage6.server.auth.tokens import Kind
from vantage6.server.model.tables import (
    AlgorithmStore,
    Collaboration,
    Node,
    Organization,
    Role,
    Run,
    Study,
    Task,
    User,
    member,
    study_member,
    user_role,
)
from vantage6.web.errors import lacks_permission
from vantage6.web.rules import Operation, Scope

Predicate = Callable[[Caller], ColumnElement[bool]]


def _partners(caller: Caller) -> Any:
    """Ids of the organizations in the caller's collaborations."""
    return select(member.c.organization_id).where(
        member.c.collaboration_id.in_(caller.own_collaborations)
    )


def _own_studies(caller: Caller) -> Any:
    query = select(study_member.c.study_id).where(
        study_member.c.organization_id == caller.organization_id
    )
    if caller.kind is Kind.USER:
        return query
    return query.join(Study, Study.id == study_member.c.study_id).where(
        Study.collaboration_id == caller.collaboration_id
    )


def _own_roles(caller: Caller) -> Any:
    return select(user_role.c.role_id).where(user_role.c.user_id == caller.id)


_TABLE: Mapping[str, Mapping[Scope, Predicate]] = {
    "organization": {
        Scope.COLLABORATION: lambda caller: or_(
            Organization.id.in_(_partners(caller)), Organization.id == caller.organization_id
        ),
        Scope.ORGANIZATION: lambda caller: Organization.id == caller.organization_id,
    },
    "collaboration": {
        Scope.ORGANIZATION: lambda caller: Collaboration.id.in_(caller.own_collaborations),
    },
    "algorithmstore": {
        Scope.ORGANIZATION: lambda caller: or_(
            AlgorithmStore.collaboration_id.in_(caller.own_collaborations),
            AlgorithmStore.collaboration_id.is_(None),
        ),
    },
    "study": {
        Scope.COLLABORATION: lambda caller: Study.collaboration_id.in_(caller.own_collaborations),
        Scope.ORGANIZATION: lambda caller: Study.id.in_(_own_studies(caller)),
    },
    "node": {
        Scope.COLLABORATION: lambda caller: Node.collaboration_id.in_(caller.own_collaborations),
        Scope.ORGANIZATION: lambda caller: Node.organization_id == caller.organization_id,
    },
    "user": {
        Scope.COLLABORATION: lambda caller: or_(
            User.organization_id.in_(_partners(caller)),
            User.organization_id == caller.organization_id,
        ),
        Scope.ORGANIZATION: lambda caller: User.organization_id == caller.organization_id,
    },
    "role": {
        Scope.COLLABORATION: lambda caller: or_(
            Role.organization_id.in_(_partners(caller)),
            Role.organization_id == caller.organization_id,
            Role.organization_id.is_(None),
            Role.id.in_(_own_roles(caller)),
        ),
        Scope.ORGANIZATION: lambda caller: or_(
            Role.organization_id == caller.organization_id,
            Role.organization_id.is_(None),
            Role.id.in_(_own_roles(caller)),
        ),
    },
    "task": {
        Scope.COLLABORATION: lambda caller: Task.collaboration_id.in_(caller.own_collaborations),
        Scope.ORGANIZATION: lambda caller: Task.init_org_id == caller.organization_id,
        Scope.OWN: lambda caller: Task.init_user_id == caller.id,
    },
    # A list of runs goes by the executing organization, unlike access to a single run.
    "run": {
        Scope.COLLABORATION: lambda caller: Task.collaboration_id.in_(caller.own_collaborations),
        Scope.ORGANIZATION: lambda caller: Run.organization_id == caller.organization_id,
        Scope.OWN: lambda caller: Task.init_user_id == caller.id,
    },
}

#: Resources without rules of their own, with the resource whose rules count.
_RULES_OF = {"algorithmstore": "collaboration"}


def visible(caller: Caller, resource: str) -> ColumnElement[bool]:
    """The WHERE of what a caller may see of a resource, by the widest VIEW rule held.

    Predicates of ``run`` need the task joined.

    Raises
    ------
    Refusal
        401 without any VIEW rule; but everybody sees their own roles.
    """
    scope = caller.rights.widest(_RULES_OF.get(resource, resource), Operation.VIEW)
    if scope is Scope.GLOBAL:
        return true()
    if scope is None:
        if resource == "role":
            return Role.id.in_(_own_roles(caller))
        raise lacks_permission()
    predicate = _TABLE[resource].get(scope)
    return predicate(caller) if predicate else false()
