"""Users, and what they may do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vantage6.server.description.shapes.basis import Many, One, Shape, Timestamp


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
