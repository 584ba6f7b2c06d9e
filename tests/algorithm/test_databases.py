"""Loaders, and the decorator that gives a function its data."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest

from vantage6.algorithm.tools import wrappers
from vantage6.algorithm.tools._environment import encode_value
from vantage6.algorithm.tools.decorators import data
from vantage6.algorithm.tools.exceptions import DataReadError
from vantage6.algorithm.tools.wrappers import DatabaseType, get_column_names, load_data

FRAME = pd.DataFrame({"age": [30, 40, 50], "name": ["a", "b%", "c"]})
QUERY = "SELECT age, name FROM patients WHERE name LIKE '%' OR name = ':x'"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    paths = {kind: tmp_path / f"data.{kind}" for kind in ("csv", "parquet", "xlsx", "sqlite")}
    FRAME.to_csv(paths["csv"], index=False)
    FRAME.to_parquet(paths["parquet"])
    with pd.ExcelWriter(paths["xlsx"]) as book:
        FRAME.to_excel(book, sheet_name="first", index=False)
        FRAME.tail(1).to_excel(book, sheet_name="second", index=False)
    connection = sqlite3.connect(paths["sqlite"])
    FRAME.to_sql("patients", connection, index=False)
    connection.close()
    return paths


@pytest.fixture
def endpoint() -> Iterator[str]:
    """A SPARQL endpoint that knows one query."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)["query"]
            self.send_response(200 if query == ["SELECT ?age"] else 400)
            self.send_header("Content-Type", "text/csv")
            self.end_headers()
            self.wfile.write(b"age\n30\n40\n")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("kind", "file", "options"),
    [
        ("csv", "csv", {}),
        ("parquet", "parquet", {}),
        ("excel", "xlsx", {}),
        ("excel", "xlsx", {"sheet_name": ""}),
        ("sql", "sqlite", {"query": QUERY}),
    ],
)
def test_every_type_of_database_is_loaded(
    files: dict[str, Path], kind: str, file: str, options: dict[str, str]
) -> None:
    loaded = load_data(str(files[file]), kind, **options)
    pd.testing.assert_frame_equal(loaded, FRAME, check_dtype=False)
    assert get_column_names(str(files[file]), kind, **options) == ["age", "name"]


def test_sheet_of_an_excel_file_is_chosen_by_name(files: dict[str, Path]) -> None:
    assert load_data(str(files["xlsx"]), "excel", sheet_name="second")["age"].tolist() == [50]
    with pytest.raises(ValueError, match="third"):
        load_data(str(files["xlsx"]), "excel", sheet_name="third")


def test_sql_database_is_loaded_from_an_address(files: dict[str, Path]) -> None:
    loaded = load_data(
        f"sqlite:///{files['sqlite']}", "sql", "SELECT max(age) AS oldest FROM patients"
    )
    assert loaded.to_dict("list") == {"oldest": [50]}


def test_postgresql_address_without_driver_uses_the_one_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import psycopg

    asked: list[dict[str, Any]] = []

    def refuse(*_args: Any, **kwargs: Any) -> None:
        asked.append(kwargs)
        raise psycopg.OperationalError("refused")

    monkeypatch.setattr(psycopg, "connect", refuse)
    with pytest.raises(Exception, match="refused"):
        load_data("postgresql://me:secret@db.example:5433/cohort", "sql", "SELECT 1")
    assert asked[0]["host"] == "db.example"


def test_sparql_endpoint_is_asked_for_csv(endpoint: str) -> None:
    assert load_data(endpoint, "sparql", "SELECT ?age")["age"].tolist() == [30, 40]
    assert get_column_names(endpoint, "sparql", "SELECT ?age") == ["age"]


