"""The average: by functions, under the mock client, at a data station, behind a proxy."""

from __future__ import annotations

import base64
import json
import operator
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantage6.algorithm.client import AlgorithmClient
from vantage6.algorithm.tools.exceptions import (
    AlgorithmExecutionError,
    DataError,
    DataTypeError,
    EnvironmentVariableError,
    PrivacyThresholdViolation,
    UserInputError,
)
from vantage6.algorithm.tools.mock_client import MockAlgorithmClient
from vantage6.algorithms import average
from vantage6.algorithms.average import central_average, partial_average

if TYPE_CHECKING:
    from conftest import Proxy, Station

IMAGE_PACKAGE = "vantage6.algorithms.average"
PATIENTS = "gender,age\n" + "".join(f"F,{age}\n" for age in (20, 30, 40, 50, 60)) + "M,\n"


def partial(values: object, column: str = "age", **more: object) -> Any:
    return partial_average(column, mock_data=[pd.DataFrame({"age": values, **more})])


def test_partial_sums_and_counts_what_is_not_missing() -> None:
    assert partial([1, 2, 3, 4, 5, None]) == {"sum": 15.0, "count": 5}
    assert partial([True, False, True, True, True]) == {"sum": 4.0, "count": 5}
    nullable = pd.array([1, None, 3, 4, 5, 6], dtype="Int64")
    assert partial(nullable) == {"sum": 19.0, "count": 5}


@pytest.mark.parametrize(
    ("values", "column", "error", "told"),
    [
        ([1.0] * 9, "agee", UserInputError, "There is no column 'agee'. The columns are: age, x"),
        ([1.0] * 9, 3, UserInputError, "There is no column '3'. The columns are: age, x"),
        (["secret"] * 9, "age", DataTypeError, "Column 'age' is not numeric"),
        ([], "age", DataError, "The table has no rows"),
        ([1.0] * 4, "age", PrivacyThresholdViolation, "Column 'age' has fewer than 5 values"),
        ([None] * 9, "age", PrivacyThresholdViolation, "Column 'age' has fewer than 5 values"),
        ([np.inf] * 9, "age", DataError, "Column 'age' has values that are infinite or too"),
        ([1e308] * 9, "age", DataError, "Column 'age' has values that are infinite or too"),
    ],
)
def test_partial_refuses_what_has_no_average_without_quoting_data(
    values: list[Any], column: str, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match="^" + re.escape(told)) as caught:
        partial(values, column, x=values)
    assert "secret" not in str(caught.value)


def test_data_station_sets_the_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVERAGE_MINIMUM_ROWS", "2")
    assert partial([1, 2]) == {"sum": 3.0, "count": 2}
    monkeypatch.setenv("AVERAGE_MINIMUM_ROWS", "3")
    with pytest.raises(PrivacyThresholdViolation, match="fewer than 3 values"):
        partial([1, 2])
    monkeypatch.setenv("AVERAGE_MINIMUM_ROWS", "-1")
    with pytest.raises(EnvironmentVariableError):
        partial([1, 2])


numbers = st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=5, max_size=15)
gaps = st.lists(st.none(), max_size=5)
site = st.builds(operator.add, numbers, gaps).flatmap(st.permutations)


@given(st.lists(site, min_size=1, max_size=5))
def test_average_over_any_split_is_the_pooled_average(sites: list[list[float | None]]) -> None:
    client = MockAlgorithmClient(
        [[{"database": pd.DataFrame({"x": pd.Series(site, dtype=float)})}] for site in sites],
        module=IMAGE_PACKAGE,
    )
    task = client.task.create(
        input_={"method": "central_average", "kwargs": {"column_name": "x"}}, organizations=[0]
    )
    (result,) = client.wait_for_results(task["id"])
    pooled = np.mean([value for site in sites for value in site if value is not None])
    assert result["average"] == pytest.approx(pooled, rel=1e-9, abs=1e-6)


def test_partial_runs_at_a_data_station(station: Station) -> None:
    station.add_csv("default", PATIENTS)
    run = station.run(
        {"method": "partial_average", "args": [], "kwargs": {"column_name": "age"}},
        package=IMAGE_PACKAGE,
    )
    assert (run.code, run.result, run.stderr) == (0, {"sum": 200.0, "count": 5}, "")
    run = station.run(
        {"method": "partial_average", "kwargs": {"column_name": "gender"}}, package=IMAGE_PACKAGE
    )
    assert (run.code, run.output) == (1, b"")
    assert run.stdout.splitlines()[-1] == (
        "error > Error encountered while calling partial_average: Column 'gender' is not numeric, "
        "so that it has no average"
    )


# -- central, behind a proxy --------------------------------------------------------------------

ORGANIZATIONS = [{"id": 1, "name": "Utrecht"}, {"id": 2, "name": "Maastricht"}]
DONE = {"status": "completed", "log": "info > fine"}


@pytest.fixture
def client(proxy: Proxy, station: Station) -> AlgorithmClient:
    proxy.on("GET", "/organization", {"data": ORGANIZATIONS, "links": {}})
    proxy.on("POST", "/task", httpx.Response(201, json={"id": 8}))
    proxy.on("GET", "/task/8/status", {"status": "completed", "seen": "x"})
    return AlgorithmClient(
        station.token(), "http://proxy", 80, "", transport=httpx.MockTransport(proxy)
    )


