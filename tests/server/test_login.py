"""Proof by password: what many guesses at once find, and what the time tells."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import bcrypt
import pytest
from sqlalchemy import select, update

from vantage6.server.auth import login as module
from vantage6.server.auth import passwords
from vantage6.server.auth.limits import Limits
from vantage6.server.auth.passwords import _NOBODY, hash_password, needs_rehash
from vantage6.server.config import RateLimits
from vantage6.server.model.tables import Counter, User
from vantage6.server.pool import PoolFull
from vantage6.web.responses import utc_now

PASSWORD = "Correct-horse-1"
_USER: Any = User.__table__


@pytest.fixture
def ada(server: Any) -> int:
    organization = server.organization()
    return server.user(organization, username="ada", password=hash_password(PASSWORD)).id


def login(server: Any, password: str, username: str = "ada") -> int:
    body = {"username": username, "password": password}
    status: int = server.http.post("/api/token/user", json=body).status_code
    return status


def failures(server: Any) -> int:
    found: int = server.rows(select(User.failed_login_attempts).where(User.username == "ada"))[0]
    return found


def test_guesses_that_are_checked_together_all_count(server: Any, ada: int) -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: login(server, "Wrong-one-9"), range(4)))
    assert answers == [401] * 4
    assert failures(server) == 4


def test_a_right_guess_among_many_is_refused_if_the_account_was_locked_meanwhile(
    server: Any, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was looked up before the others had failed, and is judged by what is true after."""
    checking, go_on = threading.Event(), threading.Event()
    verify = module.verify_password

    def slow(password: str, stored: str | None) -> bool:
        if password == PASSWORD:
            checking.set()
            assert go_on.wait(60)
        return verify(password, stored)

    monkeypatch.setattr(module, "verify_password", slow)
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(login(server, PASSWORD)))
    thread.start()
    try:
        assert checking.wait(60)
        for _ in range(5):
            assert login(server, "Wrong-one-9") == 401
    finally:
        go_on.set()
        thread.join(60)
    assert answers == [401]


def test_a_password_that_is_replaced_while_it_is_checked_is_no_longer_right(
    server: Any, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = module.verify_password

    def replaced_meanwhile(password: str, stored: str | None) -> bool:
        right = verify(password, stored)
        with server.services.database.write() as db:
            db.execute(update(_USER).where(_USER.c.id == ada).values(password="another"))
        return right

    monkeypatch.setattr(module, "verify_password", replaced_meanwhile)
    assert login(server, PASSWORD) == 401


def test_who_waits_in_the_queue_while_the_limit_is_reached_is_not_even_checked(
    server: Any, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.services.limits = Limits(RateLimits(failures_per_account=3))
    release, checked = threading.Event(), []
    verify = module.verify_password

    def counting(password: str, stored: str | None) -> bool:
        checked.append(password)
        # However slow the machine: the first few are counted before the rest are checked.
        deadline = time.monotonic() + 60
        while len(checked) > 8 and not server.services.limits._accounts.wait("ada"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return verify(password, stored)

    monkeypatch.setattr(module, "verify_password", counting)
    threads_of_pool = server.services.hashing._threads._max_workers
    busy = [server.services.hashing.submit(release.wait, 60) for _ in range(threads_of_pool)]
    answers: list[int] = []
    guesses = [
        threading.Thread(target=lambda: answers.append(login(server, "Wrong-one-9")))
        for _ in range(20)
    ]
    try:
        for thread in guesses:
            thread.start()
        time.sleep(0.5)
    finally:
        release.set()
        for thread in guesses:
            thread.join(60)
    assert all(future.result(60) for future in busy)
    assert sorted(set(answers)) == [401, 429]
    # Some are already being checked when the limit is reached, and some waited after it.
    assert len(checked) < 20


def test_when_too_many_wait_the_next_is_told_to_come_back(server: Any, ada: int) -> None:
    release, hashing = threading.Event(), server.services.hashing
    busy: list[Any] = []

    def fill() -> None:
        while True:
            busy.append(hashing.submit(release.wait, 60))

    try:
        with pytest.raises(PoolFull):
            fill()
        body = {"username": "ada", "password": PASSWORD}
        answer = server.http.post("/api/token/user", json=body)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
        assert server.root().get("/rule").status_code == 200
    finally:
        release.set()
    assert all(future.result(60) for future in busy)
    assert login(server, PASSWORD) == 200


def test_a_block_that_is_over_starts_counting_anew(server: Any, ada: int) -> None:
    with server.services.database.write() as db:
        long_ago = utc_now() - timedelta(minutes=16)
        values = {"failed_login_attempts": 5, "last_login_attempt": long_ago}
        db.execute(update(_USER).where(_USER.c.id == ada).values(**values))
    assert login(server, "Wrong-one-9") == 401
    assert failures(server) == 1


def test_every_refusal_costs_one_hash_and_one_write(
    server: Any, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same work, whichever the reason: so that the time does not tell it."""
    hashes: list[str] = []
    verify = module.verify_password
    monkeypatch.setattr(module, "verify_password", lambda *args: hashes.append("") or verify(*args))

    def cost(password: str, username: str = "ada") -> tuple[int, list[str]]:
        hashes.clear()
        with server.statements() as statements:
            assert login(server, password, username) == 401
        kinds = [statement.split()[0] for statement in statements]
        return len(hashes), kinds

    wrong, unknown = cost("Wrong-one-9"), cost(PASSWORD, "nobody")
    for _ in range(4):
        login(server, "Wrong-one-9")
    blocked, blocked_and_right = cost("Wrong-one-9"), cost(PASSWORD)
    assert wrong == unknown == blocked == blocked_and_right
    assert wrong[0] == 1
    assert wrong[1].count("UPDATE") == 1
    refused = server.rows(select(Counter.value).where(Counter.name == module.REFUSED))[0]
    assert refused >= 3


def test_while_there_are_hashes_of_both_kinds_a_refusal_costs_both(
    server: Any, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the time would tell imported accounts from none."""
    kinds: list[str] = []
    verify = passwords.verify_password

    def counting(password: str, stored: str | None) -> bool:
        kinds.append("bcrypt" if stored and stored.startswith("$2b$12$") else "argon2")
        return verify(password, stored)

    monkeypatch.setattr(module, "verify_password", counting)
    monkeypatch.setattr(passwords, "verify_password", counting)
    assert login(server, "Wrong-one-9") == 401
    assert kinds == ["argon2"]
    imported = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(12)).decode()
    server.user(server.organization(), username="old", password=imported)
    for username in ("old", "ada", "nobody"):
        kinds.clear()
        assert login(server, "Wrong-one-9", username) == 401
        assert sorted(kinds) == ["argon2", "bcrypt"], username


def test_the_hash_of_nobody_costs_what_those_of_today_cost() -> None:
    assert not needs_rehash(_NOBODY)
