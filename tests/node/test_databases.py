"""Databases of every type: how the tools read them, what the owner learns, and whole runs on them.

The servers are real ones: PostgreSQL, MariaDB, a SPARQL endpoint. The accounts can only read:
what an algorithm or a task's query tries to change stays as it is.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
import rdflib
import sqlalchemy
from sqlalchemy import text
from typer.testing import CliRunner

from vantage6.algorithm.tools.table import SqlSource, Table
from vantage6.algorithm.tools.wrappers import get_column_names, load_data
from vantage6.cli.main import app
from vantage6.common.sql import connect_to
from vantage6.node.config import Database
from vantage6.node.data_check import Found, check
from vantage6.node.main import make_runtime

ROWS = pd.DataFrame({"age": [30, 40, 50], "name": ["a", "b%", "c"]})
QUERY = "SELECT age, name FROM patients WHERE name LIKE '%' ORDER BY age"
POSTGRESQL = os.environ.get("V6_TEST_POSTGRESQL", "postgresql://root@127.0.0.1:5432/root")
Lacking = Callable[[str], NoReturn]


@dataclass
class Server:
    """A database with a table of patients, and the address of an account that can only read."""

    reader: str
    owner: str


@pytest.fixture(scope="module")
def postgresql(lacking: Lacking) -> Iterator[Server]:
    name = f"v6_{uuid.uuid4().hex[:10]}"
    engine = connect_to(POSTGRESQL, connect_timeout=5)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
            admin.execute(text(f"CREATE DATABASE {name}"))
            admin.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'"))
    except sqlalchemy.exc.OperationalError as error:
        lacking(f"no PostgreSQL at {POSTGRESQL}: {error}")
    url = sqlalchemy.make_url(POSTGRESQL).set(database=name)
    owner = url.render_as_string(hide_password=False)
    try:
        with connect_to(owner).begin() as connection:
            ROWS.to_sql("patients", connection, index=False)
            connection.execute(text(f"GRANT SELECT ON patients TO {name}"))
        reader = url.set(username=name, password="pw").render_as_string(hide_password=False)
        yield Server(reader, owner)
    finally:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
            admin.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
            admin.execute(text(f"DROP ROLE {name}"))


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory, lacking: Lacking) -> Iterator[Server]:
    program, install = shutil.which("mariadbd"), shutil.which("mariadb-install-db")
    if program is None or install is None:
        lacking("MariaDB is not installed (Debian: mariadb-server)")
    folder = tmp_path_factory.mktemp("mariadb")
    account = ["--user=root"] if os.geteuid() == 0 else []
    common = [f"--datadir={folder / 'data'}", *account]
    made = subprocess.run(
        [install, "--no-defaults", *common, "--auth-root-authentication-method=normal"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = [f"--socket={folder / 's'}", f"--port={port}", "--bind-address=127.0.0.1"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                program,
                "--no-defaults",
                "--skip-name-resolve",
                *common,
                *place,
                f"--pid-file={folder / 'pid'}",
            ],
            stdout=log,
            stderr=log,
        )
    owner = f"mariadb://root@127.0.0.1:{port}/mysql"
    try:
        _wait_for(owner, server, folder / "log")
        with connect_to(owner).connect() as connection:
            connection.execute(text("CREATE DATABASE hospital"))
            connection.execute(text("CREATE USER 'reader'@'%' IDENTIFIED BY 'pw'"))
            connection.execute(text("GRANT SELECT ON hospital.* TO 'reader'@'%'"))
            connection.commit()
        owner = f"mysql://root@127.0.0.1:{port}/hospital"
        with connect_to(owner).begin() as connection:
            ROWS.to_sql("patients", connection, index=False)
        yield Server(f"mariadb://reader:pw@127.0.0.1:{port}/hospital", owner)
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(uri: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            with connect_to(uri, connect_timeout=2).connect():
                return
        except sqlalchemy.exc.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> Server:
    server: Server = request.getfixturevalue(request.param)
    return server


def test_a_reader_reads(database: Server) -> None:
    frame = load_data(database.reader, "sql", query=QUERY)
    pd.testing.assert_frame_equal(frame, ROWS, check_dtype=False)
    assert get_column_names(database.reader, "sql", query=QUERY) == ["age", "name"]
    table = Table(SqlSource(database.reader, QUERY))
    assert [len(piece) for piece in table.batches(["age"], rows=2)] == [2, 1]
    assert table.read(["name"], where=[("age", ">", 35)])["name"].tolist() == ["b%", "c"]


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM patients", "UPDATE patients SET age = 0", "DROP TABLE patients"],
)
def test_a_readers_account_changes_nothing(database: Server, statement: str) -> None:
    with pytest.raises((sqlalchemy.exc.DBAPIError, pd.errors.DatabaseError)):
        load_data(database.reader, "sql", query=statement)
    assert len(load_data(database.owner, "sql", query=QUERY)) == 3


def test_the_owner_learns_whether_the_account_can_only_read(
    database: Server, tmp_path: Path
) -> None:
    found = check(Database(label="db", uri=database.reader, type="sql"), tmp_path)
    assert not found.problem
    assert not found.warnings
    assert any(line.startswith("patients.age: ") for line in found.columns)
    careless = check(Database(label="db", uri=database.owner, type="sql"), tmp_path)
    assert "the account can change data" in " ".join(careless.warnings)
    wrong = database.reader.replace(":pw@", ":hunter2@")
    refused = check(Database(label="db", uri=wrong, type="sql"), tmp_path)
    if refused.problem:  # a PostgreSQL that trusts everyone takes any password
        assert "hunter2" not in refused.problem
    else:
        assert database.reader.startswith("postgresql")


def test_a_grant_on_a_pattern_of_names_is_one_to_write(mariadb: Server, tmp_path: Path) -> None:
    with connect_to(mariadb.owner).begin() as connection:
        for statement in (
            "CREATE USER 'careless'@'%' IDENTIFIED BY 'pw'",
            "GRANT ALL PRIVILEGES ON `hosp%`.* TO 'careless'@'%'",
            "CREATE USER 'elsewhere'@'%' IDENTIFIED BY 'pw'",
            "GRANT SELECT ON hospital.* TO 'elsewhere'@'%'",
            r"GRANT ALL PRIVILEGES ON `hosp\_tal`.* TO 'elsewhere'@'%'",
        ):
            connection.execute(text(statement))
    for user, warned in {"careless": True, "elsewhere": False}.items():
        url = sqlalchemy.make_url(mariadb.reader).set(username=user)
        uri = url.render_as_string(hide_password=False)
        found = check(Database(label="db", uri=uri, type="sql"), tmp_path)
        assert not found.problem
        assert ("the account can change data" in " ".join(found.warnings)) is warned


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A SPARQL endpoint that answers from triples, as the SPARQL 1.1 protocol has it."""
    graph = rdflib.Graph()
    for number, age in enumerate([30, 40, 50]):
        patient = rdflib.URIRef(f"http://example.org/{number}")
        graph.add((patient, rdflib.URIRef("http://example.org/age"), rdflib.Literal(age)))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            wants_csv = "csv" in self.headers["Accept"]
            try:
                answer = graph.query(asked["query"][0])
                body = answer.serialize(format="csv" if wants_csv else "json") or b""
                status, kind = 200, "text/csv" if wants_csv else "application/sparql-results+json"
            except Exception as error:  # a wrong query
                status, kind, body = 400, "text/plain", str(error).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/sparql"
        server.shutdown()
        thread.join()


