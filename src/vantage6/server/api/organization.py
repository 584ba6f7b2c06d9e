"""Organizations: ``/organization``."""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AfterValidator, StringConstraints
from sqlalchemy import Column, ColumnElement, delete, select
from sqlalchemy.orm import Session

from vantage6.common import bytes_to_base64s
from vantage6.server.auth.visibility import visible
from vantage6.server.call import ByAnyone, ByUser, ByUserOrNode, Work
from vantage6.server.model.removal import (
    delete_identities,
    delete_runs_of_organization,
    delete_tasks,
)
from vantage6.server.model.tables import (
    Node,
    Organization,
    Role,
    Run,
    Study,
    Task,
    User,
    member,
    study_member,
)
from vantage6.web.errors import bad_request, lacks_permission, not_found, unauthorized
from vantage6.web.links import Links
from vantage6.web.pagination import Paged
from vantage6.web.parameters import Body, Flag, Id, Name, Pattern, Text128
from vantage6.web.responses import JSON
from vantage6.web.rules import Operation, Scope

router = APIRouter(tags=["organization"])

_SORT = {
    "id": Organization.id,
    "name": Organization.name,
    "domain": Organization.domain,
    "country": Organization.country,
    "zipcode": Organization.zipcode,
    "address1": Organization.address1,
    "address2": Organization.address2,
}


_KEYS = frozenset({"public_key", "authenticated_keys"})


def _base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"Not valid base64: {error}") from None
    return text


PublicKey = Annotated[str, AfterValidator(_base64)]
#: Text of a later version, too, passes: it is for the organizations to understand.
AuthenticatedKeys = Annotated[
    str, StringConstraints(max_length=256, pattern=r"^[A-Za-z0-9+/=:._-]*$")
]


class NewOrganization(Body):
    """What a new organization is made of."""

    name: Name
    address1: Text128 = ""
    address2: Text128 | None = None
    zipcode: Text128 = ""
    country: Text128 = ""
    domain: Text128 = ""
    public_key: PublicKey = ""


class OrganizationChange(Body):
    """What may change of an organization."""

    name: Name = ""
    address1: Text128 = ""
    address2: Text128 = ""
    zipcode: Text128 = ""
    country: Text128 = ""
    domain: Text128 = ""
    public_key: PublicKey = ""
    authenticated_keys: AuthenticatedKeys = ""


def organization_json(organization: Organization, link: Links) -> dict[str, Any]:
    """An organization as the contract shows it."""
    id_ = organization.id
    keys = organization.authenticated_keys
    return {
        "id": id_,
        "name": organization.name,
        "domain": organization.domain,
        "address1": organization.address1,
        "address2": organization.address2,
        "zipcode": organization.zipcode,
        "country": organization.country,
        "public_key": bytes_to_base64s(organization.public_key or b""),
        **({"authenticated_keys": keys} if keys else {}),
        "collaborations": link.many("collaboration", "organization_id", id_),
        "nodes": link.many("node", "organization_id", id_),
        "users": link.many("user", "organization_id", id_),
        "tasks": link.many("task", "init_org_id", id_),
        "runs": link.many("run", "organization_id", id_),
        "studies": link.many("study", "organization_id", id_),
    }


def find_organization(db: Session, id_: int) -> Organization:
    """The organization with an id.

    Raises
    ------
    Refusal
        404 if there is none.
    """
    organization = db.get(Organization, id_)
    if organization is None:
        raise not_found(f"Organization id={id_} not found!")
    return organization


def known_organizations(db: Session, ids: Sequence[int]) -> list[int]:
    """Those of the ids that exist, in the order given."""
    found = set(db.scalars(select(Organization.id).where(Organization.id.in_(ids))))
    return [id_ for id_ in ids if id_ in found]


def members(
    db: Session, owner: Column[int], ids: Iterable[int]
) -> defaultdict[int, list[Organization]]:
    """The organizations per collaboration or study.

    Parameters
    ----------
    owner
        ``member.c.collaboration_id`` or ``study_member.c.study_id``.
    ids
        Of the collaborations or studies.
    """
    rows = db.execute(
        select(owner, Organization)
        .join(owner.table, owner.table.c.organization_id == Organization.id)
        .where(owner.in_(ids))
        .order_by(Organization.id)
    )
    result: defaultdict[int, list[Organization]] = defaultdict(list)
    for id_, organization in rows:
        result[id_].append(organization)
    return result


def _ids(texts: list[str]) -> list[int]:
    parts = [part.strip() for text in texts for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < 10 for part in parts if part):
        raise bad_request("Query parameter 'ids': only ids, please, such as ids=2&ids=3")
    return [int(part) for part in parts if part]


