"""Getting in again without password or second factor: ``/recover``. (A node's: ``api/node.py``.)"""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import APIRouter, Request
from pydantic import AfterValidator, Field, model_validator
from sqlalchemy import ColumnElement, Table, select
from starlette.concurrency import run_in_threadpool

from vantage6.server.api.user import Email
from vantage6.server.auth import recovery
from vantage6.server.auth.limits import Attempt
from vantage6.server.auth.login import by_email, by_username, check_password
from vantage6.server.auth.passwords import check_policy, hash_password
from vantage6.server.auth.second_factor import enrol
from vantage6.server.auth.session import end_of_tokens, replace_password
from vantage6.server.auth.tokens import Purpose
from vantage6.server.model.tables import User
from vantage6.server.services import Services
from vantage6.web.errors import Refusal, bad_request, unauthorized
from vantage6.web.parameters import Body
from vantage6.web.responses import JSON

router = APIRouter(tags=["recovery"])
_USER = cast(Table, User.__table__)


class Account(Body):
    """Whose account it is said to be; null is the same as absent."""

    username: Annotated[str, Field(max_length=128)] | None = None
    email: Email | None = None

    @model_validator(mode="after")
    def _one_is_needed(self) -> Account:
        if not (self.username or self.email):
            raise ValueError("Either 'username' or 'email' is needed.")
        return self

    @property
    def named(self) -> str:
        """The name or address that was given."""
        return self.username or self.email or ""

    @property
    def condition(self) -> ColumnElement[bool]:
        """Finds the user."""
        if self.username:
            return by_username(self.username)
        return by_email(self.email or "")


class LostSecondFactor(Account):
    """The account, with its password as proof."""

    password: Annotated[str, Field(min_length=1, max_length=128)]


class MailedToken(Body):
    """The token from a mail."""

    reset_token: Annotated[str, Field(max_length=1024)]


class NewPassword(MailedToken):
    """The token from a mail, and the password that is to be."""

    password: Annotated[str, AfterValidator(check_policy)] = Field(repr=False)


@router.post("/recover/lost")
async def lost_password(request: Request, body: Account) -> JSON:
    """Ask for a mail to set a new password; the answer does not tell whether anybody gets one."""
    services: Services = request.app.state.services
    attempt = services.limits.recovery(request, body.named)
    attempt.check()
    attempt.failed()
    recovery.mail_password_token(services, body.condition)
    return JSON(
        {"msg": "If there is such an account, you will soon get an email with instructions"}
    )


@router.post("/recover/reset")
async def reset_password(request: Request, body: NewPassword) -> JSON:
    """Set a new password with a token from a mail. It unblocks the account."""
    services: Services = request.app.state.services
    attempt = services.limits.secret(request)
    user_id, generation = await run_in_threadpool(
        _open_token, services, attempt, Purpose.PASSWORD, body.reset_token
    )
    hashed = await services.hashing.run(hash_password, body.password)
    await run_in_threadpool(_store_password, services, user_id, generation, hashed)
    return JSON({"msg": "The password has been reset successfully!"})


@router.post("/recover/2fa/lost")
async def lost_second_factor(request: Request, body: LostSecondFactor) -> JSON:
    """Ask, with the password, for a mail to set up a new second factor."""
    services: Services = request.app.state.services
    attempt = services.limits.password(request, body.named)
    login = await check_password(services, attempt, body.condition, body.password)
    if services.config.smtp is None:
        raise bad_request(
            "This server cannot send mail: ask its administrator to reset your second factor"
        )
    recovery.mail_second_factor_token(services, login.user_id)
    return JSON({"msg": "You will soon get an email with instructions"})


@router.post("/recover/2fa/reset")
def reset_second_factor(request: Request, body: MailedToken) -> JSON:
    """Set up a new second factor with a token from a mail."""
    services: Services = request.app.state.services
    attempt = services.limits.secret(request)
    user_id, generation = _open_token(services, attempt, Purpose.SECOND_FACTOR, body.reset_token)
    with services.database.write() as db:
        enrolled: dict[str, Any] | None = enrol(
            services.config, db, user_id, _USER.c.token_generation == generation, **end_of_tokens()
        )
    if enrolled is None:
        raise _used()
    return JSON(enrolled)


def _open_token(
    services: Services, attempt: Attempt, purpose: Purpose, text: str
) -> tuple[int, int]:
    """Whose token it is, and of which generation; refused if it is not good, or no longer."""
    attempt.check()
    try:
        user_id, generation = services.tokens.verify_reset(purpose, text)
        with services.database.read() as db:
            present = db.scalar(select(_USER.c.token_generation).where(_USER.c.id == user_id))
        if present != generation:
            raise _used()
    except Refusal:
        attempt.failed()
        raise
    return user_id, generation


def _store_password(services: Services, user_id: int, generation: int, hashed: str) -> None:
    with services.database.write() as db:
        stored = replace_password(
            db,
            user_id,
            hashed,
            _USER.c.token_generation == generation,
            failed_login_attempts=0,
        )
    if not stored:
        raise _used()


def _used() -> Refusal:
    return unauthorized("The reset token has been used, or is out of date. Ask for a new one")
