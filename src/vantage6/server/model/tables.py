"""The tables. Foreign keys carry the cascades, so that a delete is one statement."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from vantage6.common.task_status import TaskStatus
from vantage6.web.responses import utc_now

# A deleted row's id is never given out again: a token holds nothing but an id, and a node's journal
# takes a run whose id it knows for one it has already done.
_FRESH_IDS: dict[str, Any] = {"sqlite_autoincrement": True}
_CASCADE: dict[str, Any] = {"ondelete": "CASCADE"}
_SET_NULL: dict[str, Any] = {"ondelete": "SET NULL"}


class Base(DeclarativeBase):
    """Base of all tables; constraints have predictable names for migrations."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Setting(Base):
    """What the server itself must remember, such as the key it signs tokens with."""

    __tablename__ = "setting"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Counter(Base):
    """Numbers handed out one by one (job ids)."""

    __tablename__ = "counter"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[int]


class ServerProcess(Base):
    """A server process that is at work, and when it last said so (see ``model/changes.py``)."""

    __tablename__ = "server_process"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    seen: Mapped[int] = mapped_column(BigInteger)


class Organization(Base):
    """A party: it has users, and a node per collaboration."""

    __tablename__ = "organization"
    __table_args__: Any = _FRESH_IDS

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    domain: Mapped[str | None] = mapped_column(String(128))
    address1: Mapped[str | None] = mapped_column(String(128))
    address2: Mapped[str | None] = mapped_column(String(128))
    zipcode: Mapped[str | None] = mapped_column(String(128))
    country: Mapped[str | None] = mapped_column(String(128))
    public_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    #: For authenticated encryption, as the organization's node gave them; never looked into here.
    authenticated_keys: Mapped[str | None] = mapped_column(String(256))


class Collaboration(Base):
    """Organizations that compute together."""

    __tablename__ = "collaboration"
    __table_args__: Any = _FRESH_IDS

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    encrypted: Mapped[bool] = mapped_column(default=True)


member = Table(
    "member",
    Base.metadata,
    Column("collaboration_id", ForeignKey("collaboration.id", **_CASCADE), primary_key=True),
    Column("organization_id", ForeignKey("organization.id", **_CASCADE), primary_key=True),
    Index("ix_member_organization_id", "organization_id"),
)


class Study(Base):
    """A subset of a collaboration's organizations."""

    __tablename__ = "study"
    __table_args__: Any = _FRESH_IDS

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    collaboration_id: Mapped[int] = mapped_column(
        ForeignKey("collaboration.id", **_CASCADE), index=True
    )


study_member = Table(
    "study_member",
    Base.metadata,
    Column("study_id", ForeignKey("study.id", **_CASCADE), primary_key=True),
    Column("organization_id", ForeignKey("organization.id", **_CASCADE), primary_key=True),
    Index("ix_study_member_organization_id", "organization_id"),
)


class Authenticatable(Base):
    """Who can log in. Users and nodes share one sequence of ids: a token holds just the id."""

    __tablename__ = "authenticatable"
    __table_args__: Any = _FRESH_IDS

    id: Mapped[int] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(String(16))
    ip: Mapped[str | None] = mapped_column(String(64))
    last_seen: Mapped[datetime | None]
    status: Mapped[str | None] = mapped_column(String(16))
    # The server process that holds its newest connection.
    process: Mapped[str | None] = mapped_column(String(32))
    # When its status last changed, see ``model/changes.py``.
    changed: Mapped[int | None] = mapped_column(BigInteger, index=True)

    __mapper_args__ = {"polymorphic_on": "type"}  # noqa: RUF012 (SQLAlchemy's declaration)


