"""Roles, named sets of rules: ``/role``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy import ColumnElement, delete, insert, or_, select
from sqlalchemy.orm import Session

from vantage6.server.api.organization import find_organization
from vantage6.server.api.rule import find_rule, find_rules, rights_of, rule_json
from vantage6.server.auth.caller import Caller
from vantage6.server.auth.rules import DEFAULT_ROLES
from vantage6.server.auth.visibility import visible
from vantage6.server.call import ByUser, Work
from vantage6.server.model.tables import Role, Rule, User, member, role_rule, user_role
from vantage6.web.errors import bad_request, lacks_permission, not_found
from vantage6.web.links import Links
from vantage6.web.pagination import Paged
from vantage6.web.parameters import Body, Flag, Id, Pattern, Text128
from vantage6.web.responses import JSON
from vantage6.web.rules import Operation, Scope

router = APIRouter(tags=["role"])

_SORT = {
    "id": Role.id,
    "name": Role.name,
    "description": Role.description,
    "organization_id": Role.organization_id,
    "is_default_role": Role.is_default_role,
}
_RESERVED = frozenset(role.name for role in DEFAULT_ROLES)

Description = Annotated[str, Field(max_length=1024)]
Ids = Annotated[list[Id] | None, Query()]
Patterns = Annotated[list[Pattern] | None, Query()]


class NewRole(Body):
    """What a new role is made of."""

    name: Text128
    description: Description | None = None
    rules: list[Id]
    organization_id: Id | None = None


class RoleChange(Body):
    """What may change of a role; the contract's client sends null for what stays."""

    name: Text128 | None = None
    description: Description | None = None
    rules: list[Id] | None = None


def role_json(role: Role, link: Links) -> dict[str, Any]:
    """A role as the contract shows it."""
    return {
        "id": role.id,
        "name": role.name,
        "description": role.description,
        "is_default_role": role.is_default_role,
        "organization": link.one("organization", role.organization_id),
        "rules": link.many("rule", "role_id", role.id),
        "users": link.many("user", "role_id", role.id),
    }


def find_role(db: Session, id_: int) -> Role:
    """The role with an id.

    Raises
    ------
    Refusal
        404 if there is none.
    """
    role = db.get(Role, id_)
    if role is None:
        raise not_found(f"Role id={id_} not found!")
    return role


def rules_of(db: Session, role_ids: Iterable[int]) -> Sequence[Rule]:
    """All rules of some roles."""
    held = select(role_rule.c.rule_id).where(role_rule.c.role_id.in_(set(role_ids)))
    return db.scalars(select(Rule).where(Rule.id.in_(held)).order_by(Rule.id)).all()


@router.get("/role")
def list_roles(
    call: ByUser,
    page: Paged,
    name: Patterns = None,
    description: Patterns = None,
    organization_id: Ids = None,
    collaboration_id: Id | None = None,
    include_root: Flag = False,
    rule_id: Id | None = None,
    user_id: Id | None = None,
) -> JSON:
    """List the roles that the caller may see.

    With `include_root`, filters by organization or collaboration also let roles pass that belong
    to no organization.
    """
    with call.read() as work:
        where: list[ColumnElement[bool]] = [visible(work.caller, "role")]
        if name:
            where.append(or_(*(Role.name.like(pattern) for pattern in name)))
        if description:
            where.append(or_(*(Role.description.like(pattern) for pattern in description)))
        if organization_id:
            for id_ in organization_id:
                work.caller.must("role", Operation.VIEW, organization=id_)
            where.append(_or_root(Role.organization_id.in_(organization_id), include_root))
        if collaboration_id is not None:
            work.caller.must("role", Operation.VIEW, collaboration=collaboration_id)
            members = select(member.c.organization_id).where(
                member.c.collaboration_id == collaboration_id
            )
            where.append(_or_root(Role.organization_id.in_(members), include_root))
        if rule_id is not None:
            find_rule(work.db, rule_id)
            where.append(
                Role.id.in_(select(role_rule.c.role_id).where(role_rule.c.rule_id == rule_id))
            )
        if user_id is not None:
            _check_user_filter(work, user_id)
            where.append(
                Role.id.in_(select(user_role.c.role_id).where(user_role.c.user_id == user_id))
            )
        return page.fetch(
            work.db,
            select(Role).where(*where),
            lambda rows: [role_json(row[0], work.link) for row in rows],
            sort=_SORT,
            default=Role.id,
        )


@router.post("/role", status_code=201)
def create_role(call: ByUser, body: NewRole) -> JSON:
    """Create a role, out of rules that the caller holds."""
    with call.write() as work:
        _refuse_reserved_name(body.name)
        rules = find_rules(work.db, body.rules)
        work.caller.must_hold(rights_of(rules))
        organization_id = body.organization_id or work.caller.organization_id
        find_organization(work.db, organization_id)
        work.caller.must("role", Operation.CREATE, organization=organization_id)
        role = Role(name=body.name, description=body.description, organization_id=organization_id)
        work.db.add(role)
        work.db.flush()
        _set_rules(work.db, role, rules)
        return JSON(role_json(role, work.link), 201)


