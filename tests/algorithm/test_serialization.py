"""Results as JSON."""

from __future__ import annotations

import datetime
import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantage6.algorithm.tools.exceptions import AlgorithmError
from vantage6.algorithm.tools.serialization import to_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_what_json_can_express_is_written_as_the_standard_library_does(value: object) -> None:
    assert to_json(value) == json.dumps(value).encode()


def test_numpy_numbers_become_the_python_numbers_they_stand_for() -> None:
    value = {
        "count": np.int64(3),
        "mean": np.float32(0.5),
        "ok": np.bool_(True),
        "list": [np.uint8(1), (np.float64(2.0), None)],
        np.int64(7): "key",
    }
    assert json.loads(to_json(value)) == {
        "count": 3,
        "mean": 0.5,
        "ok": True,
        "list": [1, [2.0, None]],
        "7": "key",
    }


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": [np.array([1])]}, 'result["a"][0] is a numpy.ndarray, which JSON cannot express. '),
        (pd.DataFrame({"name": ["John"]}), "result is a pandas.DataFrame, which JSON cannot"),
        ({1: {"x": datetime.date(2020, 1, 1)}}, 'result[1]["x"] is a datetime.date, which'),
        ([np.timedelta64(1, "s")], "result[0] is a numpy.timedelta64, which"),
        ([b"bytes"], "result[0] is a bytes, which JSON cannot express."),
        ({"a": {(1, 2): 3}}, 'A key of result["a"] is a tuple, but keys must be text or numbers'),
        ([pd.NA], "result[0] is a pandas.NAType"),
    ],
)
def test_what_json_cannot_express_is_named_with_its_place_but_not_quoted(
    value: object, told: str
) -> None:
    with pytest.raises(TypeError, match="^" + re.escape(told)) as caught:
        to_json(value)
    assert isinstance(caught.value, AlgorithmError)
    assert "John" not in str(caught.value)


def test_advice_names_what_could_be_returned_instead() -> None:
    with pytest.raises(TypeError, match=re.escape("return its .tolist().")):
        to_json(np.array([1]))
    with pytest.raises(TypeError, match=re.escape("return its .to_dict().")):
        to_json(pd.Series([1]))


def test_result_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(TypeError, match="it contains itself, or is nested too deeply"):
        to_json(loop)
    loop.append(np.int64(1))
    with pytest.raises(TypeError, match="it contains itself, or is nested too deeply"):
        to_json({"a": np.int64(1), "b": loop})