@pytest.mark.parametrize("kind", ["CSV", "other", None, "folder"])
def test_unknown_type_ends_the_algorithm_without_showing_the_address(
    kind: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        load_data("postgresql://me:secret@db", kind)
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert f"error > Unknown database type '{kind}'. Please check the node configuration." in out
    assert "info > Available database types: csv, sql, excel, sparql, parquet" in out
    assert "secret" not in out


@pytest.mark.parametrize("kind", ["sql", "sparql"])
def test_missing_query_ends_the_algorithm(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    for function in (load_data, get_column_names):
        with pytest.raises(SystemExit):
            function("/nowhere.sqlite", kind)
        assert f"error > Query is required for database type '{kind}'" in capsys.readouterr().out


def test_database_types_are_the_contracts() -> None:
    assert [kind.value for kind in DatabaseType] == ["csv", "sql", "excel", "sparql", "parquet"]
    assert callable(wrappers.load_sparql_data)


# -- the decorator ------------------------------------------------------------------------------


@data(1)
def count(df: pd.DataFrame, column: str) -> int:
    """Count."""
    return int(df[column].count())


@data(2)
def labels_of_two(first: pd.DataFrame, second: pd.DataFrame) -> list[Any]:
    return [first["who"].tolist(), second["who"].tolist()]


Announce = Callable[..., None]


@pytest.fixture
def announce(monkeypatch: pytest.MonkeyPatch) -> Announce:
    """Set the environment as a node would."""

    def set_(requested: str, **databases: Mapping[str, object]) -> None:
        monkeypatch.setenv("USER_REQUESTED_DATABASE_LABELS", encode_value(requested))
        monkeypatch.setenv("DB_LABELS", encode_value(",".join(databases)))
        for label, settings in databases.items():
            for key, value in settings.items():
                monkeypatch.setenv(f"{label.upper()}_{key}", encode_value(str(value)))

    return set_


def test_function_gets_its_database(files: dict[str, Path], announce: Announce) -> None:
    announce("default", default={"DATABASE_URI": files["csv"], "DATABASE_TYPE": "CSV"})
    assert count("age") == 3
    assert count(column="age") == 3
    assert count.__name__ == "count"
    assert count.__doc__ == "Count."
    assert count.wrapped_in_data_decorator


def test_type_is_csv_when_the_node_does_not_say(files: dict[str, Path], announce: Announce) -> None:
    announce("default", default={"DATABASE_URI": files["csv"]})
    assert count("age") == 3


def test_data_of_a_test_are_given_instead() -> None:
    assert count("age", mock_data=[FRAME]) == 3


def test_several_databases_come_in_the_order_of_the_task(
    tmp_path: Path, announce: Announce
) -> None:
    for label in "abc":
        (tmp_path / f"{label}.csv").write_text(f"who\n{label}\n")
    databases = {label: {"DATABASE_URI": tmp_path / f"{label}.csv"} for label in "abc"}
    announce("c,a", **databases)
    assert labels_of_two() == [["c"], ["a"]]


def test_surplus_databases_are_left_out_with_a_warning(
    files: dict[str, Path], announce: Announce, capsys: pytest.CaptureFixture[str]
) -> None:
    announce("default,other", default={"DATABASE_URI": files["csv"]})
    assert count("age") == 3
    assert (
        "warn > Algorithm requires only 1 databases, but 2 were provided. "
        "Using the first 1 databases." in capsys.readouterr().out
    )


def test_too_few_databases_end_the_algorithm(
    announce: Announce, capsys: pytest.CaptureFixture[str]
) -> None:
    announce("default", default={"DATABASE_URI": "x.csv"})
    with pytest.raises(SystemExit):
        labels_of_two()
    assert "requires 2 databases but only 1 were provided. Exiting" in capsys.readouterr().out
    announce("")
    with pytest.raises(SystemExit):
        count("age")
    assert (
        "error > Algorithm requires 1 databases but only 0 were provided. "
        "Name them in the task: databases=[{'label': ...}]. Exiting..." in capsys.readouterr().out
    )


def test_label_that_the_node_lacks_is_named_with_those_it_has(
    announce: Announce, capsys: pytest.CaptureFixture[str]
) -> None:
    announce("cohort", default={}, other={})
    with pytest.raises(SystemExit):
        count("age")
    assert (
        "error > Database 'cohort' does not exist at this data station. "
        "It has: 'default', 'other'. Exiting..." in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"DATABASE_URI": "{tmp}/gone.csv"}, "its file does not exist at the data station"),
        ({"DATABASE_URI": "{tmp}"}, "it is not valid csv (IsADirectoryError; details"),
        ({"DATABASE_URI": "{tmp}/empty.csv"}, "its file is empty, even of column names"),
        ({"DATABASE_URI": "{tmp}/torn.csv"}, "it is not valid csv (ParserError; details are in"),
        (
            {"DATABASE_URI": "{tmp}/torn.csv", "DATABASE_TYPE": "parquet"},
            "it is not valid parquet (ArrowInvalid; details are in the log",
        ),
        (
            {"DATABASE_URI": "{tmp}/data.xlsx", "DATABASE_TYPE": "excel", "SHEET_NAME": "third"},
            "it has no sheet 'third'. Its sheets are: first, second",
        ),
        (
            {"DATABASE_URI": "{tmp}/torn.csv", "DATABASE_TYPE": "excel", "SHEET_NAME": "third"},
            "it is not valid excel (ValueError; details",
        ),
        (
            {"DATABASE_URI": "{tmp}/data.sqlite", "DATABASE_TYPE": "sql", "QUERY": "SELECT x"},
            "the query failed (",
        ),
        (
            {"DATABASE_URI": "mystery://x", "DATABASE_TYPE": "sql", "QUERY": "SELECT x"},
            "the query failed (NoSuchModuleError; details",
        ),
    ],
)
def test_database_that_cannot_be_read_is_named_but_not_quoted(
    tmp_path: Path,
    files: dict[str, Path],
    announce: Announce,
    settings: dict[str, str],
    told: str,
) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "torn.csv").write_text('name,age\nJohn,3\nJohn,3,4,"secret\n')
    announce(
        "default",
        default={key: value.format(tmp=tmp_path) for key, value in settings.items()},
    )
    with pytest.raises(
        DataReadError, match="^" + re.escape(f"Database 'default' cannot be read: {told}")
    ) as caught:
        count("age")
    for secret in (str(tmp_path), "John", "secret"):
        assert secret not in str(caught.value)


