"""Users: ``/user``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AfterValidator, Field
from sqlalchemy import Column, ColumnElement, Table, delete, insert, select
from sqlalchemy.orm import Session

from vantage6.server.api.organization import find_organization
from vantage6.server.api.role import rules_of
from vantage6.server.api.rule import find_rules, known_rules, rights_of
from vantage6.server.auth.caller import rules_held_by
from vantage6.server.auth.passwords import check_policy, hash_password
from vantage6.server.auth.visibility import visible
from vantage6.server.call import ByUser, Work
from vantage6.server.model.removal import delete_identities, delete_tasks
from vantage6.server.model.tables import Role, Rule, Task, User, member, user_role, user_rule
from vantage6.web.errors import bad_request, not_found, unauthorized
from vantage6.web.links import Links
from vantage6.web.pagination import Paged
from vantage6.web.parameters import Body, Flag, Id, Moment, Pattern, Text128
from vantage6.web.responses import JSON, timestamp
from vantage6.web.rules import Operation, Scope

router = APIRouter(tags=["user"])

_SORT = {
    "id": User.id,
    "username": User.username,
    "firstname": User.firstname,
    "lastname": User.lastname,
    "email": User.email,
    "organization_id": User.organization_id,
    "status": User.status,
    "last_seen": User.last_seen,
}

_USERNAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_WORD = r"[\w!#$%&'*+/=?^`{|}~-]+"
_EMAIL = re.compile(
    rf"{_WORD}(\.{_WORD})*@(localhost|({_LABEL}\.)+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9])"
)


def _username(text: str) -> str:
    if not _USERNAME.fullmatch(text):
        raise ValueError(
            "A username starts with a letter and holds only letters, digits, '.', '_' and '-'."
        )
    return text


def _email(text: str) -> str:
    # Syntax alone: the contract accepts addresses inside a site, such as at localhost.
    if not _EMAIL.fullmatch(text):
        raise ValueError("Not a valid email address.")
    return text


Username = Annotated[str, Field(min_length=3, max_length=128), AfterValidator(_username)]
Email = Annotated[str, Field(max_length=255), AfterValidator(_email)]


class NewUser(Body):
    """What a new user is made of."""

    username: Username
    email: Email
    password: Annotated[str, AfterValidator(check_policy)] = Field(repr=False)
    firstname: Text128 | None = None
    lastname: Text128 | None = None
    organization_id: Id | None = None
    roles: list[Id] = Field(default_factory=list)
    rules: list[Id] = Field(default_factory=list)


class UserChange(Body):
    """What may change of a user; the organization is accepted but stays."""

    username: Username = ""
    email: Email = ""
    firstname: Text128 = ""
    lastname: Text128 = ""
    organization_id: Id = 1
    roles: list[Id] = Field(default_factory=list)
    rules: list[Id] = Field(default_factory=list)


def user_json(user: User, link: Links) -> dict[str, Any]:
    """A user as the contract shows it."""
    return {
        "id": user.id,
        "type": user.type,
        "username": user.username,
        "firstname": user.firstname,
        "lastname": user.lastname,
        "email": user.email,
        "organization": link.one("organization", user.organization_id),
        "roles": link.many("role", "user_id", user.id),
        "rules": link.many("rule", "user_id", user.id),
        "status": user.status,
        "last_seen": timestamp(user.last_seen),
        "last_email_failed_login_sent": timestamp(user.last_email_failed_login_sent),
        "last_email_recover_password_sent": timestamp(user.last_email_recover_password_sent),
        "ip": None,
        # A key of the contract; what it held is nobody's business.
        "otp_secret": None,
    }


def find_user(db: Session, id_: int) -> User:
    """The user with an id.

    Raises
    ------
    Refusal
        404 if there is none.
    """
    user = db.get(User, id_)
    if user is None:
        raise not_found(f"User id={id_} not found!")
    return user


@router.get("/user")
def list_users(
    call: ByUser,
    page: Paged,
    username: Pattern | None = None,
    firstname: Pattern | None = None,
    lastname: Pattern | None = None,
    email: Pattern | None = None,
    organization_id: Id | None = None,
    collaboration_id: Id | None = None,
    role_id: Id | None = None,
    rule_id: Id | None = None,
    last_seen_from: Moment = None,
    last_seen_till: Moment = None,
) -> JSON:
    """List the users that the caller may see; by their own username everybody sees themselves."""
    with call.read() as work:
        caller = work.caller
        where: list[ColumnElement[bool]] = []
        for column, pattern in (
            (User.username, username),
            (User.firstname, firstname),
            (User.lastname, lastname),
            (User.email, email),
        ):
            if pattern is not None:
                where.append(column.like(pattern))
        if organization_id is not None:
            caller.must("user", Operation.VIEW, organization=organization_id)
            where.append(User.organization_id == organization_id)
        if collaboration_id is not None:
            caller.must("user", Operation.VIEW, collaboration=collaboration_id)
            where.append(
                User.organization_id.in_(
                    select(member.c.organization_id).where(
                        member.c.collaboration_id == collaboration_id
                    )
                )
            )
        if role_id is not None:
            _check_role_filter(work, role_id)
            where.append(
                User.id.in_(select(user_role.c.user_id).where(user_role.c.role_id == role_id))
            )
        if rule_id is not None:
            if work.db.get(Rule, rule_id) is None:
                raise bad_request(f"Rule id={rule_id} not found!")
            where.append(
                User.id.in_(select(user_rule.c.user_id).where(user_rule.c.rule_id == rule_id))
            )
        if last_seen_from is not None:
            where.append(User.last_seen >= last_seen_from)
        if last_seen_till is not None:
            where.append(User.last_seen <= last_seen_till)
        if username == caller.name and caller.rights.widest("user", Operation.VIEW) is None:
            where.append(User.id == caller.id)
        else:
            where.append(visible(caller, "user"))
        return page.fetch(
            work.db,
            select(User).where(*where),
            lambda rows: [user_json(row[0], work.link) for row in rows],
            sort=_SORT,
            default=User.id,
        )


@router.post("/user", status_code=201)
def create_user(call: ByUser, body: NewUser) -> JSON:
    """Create a user with roles and rules that the caller holds."""
    # Hashing is slow on purpose: refuse first what can be refused, and hold no lock meanwhile.
    with call.read() as work:
        _check_new(work, body)
    password = call.services.hashing.submit(hash_password, body.password).result()
    with call.write() as work:
        organization_id, roles, rules = _check_new(work, body)
        user = User(
            username=body.username,
            email=body.email,
            password=password,
            firstname=body.firstname,
            lastname=body.lastname,
            organization_id=organization_id,
        )
        work.db.add(user)
        work.db.flush()
        _replace(work.db, user_role, user_role.c.role_id, user, [role.id for role in roles])
        _replace(work.db, user_rule, user_rule.c.rule_id, user, [rule.id for rule in rules])
        return JSON(user_json(user, work.link), 201)


@router.get("/user/{id_:int}")
def get_user(call: ByUser, id_: int, include_permissions: Flag = False) -> JSON:
    """Get one user; with `include_permissions` also what the user may do, and with whom."""
    with call.read() as work:
        user = find_user(work.db, id_)
        if id_ != work.caller.id:
            work.caller.must("user", Operation.VIEW, organization=user.organization_id)
        content = user_json(user, work.link)
        if include_permissions:
            content["permissions"] = _permissions(work.db, user)
        return JSON(content)


@router.patch("/user/{id_:int}")
def update_user(call: ByUser, id_: int, body: UserChange) -> JSON:
    """Change a user. Nobody changes their own roles or rules, or another one's username."""
    with call.write() as work:
        user = find_user(work.db, id_)
        work.caller.must("user", Operation.EDIT, organization=user.organization_id, owner=user.id)
        changes = body.model_dump(exclude_unset=True)
        changes.pop("organization_id", None)
        if changes.get("username", user.username) != user.username:
            if user.id != work.caller.id:
                raise bad_request("Only the users themselves can change their username!")
            _refuse_taken(work.db, User.username, changes["username"])
        if changes.get("email", user.email) != user.email:
            _refuse_taken(work.db, User.email, changes["email"])
            _must_be_as_strong(work, user)
        if "roles" in changes:
            _change_roles(work, user, changes.pop("roles"))
        if "rules" in changes:
            _change_rules(work, user, changes.pop("rules"))
        for field, value in changes.items():
            setattr(user, field, value)
        return JSON(user_json(user, work.link))


