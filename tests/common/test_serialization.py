"""JSON in pieces is the JSON of the whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantage6.common import serialization
from vantage6.common.serialization import serialize, serialize_in_pieces

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
KEYS = st.text(max_size=5) | st.integers() | st.booleans() | st.none() | st.floats()
DATA = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(KEYS, inner, max_size=6) | st.tuples(inner)
    ),
    max_leaves=30,
)


@settings(deadline=None)  # a busy machine is no fault of the code
@given(DATA)
def test_pieces_make_the_whole(data: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, small in (("_TEXT", 3), ("_ITEMS", 2), ("_SHORT", 2), ("_FEW", 1)):
            patch.setattr(serialization, name, small)
        assert b"".join(serialize_in_pieces(data)) == serialize(data)


@pytest.mark.parametrize("data", ["é\N{GRINNING FACE}" * 300_000, list(range(50_000)), {"a": {}}])
def test_large_data_come_in_small_pieces(data: Any) -> None:
    pieces = list(serialize_in_pieces(data))
    assert b"".join(pieces) == serialize(data)
    assert max(map(len, pieces)) < 4_000_000


@pytest.mark.parametrize("data", [{1, 2}, [object()], {"a": [1, {"b": b"x"}]}, {(1, 2): 3}])
def test_what_is_no_json_is_refused(data: Any) -> None:
    with pytest.raises(TypeError):
        json.dumps(data)
    with pytest.raises(TypeError):
        list(serialize_in_pieces(data))


def test_what_contains_itself_is_refused() -> None:
    data: list[Any] = [1]
    data.append({"inside": data})
    with pytest.raises(ValueError, match="Circular"):
        list(serialize_in_pieces(data))
