"""Cutting what a server answered down to the rows and fields somebody wants."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from vantage6.common.client.refusal import Refusal, require

Row = dict[str, Any]

_FIELD_DOC = """
field : str, optional
    Keep only this key of {what}.
fields : list[str], optional
    Keep only these keys of {what}, in this order.
"""
_FILTER_DOC = """filter_ : tuple, optional
    ``(key, value)``: keep only the items of the page whose key has this value.
filters : list[tuple], optional
    Several such pairs, all of which must match.
"""


def post_filtering(iterable: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let a method that returns an answer of the server take filters as further keywords.

    Parameters
    ----------
    iterable : bool
        True for methods that return a page of a list: they then take ``field``, ``fields``,
        ``filter_`` and ``filters``, and return a plain list as soon as one of them is given.
        False for methods that return one item: ``field`` and ``fields``.

    Returns
    -------
    Callable
        Decorator. It raises ``RefusedError`` when a list to be filtered is the server's refusal.
    """

    def decorator(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def single(
            *args: Any, field: str | None = None, fields: Sequence[str] | None = None, **kwargs: Any
        ) -> Any:
            answer = method(*args, **kwargs)
            keys = _keys(field, fields)
            if keys is None or answer is None or isinstance(answer, Refusal):
                return answer
            return filter_dict_keys(answer, keys)

        @functools.wraps(method)
        def many(
            *args: Any,
            field: str | None = None,
            fields: Sequence[str] | None = None,
            filter_: tuple[str, Any] | None = None,
            filters: Sequence[tuple[str, Any]] | None = None,
            **kwargs: Any,
        ) -> Any:
            answer = method(*args, **kwargs)
            if not (field or fields or filter_ or filters):
                return answer
            return filter_page(require(answer), field, fields, filter_, filters)

        filtered = many if iterable else single
        filtered.__doc__ = _document(method.__doc__, iterable)
        return filtered

    return decorator


def filter_page(
    results: Mapping[str, Any] | Iterable[Row],
    field: str | None = None,
    fields: Sequence[str] | None = None,
    filter_: tuple[str, Any] | None = None,
    filters: Sequence[tuple[str, Any]] | None = None,
) -> list[Row]:
    """Rows of a page (or a list): those that match, cut to the keys that are wanted."""
    rows = filter_dicts_from_results(results, [filter_] if filter_ else filters or [])
    keys = _keys(field, fields)
    return rows if keys is None else filter_dicts_keys(rows, keys)


def filter_dicts_from_results(
    results: Mapping[str, Any] | Iterable[Row], filters: Iterable[tuple[str, Any]]
) -> list[Row]:
    """Rows of a page (or a list) that match every ``(key, value)``."""
    return filter_dicts_on_values(_rows(results), filters)


def filter_keys_from_result(result: Row, keys: Iterable[str]) -> Row:
    """One item, cut to some keys."""
    return filter_dict_keys(result, keys)


def filter_keys_from_results(
    results: Mapping[str, Any] | Iterable[Row], keys: Iterable[str]
) -> list[Row]:
    """Rows of a page (or a list), each cut to some keys."""
    return filter_dicts_keys(_rows(results), keys)


def filter_dicts_on_values(dicts: Iterable[Row], filters: Iterable[tuple[str, Any]]) -> list[Row]:
    """Dictionaries that match every ``(key, value)``."""
    rows = list(dicts)
    for key, value in filters:
        rows = filter_dicts_by_values(rows, key, value)
    return rows


def filter_dicts_by_values(dicts: Iterable[Row], key: str, value: Any) -> list[Row]:
    """Dictionaries whose key has a value.

    Raises
    ------
    KeyError
        If a dictionary lacks the key; the message names those there are.
    """
    rows = []
    for row in dicts:
        if key not in row:
            raise KeyError(f"Cannot filter on '{key}'. There are: {', '.join(sorted(row))}")
        if row[key] == value:
            rows.append(row)
    return rows


def filter_dicts_keys(dicts: Iterable[Row], keys: Iterable[str]) -> list[Row]:
    """Dictionaries, each cut to some keys."""
    wanted = list(keys)
    return [filter_dict_keys(row, wanted) for row in dicts]


def filter_dict_keys(dict_: Row, keys: Iterable[str]) -> Row:
    """One dictionary, cut to some keys; keys it lacks are left out."""
    return {key: dict_[key] for key in keys if key in dict_}


def _rows(results: Mapping[str, Any] | Iterable[Row]) -> list[Row]:
    return list(results["data"] if isinstance(results, Mapping) else results)


def _keys(field: str | None, fields: Sequence[str] | None) -> list[str] | None:
    if field:
        return [field]
    if not fields:
        return None
    return [fields] if isinstance(fields, str) else list(fields)


def _document(doc: str | None, iterable: bool) -> str | None:
    """Add the further keywords to the docstring's parameters."""
    if doc is None:
        return None
    text = _FIELD_DOC.format(what="each item" if iterable else "the item")
    text += _FILTER_DOC if iterable else ""
    head, found, tail = inspect.cleandoc(doc).partition("\nReturns\n")
    if not found:
        raise ValueError("A filtered method's docstring needs a section Returns")
    if "\nParameters\n" not in head:
        head += "\nParameters\n----------"
    return f"{head.rstrip()}\n{text.strip()}\n{found}{tail}"
