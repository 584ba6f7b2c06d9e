"""Tasks, runs and results."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from vantage6.server.description.shapes.basis import Many, One, Shape, Timestamp
from vantage6.server.description.shapes.nodes import Port


class TaskDatabase(Shape):
    """A database that a task reads."""

    label: str
    parameters: str = Field(description="A JSON object, as text")


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


class Columns(Shape):
    """The columns of a database."""

    columns: list[str]


class BlobStore(Shape):
    """Whether every input and result is uploaded, and from how many characters on it should be."""

    blob_store_enabled: bool
    inline_limit: int


class Uploaded(Shape):
    """The name of an upload, for the task or run that it belongs to."""

    uuid: str
