"""The server while something it needs is away: it says so, and goes on when that is back."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psycopg
import pytest

from relay import Relay
from servers import PASSWORD, Process, start

POSTGRESQL = os.environ.get("V6_TEST_POSTGRESQL", "postgresql://root@127.0.0.1:5432/root")

pytestmark = pytest.mark.timeout(240)


def log_in(process: Process) -> httpx.Response:
    body = {"username": "root", "password": PASSWORD}
    return httpx.post(f"{process.url}/api/token/user", json=body, timeout=60)


@pytest.fixture
def database(lacking: Callable[[str], Any]) -> Iterator[str]:
    """Name of an empty PostgreSQL database."""
    name = f"v6_degraded_{os.getpid()}_{time.monotonic_ns()}"
    try:
        connection = psycopg.connect(POSTGRESQL, autocommit=True)
    except psycopg.OperationalError:
        lacking("there is no PostgreSQL whose connection could be cut")
    connection.execute(f"create database {name}")
    yield name
    connection.execute(f"drop database if exists {name} with (force)")
    connection.close()


@pytest.fixture
def wire(database: str) -> Iterator[tuple[Relay, str]]:
    """A wire to PostgreSQL, and the database's address over it."""
    info = psycopg.conninfo.conninfo_to_dict(POSTGRESQL)
    with Relay(str(info.get("host", "127.0.0.1")), int(info.get("port", 5432))) as relay:
        user = info.get("user", "root")
        yield relay, f"postgresql://{user}@127.0.0.1:{relay.port}/{database}"


def test_a_database_that_is_away_is_told_and_comes_back_by_itself(
    tmp_path: Path, wire: tuple[Relay, str]
) -> None:
    relay, uri = wire
    with start(tmp_path, uri) as server:
        token = log_in(server).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert server.get("/organization", headers=headers).status_code == 200
        relay.cut()
        for _ in range(3):
            refused = server.get("/organization", headers=headers)
            assert refused.status_code == 503
            assert refused.json() == {"msg": "The database is not available. Please try again"}
        assert log_in(server).status_code == 503
        assert server.get("/health").json() == {"database": False}
        assert server.get("/health/live").status_code == 200
        ready = server.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["database"] is False
        time.sleep(4)  # the background work meets it too
        relay.mend()
        server.until_ready(20)
        assert server.get("/organization", headers=headers).status_code == 200
        assert "Traceback" not in server.log


def test_a_server_waits_at_its_start_for_the_database(
    tmp_path: Path, wire: tuple[Relay, str]
) -> None:
    relay, uri = wire
    relay.cut()
    server = start(tmp_path, uri)
    while "cannot be used yet" not in server.log:
        assert server.process.poll() is None, server.log
        time.sleep(0.1)
    relay.mend()
    with server:
        assert log_in(server).status_code == 200


@pytest.fixture
def tiny_disk(tmp_path: Path, lacking: Callable[[str], Any]) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        lacking(f"no small file system can be mounted: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_what_cannot_be_stored_and_loses_nothing(
    tmp_path: Path, tiny_disk: Path
) -> None:
    with start(tmp_path, f"sqlite:///{tiny_disk / 'server.sqlite'}") as server:
        headers = {"Authorization": f"Bearer {log_in(server).json()['access_token']}"}

        def add(name: str) -> httpx.Response:
            url = f"{server.url}/api/organization"
            return httpx.post(url, headers=headers, json={"name": name}, timeout=60)

        assert add("before").status_code == 201
        ballast = tiny_disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        answers = [add(f"full {number}") for number in range(200)]
        refused = [answer for answer in answers if answer.status_code != 201]
        assert refused
        assert {answer.status_code for answer in refused} == {503}
        assert "space" in refused[-1].json()["msg"]
        names = {
            item["name"]
            for page in range(1, 30)
            for item in server.get(f"/organization?per_page=50&page={page}", headers=headers)
            .json()
            .get("data", [])
        }
        kept = {f"full {n}" for n, answer in enumerate(answers) if answer.status_code == 201}
        assert names == {"root", "before"} | kept
        ballast.unlink()
        assert add("after").status_code == 201
