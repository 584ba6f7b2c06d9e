"""``v6 node policy | audit | data | doctor``: what a data steward looks at."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from vantage6.node.decisions import DecisionLog

AVERAGE = "harbor2.vantage6.ai/demo/average"


class Station:
    """A node's configuration, and the commands on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "node.yaml"
        self.configure()

    def configure(self, **values: Any) -> None:
        content = {
            "api_key": "5c9e1c3e-0d0a-4a7a-9d53-2f3f1f0f7a11",
            "server_url": "http://127.0.0.1",
            "port": 1,
            "api_path": "/api",
            "databases": [],
            "encryption": {"enabled": False},
            "state_dir": "state",
            "process": {"sandbox": "none", "preload": []},
        } | values
        self.config.touch(0o600)
        self.config.write_text(yaml.safe_dump(content))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "vantage6.cli", "node", *arguments, "-c", str(self.config)],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def warns(self, *arguments: str) -> str:
        return self.run(*arguments).stderr

    def says(self, *arguments: str, code: int = 0) -> str:
        done = self.run(*arguments)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    def task(self, **values: Any) -> str:
        path = self.folder / "task.json"
        path.write_text(json.dumps({"image": AVERAGE} | values))
        return str(path)


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return Station(tmp_path)


def test_each_rule_says_what_it_would_do(station: Station) -> None:
    table = station.folder / "table.csv"
    table.write_text("a\n1\n")
    station.configure(
        policies={
            "allowed_algorithms": [AVERAGE],
            "allowed_organizations": ["Utrecht"],
            "allowed_functions": {AVERAGE: ["partial_average"]},
            "allowed_algorithm_stores": ["https://store.example.org/api"],
        },
        databases=[{"label": "default", "uri": "table.csv", "type": "csv"}],
    )
    good: dict[str, Any] = {
        "init_org": "Utrecht",
        "method": "partial_average",
        "databases": [{"label": "default"}],
        "algorithm_store": "https://store.example.org/api/",
    }
    said = station.says("policy", "check", station.task(**good))
    assert said.endswith("The task would run.\n")
    assert "?   allowed_algorithm_stores" in said
    for change, rule in [
        ({"image": "example.org/x"}, "NO  allowed_algorithms: image 'example.org/x'"),
        ({"init_org": 4}, "NO  allowed_organizations, allowed_users: organization 4"),
        ({"method": "central_average"}, "NO  allowed_functions"),
        ({"algorithm_store": "https://other"}, "NO  allowed_algorithm_stores"),
        ({"databases": ["nowhere"]}, "NO  databases: there is no database 'nowhere'"),
    ]:
        refused = station.says("policy", "check", station.task(**good | change), code=1)
        assert rule in refused
        assert refused.endswith("The task would be refused.\n")
    assert "'init_user' should be int" in station.says(
        "policy", "check", station.task(init_user="me"), code=1
    )
    by_id = station.says("policy", "check", station.task(**good | {"init_org": 4}), code=1)
    assert "unless by the organization's name: give init_org as" in by_id
    slip = station.task(**{k: v for k, v in good.items() if k != "init_org"}, init_orga="Utrecht")
    assert "'init_orga' is not read; did you mean 'init_org'?" in station.says(
        "policy", "check", slip, code=1
    )
    assert not (station.folder / "state").exists()


def test_the_log_of_decisions_is_verified_shown_and_summed_up(station: Station) -> None:
    common = {"organization": 2, "user": 3, "image": AVERAGE, "function": "partial_average"}
    with DecisionLog(station.folder / "state" / "decisions") as log:
        for run in (1, 2):
            log.write("asked", run=run, verdict="allowed", rule="", **common)
            log.write(
                "ended",
                run=run,
                status="completed",
                seconds=2.0,
                result_bytes=100,
                log_bytes=10,
                request_bytes=1,
            )
        refused = {**common, "image": "example.org/evil", "function": None}
        log.write("asked", run=3, verdict="refused", rule="allowed_algorithms", **refused)
        head = log.head
    said = station.says("audit", "verify")
    assert "5 lines, unbroken." in said
    assert f"{head.number}:{head.hash}" in said
    lines = [json.loads(line) for line in station.says("audit", "show").splitlines()]
    assert [line["n"] for line in lines] == [1, 2, 3, 4, 5]
    assert len(station.says("audit", "show", "--run", "2").splitlines()) == 2
    assert station.says("audit", "show", "--month", "1999-01") == ""
    month = lines[0]["at"][:7]
    report = station.says("audit", "report", "--month", month)
    row = next(line for line in report.splitlines() if AVERAGE in line)
    assert row.split() == ["2", "3", "2", "0", "2", "4", "222", f"{AVERAGE},", "partial_average"]
    assert "refused by allowed_algorithms: 1" in report
    assert (
        station.says("audit", "report", "--month", "1999-01") == "Nothing was asked in 1999-01.\n"
    )
    assert "--month must be a year and a month" in station.says(
        "audit", "report", "--month", "01-2026", code=1
    )
    (path,) = (station.folder / "state" / "decisions").glob("*.jsonl")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    station.says("audit", "verify")
    missing = station.says("audit", "verify", "--head", f"{head.number}:{head.hash}", code=1)
    assert "is not there" in missing
    path.write_text(path.read_text().replace('"user":3', '"user":4', 1))
    assert "line 1: the line was changed" in station.says("audit", "verify", code=1)
    assert ", line 0" not in missing
    for command in ("show", "report"):
        assert "NOT as the node wrote it (1 flaw)" in station.warns("audit", command)


