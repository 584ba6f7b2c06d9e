"""What a server makes sure of before it answers: schema, rules, default roles, a root user."""

from __future__ import annotations

import logging
import os
import secrets
import time
from pathlib import Path

import bcrypt
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from vantage6.common.transport import backoff
from vantage6.server.auth.login import REFUSED
from vantage6.server.auth.passwords import hash_password
from vantage6.server.auth.rules import BOOK, DEFAULT_ROLES
from vantage6.server.auth.tokens import new_secret
from vantage6.server.model.changes import change_number
from vantage6.server.model.database import Database
from vantage6.server.model.schema import migrate
from vantage6.server.model.tables import (
    Authenticatable,
    Counter,
    Node,
    Organization,
    Role,
    Rule,
    Setting,
    User,
    role_rule,
    user_role,
)

log = logging.getLogger(__name__)

ROOT = "root"
#: How long a starting server waits for its database (the contract's ten times half a minute).
WAIT_SECONDS = 300.0
_SECRET = "jwt_secret_key"  # noqa: S105 (the name of a setting)


class StartRefused(Exception):
    """The server cannot start; the message says what to change."""


def prepare(database: Database) -> None:
    """Bring a database, empty or old, to what this version needs."""
    migrate(database)
    # Alone: several processes may start at once on one database.
    with database.write_alone() as db:
        register_rules(db)
        reset_default_roles(db)
        for name in ("job", REFUSED):
            if db.get(Counter, name) is None:
                db.add(Counter(name=name, value=0))
        _ensure_root(db)
        _remind_of_passwords(db)
        if database.dialect == "sqlite":
            # One process, and it was not running: whoever is online says so again at once.
            db.execute(
                update(Authenticatable)
                .values(status="offline", process=None, changed=change_number())
                .where(_was_online)
            )
            db.execute(update(Node).values(config=[]))


def wait_for(database: Database, seconds: float = WAIT_SECONDS) -> None:
    """Return once the database answers.

    Raises
    ------
    StartRefused
        If it does not in time; the message says why.
    """
    deadline = time.monotonic() + seconds
    for pause in backoff(first=0.5, ceiling=30.0):
        try:
            with database.read() as db:
                db.execute(select(1))
            return
        except OperationalError as error:
            reason = str(error.orig).strip().partition("\n")[0]
            if database.dialect == "sqlite" or time.monotonic() + pause > deadline:
                raise StartRefused(f"The database cannot be used: {reason}") from None
            log.warning("The database cannot be used yet (%s); trying again", reason)
        time.sleep(pause)


_was_online = Authenticatable.status == "online"


def signing_key(database: Database, configured: str | None) -> str:
    """The key for tokens: the configured one, or one that is made once and remembered.

    Remembering it keeps everybody logged in over a restart, and lets replicas share it.
    """
    if configured:
        return configured
    with database.write_alone() as db:
        setting = db.get(Setting, _SECRET)
        if setting is None:
            setting = Setting(key=_SECRET, value=new_secret())
            db.add(setting)
        return setting.value


def register_rules(db: Session) -> None:
    """Insert the rules that are missing, and renew their descriptions."""
    known = {(rule.name, rule.operation, rule.scope): rule for rule in db.scalars(select(Rule))}
    for item in BOOK:
        rule = item.rule
        key = (rule.resource, rule.operation.name, rule.scope.name)
        if key in known:
            known[key].description = item.description
        else:
            db.add(Rule(name=key[0], operation=key[1], scope=key[2], description=item.description))
            db.flush()


def reset_default_roles(db: Session) -> None:
    """Insert the default roles that are missing, and undo changes of the others."""
    ids = {(rule.name, rule.operation, rule.scope): rule.id for rule in db.scalars(select(Rule))}
    for default in DEFAULT_ROLES:
        role = db.scalar(select(Role).where(Role.name == default.name, Role.is_default_role))
        if role is None:
            role = Role(name=default.name, is_default_role=True)
            db.add(role)
        role.description = default.description
        db.flush()
        wanted = {ids[r.resource, r.operation.name, r.scope.name] for r in default.rules}
        held = set(db.scalars(select(role_rule.c.rule_id).where(role_rule.c.role_id == role.id)))
        if held - wanted:
            db.execute(
                delete(role_rule).where(
                    role_rule.c.role_id == role.id, role_rule.c.rule_id.in_(held - wanted)
                )
            )
        if wanted - held:
            db.execute(
                insert(role_rule),
                [{"role_id": role.id, "rule_id": id_} for id_ in sorted(wanted - held)],
            )


def _ensure_root(db: Session) -> None:
    if db.scalar(select(User.id).where(User.username == ROOT)):
        return
    organization = db.scalar(select(Organization).where(Organization.name == ROOT))
    if organization is None:
        organization = Organization(name=ROOT)
        db.add(organization)
        db.flush()
    password, made_up = _initial_password_hash()
    user = User(
        username=ROOT,
        password=password,
        password_made_up=made_up,
        email="root@domain.ext",
        organization_id=organization.id,
    )
    db.add(user)
    db.flush()
    role = db.scalar(select(Role.id).where(Role.name == "Root", Role.is_default_role))
    db.execute(insert(user_role).values(user_id=user.id, role_id=role))


def _remind_of_passwords(db: Session) -> None:
    for username in db.scalars(select(User.username).where(User.password_made_up)):
        log.warning(
            "User '%s' still has the password that was made up and shown at the first start. Log "
            "in and change it: client.util.change_my_password(current, new)",
            username,
        )


def _initial_password_hash() -> tuple[str, bool]:
    """The hash of root's first password, and whether it was made up (and shown once) or given."""
    if file := os.environ.get("V6_INIT_SUPER_PASS_FILE"):
        return hash_password(_read(file)), False
    hashed = None
    if file := os.environ.get("V6_INIT_SUPER_PASS_HASHED_FILE"):
        hashed = _read(file)
    hashed = hashed or os.environ.get("V6_INIT_SUPER_PASS_HASHED")
    if hashed:
        return _checked_hash(hashed), False
    password = secrets.token_urlsafe(12) + "aA1!"
    # Not through the log: it is shown once, here, and kept nowhere.
    print(
        f"\n  First start: log in as '{ROOT}' with password  {password}\n"
        "  It is not shown again. Please change it.\n",
        flush=True,
    )
    return hash_password(password), True


def _read(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise StartRefused(
            f"Cannot read root's first password: {file}: {error.strerror}"
        ) from error


def _checked_hash(hashed: str) -> str:
    problem = None
    if not hashed.startswith("$2b$") or len(hashed) < 60:
        problem = "is not a bcrypt hash ($2b$…, 60 characters)"
    else:
        try:
            if bcrypt.checkpw(b"", hashed.encode()):
                problem = "is the hash of an empty password"
        except ValueError:
            problem = "is not a valid bcrypt hash"
    if problem:
        raise StartRefused(f"V6_INIT_SUPER_PASS_HASHED {problem}")
    return hashed
