"""Databases that are read piece by piece: the same values as whole ones, in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantage6.algorithm.tools import table as module
from vantage6.algorithm.tools._environment import encode_value
from vantage6.algorithm.tools.decorators import data
from vantage6.algorithm.tools.exceptions import DataReadError, UserInputError
from vantage6.algorithm.tools.table import CsvSource, ParquetSource, SqlSource, Table

FRAME = pd.DataFrame({"age": range(100), "na me": ["x", 'y"'] * 50, "bmi": [1.5, None] * 50})


def as_csv(folder: Path) -> Table:
    FRAME.to_csv(folder / "t.csv", index=False)
    return Table(CsvSource(str(folder / "t.csv")))


def as_parquet(folder: Path) -> Table:
    FRAME.to_parquet(folder / "t.parquet", row_group_size=10)
    return Table(ParquetSource(str(folder / "t.parquet")))


def as_sql(folder: Path) -> Table:
    import sqlite3

    path = folder / "t.sqlite"
    with sqlite3.connect(path) as connection:
        FRAME.to_sql("t", connection, index=False, if_exists="replace")
    connection.close()
    return Table(SqlSource(str(path), "SELECT * FROM t WHERE '%' = '%'"))


def as_frame(_: Path) -> Table:
    return Table.of(FRAME)


every_kind = pytest.mark.parametrize("make", [as_csv, as_parquet, as_sql, as_frame])
Make = Callable[[Path], Table]


@every_kind
def test_pieces_make_up_the_whole(make: Make, tmp_path: Path) -> None:
    table = make(tmp_path)
    assert table.columns == ["age", "na me", "bmi"]
    pd.testing.assert_frame_equal(table.to_pandas(), FRAME)
    pieces = list(table.batches(["bmi", "age"], rows=7))
    whole = pd.concat(pieces, ignore_index=True)
    pd.testing.assert_frame_equal(whole, FRAME[["bmi", "age"]], check_dtype=False)
    if make is not as_frame:
        assert max(len(piece) for piece in pieces) <= 7


@every_kind
def test_conditions_choose_rows(make: Make, tmp_path: Path) -> None:
    table = make(tmp_path)
    got = table.read(["age"], where=[("na me", "==", 'y"'), ("age", ">=", 50), ("age", "!=", 51)])
    assert list(got["age"]) == list(range(53, 100, 2))
    assert list(table.read(["bmi"], where=[("bmi", ">", 0)])["bmi"]) == [1.5] * 50
    assert table.query("SELECT sum(age) AS s FROM data")["s"][0] == sum(range(100))
    with pytest.raises(UserInputError, match="'; DROP' is none of"):
        table.read(where=[("age", "; DROP", 1)])  # type: ignore[list-item]
    for call in (lambda: table.read(["x"]), lambda: table.read(where=[("x", "==", 1)])):
        with pytest.raises(UserInputError, match=r"There is no column 'x'\. The columns are: age"):
            call()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=50))
@settings(max_examples=30, deadline=None)
def test_reading_in_pieces_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.parquet"
    pd.DataFrame({"v": np.array(values, dtype=float)}).to_parquet(path, row_group_size=3)
    pieces = list(Table(ParquetSource(str(path))).batches(["v"], rows=4))
    assert [value for piece in pieces for value in piece["v"]] == values


def announce(monkeypatch: pytest.MonkeyPatch, path: Path, kind: str, **more: str) -> None:
    values = {
        "USER_REQUESTED_DATABASE_LABELS": "default",
        "DEFAULT_DATABASE_URI": str(path),
        "DEFAULT_DATABASE_TYPE": kind,
        **more,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, encode_value(value))


@data(1, lazy=True)
def count(table: Table, column: str) -> int:
    return sum(len(piece) for piece in table.batches([column]))


def test_the_decorator_gives_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_parquet(tmp_path)
    announce(monkeypatch, tmp_path / "t.parquet", "parquet")
    assert count("age") == 100
    assert count("age", mock_data=[FRAME.head(3)]) == 3
    steps = [{"function": "filter_range", "parameters": {"column": "age", "min_": 90}}]
    announce(
        monkeypatch, tmp_path / "t.parquet", "parquet", DEFAULT_PREPROCESSING=json.dumps(steps)
    )
    assert count("age") == 9


def test_what_cannot_be_read_is_told_without_quoting_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.parquet"
    path.write_text("secret, 42")
    announce(monkeypatch, path, "parquet")
    with pytest.raises(DataReadError) as caught:
        count("age")
    assert "Database 'default' cannot be read: it is not valid parquet" in str(caught.value)
    assert "secret" not in str(caught.value)
    path.unlink()
    with pytest.raises(DataReadError, match="its file does not exist"):
        count("age")


MEASURE = """
import resource, sys
import numpy, pandas, pyarrow.parquet, duckdb
from vantage6.algorithm.tools.table import ParquetSource, Table
table = Table(ParquetSource(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.argv[2] == "pieces":
    total = count = 0
    for piece in table.batches(["age", "bmi"]):
        total += piece["age"].sum() + piece["bmi"].sum()
        count += 2 * len(piece)
    mean = total / count
else:
    mean = table.query("SELECT (avg(age) + avg(bmi)) / 2 AS m FROM data WHERE age >= 0")["m"][0]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(mean, (peak - before) / 1024)
"""


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a gigabyte: twenty columns of three million numbers."""
    path = tmp_path_factory.mktemp("large") / "large.parquet"
    names = [f"c{number}" for number in range(18)] + ["age", "bmi"]
    schema = pa.schema([(name, pa.float64()) for name in names])
    values = pa.array(np.random.default_rng(1).random(500_000))
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for _ in range(6):
            writer.write_table(pa.table(dict.fromkeys(names, values), schema=schema))
    return path


@pytest.mark.parametrize("way", ["pieces", "query"])
def test_a_mean_of_two_columns_of_a_large_file_takes_little_memory(
    large_file: Path, way: str
) -> None:
    assert large_file.stat().st_size > 450 * 1024**2
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(large_file), way],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    mean, megabytes = map(float, done.stdout.split())
    assert abs(mean - 0.5) < 0.01
    # The whole file would take more than all of its bytes; the two columns alone 48 MB.
    assert megabytes < 200


def test_a_query_may_spill_into_the_runs_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    import duckdb

    connect = duckdb.connect

    def spy(**options: Any) -> Any:
        seen.append(options["config"])
        return connect(**options)

    monkeypatch.setattr(duckdb, "connect", spy)
    as_parquet(tmp_path)
    source = ParquetSource(str(tmp_path / "t.parquet"))
    Table(source, temporary_folder=str(tmp_path)).query("SELECT 1")
    assert seen[0]["temp_directory"] == str(tmp_path)
    assert seen[0]["memory_limit"] == module.QUERY_MEMORY
