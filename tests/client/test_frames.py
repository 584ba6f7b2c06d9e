"""Results as one pandas frame."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantage6.client import UserClient
from vantage6.client.frames import make_frame


def frame(*values: Any) -> pd.DataFrame:
    names = ("Utrecht", "Leiden", "Delft")
    return make_frame(
        [(name, json.dumps(value)) for name, value in zip(names, values, strict=False)]
    )


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ({"sum": 3, "count": 2}, [{"sum": 3, "count": 2}]),
        ({"n": 2, "age": {"mean": 41.5}}, [{"n": 2, "age.mean": 41.5}]),
        ([{"age": 1}, {"age": 2}], [{"age": 1}, {"age": 2}]),
        ({"age": [1, 2], "sex": ["f", "m"]}, [{"age": 1, "sex": "f"}, {"age": 2, "sex": "m"}]),
        ({"age": {"0": 1, "1": 2}}, [{"age": 1}, {"age": 2}]),
        (
            {"age": {"mean": 41.5, "max": 80}},
            [{"index": "mean", "age": 41.5}, {"index": "max", "age": 80}],
        ),
        ('{"age": {"0": 1}}', [{"age": 1}]),
        (41.5, [{"result": 41.5}]),
        ("some text", [{"result": "some text"}]),
        ({"counts": [1, 2], "n": 3}, [{"counts": [1, 2], "n": 3}]),
        ({}, [{}]),
        ([], []),
    ],
)
def test_a_result_becomes_rows(value: Any, rows: list[dict[str, Any]]) -> None:
    expected = [{"organization": "Utrecht", **row} for row in rows]
    assert frame(value).to_dict("records") == expected


def test_results_lie_below_each_other_with_whose_they_are() -> None:
    both = frame({"sum": 1, "n": 2}, {"n": 3, "sum": 4})
    assert list(both.columns) == ["organization", "sum", "n"]
    assert both.to_dict("list") == {
        "organization": ["Utrecht", "Leiden"],
        "sum": [1, 4],
        "n": [2, 3],
    }
    assert list(both.index) == [0, 1]


def test_a_column_that_is_called_organization_too_is_kept() -> None:
    assert frame({"organization": "theirs"}).to_dict("records") == [
        {"organization": "Utrecht", "organization.1": "theirs"}
    ]


def test_a_result_that_is_no_table_says_whose_it_is() -> None:
    with pytest.raises(ValueError, match=r"result of Leiden does not fit.*something else"):
        frame({"n": 1}, [1, 2])


def test_a_result_that_could_not_be_decrypted_says_whose_it_is() -> None:
    with pytest.raises(ValueError, match="result of Utrecht does not fit"):
        make_frame([("Utrecht", "abc$def$ghi")])


@given(st.lists(st.lists(st.integers(-9, 9), min_size=1, max_size=4), min_size=1, max_size=3))
def test_records_and_columns_give_the_same_rows(organizations: list[list[int]]) -> None:
    records = frame(*[[{"x": x} for x in xs] for xs in organizations])
    columns = frame(*[{"x": xs} for xs in organizations])
    labelled = frame(*[pd.DataFrame({"x": xs}).to_json() for xs in organizations])
    pd.testing.assert_frame_equal(records, columns)
    pd.testing.assert_frame_equal(records, labelled)
    assert list(records["x"]) == [x for xs in organizations for x in xs]


# -- from a task ------------------------------------------------------------------------------


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


@pytest.fixture
def finished(server: Any) -> int:
    results = [
        {"id": 11, "result": encoded({"n": 5})},
        {"id": 12, "result": ""},
        {"id": 10, "result": encoded({"n": 3})},
    ]
    runs = [
        {"id": run, "organization": {"id": organization}, "status": "completed"}
        for run, organization in ((12, 6), (11, 5), (10, 4))
    ]
    names = {4: "Utrecht", 5: "Leiden", 6: "Delft"}
    server.on("GET /api/result", {"data": results, "links": {}})
    server.on("GET /api/run", {"data": runs, "links": {}})
    server.on(
        "GET /api/organization",
        {"data": [{"id": id_, "name": name} for id_, name in names.items()], "links": {}},
    )
    return 9


def test_a_task_gives_a_frame_in_the_order_of_its_organizations(
    client: UserClient, server: Any, finished: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = client.result.to_frame(finished)
    assert found.to_dict("list") == {"organization": ["Utrecht", "Leiden"], "n": [3, 5]}
    assert len(server.lines) == 3
    assert "Task 9 has no result of: Delft" in capsys.readouterr().out


def test_a_task_without_results_gives_an_empty_frame(client: UserClient, server: Any) -> None:
    server.on("GET /api/result", {"data": [], "links": {}})
    server.on("GET /api/run", {"data": [], "links": {}})
    assert client.result.to_frame(9).empty


def test_without_pandas_it_says_what_to_do_and_asks_nothing(
    client: UserClient, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        client.result.to_frame(9)
    assert server.lines == []
