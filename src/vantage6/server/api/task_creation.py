"""The body of a new task, and whether it may be created."""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import Table, and_, bindparam, select
from sqlalchemy.orm import Session

from vantage6.common.task_status import has_task_finished
from vantage6.server.auth.caller import Caller
from vantage6.server.auth.tokens import Kind
from vantage6.server.model.tables import (
    AlgorithmStore,
    Collaboration,
    Node,
    Organization,
    Study,
    Task,
    member,
    study_member,
)
from vantage6.server.payloads.cutting import LongText
from vantage6.web.errors import Refusal, bad_request, not_found, unauthorized
from vantage6.web.parameters import Body, Id, Name, WebAddress
from vantage6.web.rules import Operation

#: Characters of base64 that are decoded at a time; a multiple of 4.
_PIECE = 1024**2
# What lenient base64 skips of what an input may hold.
_SKIPPED = b"$_- \t\n\r\v\f"


class Preprocessing(BaseModel):
    """One preprocessing step."""

    model_config = ConfigDict(extra="allow")

    function: str


class TaskDatabaseBody(Body):
    """A database of the nodes, by label, with what to read from it."""

    label: Annotated[str, Field(min_length=1, max_length=128)]
    query: str | None = None
    sheet_name: str | None = None
    arguments: dict[str, Any] | None = None
    preprocessing: list[Preprocessing] | None = None


# Lenient base64 skips other characters, and would take plain text for something encrypted.
_NEVER_ENCODED = re.compile(r"[^A-Za-z0-9+/=$_\s-]")


def _encoded(text: str) -> str:
    if _NEVER_ENCODED.search(text):
        raise ValueError("Plain text: it must be base64, or be encrypted.")
    return text


class Assignment(BaseModel):
    """An organization that is to run the task, with its input (base64 or encrypted)."""

    model_config = ConfigDict(extra="ignore")

    id: Id
    input: Annotated[str, AfterValidator(_encoded)]


