"""Nodes, and where the algorithms at them listen."""

from __future__ import annotations

from typing import Literal

from vantage6.server.description.shapes.basis import One, Shape, Timestamp


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


class Port(Shape):
    """A port that an algorithm listens at."""

    id: int
    port: int
    label: str | None


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
