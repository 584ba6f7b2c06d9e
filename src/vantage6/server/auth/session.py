"""What follows a proof, whichever it was: tokens, their renewal, and their end before time.

A user's tokens carry the user's *generation*, a number in the user's row that is read with every
request anyway. Raising it ends all tokens at once, in every process. The login in which somebody
changes their own password can be spared, so that they need not log in again.
"""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import ColumnElement, Table, select, update
from sqlalchemy.orm import Session

from vantage6.server.auth.caller import Caller
from vantage6.server.auth.login import Login
from vantage6.server.auth.tokens import Kind
from vantage6.server.model.tables import Role, User, user_role
from vantage6.server.services import Services
from vantage6.web.responses import JSON

_USER = cast(Table, User.__table__)


def open_for_user(services: Services, login: Login) -> JSON:
    """Tokens for a user who has logged in."""
    services.presence.seen(login.user_id)
    with services.database.read() as db:
        roles = _roles(db, login.user_id)
    access, refresh = services.tokens.issue(
        Kind.USER, login.user_id, roles, generation=login.generation
    )
    content = _content(services, Kind.USER, login.user_id, access, refresh)
    if login.password_made_up:
        content["password_must_change"] = True
    return JSON(content, headers={"jwt-token": access})


def open_for_node(services: Services, id_: int) -> JSON:
    """Tokens for a node that has logged in."""
    services.presence.seen(id_)
    access, refresh = services.tokens.issue(Kind.NODE, id_)
    return JSON(_content(services, Kind.NODE, id_, access, refresh), headers={"jwt-token": access})


def renew(services: Services, caller: Caller, login: str | None) -> JSON:
    """New tokens for who still has a valid one; they prolong the same login."""
    roles = _roles(caller.db, caller.id) if caller.kind is Kind.USER else []
    access, refresh = services.tokens.issue(
        caller.kind, caller.id, roles, generation=caller.generation, login=login
    )
    return JSON(_content(services, caller.kind, caller.id, access, refresh))


def replace_password(
    db: Session,
    user_id: int,
    hashed: str,
    *where: ColumnElement[bool],
    spare: str | None = None,
    **changes: Any,
) -> bool:
    """Store a new password and end the user's tokens.

    Parameters
    ----------
    where
        Further conditions; False is returned, and nothing changed, if they do not hold.
    spare
        The login whose tokens go on.
    """
    changed = db.scalars(
        update(_USER)
        .where(_USER.c.id == user_id, *where)
        .values(password=hashed, password_made_up=False, **changes, **end_of_tokens(spare))
        .returning(_USER.c.id)
    ).one_or_none()
    return changed is not None


def end_of_tokens(spare: str | None = None) -> dict[str, Any]:
    """The changes of a user's row that end the user's tokens."""
    return {"token_generation": _USER.c.token_generation + 1, "spared_login": spare}


def _roles(db: Session, user_id: int) -> list[str]:
    return list(
        db.scalars(
            select(Role.name)
            .join(user_role, user_role.c.role_id == Role.id)
            .where(user_role.c.user_id == user_id)
            .order_by(Role.id)
        )
    )


def _content(services: Services, kind: Kind, id_: int, access: str, refresh: str) -> dict[str, Any]:
    api = services.config.api_path
    return {
        "access_token": access,
        "refresh_token": refresh,
        "refresh_url": f"{api}/token/refresh",
        f"{kind.value}_url": f"{api}/{kind.value}/{id_}",
    }