@router.delete("/user/{id_:int}")
def delete_user(call: ByUser, id_: int, delete_dependents: Flag = False) -> JSON:
    """Delete a user; one who created tasks, with these, only if asked for."""
    with call.write() as work:
        user = find_user(work.db, id_)
        work.caller.must("user", Operation.DELETE, organization=user.organization_id, owner=user.id)
        has_tasks = work.db.scalar(select(Task.id).where(Task.init_user_id == id_).limit(1))
        if has_tasks and not delete_dependents:
            raise bad_request(
                f"User id={id_} has created tasks. To delete them as well, set 'delete_dependents'"
            )
        delete_tasks(work, Task.init_user_id == id_)
        delete_identities(work.db, [id_])
        return JSON({"msg": f"User id={id_} successfully deleted"})


def _check_role_filter(work: Work, role_id: int) -> None:
    role = work.db.get(Role, role_id)
    if role is None:
        raise bad_request(f"Role id={role_id} not found!")
    if role.organization_id is not None:
        work.caller.must("user", Operation.VIEW, organization=role.organization_id)


def _check_new(work: Work, body: NewUser) -> tuple[int, Sequence[Role], Sequence[Rule]]:
    """Where a new user will belong, and the roles and rules that exist of those given."""
    caller, db = work.caller, work.db
    _refuse_taken(db, User.username, body.username)
    _refuse_taken(db, User.email, body.email)
    organization_id = body.organization_id or caller.organization_id
    if caller.rights.has("user", Operation.CREATE, Scope.GLOBAL):
        find_organization(db, organization_id)
    caller.must("user", Operation.CREATE, organization=organization_id)
    roles = db.scalars(select(Role).where(Role.id.in_(set(body.roles)))).all()
    rules = known_rules(db, body.rules)
    caller.must_hold(rights_of([*rules_of(db, [role.id for role in roles]), *rules]))
    _refuse_foreign(roles, organization_id)
    return organization_id, roles, rules


