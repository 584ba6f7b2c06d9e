"""Which arguments of a function the researcher gives, and which the decorators put in front."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

INJECTED = "_vantage6_injected_arguments"
_OURS = "_vantage6_wrapper_of"


def count_injected(
    wrapper: Callable[_P, _R], function: Callable[..., Any], number: int
) -> Callable[_P, _R]:
    """Note on a decorator's wrapper how many arguments it and those below it put in front."""
    setattr(wrapper, INJECTED, getattr(function, INJECTED, 0) + number)
    setattr(wrapper, _OURS, function)
    return wrapper


def is_decorated(function: object) -> bool:
    """Whether a function carries at least one decorator of these tools."""
    return hasattr(function, INJECTED)


def binding_error(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> str | None:
    """Say why a call cannot succeed, or None.

    Only judges functions whose every decorator is known here: one by somebody else may give
    or take arguments of its own.
    """
    signature = _given_by_researcher(function)
    if signature is None:
        return None
    try:
        signature.bind(*args, **kwargs)
    except TypeError as problem:
        takes = ", ".join(_described(p) for p in signature.parameters.values())
        return f"{problem}. It takes: {takes}" if takes else f"{problem}. It takes no arguments"
    return None


def _given_by_researcher(function: Callable[..., Any]) -> inspect.Signature | None:
    injected = getattr(function, INJECTED, 0)
    inner: Any = function
    # functools.wraps copies attributes outwards, so the note counts only where it names the
    # very function that is wrapped.
    while hasattr(inner, "__wrapped__"):
        if getattr(inner, "__dict__", {}).get(_OURS) is not inner.__wrapped__:
            return None
        inner = inner.__wrapped__
    try:
        signature = inspect.signature(inner)
    except (TypeError, ValueError):
        return None
    parameters = list(signature.parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    while injected and parameters and parameters[0].kind in positional:
        parameters.pop(0)
        injected -= 1
    return signature.replace(parameters=parameters)


def _described(parameter: inspect.Parameter) -> str:
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return f"*{parameter.name}"
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return f"**{parameter.name}"
    optional = parameter.default is not inspect.Parameter.empty
    return f"{parameter.name} (optional)" if optional else parameter.name
