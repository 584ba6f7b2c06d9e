"""Steps that a task may ask for between loading a database and giving it to the algorithm."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vantage6.algorithm.tools.preprocessing import functions
from vantage6.algorithm.tools.util import fail

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["preprocess_data"]

_STEPS: dict[str, Callable[..., pd.DataFrame]] = {
    "filter_range": functions.filter_range,
    "dummy_preprocess": functions.dummy_preprocess,
}


def preprocess_data(data: pd.DataFrame, preproc_input: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Apply steps in order.

    Parameters
    ----------
    data : pandas.DataFrame
        The database.
    preproc_input : list of dict
        Steps ``{"function": name, "parameters": {...}}``.

    Raises
    ------
    SystemExit
        If a step is not described rightly, after a message.
    UserInputError
        If a step cannot be applied to these data.
    """
    for step in preproc_input:
        if "function" not in step:
            fail("Preprocessing step does not contain a 'function' to run. Exiting...")
        name, parameters = step["function"], step.get("parameters") or {}
        function = _STEPS.get(name) if isinstance(name, str) else None
        if function is None:
            fail(
                f"Unknown preprocessing type '{name}' defined. Please check your preprocessing "
                f"input. Known are: {', '.join(_STEPS)}. Exiting..."
            )
        if not isinstance(parameters, dict):
            fail(f"The parameters of preprocessing step '{name}' must be named. Exiting...")
        _check_parameters(name, function, parameters)
        data = function(data, **parameters)
    return data


def _check_parameters(name: str, function: Callable[..., Any], parameters: dict[str, Any]) -> None:
    known = list(inspect.signature(function).parameters.values())[1:]
    for parameter in known:
        if parameter.default is inspect.Parameter.empty and parameter.name not in parameters:
            fail(
                f"Parameter '{parameter.name}' not provided for preprocessing step '{name}'. "
                "Exiting..."
            )
    for given in parameters:
        if given not in {parameter.name for parameter in known}:
            fail(f"Preprocessing step '{name}' has no parameter '{given}'. Exiting...")
