"""Proof by password, with lock-out after failures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, Row, Select, Table, exists, func, select, update
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from vantage6.server.auth.limits import Attempt
from vantage6.server.auth.passwords import (
    BCRYPT_PATTERN,
    hash_password,
    needs_rehash,
    take_the_other_time,
    verify_password,
)
from vantage6.server.auth.recovery import mail_blocked
from vantage6.server.config import PasswordPolicy
from vantage6.server.model.tables import Counter, User
from vantage6.server.services import Services
from vantage6.web.errors import unauthorized
from vantage6.web.responses import utc_now

_USER = cast(Table, User.__table__)
_COUNTER = cast(Table, Counter.__table__)
#: Counts what was refused without an account to count it at.
REFUSED = "refused logins"
_NOBODY = 0


@dataclass(frozen=True)
class Login:
    """A user who has proved who they are."""

    user_id: int
    otp_secret: str | None
    generation: int
    password_made_up: bool


def by_username(username: str) -> ColumnElement[bool]:
    """The user of this name."""
    return _USER.c.username == username


def by_email(email: str) -> ColumnElement[bool]:
    """The users with this address: people do not remember how they once capitalized it."""
    return func.lower(_USER.c.email) == email.lower()


async def check_password(
    services: Services,
    attempt: Attempt,
    who: ColumnElement[bool],
    password: str,
) -> Login:
    """Check a password, in the hashing threads.

    Unknown user, wrong password and blocked account take the same time and get the same answer.
    Whose account is blocked is told by mail.

    Parameters
    ----------
    attempt
        Limits how often one may fail.
    who
        Which user it is said to be, see :func:`by_username`.

    Raises
    ------
    Refusal
        401 if it is not right, or the account is blocked; 429 after too many failures; 503 if
        too many are being checked.
    """
    attempt.check()
    known, both_kinds = await run_in_threadpool(_find, services, who)
    stored = known.password if known else None
    blocked = known is not None and is_blocked(services.config.password_policy, known)

    def verify() -> tuple[bool, str | None]:
        # Others may have failed while this one waited for its turn.
        attempt.check()
        right = verify_password(password, stored)
        if both_kinds and (blocked or not right):
            take_the_other_time(password, stored)
        renew = right and not blocked and stored is not None and needs_rehash(stored)
        return right, hash_password(password) if renew else None

    right, rehashed = await services.hashing.run(verify)
    outcome = await run_in_threadpool(_settle, services, known, right, rehashed)
    if isinstance(outcome, Login):
        return outcome
    attempt.failed()
    if outcome is not None:
        mail_blocked(services, outcome, attempt.address)
    raise unauthorized("Failed to login")


def is_blocked(policy: PasswordPolicy, user: Any) -> bool:
    """Whether too many logins failed, too short ago."""
    last: datetime | None = user.last_login_attempt
    if user.failed_login_attempts < policy.max_failed_attempts or last is None:
        return False
    return utc_now() - last < timedelta(minutes=policy.inactivation_minutes)


_FIND: Select[Any] = select(
    _USER.c.id,
    _USER.c.password,
    _USER.c.otp_secret,
    _USER.c.failed_login_attempts,
    _USER.c.last_login_attempt,
    _USER.c.token_generation,
    _USER.c.password_made_up,
)
_HAS_BCRYPT = select(exists().where(_USER.c.password.like(BCRYPT_PATTERN)))


def _find(services: Services, who: ColumnElement[bool]) -> tuple[Row[Any] | None, bool]:
    """The user, and whether hashes of both kinds are about."""
    with services.database.read() as db:
        user = db.execute(_FIND.where(who).order_by(_USER.c.id).limit(1)).one_or_none()
        return user, bool(db.scalar(_HAS_BCRYPT))


def _settle(
    services: Services, known: Row[Any] | None, right: bool, rehashed: str | None
) -> Login | int | None:
    """Decide by what is true now: many guesses may have been checked at the same time.

    Returns the login; or the id of a user who is blocked; or None.
    """
    policy = services.config.password_policy
    id_ = known.id if known else _NOBODY
    if right and known is not None and not known.failed_login_attempts and rehashed is None:
        with services.database.read() as db:
            user = db.execute(_FIND.where(_USER.c.id == id_)).one_or_none()
        if _still(known, user) and user is not None and not user.failed_login_attempts:
            return _login(user)
    # Every refusal costs one write, so that the time does not tell which it was.
    with services.database.write() as db:
        user = db.execute(_FIND.where(_USER.c.id == id_).with_for_update()).one_or_none()
        if user is None:
            _count_refused(db)
            return None
        if is_blocked(policy, user):
            _count_refused(db)
            return cast(int, user.id)
        changes: dict[str, Any]
        if right and _still(known, user):
            changes = {"failed_login_attempts": 0}
            if rehashed:
                changes["password"] = rehashed
        else:
            exhausted = user.failed_login_attempts >= policy.max_failed_attempts
            changes = {
                "failed_login_attempts": 1 if exhausted else user.failed_login_attempts + 1,
                "last_login_attempt": utc_now(),
            }
        db.execute(update(_USER).where(_USER.c.id == id_).values(**changes))
    return _login(user) if right and _still(known, user) else None


def _still(known: Row[Any] | None, user: Row[Any] | None) -> bool:
    """Whether the password that was checked is still the user's."""
    return known is not None and user is not None and known.password == user.password


def _count_refused(db: Session) -> None:
    db.execute(
        update(_COUNTER).where(_COUNTER.c.name == REFUSED).values(value=_COUNTER.c.value + 1)
    )


def _login(user: Row[Any]) -> Login:
    return Login(user.id, user.otp_secret, user.token_generation, user.password_made_up)