def test_a_sparql_endpoint_is_queried(endpoint: str, tmp_path: Path) -> None:
    query = "SELECT ?age WHERE { ?p <http://example.org/age> ?age . FILTER (?age > 30) }"
    assert sorted(load_data(endpoint, "sparql", query=query)["age"]) == [40, 50]
    found = check(Database(label="kg", uri=endpoint, type="sparql"), tmp_path)
    assert not found.problem
    assert found.columns == ["<http://example.org/age>"]
    gone = check(Database(label="kg", uri="http://127.0.0.1:1/sparql", type="sparql"), tmp_path)
    assert "URLError" in gone.problem


@pytest.fixture
def omop(postgresql: Server) -> Iterator[Database]:
    """A Common Data Model, and the account that reads it."""
    url = sqlalchemy.make_url(postgresql.reader)
    env = {
        "DBMS": "postgresql",
        "USER": url.username,
        "PASSWORD": "pw",
        "CDM_DATABASE": url.database,
        "CDM_SCHEMA": "cdm",
        "RESULTS_SCHEMA": "results",
    }
    with connect_to(postgresql.owner).begin() as connection:
        for statement in (
            "CREATE SCHEMA cdm",
            "CREATE SCHEMA results",
            "CREATE TABLE cdm.person (person_id int, year_of_birth int)",
            "CREATE TABLE cdm.observation_period (person_id int)",
            f"GRANT USAGE ON SCHEMA cdm, results TO {url.username}",
            "INSERT INTO cdm.person VALUES (1, 1950), (2, 1960)",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA cdm TO {url.username}",
            f"GRANT CREATE ON SCHEMA results TO {url.username}",
        ):
            connection.execute(text(statement))
    uri = f"jdbc:postgresql://{url.host}:{url.port}/{url.database}"
    yield Database(label="cdm", uri=uri, type="omop", env=env)
    with connect_to(postgresql.owner).begin() as connection:
        connection.execute(text("DROP SCHEMA cdm, results CASCADE"))


