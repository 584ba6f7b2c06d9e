"""How many bytes texts take, without reading them where the database knows it."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import ColumnElement, Integer, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _stored_bytes(FunctionElement[int]):  # noqa: N801 (read like a SQL function)
    type = Integer()
    inherit_cache = True


@compiles(_stored_bytes, "sqlite")
def _in_sqlite(element: _stored_bytes, compiler: SQLCompiler, **options: Any) -> str:
    # Characters: payloads are of one byte each, and logs nearly so.
    return compiler.process(func.length(*element.clauses), **options)


@compiles(_stored_bytes, "postgresql")
def _in_postgresql(element: _stored_bytes, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(func.octet_length(*element.clauses), **options)


def text_bytes(*columns: Any) -> ColumnElement[int]:
    """The bytes of these columns of a row together; NULL has none."""
    return reduce(add, (func.coalesce(_stored_bytes(column), 0) for column in columns))
