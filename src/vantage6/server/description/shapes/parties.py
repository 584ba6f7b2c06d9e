"""Organizations, and in what they work together."""

from __future__ import annotations

from pydantic import Field

from vantage6.server.description.shapes.basis import Many, One, Shape


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
        "", description="For authenticated encryption; absent when there are none"
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


class AlgorithmStore(Shape):
    """A link to an algorithm store."""

    id: int
    name: str
    url: str
    collaborations: str | None = Field(description="Null: all")