@router.get("/role/{id_:int}")
def get_role(call: ByUser, id_: int) -> JSON:
    """Get one role."""
    with call.read() as work:
        role = find_role(work.db, id_)
        if not _may_see(work, role):
            raise lacks_permission()
        return JSON(role_json(role, work.link))


@router.patch("/role/{id_:int}")
def update_role(call: ByUser, id_: int, body: RoleChange) -> JSON:
    """Change a role that is not a default one."""
    with call.write() as work:
        role = find_role(work.db, id_)
        _refuse_default(role, "changed")
        work.caller.must("role", Operation.EDIT, organization=role.organization_id)
        if body.name is not None:
            _refuse_reserved_name(body.name)
            role.name = body.name
        if body.description is not None:
            role.description = body.description
        if body.rules is not None:
            rules = find_rules(work.db, body.rules)
            work.caller.must_hold(rights_of(rules))
            _set_rules(work.db, role, rules)
        return JSON(role_json(role, work.link))


@router.delete("/role/{id_:int}")
def delete_role(call: ByUser, id_: int, delete_dependents: Flag = False) -> JSON:
    """Delete a role; one that users have only if asked for."""
    with call.write() as work:
        role = find_role(work.db, id_)
        _refuse_default(role, "deleted")
        work.caller.must("role", Operation.DELETE, organization=role.organization_id)
        if not delete_dependents and work.db.scalar(
            select(user_role.c.user_id).where(user_role.c.role_id == id_).limit(1)
        ):
            raise bad_request(
                f"Role id={id_} is assigned to users. To take it from them and delete it, "
                "set 'delete_dependents'"
            )
        work.db.execute(delete(Role).where(Role.id == id_))
        return JSON({"msg": f"Role id={id_} successfully deleted"})


@router.post("/role/{id_:int}/rule/{rule_id:int}", status_code=201)
def add_rule(call: ByUser, id_: int, rule_id: int) -> JSON:
    """Add a rule to a role; answers the role's rules."""
    with call.write() as work:
        role, rule = _find_both(work, id_, rule_id)
        held = rules_of(work.db, [role.id])
        if rule not in held:
            work.db.execute(insert(role_rule).values(role_id=role.id, rule_id=rule.id))
        return JSON([rule_json(item, work.link) for item in rules_of(work.db, [role.id])], 201)


@router.delete("/role/{id_:int}/rule/{rule_id:int}")
def remove_rule(call: ByUser, id_: int, rule_id: int) -> JSON:
    """Take a rule out of a role; answers the role's rules."""
    with call.write() as work:
        role, rule = _find_both(work, id_, rule_id)
        held = rules_of(work.db, [role.id])
        if rule not in held:
            raise not_found(f"Role id={id_} does not have rule id={rule_id}!")
        work.db.execute(
            delete(role_rule).where(role_rule.c.role_id == role.id, role_rule.c.rule_id == rule.id)
        )
        return JSON([rule_json(item, work.link) for item in held if item is not rule])


def _or_root(condition: ColumnElement[bool], include_root: bool) -> ColumnElement[bool]:
    return or_(condition, Role.organization_id.is_(None)) if include_root else condition


def _check_user_filter(work: Work, user_id: int) -> None:
    user = work.db.get(User, user_id)
    if user is None:
        raise bad_request(f"User id={user_id} not found!")
    if user_id != work.caller.id:
        work.caller.must("role", Operation.VIEW, organization=user.organization_id)


def _may_see(work: Work, role: Role) -> bool:
    caller = work.caller
    if caller.may("role", Operation.VIEW, organization=role.organization_id):
        return True
    if role.is_default_role and caller.rights.at_least("role", Operation.VIEW, Scope.ORGANIZATION):
        return True
    return _is_own(work.db, caller, role)


def _is_own(db: Session, caller: Caller, role: Role) -> bool:
    own = select(user_role.c.role_id).where(
        user_role.c.user_id == caller.id, user_role.c.role_id == role.id
    )
    return db.scalar(own) is not None


def _find_both(work: Work, id_: int, rule_id: int) -> tuple[Role, Rule]:
    role = find_role(work.db, id_)
    rule = find_rule(work.db, rule_id)
    work.caller.must("role", Operation.EDIT, organization=role.organization_id)
    work.caller.must_hold(rights_of([rule]))
    return role, rule


def _set_rules(db: Session, role: Role, rules: Sequence[Rule]) -> None:
    db.execute(delete(role_rule).where(role_rule.c.role_id == role.id))
    if rules:
        db.execute(insert(role_rule), [{"role_id": role.id, "rule_id": rule.id} for rule in rules])


def _refuse_reserved_name(name: str) -> None:
    if name in _RESERVED:
        raise bad_request(f"'{name}' is the name of a default role. Please choose another one")


def _refuse_default(role: Role, done: str) -> None:
    if role.is_default_role:
        raise bad_request(f"Role id={role.id} is a default role: it cannot be {done}")