class NewTask(Body):
    """What a task is made of."""

    organizations: Annotated[list[Assignment], Field(min_length=1)]
    collaboration_id: Id | None = None
    study_id: Id | None = None
    image: Annotated[str, Field(min_length=1)]
    name: Name | None = None
    description: Annotated[str, Field(max_length=1024)] = ""
    databases: list[TaskDatabaseBody] | None = None
    store_id: Id | None = None
    server_url: WebAddress | None = None

    @field_validator("name", mode="before")
    @classmethod
    def _null_is_not_absent(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("Field may not be null.")
        return value

    def stored_databases(self) -> list[dict[str, Any]]:
        """The databases as the task keeps them: label, and everything else."""
        return [
            {
                "label": database.label,
                "parameters": database.model_dump(exclude={"label"}, exclude_unset=True),
            }
            for database in self.databases or []
        ]


@dataclass
class Checked:
    """What the checks of a new task found."""

    collaboration: Collaboration
    study: Study | None
    parent: Task | None
    store: AlgorithmStore | None


def check_new_task(db: Session, caller: Caller, body: NewTask, readable: Sequence[bool]) -> Checked:
    """Check, in the contract's order, whether a task may be created.

    Parameters
    ----------
    readable
        Per input that came inline whether it is readable, that is not encrypted.

    Raises
    ------
    Refusal
        400, 401 or 404 with the reason.
    """
    study = _study(db, body)
    collaboration_id = body.collaboration_id or (study.collaboration_id if study else None)
    collaboration = db.get(Collaboration, collaboration_id) if collaboration_id else None
    if collaboration is None:
        raise not_found(f"Collaboration id={collaboration_id} not found!")
    involved = _involved(db, caller, body, collaboration)
    _check_organizations(db, caller, body, involved, collaboration, study)
    if caller.organization_id not in involved:
        raise unauthorized(
            f"Your organization is not a member of collaboration id={collaboration.id}"
        )
    if caller.kind is Kind.USER:
        parent = None
        caller.must("task", Operation.CREATE, collaboration=collaboration.id)
    else:
        parent = _parent(db, caller, body, collaboration)
    store = _store(db, body, collaboration) if caller.kind is Kind.USER else None
    _check_inputs(collaboration, readable)
    return Checked(collaboration, study, parent, store)


def _store(db: Session, body: NewTask, collaboration: Collaboration) -> AlgorithmStore | None:
    if body.store_id is None:
        return None
    store = db.get(AlgorithmStore, body.store_id)
    if store is None:
        raise bad_request(f"Algorithm store id={body.store_id} not found!")
    if store.collaboration_id not in (None, collaboration.id):
        raise Refusal(
            HTTPStatus.FORBIDDEN,
            "The algorithm store is not part of the collaboration to which the task is posted.",
        )
    return store


def _study(db: Session, body: NewTask) -> Study | None:
    if body.collaboration_id is None and body.study_id is None:
        raise bad_request("A task needs a 'collaboration_id' or a 'study_id'")
    if body.collaboration_id is not None and db.get(Collaboration, body.collaboration_id) is None:
        raise not_found(f"Collaboration id={body.collaboration_id} not found!")
    if body.study_id is None:
        return None
    study = db.get(Study, body.study_id)
    if study is None:
        raise not_found(f"Study id={body.study_id} not found!")
    if body.collaboration_id not in (None, study.collaboration_id):
        raise bad_request(
            f"Study id={study.id} does not belong to collaboration id={body.collaboration_id}"
        )
    return study


_NODE = cast(Table, Node.__table__)
_INVOLVED = (
    select(member.c.organization_id, _NODE.c.id, _NODE.c.name, _NODE.c.config)
    .select_from(
        member.outerjoin(
            _NODE,
            and_(
                _NODE.c.organization_id == member.c.organization_id,
                _NODE.c.collaboration_id == member.c.collaboration_id,
            ),
        )
    )
    .where(
        member.c.collaboration_id == bindparam("collaboration"),
        member.c.organization_id.in_(bindparam("organizations", expanding=True)),
    )
)


def _involved(
    db: Session, caller: Caller, body: NewTask, collaboration: Collaboration
) -> dict[int, Any]:
    """Of the asked organizations and the own one those that are members, with their nodes."""
    ids = {caller.organization_id, *(assignment.id for assignment in body.organizations)}
    rows = db.connection().execute(
        _INVOLVED, {"collaboration": collaboration.id, "organizations": list(ids)}
    )
    return {row.organization_id: row for row in rows}


def _check_organizations(
    db: Session,
    caller: Caller,
    body: NewTask,
    involved: dict[int, Any],
    collaboration: Collaboration,
    study: Study | None,
) -> None:
    asked = [assignment.id for assignment in body.organizations]
    _refuse(set(asked) - set(involved), f"not in collaboration '{collaboration.name}'")
    if study is not None:
        in_study = set(
            db.scalars(
                select(study_member.c.organization_id).where(study_member.c.study_id == study.id)
            )
        )
        _refuse(set(asked) - in_study, f"not in study '{study.name}'")
    _refuse((id_ for id_, times in Counter(asked).items() if times > 1), "named more than once")
    without = [id_ for id_ in asked if involved[id_].id is None]
    _refuse(without, f"without a node in collaboration '{collaboration.name}'")
    if caller.kind is Kind.USER:
        for id_ in asked:
            _check_node_policy(db, caller, involved[id_])


def _refuse(organizations: Iterable[int], why: str) -> None:
    if ids := ", ".join(str(id_) for id_ in sorted(organizations)):
        raise bad_request(f"Cannot create the task for organization(s) {ids}: {why}")


def _check_node_policy(db: Session, caller: Caller, node: Any) -> None:
    """What a node shares of its policy saves a task that it would refuse."""
    users = {value for key, value in node.config if key == "allowed_users"}
    organizations = {value for key, value in node.config if key == "allowed_orgs"}
    if not users and not organizations:
        return
    if str(caller.id) in users or str(caller.organization_id) in organizations:
        return
    name = db.scalar(select(Organization.name).where(Organization.id == caller.organization_id))
    if name not in organizations:
        raise bad_request(
            f"Node '{node.name}' does not run tasks of you or of your organization: its policy "
            "does not name either"
        )


def _parent(db: Session, caller: Caller, body: NewTask, collaboration: Collaboration) -> Task:
    parent = db.get(Task, caller.container["task_id"])
    if parent is None:
        raise unauthorized("The task of this token no longer exists")
    if body.image != parent.image:
        raise unauthorized(
            f"A subtask runs the image of its parent '{parent.image}', not '{body.image}'"
        )
    if has_task_finished(parent.status):
        raise unauthorized(f"The parent task has already finished with '{parent.status}'")
    if collaboration.id != parent.collaboration_id:
        raise unauthorized("A subtask belongs to the collaboration of its parent")
    return parent


def _check_inputs(collaboration: Collaboration, readable: Sequence[bool]) -> None:
    if collaboration.encrypted and any(readable):
        raise bad_request(
            "Your collaboration requires encryption, but input is not encrypted! Please encrypt "
            "your input before sending it."
        )
    if not collaboration.encrypted and not all(readable):
        raise bad_request(
            "Your task's input cannot be parsed. Your collaboration is not encrypted: the input "
            "must be base64 of UTF-8 text."
        )


def is_readable(input_: str | LongText) -> bool:
    """Whether an input is base64 of UTF-8 text, as opposed to encrypted."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    if isinstance(input_, LongText):
        return _is_readable_in_pieces(input_, decoder)
    try:
        # In pieces: nobody else gets a turn while one is being decoded.
        for start in range(0, len(input_), _PIECE):
            decoder.decode(base64.b64decode(input_[start : start + _PIECE]))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    except (binascii.Error, ValueError):
        return len(input_) > _PIECE and _is_readable_as_a_whole(input_)
    return True


def _is_readable_in_pieces(text: LongText, decoder: codecs.IncrementalDecoder) -> bool:
    rest = b""
    try:
        for piece in text.pieces:
            data = rest + piece.translate(None, _SKIPPED)
            cut = len(data) - len(data) % 4
            rest = data[cut:]
            decoder.decode(base64.b64decode(data[:cut]))
        decoder.decode(base64.b64decode(rest), final=True)
    except ValueError:
        return False
    return True


def _is_readable_as_a_whole(input_: str) -> bool:
    """Likewise for base64 with line breaks in it, which does not fall into pieces."""
    try:
        base64.b64decode(input_).decode("utf-8")
    except ValueError:
        return False
    return True


def parameters_text(parameters: dict[str, Any]) -> str:
    """Compact JSON of a database's parameters."""
    return json.dumps(parameters, separators=(",", ":"))
