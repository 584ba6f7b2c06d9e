"""Many at once on one database: real processes, on both kinds."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text

from vantage6.server.model.database import Database, DatabaseDamaged
from vantage6.server.model.schema import SchemaUnknown, migrate
from vantage6.server.model.tables import Counter, Organization, Role, Rule, Setting, User
from vantage6.server.start import prepare

pytestmark = pytest.mark.timeout(300)

PROCESSES = 8


@pytest.fixture(params=["sqlite", "postgresql"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'database.sqlite'}"
        return
    maker: Any = request.getfixturevalue("postgresql")
    made = maker.empty()
    yield made.replace("postgresql:", "postgresql+psycopg:")
    maker.discard(made)


@pytest.fixture
def database(uri: str) -> Iterator[Database]:
    """That database, opened here."""
    opened = Database(uri)
    yield opened
    opened.close()


def at_once(script: str, uri: str, processes: int = PROCESSES) -> list[str]:
    """Run a script in processes of their own, at the same time; what each printed."""
    go = "import sys; sys.stdin.readline()\n"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PREPARED + go + script, uri, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    for process in running:
        # Ready: everything is imported.
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = []
    for process in running:
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        outputs.append(out)
    return outputs


PREPARED = """
import sys
from sqlalchemy import insert, text
from vantage6.server.model.database import Database
from vantage6.server.model.tables import Organization
from vantage6.server.start import prepare, signing_key
print("ready", flush=True)
"""


def test_servers_that_start_at_once_make_one_database(
    uri: str, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("a password of root, 1")
    monkeypatch.setenv("V6_INIT_SUPER_PASS_FILE", str(password))
    script = "d = Database(sys.argv[1]); prepare(d); print(signing_key(d, None))"
    keys = at_once(script, uri)
    assert len(set(keys)) == 1
    with database.read() as db:
        for table, number in ((Rule, 86), (Role, 7), (User, 1), (Organization, 1), (Setting, 1)):
            assert db.scalar(select(func.count()).select_from(table)) == number
        assert db.scalar(text("SELECT count(*) FROM alembic_version")) == 1


def test_eight_writers_lose_nothing(uri: str, database: Database) -> None:
    migrate(database)
    with database.write() as db:
        db.add(Counter(name="hits", value=0))
    script = """
d = Database(sys.argv[1])
for i in range(20):
    with d.write() as db:
        db.execute(text("UPDATE counter SET value = value + 1 WHERE name = 'hits'"))
        db.execute(insert(Organization), {"name": f"{sys.argv[2]}-{i}"})
"""
    at_once(script, uri)
    with database.read() as db:
        assert db.scalar(select(Counter.value)) == PROCESSES * 20
        assert db.scalar(select(func.count()).select_from(Organization)) == PROCESSES * 20
    database.check()


def test_eight_writing_threads_and_readers_of_one_server(database: Database) -> None:
    migrate(database)
    with database.write() as db:
        db.execute(insert(Counter), [{"name": name, "value": 0} for name in ("one", "two")])
    problems: list[object] = []
    done = threading.Event()

    def write() -> None:
        try:
            for _ in range(20):
                with database.write() as db:
                    for name in ("one", "two"):
                        statement = "UPDATE counter SET value = value + 1 WHERE name = :name"
                        db.execute(text(statement), {"name": name})
        except Exception as error:
            problems.append(error)

    def read() -> None:
        while not done.is_set():
            with database.snapshot() as connection:
                values = connection.execute(select(Counter.value)).scalars().all()
            if len(set(values)) != 1:
                problems.append(values)

    writers = [threading.Thread(target=write) for _ in range(8)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in writers + readers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert problems == []
    with database.read() as db:
        assert db.scalars(select(Counter.value)).all() == [160, 160]


def test_sqlite_is_set_up_to_last(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'database.sqlite'}")
    with database.engine.connect() as connection:
        found = {
            name: connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
        }
    database.close()
    assert found == {
        "journal_mode": "wal",
        "busy_timeout": 30_000,
        "foreign_keys": 1,
        "synchronous": 2,
    }


def test_a_restructuring_that_leaves_orphans_is_undone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'database.sqlite'}")
    migrate(database)
    words = "row 1 of 'study', which refers to 'collaboration'"
    with pytest.raises(DatabaseDamaged, match=words), database.restructure() as connection:
        connection.execute(text("INSERT INTO study VALUES (1, 's', 77)"))
    with database.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM study")) == 0
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
    database.close()


def test_a_database_of_a_later_version_is_left_alone(database: Database) -> None:
    migrate(database)
    with database.write() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaUnknown, match=r"schema 9999, which this version does not know"):
        prepare(database)


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "database.sqlite"
    database = Database(f"sqlite:///{path}")
    prepare(database)
    database.check()
    database.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 20_000)
    with pytest.raises(Exception, match=r"damaged|malformed"):
        Database(f"sqlite:///{path}").check()
