"""The shapes of what the API answers, and which route answers which.

They describe; nothing is validated when answering. Tests compare real answers with them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Timestamp = Annotated[
    str | None,
    Field(
        description="ISO 8601 in UTC, without a zone",
        examples=["2026-01-31T12:00:00.123456"],
    ),
]
Many = Annotated[
    str, Field(description="Where to list them", examples=["/api/node?organization_id=3"])
]


class Shape(BaseModel):
    """An answer: exactly these keys."""

    model_config = ConfigDict(extra="forbid")


class Error(BaseModel):
    """Any refusal."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {"msg": "You lack the permission to do that!"},
                {
                    "msg": "Request body is incorrect",
                    "errors": {"name": ["Field required"]},
                },
            ]
        },
    )

    msg: str = Field(description="What is wrong, and what to do")
    errors: dict[str, Any] = Field(
        default_factory=dict, description="Per field of the body what is wrong with it"
    )


class Message(Shape):
    """It is done."""

    msg: str


class One(Shape):
    """A link to one thing."""

    id: int
    link: str
    methods: list[str]


class PageLinks(BaseModel):
    """The pages around this one; a page that is not there has no key."""

    first: str
    self: str
    previous: str = ""
    next: str = ""
    last: str = ""


class Organization(Shape):
    """A party."""

    id: int
    name: str
    domain: str | None
    address1: str | None
    address2: str | None
    zipcode: str | None
    country: str | None
    public_key: str = Field(description="Base64; empty when there is none")
    authenticated_keys: str = Field(
        description="For authenticated encryption; empty when there are none"
    )
    collaborations: Many
    nodes: Many
    users: Many
    tasks: Many
    runs: Many
    studies: Many


class Collaboration(Shape):
    """Organizations that compute together."""

    id: int
    name: str
    encrypted: bool
    organizations: Many | list[Organization]
    nodes: Many
    tasks: Many
    studies: Many
    algorithm_stores: Many


class Study(Shape):
    """A subset of a collaboration's organizations."""

    id: int
    name: str
    collaboration: One
    organizations: Many | list[Organization]
    tasks: Many


class Permissions(Shape):
    """What a user may do, and with whom."""

    roles: list[int]
    rules: list[int]
    orgs_in_collabs: list[int]


class User(Shape):
    """A person."""

    id: int
    type: Literal["user"]
    username: str
    firstname: str | None
    lastname: str | None
    email: str | None
    organization: One
    roles: Many
    rules: Many
    status: str | None
    last_seen: Timestamp
    last_email_failed_login_sent: Timestamp
    last_email_recover_password_sent: Timestamp
    ip: None
    otp_secret: None = Field(description="A key of the contract; always null")
    permissions: Permissions = Field(
        default_factory=lambda: Permissions(roles=[], rules=[], orgs_in_collabs=[]),
        description="Only with `include_permissions`",
    )


class Setting(Shape):
    """What a node shares of its configuration."""

    key: str
    value: str


class Node(Shape):
    """An organization's data station in a collaboration."""

    id: int
    type: Literal["node"]
    name: str
    status: str | None
    last_seen: Timestamp
    ip: str | None
    organization: One
    collaboration: One | None
    config: list[Setting]


class NewNodeShown(Node):
    """A node with its key, which is shown this once."""

    api_key: str


class ReducedNode(Shape):
    """A node of a collaboration."""

    id: int
    name: str
    status: str | None
    last_seen: Timestamp
    ip: str | None
    organization: One


class ApiKeyShown(Shape):
    """A new key of a node, which is shown this once."""

    api_key: str


class Role(Shape):
    """A named set of rules."""

    id: int
    name: str
    description: str | None
    is_default_role: bool
    organization: One | None
    rules: Many
    users: Many


class Rule(Shape):
    """A right."""

    id: int
    name: str
    operation: Literal["VIEW", "EDIT", "CREATE", "DELETE", "SEND", "RECEIVE"]
    scope: Literal["OWN", "ORGANIZATION", "COLLABORATION", "GLOBAL"]
    description: str
    users: Many


class AlgorithmStore(Shape):
    """A link to an algorithm store."""

    id: int
    name: str
    url: str
    collaborations: str | None = Field(description="Null: all")


class TaskDatabase(Shape):
    """A database that a task reads."""

    label: str
    parameters: str = Field(description="A JSON object, as text")


