"""What a run sees of a site's data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from vantage6.node import environment
from vantage6.node.config import Database
from vantage6.node.data import Databases, DataRefusal, View
from vantage6.node.offer import DatabaseRequest


@pytest.fixture
def databases(tmp_path: Path) -> Databases:
    (tmp_path / "patients.csv").write_text("﻿age,,sex\n1,2,3\n")
    (tmp_path / "scans").mkdir()
    frame = pd.DataFrame({"height": [1.8], "weight": [80]}, index=pd.Index(["p"], name=None))
    frame.to_parquet(tmp_path / "body.parquet")
    frame.to_excel(tmp_path / "sheet.xlsx")
    settings: list[dict[str, Any]] = [
        {"label": "default", "uri": "patients.csv", "type": "csv"},
        {"label": "Body", "uri": str(tmp_path / "body.parquet"), "type": "parquet"},
        {"label": "sheet", "uri": "sheet.xlsx", "type": "excel"},
        {"label": "scans", "uri": "scans", "type": "folder"},
        {"label": "gone", "uri": "gone.csv", "type": "csv"},
        {
            "label": "wh",
            "uri": "postgresql://ro:pw@db/wh",
            "type": "sql",
            "env": {"schema": "public", "port": 5432},
        },
        {"label": "far", "uri": "https://example.org/data.csv", "type": "csv"},
    ]
    return Databases([Database(**entry) for entry in settings], tmp_path)


def request(label: str, **parameters: Any) -> DatabaseRequest:
    return DatabaseRequest(label, parameters)


def test_only_what_is_asked_for_is_shown(databases: Databases, tmp_path: Path) -> None:
    view = databases.view([request("default")])
    assert [(m.source, m.target, m.writable) for m in view.mounts] == [
        (tmp_path / "patients.csv", "/mnt/default.csv", False)
    ]
    assert view.environment == {
        "DEFAULT_DATABASE_URI": "/mnt/default.csv",
        "DEFAULT_DATABASE_TYPE": "csv",
    }


def test_nothing_is_shown_to_a_run_that_asks_for_nothing(databases: Databases) -> None:
    assert databases.view([]) == View(all_labels=tuple(databases.labels))


@pytest.mark.parametrize(
    ("label", "target"),
    [("Body", "/mnt/Body.parquet"), ("sheet", "/mnt/sheet.xlsx"), ("scans", "/mnt/scans")],
)
def test_files_and_folders_are_shown_read_only(
    databases: Databases, label: str, target: str
) -> None:
    (mount,) = databases.view([request(label)]).mounts
    assert (mount.target, mount.writable) == (target, False)


def test_a_connection_string_is_passed_on_with_its_parameters(databases: Databases) -> None:
    view = databases.view([request("wh", query="SELECT 1", sheet_name=None)])
    assert view.mounts == ()
    assert view.environment == {
        "WH_DATABASE_URI": "postgresql://ro:pw@db/wh",
        "WH_DATABASE_TYPE": "sql",
        "WH_DB_PARAM_SCHEMA": "public",
        "WH_DB_PARAM_PORT": "5432",
        "WH_QUERY": "SELECT 1",
    }
    assert databases.view([request("far")]).environment["FAR_DATABASE_URI"].startswith("https:")


def test_preprocessing_and_sheet_name_are_passed_on(databases: Databases) -> None:
    view = databases.view([request("sheet", sheet_name="s", preprocessing=[{"function": "f"}])])
    assert view.environment["SHEET_SHEET_NAME"] == "s"
    assert view.environment["SHEET_PREPROCESSING"] == '[{"function": "f"}]'


@pytest.mark.parametrize("label", ["nope", "DEFAULT", "../patients", ""])
def test_an_unknown_label_is_refused_with_those_that_exist(
    databases: Databases, label: str
) -> None:
    with pytest.raises(DataRefusal, match=f"no database '{label}' here; there are: 'default', "):
        databases.view([request("default"), request(label)])


def test_a_site_without_databases_says_so() -> None:
    with pytest.raises(DataRefusal, match="there are: none"):
        Databases([], Path()).view([request("default")])


def test_a_missing_file_is_refused_without_telling_where_it_should_be(
    databases: Databases, tmp_path: Path
) -> None:
    with pytest.raises(DataRefusal, match="file of database 'gone' is missing") as caught:
        databases.view([request("gone")])
    assert str(tmp_path) not in str(caught.value)
    assert str(tmp_path / "gone.csv") in databases.missing()[0]
    assert len(databases.missing()) == 1


def test_columns_are_read_from_headers_and_schemas(databases: Databases) -> None:
    assert databases.columns() == {
        "columns_default": ["age", "Unnamed: 1", "sex"],
        "columns_Body": ["height", "weight"],
        "columns_gone": [],
        "columns_far": [],
    }


def test_the_environment_is_the_contracts(databases: Databases) -> None:
    view = databases.view([request("Body"), request("default"), request("Body")])
    variables = environment.build(42, ("http://127.0.0.1", 8080), view, {"Mixed_Case": 5})
    assert variables == {
        "INPUT_FILE": "/mnt/data/task-000000042/input",
        "OUTPUT_FILE": "/mnt/data/task-000000042/output",
        "TOKEN_FILE": "/mnt/data/task-000000042/token",
        "TEMPORARY_FOLDER": "/mnt/tmp",
        "HOST": "http://127.0.0.1",
        "PORT": "8080",
        "API_PATH": "",
        "USER_REQUESTED_DATABASE_LABELS": "Body,default,Body",
        "DB_LABELS": "default,Body,sheet,scans,gone,wh,far",
        "BODY_DATABASE_URI": "/mnt/Body.parquet",
        "BODY_DATABASE_TYPE": "parquet",
        "DEFAULT_DATABASE_URI": "/mnt/default.csv",
        "DEFAULT_DATABASE_TYPE": "csv",
        "Mixed_Case": "5",
    }


def test_what_the_owner_sets_wins() -> None:
    variables = environment.build(1, ("http://h", 1), View(), {"PORT": 9, "TEMPORARY_FOLDER": "/x"})
    assert variables["PORT"] == "9"
    assert variables["TEMPORARY_FOLDER"] == "/x"