class User(Authenticatable):
    """A person."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(ForeignKey("authenticatable.id", **_CASCADE), primary_key=True)
    username: Mapped[str] = mapped_column(String(128), unique=True)
    password: Mapped[str] = mapped_column(String(255))
    firstname: Mapped[str | None] = mapped_column(String(128))
    lastname: Mapped[str | None] = mapped_column(String(128))
    email: Mapped[str | None] = mapped_column(String(255), unique=True)
    organization_id: Mapped[int] = mapped_column(
        ForeignKey("organization.id", **_CASCADE), index=True
    )
    failed_login_attempts: Mapped[int] = mapped_column(default=0)
    last_login_attempt: Mapped[datetime | None]
    otp_secret: Mapped[str | None] = mapped_column(String(32))
    last_email_failed_login_sent: Mapped[datetime | None]
    last_email_recover_password_sent: Mapped[datetime | None]
    last_email_recover_2fa_sent: Mapped[datetime | None]
    # The 30 seconds whose one-time code was used last: it, and those before, are used up.
    otp_last_step: Mapped[int | None]
    # Grows when all tokens of the user are to end; those of one login can be spared.
    token_generation: Mapped[int] = mapped_column(default=0, server_default="0")
    spared_login: Mapped[str | None] = mapped_column(String(36))
    # The password is one that the server made up and showed: to be changed.
    password_made_up: Mapped[bool] = mapped_column(default=False, server_default=false())

    __mapper_args__ = {"polymorphic_identity": "user"}  # noqa: RUF012


class Node(Authenticatable):
    """An organization's data station in one collaboration."""

    __tablename__ = "node"
    __table_args__ = (UniqueConstraint("organization_id", "collaboration_id"),)

    id: Mapped[int] = mapped_column(ForeignKey("authenticatable.id", **_CASCADE), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    # SHA-256 of the API key: a random UUID needs no slow hash, and can be looked up.
    api_key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    collaboration_id: Mapped[int | None] = mapped_column(
        ForeignKey("collaboration.id", **_CASCADE), index=True
    )
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", **_CASCADE))
    # What the node shares of its configuration while it is connected: [[key, value], …].
    config: Mapped[list[list[str]]] = mapped_column(JSON, default=list)

    __mapper_args__ = {"polymorphic_identity": "node"}  # noqa: RUF012


class Rule(Base):
    """One right; the rows mirror the table in ``auth/rules.py``."""

    __tablename__ = "rule"
    __table_args__ = (UniqueConstraint("name", "operation", "scope"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    operation: Mapped[str] = mapped_column(String(16))
    scope: Mapped[str] = mapped_column(String(16))
    description: Mapped[str] = mapped_column(Text)


class Role(Base):
    """A named set of rules, of one organization or (default roles) of none."""

    __tablename__ = "role"
    __table_args__: Any = _FRESH_IDS

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    description: Mapped[str | None] = mapped_column(String(1024))
    organization_id: Mapped[int | None] = mapped_column(
        ForeignKey("organization.id", **_CASCADE), index=True
    )
    is_default_role: Mapped[bool] = mapped_column(default=False)


role_rule = Table(
    "role_rule",
    Base.metadata,
    Column("role_id", ForeignKey("role.id", **_CASCADE), primary_key=True),
    Column("rule_id", ForeignKey("rule.id", **_CASCADE), primary_key=True),
)

user_role = Table(
    "user_role",
    Base.metadata,
    Column("user_id", ForeignKey("user.id", **_CASCADE), primary_key=True),
    Column("role_id", ForeignKey("role.id", **_CASCADE), primary_key=True),
    Index("ix_user_role_role_id", "role_id"),
)

user_rule = Table(
    "user_rule",
    Base.metadata,
    Column("user_id", ForeignKey("user.id", **_CASCADE), primary_key=True),
    Column("rule_id", ForeignKey("rule.id", **_CASCADE), primary_key=True),
)


class AlgorithmStore(Base):
    """A link to an algorithm store, for one collaboration or (none) for all."""

    __tablename__ = "algorithm_store"
    __table_args__ = (
        UniqueConstraint("url", "collaboration_id"),
        Index(
            "uq_algorithm_store_url_for_all",
            "url",
            unique=True,
            sqlite_where=text("collaboration_id IS NULL"),
            postgresql_where=text("collaboration_id IS NULL"),
        ),
        _FRESH_IDS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    url: Mapped[str] = mapped_column(String(1024))
    # With its collaboration a link goes: it must not be left open to all.
    collaboration_id: Mapped[int | None] = mapped_column(
        ForeignKey("collaboration.id", **_CASCADE), index=True
    )


class Task(Base):
    """A question put to organizations of a collaboration.

    ``status`` and ``finished_at`` follow from the runs; they are kept here so that lists need
    not look at the runs (see ``model/tasks.py``, the only writer).
    """

    __tablename__ = "task"
    __table_args__: Any = _FRESH_IDS

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128), default="")
    description: Mapped[str] = mapped_column(String(1024), default="")
    image: Mapped[str] = mapped_column(Text)
    collaboration_id: Mapped[int] = mapped_column(
        ForeignKey("collaboration.id", **_CASCADE), index=True
    )
    study_id: Mapped[int | None] = mapped_column(ForeignKey("study.id", **_SET_NULL), index=True)
    job_id: Mapped[int] = mapped_column(index=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("task.id", **_CASCADE), index=True)
    init_org_id: Mapped[int] = mapped_column(ForeignKey("organization.id", **_CASCADE), index=True)
    init_user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", **_SET_NULL), index=True)
    algorithm_store_id: Mapped[int | None] = mapped_column(
        ForeignKey("algorithm_store.id", **_SET_NULL), index=True
    )
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    status: Mapped[str] = mapped_column(String(32), default=TaskStatus.PENDING.value, index=True)
    finished_at: Mapped[datetime | None]
    # In the order given: [{"label": …, "parameters": {…}}, …].
    databases: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    # The request that made it, for the logs.
    request_id: Mapped[str | None] = mapped_column(String(64))
    # When it or one of its runs last changed, see ``model/changes.py``.
    changed: Mapped[int | None] = mapped_column(BigInteger, index=True)


class TaskDatabase(Base):
    """The labels of a task's databases, to filter by."""

    __tablename__ = "task_database"

    task_id: Mapped[int] = mapped_column(ForeignKey("task.id", **_CASCADE), primary_key=True)
    label: Mapped[str] = mapped_column(String(128), primary_key=True, index=True)


class Run(Base):
    """One organization's share of a task."""

    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_organization_id_finished_at", "organization_id", "finished_at"),
        _FRESH_IDS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("task.id", **_CASCADE), index=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id", **_CASCADE))
    assigned_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(String(32), default=TaskStatus.PENDING.value)
    cleanup_at: Mapped[datetime | None]


class AlgorithmPort(Base):
    """A port at which a run's algorithm can be reached over the VPN."""

    __tablename__ = "algorithm_port"
    __table_args__: Any = _FRESH_IDS

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", **_CASCADE), index=True)
    port: Mapped[int]
    label: Mapped[str | None] = mapped_column(String(128))


class Payload(Base):
    """What may be large: apart from the run, so that lists of runs need not read past it.

    ``input`` and ``result`` are text, or the name of a blob if they are large.
    """

    __tablename__ = "payload"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", **_CASCADE), primary_key=True)
    log: Mapped[str | None] = mapped_column(Text)
    result: Mapped[str | None] = mapped_column(Text)
    input: Mapped[str] = mapped_column(Text, default="")


class Blob(Base):
    """A large input or result, whose bytes are in the payload store."""

    __tablename__ = "blob"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    size: Mapped[int | None] = mapped_column(BigInteger)


class Attachment(Base):
    """A run that needs a blob."""

    __tablename__ = "attachment"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", **_CASCADE), primary_key=True)
    blob_id: Mapped[str] = mapped_column(ForeignKey("blob.id"), primary_key=True, index=True)
