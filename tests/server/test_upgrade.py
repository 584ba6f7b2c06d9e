"""Databases of every release, frozen in `databases/`, become those of today unharmed."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from starlette.testclient import TestClient

from contents import Contents, contents
from vantage6.server.app import Application
from vantage6.server.config import ServerConfig
from vantage6.server.model.database import Database
from vantage6.server.model.schema import migrate, newest_revision, revision_of
from vantage6.server.model.tables import Base

FROZEN = sorted((Path(__file__).parent / "databases").glob("*.sql"))


@pytest.fixture(params=FROZEN, ids=lambda path: path.name.removesuffix(".sql"))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database as a release left it."""
    dump: str = request.param.read_text()
    if request.param.name.endswith(".sqlite.sql"):
        with sqlite3.connect(tmp_path / "old.sqlite") as connection:
            connection.executescript(dump)
        connection.close()
        database = Database(f"sqlite:///{tmp_path / 'old.sqlite'}")
        yield database
        database.close()
        return
    maker: Any = request.getfixturevalue("postgresql")
    uri = maker.empty()
    with psycopg.connect(uri, autocommit=True) as server:
        server.execute(dump.encode())
    database = Database(uri.replace("postgresql:", "postgresql+psycopg:"))
    yield database
    database.close()
    maker.discard(uri)


#: Columns that a later release has no more, each with why nothing is lost.
DROPPED = {
    ("run", "blob_storage_used"),  # told by the payload itself
}


def known_part(before: Contents, after: Contents) -> Contents:
    """Of what is there after an upgrade the tables and columns that were there before."""
    return {
        name: sorted(
            ({key: row[key] for key in rows[0] if key in row} for row in after[name]), key=repr
        )
        if rows
        else []
        for name, rows in before.items()
    }


def test_the_first_release_is_among_the_frozen() -> None:
    assert {"0001.sqlite.sql", "0001.postgresql.sql"} <= {path.name for path in FROZEN}


def test_an_upgrade_makes_the_schema_of_today(old: Database) -> None:
    migrate(old)
    with old.engine.connect() as connection:
        assert revision_of(connection) == newest_revision()
        options = {
            "compare_type": True,
            "compare_server_default": True,
            # See test_migrations.py.
            "include_object": lambda _, __, kind, *___: kind != "foreign_key_constraint",
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_an_upgrade_keeps_every_row(old: Database) -> None:
    before = contents(old)
    assert len(before["payload"]) == 6
    migrate(old)
    after = contents(old)
    del before["alembic_version"]
    # A migration that is meant to change rows says here what they become.
    for table, column in DROPPED:
        for row in before[table]:
            row.pop(column, None)
    assert known_part(before, after) == before


def test_people_and_nodes_find_all_as_it_was(old: Database) -> None:
    uri = old.engine.url.render_as_string(hide_password=False)
    app = Application(ServerConfig(uri=uri))
    with TestClient(app) as http:
        login = {"username": "ada", "password": "Analytical-1843"}
        token = http.post("/api/token/user", json=login).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        names = {t["name"]: t for t in http.get("/api/task", headers=headers).json()["data"]}
        assert set(names) == {"Example task", "average", "part of it"}
        assert names["average"]["status"] == "completed"
        assert names["average"]["databases"][0]["label"] == "default"
        assert names["part of it"]["parent"]["id"] == names["average"]["id"]
        results = http.get(
            "/api/result", headers=headers, params={"task_id": names["average"]["id"]}
        ).json()["data"]
        assert [item["result"] for item in results] == ["eyJhdmVyYWdlIjogMjcuNn0="] * 2
        for key in ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"):
            assert http.post("/api/token/node", json={"api_key": key}).status_code == 200


def test_every_migration_says_what_it_does() -> None:
    folder = Path(migrate.__code__.co_filename).parent.parent / "migrations"
    for script in ScriptDirectory(str(folder)).walk_revisions():
        assert re.search(r"\w", script.doc), script.revision


@pytest.mark.parametrize(
    "old", [path for path in FROZEN if ".sqlite" in path.name], ids=lambda p: p.name, indirect=True
)
def test_altering_a_table_that_others_refer_to_deletes_none_of_them(old: Database) -> None:
    before = contents(old)
    with old.restructure() as connection:
        # What Alembic does in a batch: copy, drop, rename.
        connection.execute(text("CREATE TABLE copied AS SELECT * FROM collaboration"))
        connection.execute(text("DROP TABLE collaboration"))
        connection.execute(
            text("CREATE TABLE collaboration (id INTEGER PRIMARY KEY, name TEXT, encrypted BOOL)")
        )
        connection.execute(text("INSERT INTO collaboration SELECT id, name, encrypted FROM copied"))
        connection.execute(text("DROP TABLE copied"))
    after = contents(old)
    for name in ("member", "node", "study", "task", "run", "payload"):
        assert len(after[name]) == len(before[name]) > 0, name