def test_short_and_failed_runs_are_summed_up(station: Station) -> None:
    common = {"organization": 2, "user": 3, "image": AVERAGE, "function": "partial_average"}
    with DecisionLog(station.folder / "state" / "decisions") as log:
        for run in range(10):
            log.write("asked", run=run, verdict="allowed", rule="", **common)
            status = "crashed" if run < 3 else "completed"
            sizes = {"result_bytes": 1, "log_bytes": 0, "request_bytes": 0}
            log.write("ended", run=run, status=status, seconds=0.07, **sizes)
    report = station.says("audit", "report")
    row = next(line for line in report.splitlines() if AVERAGE in line)
    assert row.split()[:7] == ["2", "3", "10", "0", "7", "0.7", "10"]
    assert "allowed, and ended as crashed: 3" in report


def test_databases_are_tried_and_their_columns_told(station: Station) -> None:
    import pandas as pd

    folder = station.folder
    frame = pd.DataFrame({"age": [30, 40], "name": ["secret", "b"]})
    frame.to_csv(folder / "t.csv", index=False)
    frame.to_parquet(folder / "t.parquet")
    frame.to_excel(folder / "t.xlsx", index=False, sheet_name="first")
    with sqlite3.connect(folder / "t.sqlite") as connection:
        frame.to_sql("patients", connection, index=False)
    connection.close()
    (folder / "scans").mkdir()
    databases = [
        {"label": "csv", "uri": "t.csv", "type": "csv"},
        {"label": "parquet", "uri": "t.parquet", "type": "parquet"},
        {"label": "excel", "uri": "t.xlsx", "type": "excel"},
        {"label": "sql", "uri": "t.sqlite", "type": "sql"},
        {"label": "scans", "uri": "scans", "type": "folder"},
        {"label": "other", "uri": "x", "type": "other"},
    ]
    station.configure(databases=databases)
    said = station.says("data", "check")
    for line in ("age: bigint", "age: int64", "first.age: int64", "patients.age: INTEGER"):
        assert f"    {line}" in said
    assert "note: the folder is empty" in said
    assert "secret" not in said
    gone = {"label": "gone", "uri": "gone.csv", "type": "csv"}
    closed = {"label": "db", "uri": "postgresql://u:hunter2@127.0.0.1:1/x", "type": "sql"}
    omop = {"label": "cdm", "uri": "x", "type": "omop", "env": {"dbms": "postgresql"}}
    station.configure(databases=[gone, closed, omop])
    bad = station.says("data", "check", code=1)
    assert f"there is no {folder / 'gone.csv'}" in bad
    assert "db (sql, postgresql://u:***@127.0.0.1:1/x): NOT usable: OperationalError" in bad
    assert "env lacks USER, PASSWORD, CDM_DATABASE" in bad
    assert "hunter2" not in bad


def test_the_doctor_names_each_trouble_with_its_remedy(station: Station) -> None:
    station.configure(
        databases=[{"label": "gone", "uri": "gone.csv", "type": "csv"}],
    )
    station.config.chmod(0o644)
    said = station.says("doctor", code=1)
    for words in (
        f"warning configuration: others can read {station.config}",
        f"-> chmod 600 {station.config}",
        "warning runtime process: algorithms run without a sandbox",
        "error   database gone: there is no",
        "warning policies: every algorithm may run here",
        "error   server: http://127.0.0.1:1/api does not answer",
        "-> check server_url, port and api_path",
    ):
        assert words in said
    assert not (station.folder / "state" / "journal.sqlite").exists()