@router.get("/organization")
def list_organizations(
    call: ByAnyone,
    page: Paged,
    name: Pattern | None = None,
    country: str | None = None,
    collaboration_id: Id | None = None,
    study_id: Id | None = None,
    ids: Annotated[list[str] | None, Query()] = None,
) -> JSON:
    """List the organizations that the caller may see."""
    with call.read() as work:
        caller = work.caller
        where: list[ColumnElement[bool]] = [visible(caller, "organization")]
        if name is not None:
            where.append(Organization.name.like(name))
        if country is not None:
            where.append(Organization.country == country)
        if ids:
            where.append(Organization.id.in_(_ids(ids)))
        if collaboration_id is not None:
            caller.must("organization", Operation.VIEW, collaboration=collaboration_id)
            where.append(
                Organization.id.in_(
                    select(member.c.organization_id).where(
                        member.c.collaboration_id == collaboration_id
                    )
                )
            )
        if study_id is not None:
            study = work.db.get(Study, study_id)
            if study is None:
                raise not_found(f"Study id={study_id} not found!")
            caller.must("organization", Operation.VIEW, collaboration=study.collaboration_id)
            where.append(
                Organization.id.in_(
                    select(study_member.c.organization_id).where(
                        study_member.c.study_id == study_id
                    )
                )
            )
        return page.fetch(
            work.db,
            select(Organization).where(*where),
            lambda rows: [organization_json(row[0], work.link) for row in rows],
            sort=_SORT,
            default=Organization.id,
        )


@router.post("/organization", status_code=201)
def create_organization(call: ByUser, body: NewOrganization) -> JSON:
    """Create an organization."""
    with call.write() as work:
        work.caller.must("organization", Operation.CREATE)
        _refuse_taken_name(work.db, body.name)
        organization = Organization(**body.model_dump(exclude={"public_key"}))
        organization.public_key = base64.b64decode(body.public_key) or None
        work.db.add(organization)
        work.db.flush()
        return JSON(organization_json(organization, work.link), 201)


@router.get("/organization/{id_:int}")
def get_organization(call: ByAnyone, id_: int) -> JSON:
    """Get one organization."""
    with call.read() as work:
        organization = find_organization(work.db, id_)
        work.caller.must("organization", Operation.VIEW, organization=id_)
        return JSON(organization_json(organization, work.link))


@router.patch("/organization/{id_:int}")
def update_organization(call: ByUserOrNode, id_: int, body: OrganizationChange) -> JSON:
    """Change an organization; its public key only by its own members."""
    with call.write() as work:
        organization = find_organization(work.db, id_)
        work.caller.must("organization", Operation.EDIT, organization=id_)
        changes = body.model_dump(exclude_unset=True)
        if not _KEYS.isdisjoint(changes) and work.caller.organization_id != id_:
            raise unauthorized("Only members of an organization can update its public key!")
        if "public_key" in changes:
            organization.public_key = base64.b64decode(changes.pop("public_key")) or None
        if changes.get("name", organization.name) != organization.name:
            _refuse_taken_name(work.db, changes["name"])
        for field, value in changes.items():
            setattr(organization, field, value)
        return JSON(organization_json(organization, work.link))


@router.delete("/organization/{id_:int}")
def delete_organization(call: ByUser, id_: int, delete_dependents: Flag = False) -> JSON:
    """Delete an organization, with everything that belongs to it only if asked for."""
    with call.write() as work:
        if not work.caller.rights.has("organization", Operation.DELETE, Scope.GLOBAL):
            raise lacks_permission()
        find_organization(work.db, id_)
        if work.caller.organization_id == id_:
            raise bad_request("You cannot delete your own organization!")
        dependents = _dependents(work, id_)
        if dependents and not delete_dependents:
            raise bad_request(
                f"Organization id={id_} still has {', '.join(dependents)}. "
                "To delete them as well, set 'delete_dependents'"
            )
        delete_tasks(work, Task.init_org_id == id_)
        delete_runs_of_organization(work, id_)
        delete_identities(work.db, select(User.id).where(User.organization_id == id_))
        delete_identities(work.db, select(Node.id).where(Node.organization_id == id_))
        work.db.execute(delete(Organization).where(Organization.id == id_))
        return JSON({"msg": f"Organization id={id_} successfully deleted"})


def _refuse_taken_name(db: Session, name: str) -> None:
    if db.scalar(select(Organization.id).where(Organization.name == name)):
        raise bad_request(f"Organization with name '{name}' already exists!")


def _dependents(work: Work, id_: int) -> list[str]:
    owned = {
        "runs": Run.organization_id,
        "tasks": Task.init_org_id,
        "nodes": Node.organization_id,
        "users": User.organization_id,
        "roles": Role.organization_id,
    }
    return [
        name
        for name, column in owned.items()
        if work.db.scalar(select(column).where(column == id_).limit(1)) is not None
    ]
