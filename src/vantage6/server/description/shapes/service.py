"""The service itself: version and health."""

from __future__ import annotations

from vantage6.server.description.shapes.basis import Shape


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
