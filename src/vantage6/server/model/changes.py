"""When tasks and nodes last changed, as numbers that only grow: who was away asks what is newer.

A number is the database's clock in microseconds. It is written by the statement that changes the
row anyway, so that keeping it costs no statement.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

#: Changes as close as this to a writer that is still at work may be told twice.
_MARGIN = 1_000_000


class now_number(FunctionElement[int]):  # noqa: N801 (SQL functions are written so)
    """Microseconds since the epoch, by the database's clock."""

    type = BigInteger()
    inherit_cache = True


class change_number(FunctionElement[int]):  # noqa: N801
    """The number of a change: now; on SQLite, whose clock counts milliseconds, at least the next.

    PostgreSQL has many writers at a time: there readers take care (:func:`horizon`).
    """

    type = BigInteger()
    inherit_cache = True


_SQLITE_NOW = "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) * 1000"
_SQLITE_NEWEST = (
    "max(coalesce((SELECT max(changed) FROM task), 0),"
    " coalesce((SELECT max(changed) FROM authenticatable), 0))"
)
_POSTGRESQL_NOW = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"


@compiles(now_number, "sqlite")
@compiles(now_number, "postgresql")
def _now(_: Any, compiler: Any, **__: Any) -> str:
    return _SQLITE_NOW if compiler.dialect.name == "sqlite" else _POSTGRESQL_NOW


@compiles(change_number, "sqlite")
@compiles(change_number, "postgresql")
def _change(_: Any, compiler: Any, **__: Any) -> str:
    if compiler.dialect.name != "sqlite":
        return _POSTGRESQL_NOW
    return f"max({_SQLITE_NOW}, 1 + {_SQLITE_NEWEST})"


_HORIZON = text(
    f"SELECT least({_POSTGRESQL_NOW}, (extract(epoch from min(xact_start)) * 1000000)::bigint)"  # noqa: S608 (constants)
    " FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL"
    " AND pid <> pg_backend_pid()"
)
_NEWEST = text(f"SELECT max({_SQLITE_NOW}, {_SQLITE_NEWEST})")


def horizon(db: Session) -> int:
    """Up to which number nothing can come after; look before looking for changes.

    On PostgreSQL a transaction may number its change before another and be seen after it.
    """
    if db.get_bind().dialect.name == "sqlite":
        return int(db.scalar(_NEWEST) or 0)
    return int(db.scalar(_HORIZON) or 0) - _MARGIN
