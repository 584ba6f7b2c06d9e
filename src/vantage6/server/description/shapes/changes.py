"""What changed since somebody last looked."""

from __future__ import annotations

from vantage6.server.description.shapes.basis import Shape


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
