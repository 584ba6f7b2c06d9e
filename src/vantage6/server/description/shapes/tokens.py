"""Logging in, and whose a token is."""

from __future__ import annotations

from vantage6.server.description.shapes.basis import Shape


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
