"""Signed tokens (JWT, HS256) of users, nodes and algorithm containers."""

from __future__ import annotations

import math
import secrets
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import jwt

from vantage6.web.errors import Refusal, bad_request, unauthorized

_ALGORITHM = "HS256"
_MIN_ACCESS = timedelta(seconds=1800)
_DEFAULT_ACCESS = timedelta(hours=6)
_DEFAULT_REFRESH = timedelta(hours=48)
_REMEMBERED = 4096


class Kind(StrEnum):
    """Who holds a token."""

    USER = "user"
    NODE = "node"
    CONTAINER = "container"


@dataclass(frozen=True)
class Token:
    """A verified token.

    ``subject`` is the id of a user or node, or the claims of a container. A user's also says of
    which generation it is, and from which login it stems.
    """

    kind: Kind
    subject: int | dict[str, Any]
    refresh: bool = False
    generation: int = 0
    login: str | None = None


class Purpose(StrEnum):
    """What a mailed token is good for."""

    PASSWORD = "password"  # noqa: S105 (a name, not a secret)
    SECOND_FACTOR = "second factor"


class ExpiredToken(Refusal):
    """The token was valid once."""

    def __init__(self) -> None:
        super().__init__(401, "Token has expired")


class InvalidToken(Refusal):
    """Malformed, wrongly signed or of the wrong kind."""

    def __init__(self, message: str) -> None:
        super().__init__(422, message)


class Tokens:
    """Issues and verifies tokens.

    Parameters
    ----------
    secret : str
        Signing key.
    access_hours, refresh_hours
        Lifetimes as configured; unusable values fall back to 6 and 48 hours.
    """

    def __init__(self, secret: str, access_hours: Any = 6, refresh_hours: Any = 48) -> None:
        self._secret = secret
        # Tokens come back with every request; a signature, once verified, stays valid.
        self._verified: dict[str, dict[str, Any]] = {}
        access = _hours(access_hours)
        self._access = access if access is not None and access >= _MIN_ACCESS else _DEFAULT_ACCESS
        refresh = _hours(refresh_hours)
        if refresh is None or refresh < self._access + timedelta(seconds=1):
            refresh = max(_DEFAULT_REFRESH, self._access * 2)
        self._refresh = refresh

    def issue(
        self,
        kind: Kind,
        id_: int,
        roles: list[str] | None = None,
        *,
        generation: int = 0,
        login: str | None = None,
    ) -> tuple[str, str]:
        """Access and refresh token of a user or node.

        Parameters
        ----------
        generation
            The user's present one: the tokens end when it grows.
        login
            The login that these tokens prolong; None begins one.
        """
        now = datetime.now(UTC)
        more: dict[str, Any] = {"roles": roles or []}
        if kind is Kind.USER:
            more |= {"generation": generation, "sid": login or str(uuid.uuid4())}
        access, refresh = (
            self._encode(kind, id_, type_, now, {"exp": now + lifetime, **more})
            for type_, lifetime in (("access", self._access), ("refresh", self._refresh))
        )
        return access, refresh

    def issue_container(self, claims: dict[str, Any]) -> str:
        """Token of an algorithm; it ends with its task, not with a date."""
        return self._encode(
            Kind.CONTAINER, {"client_type": "container", **claims}, "access", datetime.now(UTC)
        )

    def _encode(
        self,
        kind: Kind,
        subject: int | dict[str, Any],
        type_: str,
        now: datetime,
        more: dict[str, Any] | None = None,
    ) -> str:
        claims: dict[str, Any] = {
            "sub": subject,
            "client_type": kind.value,
            "roles": [],
            "type": type_,
            "fresh": False,
            "iat": now,
            "nbf": now,
            "jti": str(uuid.uuid4()),
            "csrf": str(uuid.uuid4()),
            **(more or {}),
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def issue_reset(
        self, purpose: Purpose, user_id: int, generation: int, lifetime: timedelta
    ) -> str:
        """A token to be mailed. It opens nothing else, and ends with the generation."""
        claims = {
            "sub": user_id,
            "purpose": purpose.value,
            "generation": generation,
            "exp": datetime.now(UTC) + lifetime,
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def verify_reset(self, purpose: Purpose, text: str) -> tuple[int, int]:
        """Id and generation of the user that a mailed token was made for.

        Raises
        ------
        Refusal
            400 if it is none, or one for another purpose; 401 if it has expired.
        """
        try:
            claims = self._decode(text)
        except InvalidToken:
            claims = {}
        except ExpiredToken:
            raise unauthorized("The reset token has expired. Please ask for a new one") from None
        if claims.get("purpose") != purpose.value:
            raise bad_request(
                f"This is not a token to reset a {purpose.value}. Copy it whole from the mail"
            )
        return claims["sub"], claims["generation"]

    def verify(self, header: str | None, *, refresh: bool = False) -> Token:
        """Read an ``Authorization`` header.

        Raises
        ------
        ExpiredToken, InvalidToken
            As their names say.
        Refusal
            401 without a bearer token.
        """
        if not header:
            raise unauthorized("Missing Authorization Header")
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise unauthorized("Bad Authorization header. Expected 'Authorization: Bearer <JWT>'")
        claims = self._claims(text.strip())
        if (claims.get("type") == "refresh") != refresh:
            needed = "Only refresh" if refresh else "Only non-refresh"
            raise InvalidToken(f"{needed} tokens are allowed")
        return _token(claims, refresh)

    def _claims(self, text: str) -> dict[str, Any]:
        known = self._verified.get(text)
        if known is not None and known.get("exp", math.inf) > time.time():
            return known
        claims = self._decode(text)
        if len(self._verified) >= _REMEMBERED:
            self._verified.clear()
        self._verified[text] = claims
        return claims

    def _decode(self, text: str) -> dict[str, Any]:
        try:
            # The contract's subjects are integers and objects, which the library would refuse.
            claims: dict[str, Any] = jwt.decode(
                text,
                self._secret,
                algorithms=[_ALGORITHM],
                options={"verify_sub": False, "verify_iat": False, "require": ["sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise ExpiredToken from None
        except jwt.InvalidTokenError as error:
            raise InvalidToken(str(error)) from None
        return claims


def _token(claims: dict[str, Any], refresh: bool) -> Token:
    try:
        kind = Kind(claims.get("client_type", ""))
    except ValueError:
        raise InvalidToken("The token is of an unknown kind") from None
    subject = claims["sub"]
    if not isinstance(subject, dict if kind is Kind.CONTAINER else int):
        raise InvalidToken("The token's subject is not of its kind")
    return Token(kind, subject, refresh, claims.get("generation", 0), claims.get("sid"))


def _hours(value: Any) -> timedelta | None:
    try:
        return timedelta(hours=float(value))
    except (TypeError, ValueError, OverflowError):
        return None


def new_secret() -> str:
    """A signing key of 256 random bits."""
    return secrets.token_hex(32)
