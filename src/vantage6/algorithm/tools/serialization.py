"""Results and inputs of subtasks as JSON, with errors that name the offending place."""

from __future__ import annotations

import json
import sys
from typing import Any

from vantage6.algorithm.tools.exceptions import SerializationError

_SCALARS = (str, int, float, bool, type(None))


def to_json(value: Any, name: str = "result") -> bytes:
    """Serialize to UTF-8 JSON; numpy numbers become the Python numbers they stand for.

    Parameters
    ----------
    value
        What to serialize.
    name : str
        What to call it in an error.

    Raises
    ------
    SerializationError
        A `TypeError` that names type and place of what JSON cannot express, such as
        ``result["betas"][0] is a numpy.ndarray``.
    """
    try:
        try:
            text = json.dumps(value)
        except TypeError:
            text = json.dumps(_plain(value, name))
    except (ValueError, RecursionError):
        raise SerializationError(
            f"{name} cannot be expressed as JSON: it contains itself, or is nested too deeply"
        ) from None
    return text.encode("utf-8")


def _plain(value: Any, path: str) -> Any:
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, dict):
        return {
            _plain_key(key, path): _plain(item, f"{path}[{_short(key)}]")
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item, f"{path}[{index}]") for index, item in enumerate(value)]
    number = _python_number(value)
    if number is not None:
        return number
    raise SerializationError(
        f"{path} is a {_type_name(value)}, which JSON cannot express.{_advice(value)}"
    )


def _plain_key(key: Any, path: str) -> Any:
    if isinstance(key, _SCALARS):
        return key
    number = _python_number(key)
    if number is not None:
        return number
    raise SerializationError(
        f"A key of {path} is a {_type_name(key)}, but keys must be text or numbers"
    )


def _python_number(value: Any) -> bool | int | float | None:
    """The Python number that a numpy scalar stands for; None for anything else."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.number | numpy.bool_):
        return None
    if isinstance(value, numpy.timedelta64):
        return None
    number = value.item()
    return number if isinstance(number, bool | int | float) else None


def _advice(value: Any) -> str:
    for method in ("to_dict", "tolist"):
        if hasattr(value, method) and hasattr(value, "__len__"):
            return f" If it holds nothing that must stay here, return its .{method}()."
    return ""


def _type_name(value: Any) -> str:
    kind = type(value)
    if kind.__module__ == "builtins":
        return kind.__name__
    return f"{kind.__module__.partition('.')[0]}.{kind.__name__}"


def _short(key: Any) -> str:
    if not isinstance(key, str):
        return repr(_python_number(key) if _python_number(key) is not None else key)
    return json.dumps(key if len(key) <= 40 else key[:40] + "…", ensure_ascii=False)
