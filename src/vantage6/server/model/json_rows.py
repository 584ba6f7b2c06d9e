"""Rows of a subquery as one JSON array, so that a list of things with parts is one statement."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

from sqlalchemy import JSON, ColumnElement, Function, func, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class json_rows(FunctionElement[Any]):  # noqa: N801 (read like a SQL function)
    """An aggregate: the selected rows as a JSON array of objects, in no order.

    No rows give an empty array or NULL.

    Parameters
    ----------
    columns : mapping
        Per key of the objects the column it holds.
    """

    type = JSON()
    inherit_cache = True

    def __init__(self, columns: Mapping[str, Any]) -> None:
        keys: list[ColumnElement[Any]] = [literal_column(f"'{key}'") for key in columns]
        super().__init__(*chain.from_iterable(zip(keys, columns.values(), strict=True)))


def _render(outer: str, inner: str) -> Any:
    def render(element: json_rows, compiler: SQLCompiler, **options: Any) -> str:
        row: Function[Any] = getattr(func, inner)(*element.clauses)
        return compiler.process(getattr(func, outer)(row), **options)

    return render


compiles(json_rows, "sqlite")(_render("json_group_array", "json_object"))
compiles(json_rows, "postgresql")(_render("json_agg", "json_build_object"))
