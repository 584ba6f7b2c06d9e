"""Getting in again without a proof: tokens by mail, and the mails about it.

All of it runs in the mailroom's threads, after the answer: neither what the answer says nor how
long it takes depends on whether there is such an account.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

from sqlalchemy import Column, ColumnElement, Table, or_, select, update

from vantage6.server import letters, mail
from vantage6.server.auth.tokens import Purpose
from vantage6.server.config import ServerConfig, Smtp
from vantage6.server.mail import Letter
from vantage6.server.model.tables import User
from vantage6.server.pool import PoolFull
from vantage6.server.services import Services
from vantage6.web.responses import utc_now

log = logging.getLogger(__name__)

_USER = cast(Table, User.__table__)


class _Recipient(Protocol):
    id: int
    username: str
    firstname: str | None
    token_generation: int


class _NotWanted(Exception):
    """There is nobody to write to, or they were written to a short while ago."""


def mail_password_token(services: Services, who: ColumnElement[bool]) -> None:
    """Mail a token to set a new password with, soon."""

    def letter(config: ServerConfig, user: _Recipient) -> Letter:
        return letters.password_reset(config, _name(user), _token(services, Purpose.PASSWORD, user))

    _soon(services, who, _USER.c.last_email_recover_password_sent, letter)


def mail_second_factor_token(services: Services, user_id: int) -> None:
    """Mail a token to set up a new second factor with, soon."""

    def letter(config: ServerConfig, user: _Recipient) -> Letter:
        return letters.second_factor_reset(
            config, _name(user), _token(services, Purpose.SECOND_FACTOR, user)
        )

    _soon(services, _USER.c.id == user_id, _USER.c.last_email_recover_2fa_sent, letter)


def mail_blocked(services: Services, user_id: int, address: str) -> None:
    """Mail that the account is blocked, soon; where no mail is sent, nobody misses this one."""
    if services.config.smtp is None:
        return
    moment = utc_now()

    def letter(config: ServerConfig, user: _Recipient) -> Letter:
        return letters.account_blocked(config, _name(user), address, moment)

    _soon(services, _USER.c.id == user_id, _USER.c.last_email_failed_login_sent, letter)


def _name(user: _Recipient) -> str:
    return user.firstname or user.username


def _token(services: Services, purpose: Purpose, user: _Recipient) -> str:
    lifetime = services.config.reset_token_validity
    return services.tokens.issue_reset(purpose, user.id, user.token_generation, lifetime)


def _soon(
    services: Services,
    who: ColumnElement[bool],
    sent: Column[datetime | None],
    letter: Callable[[ServerConfig, _Recipient], Letter],
) -> None:
    smtp = services.config.smtp
    if smtp is None:
        log.warning("A mail about an account was wanted, but there is no 'smtp' section")
        return
    try:
        services.mailroom.submit(_write, services, smtp, who, sent, letter)
    except PoolFull:
        log.error("A mail about an account is dropped: too many are waiting to be sent")


def _write(
    services: Services,
    smtp: Smtp,
    who: ColumnElement[bool],
    sent: Column[datetime | None],
    letter: Callable[[ServerConfig, _Recipient], Letter],
) -> None:
    """Send one mail, at most once per interval; a failure is logged and does not use it up."""
    user = None
    try:
        user, before = _claim(services, who, sent)
        mail.send(smtp, user.email, letter(services.config, user))
    except _NotWanted as reason:
        log.info("No mail about an account is sent: %s", reason)
    except Exception as error:
        # Without addresses: those in an SMTP refusal are somebody's.
        log.error(
            "A mail about account id=%s was not sent: %s",
            user.id if user else "?",
            _reason(error),
        )
        if user is not None:
            _set_sent(services, user.id, sent, before)


def _claim(
    services: Services, who: ColumnElement[bool], sent: Column[datetime | None]
) -> tuple[Any, datetime | None]:
    now = utc_now()
    interval = timedelta(minutes=services.config.password_policy.between_user_emails_minutes)
    with services.database.write() as db:
        user = db.execute(
            select(
                _USER.c.id,
                _USER.c.username,
                _USER.c.firstname,
                _USER.c.email,
                _USER.c.token_generation,
                sent.label("before"),
            )
            .where(who)
            .order_by(_USER.c.id)
            .limit(1)
        ).one_or_none()
        if user is None:
            raise _NotWanted("there is no such account")
        if not user.email:
            raise _NotWanted(f"account id={user.id} has no address")
        claimed = db.scalars(
            update(_USER)
            .where(_USER.c.id == user.id, or_(sent.is_(None), sent <= now - interval))
            .values({sent.name: now})
            .returning(_USER.c.id)
        ).one_or_none()
    if claimed is None:
        raise _NotWanted(f"account id={user.id} got one less than {interval} ago")
    return user, user.before


def _set_sent(
    services: Services, user_id: int, sent: Column[datetime | None], moment: datetime | None
) -> None:
    with services.database.write() as db:
        db.execute(update(_USER).where(_USER.c.id == user_id).values({sent.name: moment}))


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return f"{error} If the mail server has no TLS, set smtp.MAIL_USE_TLS to false"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = sorted({code for code, _ in error.recipients.values()})
        return f"the mail server refused the recipient, code {', '.join(map(str, codes))}"
    return f"{type(error).__name__}: {error}"