class Port(Shape):
    """A port that an algorithm listens at."""

    id: int
    port: int
    label: str | None


class RunNode(BaseModel):
    """Where a run runs; empty when that organization has no node there any more."""

    model_config = ConfigDict(extra="forbid")

    id: int = 0
    name: str = ""
    ip: str | None = None
    status: str | None = None


class Result(Shape):
    """What a run delivered."""

    id: int
    result: str | None
    run: One
    task: One
    cleanup_at: Timestamp
    blob_storage_used: bool | None


class TaskOfRun(Shape):
    """A task, without its runs."""

    id: int
    name: str
    description: str | None
    image: str
    job_id: int
    status: str
    created_at: Timestamp
    finished_at: Timestamp
    collaboration: One
    study: One | None
    init_org: One
    init_user: One | None
    algorithm_store: One | None
    parent: One | None
    children: Many
    results: Many | list[Result]
    databases: list[TaskDatabase]


class Run(Shape):
    """One organization's share of a task."""

    id: int
    organization: One
    task: One | TaskOfRun
    results: One
    node: RunNode
    ports: list[Port]
    input: str | None
    assigned_at: Timestamp
    started_at: Timestamp
    finished_at: Timestamp
    status: str
    log: str | None
    cleanup_at: Timestamp
    blob_storage_used: bool | None


class Task(TaskOfRun):
    """A question put to organizations."""

    runs: Many | list[Run]


class RunReported(Run):
    """A run after a node's report."""

    announced: bool = False
    container_token: str = ""
    request_id: str | None = None


class RunState(Shape):
    """A run after a node's report, with `brief`."""

    id: int
    status: str
    started_at: Timestamp
    finished_at: Timestamp
    announced: bool = False
    container_token: str = ""
    request_id: str | None = None


class WatchedOrganization(Shape):
    """Whose run it is."""

    id: int
    name: str


class WatchedRun(Shape):
    """How far a run is."""

    id: int
    organization: WatchedOrganization
    status: str
    assigned_at: Timestamp
    node_status: str | None


class TaskState(BaseModel):
    """The state of a task; with `wait` also that of its runs."""

    model_config = ConfigDict(extra="forbid")

    status: str
    seen: str = ""
    runs: list[WatchedRun] = []


class Version(Shape):
    """The version."""

    version: str


class Health(Shape):
    """Whether the database answers."""

    database: bool


class Live(Shape):
    """The process answers."""

    live: bool


class Ready(Shape):
    """Whether requests may be sent here, and what is missing."""

    ready: bool
    stopping: bool
    database: bool
    migrations: bool
    bus: bool | None


class BlobStore(Shape):
    """Whether every input and result is uploaded, and from how many characters on it should be."""

    blob_store_enabled: bool
    inline_limit: int


class Uploaded(Shape):
    """The name of an upload, for the task or run that it belongs to."""

    uuid: str


class ChangedRun(Shape):
    """How far a run is."""

    id: int
    organization_id: int
    status: str


class ChangedTask(Shape):
    """A task that changed, as it is now."""

    id: int
    parent_id: int | None
    job_id: int
    collaboration_id: int
    status: str
    runs: list[ChangedRun]


class ChangedNode(Shape):
    """A node that came or went."""

    id: int
    name: str
    org_id: int
    status: str | None


class Changes(Shape):
    """What changed, and the cursor to go on from."""

    cursor: str
    more: bool
    tasks: list[ChangedTask]
    nodes: list[ChangedNode]


class Tokens(Shape):
    """Who logged in."""

    access_token: str
    refresh_token: str
    refresh_url: str


class UserTokens(Tokens):
    """A user who logged in."""

    user_url: str
    password_must_change: bool = False


class NodeTokens(Tokens):
    """A node that logged in."""

    node_url: str


class SecondFactor(Shape):
    """A secret for an app that makes one-time codes."""

    qr_uri: str
    otp_secret: str
    msg: str


class ContainerToken(Shape):
    """The token of an algorithm."""

    container_token: str


class ValidUser(Shape):
    """Whose token it is."""

    msg: str
    user_id: int
    username: str
    email: str | None
    organization_id: int


class ValidNode(Shape):
    """Whose token it is."""

    msg: str
    node_id: int
    name: str
    organization_id: int


