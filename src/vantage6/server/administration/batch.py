"""The batch import file: organizations with users, collaborations with nodes (contract 9.6)."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection, insert, select
from sqlalchemy.orm import Session

from vantage6.common.yaml_lines import Location
from vantage6.server.administration.backup import make_room
from vantage6.server.administration.document import Document, DocumentError
from vantage6.server.auth.passwords import hash_api_key, hash_password
from vantage6.server.model.database import Database
from vantage6.server.model.runs import add_task, next_job_id
from vantage6.server.model.schema import upgrade
from vantage6.server.model.tables import (
    Collaboration,
    Counter,
    Node,
    Organization,
    Role,
    Rule,
    User,
    member,
    role_rule,
    user_role,
)
from vantage6.server.start import register_rules, reset_default_roles

_EXAMPLE_INPUT = base64.b64encode(b'{"a": "b"}').decode("ascii")
_LONGEST_NAME = 128


def _base64(value: str | None) -> bytes:
    try:
        return base64.b64decode(value or "", validate=True)
    except binascii.Error:
        raise ValueError("must be base64 of a public key, or empty") from None


def _api_key(value: str) -> str:
    try:
        canonical = str(uuid.UUID(value)) == value
    except ValueError:
        canonical = False
    if not canonical:
        raise ValueError(
            "must be a UUID in lower case, such as python3 -c 'import uuid; "
            "print(uuid.uuid4())' prints"
        )
    return value


Name = Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME)]
Text = Annotated[str, Field(max_length=128)] | None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ImportedUser(_Part):
    """A user; neither the password policy nor a rule for names applies."""

    username: Name
    password: Annotated[str, Field(min_length=1)]
    firstname: Text = None
    lastname: Text = None
    email: Annotated[str, Field(max_length=255)] | None = None


class ImportedOrganization(_Part):
    """An organization; every key must be there, but most may be empty."""

    name: Name
    domain: Text
    address1: Text
    address2: Text
    zipcode: Text
    country: Text
    public_key: Annotated[str | None, AfterValidator(_base64)]
    users: list[ImportedUser] | None = None


class Participant(_Part):
    """A member of a collaboration, with the key of its node."""

    name: Name
    api_key: Annotated[str, AfterValidator(_api_key)]


class ImportedCollaboration(BaseModel):
    """A collaboration; other keys are ignored, as the contract says."""

    model_config = ConfigDict(extra="ignore")

    name: Name
    encrypted: bool = True
    participants: list[Participant] | None = None
    tasks: list[Annotated[str, Field(min_length=1)]] | None = None


class ImportFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    organizations: list[ImportedOrganization] | None = None
    collaborations: list[ImportedCollaboration] | None = None


@dataclass(frozen=True)
class Imported:
    """How many there were of each."""

    organizations: int
    users: int
    collaborations: int
    nodes: int
    tasks: int


def import_batch(database: Database, text: str, *, drop_all: bool) -> Imported:
    """Put the content of an import file into a database: all of it, or nothing.

    Parameters
    ----------
    text : str
        YAML.
    drop_all : bool
        Whether to delete all that is there before.

    Raises
    ------
    DocumentError
        If the file is not correct, or something of that name exists already; the message names
        line and key of everything that is wrong.
    """
    document = Document(text)
    content = _validated(document)
    hashes = {
        user.username: hash_password(user.password)
        for organization in content.organizations or []
        for user in organization.users or []
    }
    with database.restructure() as connection:
        if drop_all:
            make_room(connection, replace=True)
        upgrade(connection, "head")
        return _Import(document, content, hashes).into(connection)


def _validated(document: Document) -> ImportFile:
    try:
        return ImportFile.model_validate(document.content if document.content is not None else {})
    except ValidationError as error:
        problems = [document.problem(item["loc"], _words(item)) for item in error.errors()]
        raise DocumentError("\n".join(problems)) from None


def _words(item: Any) -> str:
    match item["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a key of the import file"
        case _:
            message: str = item["msg"]
            return message.removeprefix("Value error, ")


class _Import:
    def __init__(self, document: Document, content: ImportFile, hashes: dict[str, str]) -> None:
        self._document = document
        self._organizations = content.organizations or []
        self._collaborations = content.collaborations or []
        self._hashes = hashes

    def into(self, connection: Connection) -> Imported:
        # The transaction is the connection's: nothing here ends it.
        with Session(connection, join_transaction_mode="rollback_only") as db:
            register_rules(db)
            reset_default_roles(db)
            if db.get(Counter, "job") is None:
                db.add(Counter(name="job", value=0))
            problems = list(self._problems(db))
            if problems:
                raise DocumentError("\n".join(problems))
            for organization in self._organizations:
                self._add_organization(db, organization)
            for collaboration in self._collaborations:
                self._add_collaboration(db, collaboration)
            db.commit()
        participants = [len(c.participants or []) for c in self._collaborations]
        return Imported(
            organizations=len(self._organizations),
            users=len(self._hashes),
            collaborations=len(self._collaborations),
            nodes=sum(participants),
            tasks=sum(len(c.tasks or []) for c in self._collaborations),
        )

    def _problems(self, db: Session) -> Iterator[str]:
        """What pydantic cannot see: names that are taken, or that mean nothing."""
        organizations = set(db.scalars(select(Organization.name)))
        organization_taken = self._taken(organizations, "an organization '{}'")
        usernames = self._taken(set(db.scalars(select(User.username))), "a user '{}'")
        emails = self._taken(set(db.scalars(select(User.email))), "a user with e-mail '{}'")
        for i, organization in enumerate(self._organizations):
            here: Location = ("organizations", i)
            yield from organization_taken(organization.name, (*here, "name"))
            for j, user in enumerate(organization.users or []):
                yield from usernames(user.username, (*here, "users", j, "username"))
                if user.email:
                    yield from emails(user.email, (*here, "users", j, "email"))
        collaborations = self._taken(
            set(db.scalars(select(Collaboration.name))), "a collaboration '{}'"
        )
        nodes = self._taken(set(db.scalars(select(Node.name))), "a node '{}'")
        keys = self._taken(set(db.scalars(select(Node.api_key_hash))), "a node with this API key")
        for i, collaboration in enumerate(self._collaborations):
            yield from collaborations(collaboration.name, ("collaborations", i, "name"))
            for j, participant in enumerate(collaboration.participants or []):
                here = ("collaborations", i, "participants", j)
                if participant.name not in organizations:
                    text = f"there is no organization '{participant.name}'"
                    yield self._document.problem((*here, "name"), text)
                yield from nodes(_node_name(participant, collaboration), (*here, "name"))
                yield from keys(hash_api_key(participant.api_key), (*here, "api_key"))
            if collaboration.tasks and not collaboration.participants:
                text = "a collaboration without participants has no tasks"
                yield self._document.problem(("collaborations", i, "tasks"), text)
        somebody = self._hashes or db.scalar(select(User.id).limit(1))
        if any(c.tasks for c in self._collaborations) and not somebody:
            yield "tasks need a user who created them, and there is none"

    def _taken(self, names: set[Any], what: str) -> Callable[[str, Location], Iterator[str]]:
        def check(name: str, path: Location) -> Iterator[str]:
            if name in names:
                yield self._document.problem(path, f"{what.format(name)} exists already")
            names.add(name)

        return check

    def _add_organization(self, db: Session, imported: ImportedOrganization) -> None:
        fields = imported.model_dump(exclude={"users", "public_key"})
        public_key: Any = imported.public_key
        organization = Organization(**fields, public_key=public_key or None)
        db.add(organization)
        db.flush()
        role = Role(name="super", description="Super user", organization_id=organization.id)
        db.add(role)
        db.flush()
        db.execute(
            insert(role_rule),
            [{"role_id": role.id, "rule_id": id_} for id_ in db.scalars(select(Rule.id))],
        )
        for person in imported.users or []:
            user = User(
                **person.model_dump(exclude={"password", "email"}),
                email=person.email or None,
                password=self._hashes[person.username],
                organization_id=organization.id,
            )
            db.add(user)
            db.flush()
            db.execute(insert(user_role).values(user_id=user.id, role_id=role.id))

    def _add_collaboration(self, db: Session, imported: ImportedCollaboration) -> None:
        collaboration = Collaboration(name=imported.name, encrypted=imported.encrypted)
        db.add(collaboration)
        db.flush()
        ids = {row.name: row.id for row in db.execute(select(Organization.name, Organization.id))}
        organizations = []
        for participant in imported.participants or []:
            organizations.append(ids[participant.name])
            db.execute(
                insert(member).values(
                    organization_id=ids[participant.name], collaboration_id=collaboration.id
                )
            )
            db.add(
                Node(
                    name=_node_name(participant, imported),
                    api_key_hash=hash_api_key(participant.api_key),
                    organization_id=ids[participant.name],
                    collaboration_id=collaboration.id,
                    config=[],
                )
            )
            db.flush()
        for image in imported.tasks or []:
            add_task(
                db,
                [(id_, _EXAMPLE_INPUT) for id_ in organizations],
                name="Example task",
                description="",
                image=image,
                collaboration_id=collaboration.id,
                study_id=None,
                job_id=next_job_id(db),
                parent_id=None,
                init_org_id=organizations[0],
                init_user_id=db.scalar(select(User.id).order_by(User.id).limit(1)),
                databases=[],
            )


def _node_name(participant: Participant, collaboration: ImportedCollaboration) -> str:
    return f"{participant.name} - {collaboration.name} Node"[:_LONGEST_NAME]
