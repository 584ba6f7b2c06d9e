"""What a database holds, and making up such content."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
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
    select,
)
from sqlalchemy.exc import IntegrityError

from vantage6.server.model.database import Database
from vantage6.server.model.tables import Base

Contents = dict[str, list[dict[str, Any]]]


def contents(database: Database) -> Contents:
    """All rows of all tables as they are in the database, in one order."""
    there = MetaData()
    with database.engine.connect() as connection:
        there.reflect(connection)
        found = {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in there.sorted_tables
        }
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def fill(connection: Connection, draw: Any) -> None:
    """Insert made-up rows into every table of ours; draw is hypothesis's.

    Rows that a constraint refuses are left out.
    """
    ids: dict[str, list[Any]] = {}
    for table in Base.metadata.sorted_tables:
        for _ in range(draw(st.integers(0, 3), label=f"rows of {table.name}")):
            row = _row(table, ids, draw)
            if row is None:
                continue
            try:
                with connection.begin_nested():
                    connection.execute(insert(table), row)
            except IntegrityError:
                continue
            if "id" in row:
                ids.setdefault(table.name, []).append(row["id"])


def _row(table: Table, ids: dict[str, list[Any]], draw: Any) -> dict[str, Any] | None:
    row = {}
    for column in table.columns:
        if column.foreign_keys:
            parent = next(iter(column.foreign_keys)).column.table.name
            among = ids.get(parent, [])
            if parent == "authenticatable" and table.name in ("user", "node"):
                among = among[:: 2 if table.name == "user" else 1]
            choices = [*among, None] if column.nullable else among
            if not choices:
                return None
            row[column.name] = draw(st.sampled_from(choices))
        else:
            row[column.name] = draw(_value(column))
    return row


# What both databases hold: PostgreSQL knows no NUL.
_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(_CHARACTERS, max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(_CHARACTERS), inner),
    max_leaves=4,
)


def _value(column: Column[Any]) -> st.SearchStrategy[Any]:
    kind = column.type
    made: st.SearchStrategy[Any]
    match kind:
        case Boolean():
            made = st.booleans()
        case Integer():
            made = st.integers(1, 2**31 - 1)
        case DateTime():
            made = st.datetimes()
        case LargeBinary():
            made = st.binary(max_size=20)
        case JSON():
            made = st.lists(_JSON, max_size=2)
        case String():
            made = st.text(_CHARACTERS, max_size=min(kind.length or 40, 40))
        case _:
            raise NotImplementedError(f"{column.table.name}.{column.name}: {kind}")
    return made | st.none() if column.nullable else made
