"""Ids in paths."""

from __future__ import annotations

from starlette.convertors import IntegerConvertor, register_url_convertor


class _Id(IntegerConvertor):
    # A longer number is nobody's id, and no database could compare it: there is no such path.
    regex = "[0-9]{1,9}"


def register() -> None:
    """Make ``{id_:int}`` in routes match ids only."""
    register_url_convertor("int", _Id())
