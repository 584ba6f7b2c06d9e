"""Messages for the researcher, and settings from the data station.

What `info`, `warn` and `error` write becomes the run's log, which the researcher reads: never
put data in it. For details that must stay at the data station write to standard error.
"""

from __future__ import annotations

import sys
from typing import Literal, NoReturn, TypeVar, overload

from vantage6.algorithm.tools._environment import read_variable
from vantage6.algorithm.tools.exceptions import (
    EnvironmentVariableError,
    EnvironmentVariableNotFoundError,
)

_TRUE = ("true", "1", "yes", "t")
_FALSE = ("false", "0", "no", "f")

_T = TypeVar("_T")


class ExplainedExit(SystemExit):
    """The process ends with a code, and a message already says why."""


def info(msg: str) -> None:
    """Write an information message to the run's log."""
    _write("info", msg)


def warn(msg: str) -> None:
    """Write a warning to the run's log."""
    _write("warn", msg)


def error(msg: str) -> None:
    """Write an error message to the run's log."""
    _write("error", msg)


def fail(msg: str) -> NoReturn:
    """Write an error message to the run's log and end the algorithm with exit code 1."""
    error(msg)
    raise ExplainedExit(1)


@overload
def get_env_var(
    var_name: str, default: _T | None = None, as_type: Literal["str"] = ...
) -> str | _T | None: ...
@overload
def get_env_var(
    var_name: str, default: str | bool | None = ..., *, as_type: Literal["bool"]
) -> bool: ...
@overload
def get_env_var(
    var_name: str, default: str | int | None = ..., *, as_type: Literal["int"]
) -> int: ...
@overload
def get_env_var(
    var_name: str, default: str | float | None = ..., *, as_type: Literal["float"]
) -> float: ...
def get_env_var(var_name: str, default: object = None, as_type: str = "str") -> object:
    """Read an environment variable, whether the node encoded it or not.

    Parameters
    ----------
    var_name : str
        Name of the variable.
    default : optional
        Used when the variable is not set.
    as_type : {"str", "bool", "int", "float"}
        What to convert to. As text the default is returned unchanged.

    Raises
    ------
    EnvironmentVariableError
        If the value cannot be converted, or is absent without a default. The text names the
        variable but not its value, which may be a secret of the data station.
    """
    value = read_variable(var_name)
    found: object = default if value is None else value
    if as_type == "str":
        return found
    if as_type not in ("bool", "int", "float"):
        raise ValueError(f"as_type is '{as_type}', but must be 'str', 'bool', 'int' or 'float'")
    if found is None:
        raise EnvironmentVariableNotFoundError(
            f"Environment variable '{var_name}' is not set, and there is no default"
        )
    if as_type == "bool":
        word = str(found).strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        expected = "'true' or 'false'"
    else:
        try:
            return int(str(found)) if as_type == "int" else float(str(found))
        except ValueError:
            expected = "a whole number" if as_type == "int" else "a number"
    raise EnvironmentVariableError(
        f"Environment variable '{var_name}' must be {expected}, but it is not"
    )


def check_envvar_value_positive(envvar_name: str, envvar_value: int | float) -> None:
    """Check that a setting is not negative.

    Raises
    ------
    EnvironmentVariableError
        If it is.
    """
    if envvar_value < 0:
        raise EnvironmentVariableError(
            f"Environment variable '{envvar_name}' must not be negative, but it is"
        )


def _write(level: str, msg: str) -> None:
    # Flushed, so that the log of an algorithm that is killed is complete.
    sys.stdout.write(f"{level} > {msg}\n")
    sys.stdout.flush()