def test_address_never_reaches_the_log(
    announce: Announce, capsys: pytest.CaptureFixture[str]
) -> None:
    announce(
        "default",
        default={
            "DATABASE_URI": "sqlite:////nowhere/secret.db",
            "DATABASE_TYPE": "sql",
            "QUERY": "SELECT 1 FROM x",
        },
    )
    with pytest.raises(DataReadError):
        count("age")
    assert capsys.readouterr().out == "info > Reading data from database 'default'\n"


def test_preprocessing_of_the_task_is_applied(
    files: dict[str, Path], announce: Announce, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [{"function": "filter_range", "parameters": {"column": "age", "min_": 35}}]
    announce(
        "default",
        default={"DATABASE_URI": files["csv"], "PREPROCESSING": json.dumps(steps)},
    )
    assert count("age") == 2
    assert "Applying preprocessing for database 'default'" in capsys.readouterr().out


def test_preprocessing_that_is_no_list_ends_the_algorithm(
    files: dict[str, Path], announce: Announce, capsys: pytest.CaptureFixture[str]
) -> None:
    announce("default", default={"DATABASE_URI": files["csv"], "PREPROCESSING": "{"})
    with pytest.raises(SystemExit):
        count("age")
    assert "preprocessing of database 'default' must be a list of steps" in capsys.readouterr().out


def test_decorator_without_number_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match=re.escape("Write @data(1)")):
        data(lambda df: df)  # type: ignore[arg-type]
