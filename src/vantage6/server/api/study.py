"""Studies, subsets of a collaboration's organizations: ``/study``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import ColumnElement, delete, insert, select
from sqlalchemy.orm import Session

from vantage6.server.api.collaboration import find_collaboration
from vantage6.server.api.organization import find_organization, members, organization_json
from vantage6.server.auth.caller import Caller
from vantage6.server.auth.tokens import Kind
from vantage6.server.auth.visibility import visible
from vantage6.server.call import ByAnyone, ByUser, Work
from vantage6.server.model.removal import delete_tasks
from vantage6.server.model.tables import Organization, Study, Task, member, study_member
from vantage6.web.errors import bad_request, lacks_permission, not_found
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

router = APIRouter(tags=["study"])

_SORT = {"id": Study.id, "name": Study.name, "collaboration_id": Study.collaboration_id}


class NewStudy(Body):
    """What a new study is made of."""

    name: Name
    collaboration_id: Id
    organization_ids: MemberIds


class StudyChange(Body):
    """What may change of a study; its collaboration is accepted but stays."""

    name: Name = ""
    organization_ids: MemberIds = Field(default_factory=list)
    collaboration_id: Id = 1


def study_json(
    study: Study, link: Links, organizations: Iterable[Organization] | None = None
) -> dict[str, Any]:
    """A study as the contract shows it; with its organizations if they are given."""
    return {
        "id": study.id,
        "name": study.name,
        "collaboration": link.one("collaboration", study.collaboration_id),
        "organizations": link.many("organization", "study_id", study.id)
        if organizations is None
        else [organization_json(item, link) for item in organizations],
        "tasks": link.many("task", "study_id", study.id),
    }


def find_study(db: Session, id_: int) -> Study:
    """The study with an id.

    Raises
    ------
    Refusal
        404 if there is none.
    """
    study = db.get(Study, id_)
    if study is None:
        raise not_found(f"Study id={id_} not found!")
    return study


@router.get("/study")
def list_studies(
    call: ByAnyone,
    page: Paged,
    include: Include,
    name: Pattern | None = None,
    organization_id: Id | None = None,
    collaboration_id: Id | None = None,
) -> JSON:
    """List the studies that the caller may see."""
    with call.read() as work:
        where: list[ColumnElement[bool]] = [visible(work.caller, "study")]
        if name is not None:
            where.append(Study.name.like(name))
        if organization_id is not None:
            _check_organization_filter(work.caller, organization_id)
            where.append(
                Study.id.in_(
                    select(study_member.c.study_id).where(
                        study_member.c.organization_id == organization_id
                    )
                )
            )
        if collaboration_id is not None:
            _check_collaboration_filter(work.caller, collaboration_id)
            where.append(Study.collaboration_id == collaboration_id)
        return page.fetch(
            work.db,
            select(Study).where(*where),
            lambda rows: _listed(work, [row[0] for row in rows], full=_is_full(include)),
            sort=_SORT,
            default=Study.id,
        )


@router.post("/study", status_code=201)
def create_study(call: ByUser, body: NewStudy) -> JSON:
    """Create a study of organizations that are in the collaboration."""
    with call.write() as work:
        _refuse_taken_name(work.db, body.name)
        work.caller.must("study", Operation.CREATE, collaboration=body.collaboration_id)
        find_collaboration(work.db, body.collaboration_id)
        study = Study(name=body.name, collaboration_id=body.collaboration_id)
        _check_members(work.db, study.collaboration_id, body.organization_ids)
        work.db.add(study)
        work.db.flush()
        _set_members(work.db, study, body.organization_ids)
        return JSON(_expanded(work, study), 201)


@router.get("/study/{id_:int}")
def get_study(call: ByAnyone, id_: int, include: Include) -> JSON:
    """Get one study."""
    with call.read() as work:
        study = find_study(work.db, id_)
        _must(work, Operation.VIEW, study)
        return JSON(_listed(work, [study], full=_is_full(include))[0])


@router.patch("/study/{id_:int}")
def update_study(call: ByUser, id_: int, body: StudyChange) -> JSON:
    """Change a study."""
    with call.write() as work:
        study = find_study(work.db, id_)
        _must(work, Operation.EDIT, study)
        changes = body.model_dump(exclude_unset=True)
        if changes.get("name", study.name) != study.name:
            _refuse_taken_name(work.db, changes["name"])
            study.name = changes["name"]
        if "organization_ids" in changes:
            _check_members(work.db, study.collaboration_id, changes["organization_ids"])
            _set_members(work.db, study, changes["organization_ids"])
        return JSON(_expanded(work, study))


@router.delete("/study/{id_:int}")
def delete_study(call: ByUser, id_: int, delete_dependents: Flag = False) -> JSON:
    """Delete a study, with its tasks only if asked for."""
    with call.write() as work:
        study = find_study(work.db, id_)
        _must(work, Operation.DELETE, study)
        has_tasks = work.db.scalar(select(Task.id).where(Task.study_id == id_).limit(1))
        if has_tasks and not delete_dependents:
            raise bad_request(
                f"Study id={id_} still has tasks. To delete them as well, set 'delete_dependents'"
            )
        delete_tasks(work, Task.study_id == id_)
        work.db.execute(delete(Study).where(Study.id == id_))
        return JSON({"msg": f"Study id={id_} successfully deleted"})


@router.post("/study/{id_:int}/organization")
def add_organization_to_study(call: ByUser, id_: int, body: Reference) -> JSON:
    """Add an organization of the collaboration; answers all that take part."""
    with call.write() as work:
        study = find_study(work.db, id_)
        find_organization(work.db, body.id)
        work.caller.must("study", Operation.EDIT, collaboration=study.collaboration_id)
        _check_members(work.db, study.collaboration_id, [body.id])
        if not _takes_part(work.db, study, body.id):
            work.db.execute(insert(study_member).values(study_id=id_, organization_id=body.id))
        return JSON(_expanded(work, study)["organizations"])


@router.delete("/study/{id_:int}/organization")
def remove_organization_from_study(call: ByUser, id_: int, body: Reference) -> JSON:
    """Remove an organization; answers those that are left."""
    with call.write() as work:
        study = find_study(work.db, id_)
        find_organization(work.db, body.id)
        work.caller.must("study", Operation.EDIT, collaboration=study.collaboration_id)
        if not _takes_part(work.db, study, body.id):
            raise not_found(f"Organization id={body.id} is not in study id={id_}!")
        work.db.execute(
            delete(study_member).where(
                study_member.c.study_id == id_, study_member.c.organization_id == body.id
            )
        )
        return JSON(_expanded(work, study)["organizations"])


def _is_full(include: Included) -> bool:
    return bool(include.check(("organizations",)))


def _listed(work: Work, studies: Sequence[Study], *, full: bool) -> list[dict[str, Any]]:
    if not full:
        return [study_json(study, work.link) for study in studies]
    found = members(work.db, study_member.c.study_id, [study.id for study in studies])
    return [study_json(study, work.link, found[study.id]) for study in studies]


def _expanded(work: Work, study: Study) -> dict[str, Any]:
    return _listed(work, [study], full=True)[0]


def _must(work: Work, operation: Operation, study: Study) -> None:
    """A study belongs to the organizations in it, and to its collaboration."""
    caller = work.caller
    reachable = caller.kind is Kind.USER or caller.is_in(study.collaboration_id)
    if not reachable:
        raise lacks_permission()
    own = _takes_part(work.db, study, caller.organization_id)
    caller.must(
        "study",
        operation,
        organization=caller.organization_id if own else None,
        collaboration=study.collaboration_id,
    )


def _check_organization_filter(caller: Caller, organization_id: int) -> None:
    if not caller.rights.at_least("study", Operation.VIEW, Scope.COLLABORATION):
        caller.must("study", Operation.VIEW, organization=organization_id)


def _check_collaboration_filter(caller: Caller, collaboration_id: int) -> None:
    rights = caller.rights
    if not rights.has("study", Operation.VIEW, Scope.GLOBAL) and not (
        rights.at_least("study", Operation.VIEW, Scope.ORGANIZATION)
        and caller.is_in(collaboration_id)
    ):
        raise lacks_permission()


def _refuse_taken_name(db: Session, name: str) -> None:
    if db.scalar(select(Study.id).where(Study.name == name)):
        raise bad_request(f"Study with name '{name}' already exists!")


def _takes_part(db: Session, study: Study, organization_id: int) -> bool:
    found = select(study_member.c.organization_id).where(
        study_member.c.study_id == study.id, study_member.c.organization_id == organization_id
    )
    return db.scalar(found) is not None


def _check_members(db: Session, collaboration_id: int, organization_ids: Sequence[int]) -> None:
    inside = set(
        db.scalars(
            select(member.c.organization_id).where(
                member.c.collaboration_id == collaboration_id,
                member.c.organization_id.in_(organization_ids),
            )
        )
    )
    outside = sorted(set(organization_ids) - inside)
    if outside:
        raise bad_request(
            f"Not in collaboration id={collaboration_id}: "
            f"organization id={', '.join(map(str, outside))}"
        )


def _set_members(db: Session, study: Study, organization_ids: Sequence[int]) -> None:
    db.execute(delete(study_member).where(study_member.c.study_id == study.id))
    db.execute(
        insert(study_member),
        [{"study_id": study.id, "organization_id": id_} for id_ in organization_ids],
    )