def test_an_omop_database_is_looked_at_with_what_its_environment_says(
    omop: Database, tmp_path: Path
) -> None:
    def found(uri: str = omop.uri, **changes: str) -> Found:
        return check(omop.model_copy(update={"uri": uri, "env": omop.env | changes}), tmp_path)

    assert not found().problem
    assert "person.year_of_birth: INTEGER" in found().columns
    assert found().warnings == ["schema 'cdm' has no table concept"]
    assert "no schema 'other' (RESULTS_SCHEMA)" in found(RESULTS_SCHEMA="other").problem
    refused = found(USER="nobody_here", PASSWORD="hunter2")
    assert "nobody_here" in refused.problem
    assert "hunter2" not in refused.problem
    assert "OperationalError" in found(uri="jdbc:postgresql://127.0.0.1:1/x").problem
    untried = found(DBMS="sql server")
    assert not untried.problem
    assert "was not tried" in untried.warnings[0]
    del omop.env["CDM_SCHEMA"]
    assert "env lacks CDM_SCHEMA" in found().problem


ALGORITHMS = Path(__file__).parent / "algorithms"
IMAGE = "example.org/reader"
SELECT = {"query": "SELECT name, age FROM patients"}
SPARQL = {"query": "SELECT ?age WHERE { ?p <http://example.org/age> ?age }"}


@pytest.fixture
def every_type(
    tmp_path: Path, postgresql: Server, mariadb: Server, endpoint: str, omop: Database
) -> list[dict[str, Any]]:
    """A configuration with a database of each type."""
    ROWS.to_csv(tmp_path / "p.csv", index=False)
    ROWS.to_parquet(tmp_path / "p.parquet", index=False)
    with pd.ExcelWriter(tmp_path / "p.xlsx") as book:
        ROWS.assign(age=0).to_excel(book, sheet_name="first", index=False)
        ROWS.to_excel(book, sheet_name="second", index=False)
    with connect_to(str(tmp_path / "p.sqlite")).begin() as connection:
        ROWS.to_sql("patients", connection, index=False)
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "one.txt").write_text("scan")
    (tmp_path / "p.weights").write_text("weights")
    return [
        {"label": "c", "uri": "p.csv", "type": "csv"},
        {"label": "p", "uri": "p.parquet", "type": "parquet"},
        {"label": "x", "uri": "p.xlsx", "type": "excel"},
        {"label": "lite", "uri": "p.sqlite", "type": "sql"},
        {"label": "pg", "uri": postgresql.reader, "type": "sql"},
        {"label": "maria", "uri": mariadb.reader, "type": "sql"},
        {"label": "kg", "uri": endpoint, "type": "sparql"},
        {"label": "scans", "uri": "scans", "type": "folder"},
        {"label": "model", "uri": "p.weights", "type": "other"},
        omop.model_dump(),
    ]