class Columns(Shape):
    """The columns of a database."""

    columns: list[str]


class Address(Shape):
    """Where an algorithm listens."""

    port: int
    label: str | None
    ip: str | None
    organization_id: int
    task_id: int
    parent_id: int | None


class Addresses(Shape):
    """Where algorithms listen."""

    addresses: list[Address]


Model = type[BaseModel]


@dataclass(frozen=True)
class Answer:
    """What a route answers when it does not refuse.

    Parameters
    ----------
    models
        One of these.
    status
        With this status.
    form
        One of them, a page of a list, a bare array, or bytes.
    others
        By further statuses, what is answered then.
    """

    models: tuple[Model, ...] = ()
    status: int = 200
    form: Literal["one", "page", "array", "bytes"] = "one"
    others: dict[int, Model] = field(default_factory=dict)


def _one(*models: Model, status: int = 200, **others: Model) -> Answer:
    return Answer(
        models, status, others={int(key.removeprefix("s")): m for key, m in others.items()}
    )


def _array(model: Model, status: int = 200) -> Answer:
    return Answer((model,), status, "array")


def _resource(path: str, model: Model, *, created: int = 201) -> dict[str, Answer]:
    """The five routes that most resources have."""
    return {
        f"GET {path}": Answer((model,), form="page"),
        f"POST {path}": _one(model, status=created),
        f"GET {path}/{{id_}}": _one(model),
        f"PATCH {path}/{{id_}}": _one(model),
        f"DELETE {path}/{{id_}}": _one(Message),
    }


#: Per route, without the API path, what it answers.
ANSWERS: dict[str, Answer] = {
    **_resource("/user", User),
    **_resource("/organization", Organization),
    **_resource("/collaboration", Collaboration, created=200),
    **_resource("/study", Study),
    **_resource("/node", Node),
    **_resource("/task", Task),
    **_resource("/run", Run),
    **_resource("/result", Result),
    **_resource("/role", Role),
    **_resource("/rule", Rule),
    **_resource("/algorithmstore", AlgorithmStore),
    "POST /node": _one(NewNodeShown, status=201),
    "POST /task": _one(Task, status=201, s403=Error),
    "PATCH /run/{id_}": _one(RunReported, RunState),
    "POST /collaboration/{id_}/organization": _array(Organization),
    "DELETE /collaboration/{id_}/organization": _array(Organization),
    "POST /collaboration/{id_}/node": _array(ReducedNode, status=201),
    "DELETE /collaboration/{id_}/node": _one(Message),
    "POST /study/{id_}/organization": _array(Organization),
    "DELETE /study/{id_}/organization": _array(Organization),
    "POST /role/{id_}/rule/{rule_id}": _array(Rule, status=201),
    "DELETE /role/{id_}/rule/{rule_id}": _array(Rule),
    "GET /task/{id_}/status": _one(TaskState),
    "POST /kill/task": _one(Message),
    "POST /kill/node/tasks": _one(Message),
    "POST /recover/node": _one(ApiKeyShown),
    "POST /recover/lost": _one(Message),
    "POST /recover/reset": _one(Message),
    "POST /recover/2fa/lost": _one(Message),
    "POST /recover/2fa/reset": _one(SecondFactor),
    "PATCH /password/change": _one(Message),
    "POST /token/user": _one(UserTokens, SecondFactor, Message),
    "POST /token/node": _one(NodeTokens),
    "POST /token/container": _one(ContainerToken),
    "POST /token/refresh": _one(UserTokens, NodeTokens),
    "POST /token/user/validate": _one(ValidUser),
    "POST /token/node/validate": _one(ValidNode),
    "POST /port": _one(Port, status=201),
    "DELETE /port": _one(Message),
    "GET /vpn": _one(Message, s501=Error),
    "POST /vpn/update": _one(Message, s501=Error),
    "GET /vpn/algorithm/addresses": _one(Addresses),
    "POST /column": _one(Columns, s201=Task),
    "GET /version": _one(Version),
    "GET /health": _one(Health),
    "GET /health/live": _one(Live),
    "GET /health/ready": _one(Ready),
    "GET /event": _one(Changes),
    "GET /blobstream/status": _one(BlobStore),
    "POST /blobstream": _one(Uploaded, status=201),
    "GET /blobstream/{uuid}": Answer(form="bytes"),
}