def _refuse_taken(db: Session, column: Any, value: str) -> None:
    if db.scalar(select(User.id).where(column == value)):
        raise bad_request(f"User with {column.key} '{value}' already exists!")


def _refuse_foreign(roles: Sequence[Role], organization_id: int) -> None:
    foreign = [role for role in roles if role.organization_id not in (None, organization_id)]
    if foreign:
        raise unauthorized(
            f"Role id={foreign[0].id} belongs to another organization than the user: "
            "it cannot be assigned"
        )


def _refuse_own(work: Work, user: User, what: str) -> None:
    if user.id == work.caller.id:
        raise unauthorized(f"You can't change your own {what}!")


def _must_be_as_strong(work: Work, user: User) -> None:
    """Whoever reads somebody's mail can recover their password, and so has all their rights."""
    if user.id == work.caller.id:
        return
    roles = work.db.scalars(select(user_role.c.role_id).where(user_role.c.user_id == user.id))
    rules = work.db.scalars(select(user_rule.c.rule_id).where(user_rule.c.user_id == user.id))
    theirs = [*rules_of(work.db, roles.all()), *known_rules(work.db, rules.all())]
    if work.caller.rights.lacking(rights_of(theirs)):
        raise unauthorized(
            f"User id={user.id} has rights that you lack, and a lost password is recovered by "
            "mail: only they themselves, or somebody with all their rights, can change their "
            "e-mail address"
        )


def _change_roles(work: Work, user: User, ids: Sequence[int]) -> None:
    roles = work.db.scalars(select(Role).where(Role.id.in_(set(ids)))).all()
    unknown = sorted(set(ids) - {role.id for role in roles})
    if unknown:
        raise not_found(f"Role id={', '.join(map(str, unknown))} not found!")
    _refuse_own(work, user, "roles")
    _refuse_foreign(roles, user.organization_id)
    held = work.db.scalars(select(user_role.c.role_id).where(user_role.c.user_id == user.id))
    work.caller.must_hold(rights_of(rules_of(work.db, [*ids, *held])))
    _replace(work.db, user_role, user_role.c.role_id, user, [role.id for role in roles])


def _change_rules(work: Work, user: User, ids: Sequence[int]) -> None:
    rules = find_rules(work.db, ids)
    _refuse_own(work, user, "rules")
    held = work.db.scalars(select(user_rule.c.rule_id).where(user_rule.c.user_id == user.id))
    work.caller.must_hold(rights_of([*rules, *known_rules(work.db, held)]))
    _replace(work.db, user_rule, user_rule.c.rule_id, user, [rule.id for rule in rules])


def _replace(
    db: Session, table: Table, column: Column[int], user: User, ids: Sequence[int]
) -> None:
    db.execute(delete(table).where(table.c.user_id == user.id))
    if ids:
        db.execute(insert(table), [{"user_id": user.id, column.name: id_} for id_ in ids])


def _permissions(db: Session, user: User) -> dict[str, list[int]]:
    roles = select(user_role.c.role_id).where(user_role.c.user_id == user.id)
    own = select(member.c.collaboration_id).where(member.c.organization_id == user.organization_id)
    partners = select(member.c.organization_id).where(member.c.collaboration_id.in_(own))
    return {
        "roles": sorted(db.scalars(roles)),
        "rules": sorted(db.scalars(rules_held_by(user.id))),
        "orgs_in_collabs": sorted({user.organization_id, *db.scalars(partners)}),
    }