@pytest.mark.anyio
async def test_an_algorithm_that_needs_a_vpn_is_told_that_there_is_none(
    server: Any, start_agent: Any, make_config: Any
) -> None:
    process = {"algorithms": {IMAGE: {"module": "reader", "path": str(ALGORITHMS)}}}
    await start_agent(make_runtime(make_config(process=process)), process=process)
    task = json.dumps({"method": "siblings", "args": [], "kwargs": {}})
    input_ = base64.b64encode(task.encode()).decode()
    await server.finished(id_ := await server.submit(image=IMAGE, input=input_), within=90)
    run = server.runs[id_]
    assert run["status"] == "crashed"
    first, second, *_ = run["log"].splitlines()
    assert first.startswith("Organization 'Utrecht': This node has no VPN: algorithms exchange")
    assert "exit code" in second


@pytest.mark.anyio
async def test_runs_read_databases_of_every_type(
    every_type: list[dict[str, Any]],
    server: Any,
    start_agent: Any,
    make_config: Any,
) -> None:
    values = {
        "databases": every_type,
        "process": {"algorithms": {IMAGE: {"module": "reader", "path": str(ALGORITHMS)}}},
    }
    config = make_config(**values)
    shown = await asyncio.to_thread(
        CliRunner().invoke, app, ["node", "data", "check", "--config", str(config.path)]
    )
    assert shown.exit_code == 0, shown.output
    for line in (
        "c (csv, p.csv): reachable",
        "    age: bigint",
        "    age: int64",
        "    second.age: int64",
        "    patients.age: BIGINT",
        "    <http://example.org/age>",
        "    person.year_of_birth: INTEGER",
        "scans (folder, scans): reachable",
        "model (other, p.weights): reachable",
    ):
        assert line in shown.output, (line, shown.output)
    assert "pw" not in shown.output

    await start_agent(make_runtime(config), **values)

    async def run(method: str, *labels: str, args: Any = (), **parameters: Any) -> Any:
        task = json.dumps({"method": method, "args": args, "kwargs": {}})
        wanted = [
            {"label": each, "parameters": json.dumps(parameters.get(each, {}))} for each in labels
        ]
        input_ = base64.b64encode(task.encode()).decode()
        id_ = await server.submit(image=IMAGE, input=input_, databases=wanted)
        await server.finished(id_, within=90)
        assert server.runs[id_]["status"] == "completed", server.runs[id_]["log"]
        return server.result(id_)

    ages, queries = [30, 40, 50], dict.fromkeys(("pg", "maria", "lite"), SELECT)
    order = ["kg", "maria", "c", "pg", "x", "lite", "p"]
    wishes = queries | {"kg": SPARQL, "x": {"sheet_name": "second"}}
    found = await run("frames", *order, **wishes)
    assert [each["ages"] for each in found] == [ages] * 7
    named, asked = ["age", "name"], ["name", "age"]
    assert [each["columns"] for each in found] == [
        ["age"], asked, named, asked, named, asked, named
    ]  # fmt: skip
    assert (await run("frame", "x"))["ages"] == [0, 0, 0]

    found = await run("files", "model", "scans", args=["model", "scans"])
    assert found == {
        "model": {"texts": ["weights"], "writable": False, "type": "other"},
        "scans": {"texts": ["scan"], "writable": False, "type": "folder"},
    }
    omop = await run("persons", "cdm")
    assert (omop["persons"], omop["dbms"]) == (2, "postgresql")

    # What the server was told: names of columns of files, no more.
    (told, *_) = server.config_rows
    assert told["database_columns"] == {"columns_c": named, "columns_p": named}
