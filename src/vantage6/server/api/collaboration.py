"""Collaborations: ``/collaboration``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import ColumnElement, delete, insert, select
from sqlalchemy.orm import Session

from vantage6.server.api.organization import (
    find_organization,
    known_organizations,
    members,
    organization_json,
)
from vantage6.server.auth.caller import Caller
from vantage6.server.auth.visibility import visible
from vantage6.server.call import ByAnyone, ByUser, ByUserOrNode, Work
from vantage6.server.model.removal import delete_identities, delete_tasks
from vantage6.server.model.tables import (
    AlgorithmStore,
    Collaboration,
    Node,
    Organization,
    Study,
    Task,
    member,
)
from vantage6.web.errors import bad_request, not_found, unauthorized
from vantage6.web.links import Links
from vantage6.web.pagination import Paged
from vantage6.web.parameters import (
    Body,
    Flag,
    Id,
    Include,
    Included,
    MemberIds,
    Name,
    Pattern,
    Reference,
)
from vantage6.web.responses import JSON
from vantage6.web.rules import Operation, Scope

router = APIRouter(tags=["collaboration"])

_SORT = {
    "id": Collaboration.id,
    "name": Collaboration.name,
    "encrypted": Collaboration.encrypted,
}


class NewCollaboration(Body):
    """What a new collaboration is made of."""

    name: Name
    organization_ids: MemberIds
    encrypted: bool


class CollaborationChange(Body):
    """What may change of a collaboration."""

    name: Name = ""
    organization_ids: MemberIds = Field(default_factory=list)
    encrypted: bool = False


def collaboration_json(
    collaboration: Collaboration,
    link: Links,
    organizations: Iterable[Organization] | None = None,
) -> dict[str, Any]:
    """A collaboration as the contract shows it; with its organizations if they are given."""
    id_ = collaboration.id
    return {
        "id": id_,
        "name": collaboration.name,
        "encrypted": collaboration.encrypted,
        "organizations": link.many("organization", "collaboration_id", id_)
        if organizations is None
        else [organization_json(item, link) for item in organizations],
        "nodes": link.many("node", "collaboration_id", id_),
        "tasks": link.many("task", "collaboration_id", id_),
        "studies": link.many("study", "collaboration_id", id_),
        "algorithm_stores": link.many("algorithmstore", "collaboration_id", id_),
    }


def find_collaboration(db: Session, id_: int) -> Collaboration:
    """The collaboration with an id.

    Raises
    ------
    Refusal
        404 if there is none.
    """
    collaboration = db.get(Collaboration, id_)
    if collaboration is None:
        raise not_found(f"Collaboration id={id_} not found!")
    return collaboration


def is_member(db: Session, id_: int, organization_id: int) -> bool:
    """Whether an organization is in a collaboration."""
    found = select(member.c.organization_id).where(
        member.c.collaboration_id == id_, member.c.organization_id == organization_id
    )
    return db.scalar(found) is not None


@router.get("/collaboration")
def list_collaborations(
    call: ByUserOrNode,
    page: Paged,
    include: Include,
    name: Pattern | None = None,
    encrypted: Flag | None = None,
    organization_id: Id | None = None,
    algorithm_store_id: Id | None = None,
) -> JSON:
    """List the collaborations that the caller may see."""
    with call.read() as work:
        where: list[ColumnElement[bool]] = [visible(work.caller, "collaboration")]
        if name is not None:
            where.append(Collaboration.name.like(name))
        if encrypted is not None:
            where.append(Collaboration.encrypted == encrypted)
        if organization_id is not None:
            work.caller.must("collaboration", Operation.VIEW, organization=organization_id)
            where.append(
                Collaboration.id.in_(
                    select(member.c.collaboration_id).where(
                        member.c.organization_id == organization_id
                    )
                )
            )
        if algorithm_store_id is not None:
            store = work.db.get(AlgorithmStore, algorithm_store_id)
            if store is None:
                raise not_found(f"Algorithm store id={algorithm_store_id} not found!")
            if store.collaboration_id is not None:
                where.append(Collaboration.id == store.collaboration_id)
        return page.fetch(
            work.db,
            select(Collaboration).where(*where),
            lambda rows: _listed(work, [row[0] for row in rows], full=_is_full(include)),
            sort=_SORT,
            default=Collaboration.id,
        )


@router.post("/collaboration")
def create_collaboration(call: ByUser, body: NewCollaboration) -> JSON:
    """Create a collaboration; ids of unknown organizations are dropped."""
    with call.write() as work:
        _refuse_taken_name(work.db, body.name)
        work.caller.must("collaboration", Operation.CREATE)
        collaboration = Collaboration(name=body.name, encrypted=body.encrypted)
        work.db.add(collaboration)
        work.db.flush()
        _set_members(work.db, collaboration, body.organization_ids)
        # The contract answers 200 here, unlike everywhere else.
        return JSON(collaboration_json(collaboration, work.link))


@router.get("/collaboration/{id_:int}")
def get_collaboration(call: ByAnyone, id_: int, include: Include) -> JSON:
    """Get one collaboration."""
    with call.read() as work:
        collaboration = find_collaboration(work.db, id_)
        _must_see(work.caller, id_)
        return JSON(_listed(work, [collaboration], full=_is_full(include))[0])


@router.patch("/collaboration/{id_:int}")
def update_collaboration(call: ByUser, id_: int, body: CollaborationChange) -> JSON:
    """Change a collaboration; its members as a whole only with global rights."""
    with call.write() as work:
        collaboration = find_collaboration(work.db, id_)
        work.caller.must("collaboration", Operation.EDIT, collaboration=id_)
        changes = body.model_dump(exclude_unset=True)
        if "organization_ids" in changes:
            if not work.caller.rights.has("collaboration", Operation.EDIT, Scope.GLOBAL):
                raise unauthorized(
                    "You lack the permission to replace all members of a collaboration! "
                    "Add or remove them one by one"
                )
            _set_members(work.db, collaboration, changes.pop("organization_ids"))
        if changes.get("name", collaboration.name) != collaboration.name:
            _refuse_taken_name(work.db, changes["name"])
        for field, value in changes.items():
            setattr(collaboration, field, value)
        return JSON(collaboration_json(collaboration, work.link))


@router.delete("/collaboration/{id_:int}")
def delete_collaboration(call: ByUser, id_: int, delete_dependents: Flag = False) -> JSON:
    """Delete a collaboration, with everything in it only if asked for."""
    with call.write() as work:
        find_collaboration(work.db, id_)
        work.caller.must("collaboration", Operation.DELETE, collaboration=id_)
        dependents = _dependents(work.db, id_)
        if dependents and not delete_dependents:
            raise bad_request(
                f"Collaboration id={id_} still has {', '.join(dependents)}. "
                "To delete them as well, set 'delete_dependents'"
            )
        delete_tasks(work, Task.collaboration_id == id_)
        delete_identities(work.db, select(Node.id).where(Node.collaboration_id == id_))
        work.db.execute(delete(Collaboration).where(Collaboration.id == id_))
        return JSON({"msg": f"Collaboration id={id_} successfully deleted"})


@router.post("/collaboration/{id_:int}/organization")
def add_organization_to_collaboration(call: ByUser, id_: int, body: Reference) -> JSON:
    """Add an organization; answers all members."""
    with call.write() as work:
        find_collaboration(work.db, id_)
        find_organization(work.db, body.id)
        work.caller.must("collaboration", Operation.EDIT, collaboration=id_)
        if not is_member(work.db, id_, body.id):
            work.db.execute(insert(member).values(collaboration_id=id_, organization_id=body.id))
        return JSON(_members_json(work, id_))


@router.delete("/collaboration/{id_:int}/organization")
def remove_organization_from_collaboration(call: ByUser, id_: int, body: Reference) -> JSON:
    """Remove an organization; answers the members that are left. Its node and tasks stay."""
    with call.write() as work:
        find_collaboration(work.db, id_)
        find_organization(work.db, body.id)
        work.caller.must("collaboration", Operation.EDIT, collaboration=id_)
        if not is_member(work.db, id_, body.id):
            raise not_found(f"Organization id={body.id} is not in collaboration id={id_}!")
        work.db.execute(
            delete(member).where(
                member.c.collaboration_id == id_, member.c.organization_id == body.id
            )
        )
        return JSON(_members_json(work, id_))


def _is_full(include: Included) -> bool:
    return bool(include.check(("organizations",)))


def _listed(
    work: Work, collaborations: Sequence[Collaboration], *, full: bool
) -> list[dict[str, Any]]:
    if not full:
        return [collaboration_json(item, work.link) for item in collaborations]
    found = members(
        work.db, member.c.collaboration_id, [collaboration.id for collaboration in collaborations]
    )
    return [collaboration_json(item, work.link, found[item.id]) for item in collaborations]


def _must_see(caller: Caller, id_: int) -> None:
    # A collaboration belongs to each of its members.
    organization = caller.organization_id if caller.is_in(id_) else None
    caller.must("collaboration", Operation.VIEW, organization=organization)


def _refuse_taken_name(db: Session, name: str) -> None:
    if db.scalar(select(Collaboration.id).where(Collaboration.name == name)):
        raise bad_request(f"Collaboration with name '{name}' already exists!")


def _set_members(db: Session, collaboration: Collaboration, organization_ids: list[int]) -> None:
    db.execute(delete(member).where(member.c.collaboration_id == collaboration.id))
    known = known_organizations(db, organization_ids)
    if known:
        db.execute(
            insert(member),
            [{"collaboration_id": collaboration.id, "organization_id": id_} for id_ in known],
        )


def _members_json(work: Work, id_: int) -> list[dict[str, Any]]:
    found = members(work.db, member.c.collaboration_id, [id_])[id_]
    return [organization_json(item, work.link) for item in found]


def _dependents(db: Session, id_: int) -> list[str]:
    owned = {
        "tasks": Task.collaboration_id,
        "nodes": Node.collaboration_id,
        "studies": Study.collaboration_id,
    }
    return [
        name
        for name, column in owned.items()
        if db.scalar(select(column).where(column == id_).limit(1)) is not None
    ]
