"""What a server makes sure of before it answers: keys and passwords."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from vantage6.server.app import Application
from vantage6.server.auth.tokens import Kind
from vantage6.server.config import ServerConfig
from vantage6.server.model.database import Database
from vantage6.server.model.tables import User
from vantage6.server.start import StartRefused, migrate, prepare, signing_key

GIVEN = ("V6_INIT_SUPER_PASS_FILE", "V6_INIT_SUPER_PASS_HASHED_FILE", "V6_INIT_SUPER_PASS_HASHED")


@pytest.fixture
def uri(databases: Any) -> Iterator[str]:
    """An empty database."""
    made = databases.empty()
    yield made
    databases.discard(made)


@pytest.fixture
def database(uri: str) -> Iterator[Database]:
    made = Database(ServerConfig(uri=uri).database_uri)
    yield made
    made.close()


@pytest.fixture
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in GIVEN:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_signing_key_is_made_once_and_kept(database: Database) -> None:
    migrate(database)
    made = signing_key(database, None)
    assert len(bytes.fromhex(made)) == 32
    assert signing_key(database, None) == made
    configured = "the one of the configuration, and long"
    assert signing_key(database, configured) == configured
    assert signing_key(database, None) == made


def test_replicas_that_start_together_agree_on_the_signing_key(database: Database) -> None:
    migrate(database)
    together, keys = threading.Barrier(6), []

    def start() -> None:
        mine = Database(database.engine.url.render_as_string(hide_password=False))
        together.wait(60)
        keys.append(signing_key(mine, None))
        mine.close()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(keys) == 6
    assert len(set(keys)) == 1


def test_whoever_is_logged_in_stays_so_over_a_restart(uri: str, nothing_given: Any) -> None:
    def start() -> TestClient:
        return TestClient(Application(ServerConfig(uri=uri)))

    with start() as http:
        tokens = http.app.services.tokens.issue(Kind.USER, 1)
    with start() as http:
        headers = {"Authorization": f"Bearer {tokens[0]}"}
        assert http.get("/api/user/1", headers=headers).status_code == 200
        headers = {"Authorization": f"Bearer {tokens[1]}"}
        assert http.post("/api/token/refresh", headers=headers).status_code == 200


def test_a_password_that_was_made_up_is_to_be_changed(
    uri: str,
    nothing_given: Any,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = ServerConfig(uri=uri)

    def log_in(http: TestClient, password: str) -> dict[str, Any]:
        answer = http.post("/api/token/user", json={"username": "root", "password": password})
        assert answer.status_code == 200
        content: dict[str, Any] = answer.json()
        return content

    with TestClient(Application(config)) as http:
        found = re.search(r"'root' with password\s+(\S+)", shown := capsys.readouterr().out)
        assert found, shown
        made_up = found.group(1)
        assert log_in(http, made_up)["password_must_change"] is True
    with caplog.at_level(logging.WARNING), TestClient(Application(config)) as http:
        assert "'root' still has the password that was made up" in caplog.text
        assert made_up not in caplog.text + capsys.readouterr().out
        headers = {"Authorization": f"Bearer {log_in(http, made_up)['access_token']}"}
        body = {"current_password": made_up, "new_password": "Battery-staple-2"}
        changed = http.patch("/api/password/change", json=body, headers=headers)
        assert changed.status_code == 200
        assert "password_must_change" not in log_in(http, "Battery-staple-2")
    caplog.clear()
    with TestClient(Application(config)):
        assert "made up" not in caplog.text


@pytest.mark.parametrize("name", GIVEN)
def test_a_password_that_was_given_is_somebodys_own(
    database: Database, nothing_given: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    password = "Given-by-me-1"
    value = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    if name.endswith("_FILE"):
        (tmp_path / "file").write_text(value if "HASHED" in name else password)
        value = str(tmp_path / "file")
    nothing_given.setenv(name, value)
    prepare(database)
    with database.read() as db:
        assert db.scalars(select(User.password_made_up)).all() == [False]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("plain", "is not a bcrypt hash"),
        ("$2b$" + "x" * 60, "is not a valid bcrypt hash"),
        (bcrypt.hashpw(b"", bcrypt.gensalt(4)).decode(), "empty password"),
    ],
    ids=["plain", "malformed", "empty"],
)
def test_a_first_password_that_cannot_be_one_stops_the_start(
    database: Database, nothing_given: pytest.MonkeyPatch, value: str, says: str
) -> None:
    nothing_given.setenv("V6_INIT_SUPER_PASS_HASHED", value)
    with pytest.raises(StartRefused, match=says):
        prepare(database)
    with database.read() as db:
        assert db.scalars(select(User.id)).all() == []
