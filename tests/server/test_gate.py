"""Few threads at a time while they get on, more while some are held up."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from vantage6.server.model import gate
from vantage6.server.model.database import Database
from vantage6.server.model.gate import Gate


@pytest.mark.parametrize("few", [1, 3])
def test_no_more_are_inside_than_a_few_while_they_get_on(
    monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(gate, "PATIENCE_SECONDS", 60.0)
    tried, inside, most = Gate(few), 0, 0
    lock = threading.Lock()

    def work(_: int) -> None:
        nonlocal inside, most
        with tried.passed():
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.001)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(200)))
    assert most == few


def test_who_waits_is_let_in_while_those_inside_are_held_up() -> None:
    tried, end = Gate(1), threading.Event()
    passed: list[int] = []

    def held_up() -> None:
        with tried.passed():
            assert end.wait(60)

    def quick(number: int) -> None:
        with tried.passed():
            passed.append(number)

    with ThreadPoolExecutor(16) as threads:
        slow = [threads.submit(held_up) for _ in range(3)]
        for future in [threads.submit(quick, number) for number in range(20)]:
            future.result(60)
        assert sorted(passed) == list(range(20))
        assert not any(future.done() for future in slow)
        end.set()
        for future in slow:
            future.result(60)
    # And afterwards it is what it was.
    with tried.passed():
        assert tried._free == 0
    assert tried._free == 1
    assert not tried._waiting


def test_they_go_in_as_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PATIENCE_SECONDS", 60.0)
    tried, passed = Gate(1), []

    def work(number: int) -> None:
        with tried.passed():
            passed.append(number)

    with ThreadPoolExecutor(10) as threads, tried.passed():
        for number in range(10):
            threads.submit(work, number)
            while len(tried._waiting) <= number:
                time.sleep(0.001)
    assert passed == list(range(10))


def test_an_exception_inside_makes_room() -> None:
    tried = Gate(1)
    for _ in range(3):
        with pytest.raises(KeyError), tried.passed():
            raise KeyError
    assert tried._free == 1


def test_a_read_that_takes_long_stalls_no_other(databases: Any) -> None:
    """Every thread but one sits in a transaction; the last is answered all the same."""
    database, end = Database(databases.prepared()), threading.Event()
    inside = threading.Barrier(16, timeout=60)

    def slow() -> None:
        with database.read() as db:
            db.connection()
            inside.wait()
            assert end.wait(60)

    with ThreadPoolExecutor(16) as threads:
        waiting = [threads.submit(slow) for _ in range(15)]
        inside.wait()
        with database.read() as db:
            assert db.connection() is not None
        with database.write() as db:
            assert db.connection() is not None
        end.set()
        for future in waiting:
            future.result(60)
    database.close()


def test_what_need_not_last_is_written_without_waiting_for_the_disk(databases: Any) -> None:
    database = Database(databases.prepared())
    asked = "SHOW synchronous_commit" if database.dialect == "postgresql" else "PRAGMA synchronous"

    def synchronous(**options: bool) -> str:
        with database.write(**options) as db:
            return str(db.connection().exec_driver_sql(asked).scalar())

    quick, safe = ("off", "on") if database.dialect == "postgresql" else ("1", "2")
    assert synchronous() == safe
    assert synchronous(lasting=False) == quick
    assert synchronous() == safe
    assert synchronous(lasting=True) == safe
    database.close()
