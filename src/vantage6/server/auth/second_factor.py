"""One-time codes (TOTP, RFC 6238: SHA-1, 6 digits, 30 s) as second factor."""

from __future__ import annotations

import hmac
import time
from typing import Any, cast

import pyotp
from sqlalchemy import ColumnElement, Table, or_, update
from sqlalchemy.orm import Session

from vantage6.server.config import ServerConfig
from vantage6.server.model.tables import User
from vantage6.server.services import Services

_USER = cast(Table, User.__table__)
_STEP_SECONDS = 30


def enrol(
    config: ServerConfig, db: Session, user_id: int, *where: ColumnElement[bool], **changes: Any
) -> dict[str, Any] | None:
    """Give a user a new secret; the answer shows it once, as text and for a QR code.

    None if a further condition does not hold: somebody else was faster.
    """
    secret = pyotp.random_base32(length=32)
    issuer = f"vantage6 ({config.server_name})"
    username = db.scalars(
        update(_USER)
        .where(_USER.c.id == user_id, *where)
        .values(otp_secret=secret, otp_last_step=None, **changes)
        .returning(_USER.c.username)
    ).one_or_none()
    if username is None:
        return None
    uri = pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=issuer)
    return {
        "qr_uri": uri,
        "otp_secret": secret,
        "msg": "Scan the QR code with an authenticator app, then log in with a code from it",
    }


def enrol_first(services: Services, user_id: int) -> dict[str, Any] | None:
    """Give a secret to a user who has none; None if they have one by now."""
    with services.database.write() as db:
        return enrol(services.config, db, user_id, _USER.c.otp_secret.is_(None))


def use_code(services: Services, user_id: int, secret: str, code: str) -> bool:
    """Whether a code fits the current, previous or next 30 seconds and is new.

    Each counts once: it, and those before, are used up, in the database that all processes share.
    """
    step = _matching_step(secret, code)
    if step is None:
        return False
    with services.database.write() as db:
        used = db.scalars(
            update(_USER)
            .where(
                _USER.c.id == user_id,
                _USER.c.otp_secret == secret,
                or_(_USER.c.otp_last_step.is_(None), _USER.c.otp_last_step < step),
            )
            .values(otp_last_step=step)
            .returning(_USER.c.id)
        ).one_or_none()
    return used is not None


def _matching_step(secret: str, code: str) -> int | None:
    totp = pyotp.TOTP(secret)
    now = int(time.time()) // _STEP_SECONDS
    given = "".join(code.split()).encode()
    for step in (now - 1, now, now + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), given):
            return step
    return None