def answer(proxy: Proxy, *results: object, runs: list[dict[str, Any]] | None = None) -> None:
    entries = [
        {"id": n, "result": base64.b64encode(json.dumps(result).encode()).decode()}
        for n, result in enumerate(results)
    ]
    proxy.on("GET", "/result", {"data": entries, "links": {}})
    listed = [
        {"organization": {"id": organization["id"]}, **run}
        for organization, run in zip(ORGANIZATIONS, runs or [], strict=False)
    ]
    proxy.on("GET", "/run", {"data": listed, "links": {}})


def test_central_takes_five_requests(client: AlgorithmClient, proxy: Proxy) -> None:
    answer(proxy, {"sum": 200.0, "count": 5}, {"sum": 100.0, "count": 10})
    assert central_average("age", mock_client=client) == {"average": 20.0}
    assert [call.partition("?")[0] for call in proxy.calls] == [
        "GET /organization",
        "GET /blobstream/status",
        "POST /task",
        "GET /task/8/status",
        "GET /result",
    ]
    body = json.loads(proxy.requests[2].content)
    assert [each["id"] for each in body["organizations"]] == [1, 2]
    assert json.loads(base64.b64decode(body["organizations"][0]["input"])) == {
        "method": "partial_average",
        "kwargs": {"column_name": "age"},
    }


def test_central_asks_only_the_organizations_chosen(client: AlgorithmClient, proxy: Proxy) -> None:
    answer(proxy, {"sum": 10.0, "count": 5})
    assert central_average("age", [2], mock_client=client) == {"average": 2.0}
    body = json.loads(proxy.requests[2].content)
    assert [each["id"] for each in body["organizations"]] == [2]


def test_central_names_the_organizations_that_failed_and_why(
    client: AlgorithmClient, proxy: Proxy
) -> None:
    log = (
        "info > Reading data\nprinted by a library: John, 33\n"
        "error > Error encountered while calling partial_average: There is no column 'age'\n"
    )
    busy = {"status": "active", "log": None}
    answer(proxy, runs=[{"status": "crashed", "log": log}, busy])
    with pytest.raises(
        AlgorithmExecutionError,
        match=r"^1 of 2 organizations failed\. Utrecht: There is no column 'age'$",
    ):
        central_average("age", mock_client=client)


def test_central_passes_on_what_the_node_says_where_the_algorithm_says_nothing(
    client: AlgorithmClient, proxy: Proxy
) -> None:
    log = "Organization 'Utrecht': the algorithm was stopped: it ran out of memory.\nJohn, 33"
    answer(proxy, runs=[{"status": "crashed", "log": log}, DONE])
    told = r"failed\. Utrecht: the algorithm was stopped: it ran out of memory\.$"
    with pytest.raises(AlgorithmExecutionError, match=told):
        central_average("age", mock_client=client)


def test_central_falls_back_on_the_status_where_the_log_tells_nothing(
    client: AlgorithmClient, proxy: Proxy
) -> None:
    runs = [
        {"status": "non-existing Docker image", "log": None},
        {"status": "failed", "log": "Traceback: John, 33"},
    ]
    answer(proxy, runs=runs)
    with pytest.raises(
        AlgorithmExecutionError,
        match=r"2 of 2 organizations failed\. Maastricht: failed · Utrecht: non-existing Docker",
    ):
        central_average("age", mock_client=client)


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ([None, {"sum": 1.0, "count": 5}], "Not every organization's result could be read"),
        ([{"sum": 0.0, "count": 0}] * 2, "No organization has a value in column 'age'"),
    ],
)
def test_central_never_passes_half_an_answer_off_as_one(
    client: AlgorithmClient, proxy: Proxy, results: list[Any], told: str
) -> None:
    answer(proxy, *results, runs=[DONE, DONE])
    with pytest.raises(AlgorithmExecutionError, match=told):
        central_average("age", mock_client=client)


def test_central_refuses_organizations_that_take_no_part(
    client: AlgorithmClient, proxy: Proxy
) -> None:
    with pytest.raises(UserInputError, match=r"No organizations \[9\] here. They are: {1: 'Utr"):
        central_average("age", [9], mock_client=client)
    with pytest.raises(UserInputError, match="There is no organization to average over"):
        central_average("age", [], mock_client=client)
    assert proxy.calls.count("POST /task") == 0


def test_store_metadata_describe_the_functions_as_they_are() -> None:
    import inspect

    metadata = json.loads(
        (Path(average.__file__).parent / "algorithm_store.json").read_text(encoding="utf-8")
    )
    described = {each["name"]: each for each in metadata["functions"]}
    assert sorted(described) == sorted(average.__all__)
    for name, function in described.items():
        parameters = list(inspect.signature(getattr(average, name)).parameters.values())[1:]
        assert [each["name"] for each in function["arguments"]] == [p.name for p in parameters]
        assert [each["has_default_value"] for each in function["arguments"]] == [
            p.default is not inspect.Parameter.empty for p in parameters
        ]
