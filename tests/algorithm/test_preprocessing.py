"""Preprocessing steps."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from vantage6.algorithm.tools.exceptions import UserInputError
from vantage6.algorithm.tools.preprocessing import preprocess_data
from vantage6.algorithm.tools.preprocessing.functions import dummy_preprocess, filter_range

FRAME = pd.DataFrame({"age": [10, 20, 30, 40], "name": list("abcd")})


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [
        ({}, [10, 20, 30, 40]),
        ({"min_": 20}, [30, 40]),
        ({"min_": 20, "include_min": True}, [20, 30, 40]),
        ({"max_": 20}, [10]),
        ({"max_": 20, "include_max": True}, [10, 20]),
        ({"min_": 10, "max_": 40}, [20, 30]),
        ({"min_": 0, "max_": 0}, []),
    ],
)
def test_range_keeps_what_lies_within_its_bounds(bounds: dict[str, Any], kept: list[int]) -> None:
    assert filter_range(FRAME, "age", **bounds)["age"].tolist() == kept
    step = {"function": "filter_range", "parameters": {"column": "age", **bounds}}
    assert preprocess_data(FRAME, [step])["age"].tolist() == kept


def test_steps_run_in_order_and_dummy_changes_nothing() -> None:
    steps: list[dict[str, Any]] = [
        {"function": "filter_range", "parameters": {"column": "age", "min_": 10}},
        {"function": "dummy_preprocess"},
        {"function": "filter_range", "parameters": {"column": "age", "max_": 40}},
    ]
    assert preprocess_data(FRAME, steps)["age"].tolist() == [20, 30]
    assert dummy_preprocess(FRAME) is FRAME


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({}, "Preprocessing step does not contain a 'function' to run. Exiting..."),
        ({"function": "drop"}, "Unknown preprocessing type 'drop' defined."),
        ({"function": ["drop"]}, "Unknown preprocessing type '['drop']' defined."),
        ({"function": "filter_range"}, "Parameter 'column' not provided for preprocessing step"),
        (
            {"function": "filter_range", "parameters": {"min_": 1}},
            "Parameter 'column' not provided for preprocessing step 'filter_range'. Exiting...",
        ),
        (
            {"function": "filter_range", "parameters": {"column": "age", "min": 1}},
            "Preprocessing step 'filter_range' has no parameter 'min'.",
        ),
        (
            {"function": "filter_range", "parameters": ["age"]},
            "The parameters of preprocessing step 'filter_range' must be named.",
        ),
    ],
)
def test_step_that_is_described_wrongly_ends_the_algorithm(
    step: dict[str, Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        preprocess_data(FRAME, [step])
    assert ended.value.code == 1
    assert f"error > {told}" in capsys.readouterr().out


def test_column_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(UserInputError, match=r"no column 'weight'. Columns are: age, name"):
        filter_range(FRAME, "weight", min_=1)


def test_values_that_cannot_be_compared_are_refused_without_being_quoted() -> None:
    with pytest.raises(UserInputError, match=r"column 'name' cannot be compared with the bounds$"):
        filter_range(FRAME, "name", min_=1)
