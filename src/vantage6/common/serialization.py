"""Task input and results as bytes: plain JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

#: Characters of a text, or items of a list, that are serialized at a time.
_TEXT, _ITEMS = 256 * 1024, 1024
_SMALL = (int, float, bool, type(None))
#: A text up to this long counts as small.
_SHORT = 256
#: A list or dictionary with up to this many small items is serialized at once.
_FEW = 1024


def serialize(data: Any) -> bytes:
    """Serialize to UTF-8 JSON bytes.

    Raises
    ------
    TypeError
        If the data hold something JSON cannot express.
    """
    return json.dumps(data).encode("utf-8")


def serialize_in_pieces(data: Any) -> Iterator[bytes]:
    """Like :func:`serialize`, without ever holding the whole.

    Raises
    ------
    TypeError
        If the data hold something JSON cannot express; when it is reached.
    ValueError
        If they contain themselves.
    """
    for text in _texts(data, set()):
        yield text.encode("ascii")


def _texts(data: Any, inside: set[int]) -> Iterator[str]:
    if isinstance(data, str):
        yield from _of_text(data)
    elif isinstance(data, dict | list | tuple) and data:
        if len(data) <= _FEW and _all_small(data.values() if isinstance(data, dict) else data):
            yield json.dumps(data)
            return
        if id(data) in inside:
            raise ValueError("Circular reference detected")
        inside.add(id(data))
        yield from _of_dict(data, inside) if isinstance(data, dict) else _of_list(data, inside)
        inside.remove(id(data))
    else:
        yield json.dumps(data)


def _of_text(data: str) -> Iterator[str]:
    if len(data) <= _TEXT:
        yield json.dumps(data)
        return
    yield '"'
    for start in range(0, len(data), _TEXT):
        yield json.dumps(data[start : start + _TEXT])[1:-1]
    yield '"'


def _of_dict(data: dict[Any, Any], inside: set[int]) -> Iterator[str]:
    between = "{"
    for key, value in data.items():
        # A key may be a number or None as well: json knows what becomes of it.
        yield between + json.dumps({key: None})[1 : -len("null}")]
        yield from _texts(value, inside)
        between = ", "
    yield "}"


def _of_list(data: list[Any] | tuple[Any, ...], inside: set[int]) -> Iterator[str]:
    between = "["
    for start in range(0, len(data), _ITEMS):
        items = data[start : start + _ITEMS]
        if _all_small(items):
            yield between + json.dumps(items)[1:-1]
            between = ", "
            continue
        for item in items:
            yield between
            yield from _texts(item, inside)
            between = ", "
    yield "]"


def _all_small(items: Iterable[Any]) -> bool:
    return all(
        isinstance(item, _SMALL) or (isinstance(item, str) and len(item) <= _SHORT)
        for item in items
    )
