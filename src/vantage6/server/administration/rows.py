"""Whole tables: reading their rows, loading others, and the ids that were given out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError

from vantage6.server.model.database import DatabaseDamaged

# Rows fetched or sent at a time: few, for one may hold a result of many megabytes.
_BATCH = 32
_VERSION_TABLE = "alembic_version"

Row = Mapping[str, Any]

# How a value of each type of column is written as JSON, and read again.
_CODECS: dict[str, tuple[type[Any], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "bytes": (LargeBinary, lambda v: base64.b64encode(v).decode("ascii"), base64.b64decode),
    "datetime": (DateTime, lambda v: v.isoformat(), datetime.fromisoformat),
    "json": (JSON, lambda v: v, lambda v: v),
    "bool": (Boolean, bool, bool),
    "integer": (Integer, int, int),
    "text": (String, str, str),
}


def reflect(connection: Connection) -> list[Table]:
    """Our tables as they are in a database, those that are referred to first."""
    there = MetaData()
    there.reflect(connection)
    return [table for table in there.sorted_tables if table.name != _VERSION_TABLE]


def kind_of(column: Column[Any]) -> str:
    """How a column's values are written.

    Raises
    ------
    NotImplementedError
        For a type of column that no backup can hold yet.
    """
    for kind, (type_, _, _) in _CODECS.items():
        if isinstance(column.type, type_):
            return kind
    raise NotImplementedError(
        f"Backups cannot hold columns of type {column.type} ({column.table.name}.{column.name}): "
        "add it to the codecs in administration/rows.py"
    )


def encoder(table: Table) -> Callable[[Iterable[Any]], list[Any]]:
    """Make a function that turns a row, in the order of the columns, into JSON values."""
    encoders = [_CODECS[kind_of(column)][1] for column in table.columns]
    return lambda row: [
        None if value is None else encode(value)
        for encode, value in zip(encoders, row, strict=True)
    ]


def decoder(columns: Iterable[tuple[str, str]]) -> Callable[[Iterable[Any]], dict[str, Any]]:
    """Make the opposite, given names and kinds of columns."""
    decoders = [(name, _CODECS[kind][2]) for name, kind in columns]
    return lambda row: {
        name: None if value is None else decode(value)
        for (name, decode), value in zip(decoders, row, strict=True)
    }


def read_rows(connection: Connection, table: Table) -> Iterator[Any]:
    """All rows of a table in the order of its key, never many in memory."""
    statement = select(table).order_by(*table.primary_key.columns)
    options = {"yield_per": _BATCH}
    with connection.execution_options(**options).execute(statement) as rows:
        yield from rows


def is_empty(connection: Connection, tables: Iterable[Table]) -> bool:
    """Whether there is no row in any of these tables."""
    return all(connection.execute(select(table).limit(1)).first() is None for table in tables)


def load(connection: Connection, content: Iterable[tuple[Table, Iterable[Row]]]) -> dict[str, int]:
    """Insert rows, within :meth:`Database.restructure`.

    Parameters
    ----------
    content
        Empty tables, those that are referred to first, and their rows.

    Returns
    -------
    dict of str to int
        How many texts per table held a character (NUL) that PostgreSQL cannot; there it is
        replaced by U+FFFD.

    Raises
    ------
    DatabaseDamaged
        If a row refers to one that is not there, or two are the same.
    """
    replaced: dict[str, int] = {}
    postgresql = connection.dialect.name == "postgresql"
    keys = _foreign_keys(connection) if postgresql else []
    try:
        _defer(connection, keys, "DEFERRABLE INITIALLY DEFERRED")
        for table, rows in content:
            batch: list[Row] = []
            for row in rows:
                batch.append(_without_nul(table, row, replaced) if postgresql else row)
                if len(batch) == _BATCH:
                    connection.execute(insert(table), batch)
                    batch = []
            if batch:
                connection.execute(insert(table), batch)
        if keys:
            connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
            _defer(connection, keys, "NOT DEFERRABLE")
    except IntegrityError as error:
        raise DatabaseDamaged(f"The rows contradict each other: {error.orig}") from error
    return replaced


def _without_nul(table: Table, row: Row, replaced: dict[str, int]) -> Row:
    odd = [name for name, value in row.items() if isinstance(value, str) and "\0" in value]
    if not odd:
        return row
    replaced[table.name] = replaced.get(table.name, 0) + len(odd)
    return {**row, **{name: row[name].replace("\0", "\ufffd") for name in odd}}


def _foreign_keys(connection: Connection) -> list[tuple[str, str]]:
    quote = connection.dialect.identifier_preparer.quote
    inspector = inspect(connection)
    return [
        (quote(table), quote(str(key["name"])))
        for table in inspector.get_table_names()
        for key in inspector.get_foreign_keys(table)
    ]


def _defer(connection: Connection, keys: Iterable[tuple[str, str]], how: str) -> None:
    # A task may come before its parent, and then no order of the tables helps.
    for table, key in keys:
        connection.execute(text(f"ALTER TABLE {table} ALTER CONSTRAINT {key} {how}"))


def given_ids(connection: Connection, tables: Iterable[Table]) -> dict[str, int]:
    """Per table the last id that was given out, also if its row has been deleted since."""
    if connection.dialect.name == "sqlite":
        if not inspect(connection).has_table("sqlite_sequence"):
            return {}
        rows = connection.execute(text("SELECT name, seq FROM sqlite_sequence")).all()
        names = {table.name for table in tables}
        return {name: last for name, last in rows if name in names}
    given = {}
    for table, sequence in _sequences(connection, tables):
        position = text(f"SELECT last_value, is_called FROM {sequence}")  # noqa: S608 (quoted)
        row = connection.execute(position).one()
        given[table.name] = row.last_value if row.is_called else 0
    return given


def set_given_ids(
    connection: Connection, tables: Iterable[Table], given: Mapping[str, int]
) -> None:
    """Have the next ids follow on those that were given out, and on the highest there is."""
    if connection.dialect.name == "sqlite":
        for table in _counted(connection, tables):
            # Rows have been counted by now; those deleted before have not.
            last = max(given.get(table.name, 0), _highest(connection, table))
            row = {"table": table.name, "last": last}
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), row)
            connection.execute(text("INSERT INTO sqlite_sequence VALUES (:table, :last)"), row)
        return
    for table, sequence in _sequences(connection, tables):
        last = max(given.get(table.name, 0), _highest(connection, table))
        connection.execute(
            text("SELECT setval(CAST(:sequence AS regclass), :value, :used)"),
            {"sequence": sequence, "value": max(last, 1), "used": last > 0},
        )


def _highest(connection: Connection, table: Table) -> int:
    highest = connection.scalar(select(table.c.id).order_by(table.c.id.desc()).limit(1))
    return highest or 0


def _counted(connection: Connection, tables: Iterable[Table]) -> list[Table]:
    """Tables whose ids SQLite never gives out twice."""
    tables_sql = text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    made = {row.name: row.sql for row in connection.execute(tables_sql)}
    return [table for table in tables if "AUTOINCREMENT" in made[table.name]]


def _sequences(connection: Connection, tables: Iterable[Table]) -> list[tuple[Table, str]]:
    """PostgreSQL's sequence of each table that has one, quoted as it must be."""
    quote = connection.dialect.identifier_preparer.quote
    found = []
    for table in tables:
        if "id" in table.columns:
            sequence = connection.scalar(
                text("SELECT pg_get_serial_sequence(:table, 'id')"), {"table": quote(table.name)}
            )
            if sequence:
                found.append((table, sequence))
    return found
