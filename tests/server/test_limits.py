"""How often credentials may be wrong."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Request
from hypothesis import given, settings, strategies
from starlette.datastructures import Address

from vantage6.server.auth import limits as module
from vantage6.server.auth.limits import Limits, TooManyFailures, Window, source
from vantage6.server.auth.passwords import hash_password
from vantage6.server.config import RateLimits

PASSWORD = "Correct-horse-1"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@settings(deadline=None)
@given(
    strategies.integers(1, 5),
    strategies.lists(strategies.tuples(strategies.floats(0, 40), strategies.booleans())),
)
def test_in_no_window_are_there_more_than_the_limit(
    limit: int, events: list[tuple[float, bool]]
) -> None:
    """Whenever one is let through, fewer than `limit` were in the window before; else as many."""
    clock = Clock()
    window = Window(limit, 60.0, clock)
    counted: list[float] = []
    for pause, patient in events:
        clock.now += pause
        wait = window.wait("a")
        recent = [moment for moment in counted if moment > clock.now - 60]
        assert (wait > 0) == (len(recent) >= limit)
        if wait and patient:
            clock.now += wait + 1e-6
            assert window.wait("a") == 0
            wait = 0
        if not wait:
            window.count("a")
            counted.append(clock.now)
    assert window.wait("b") == 0


def test_what_is_over_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    window = Window(3, 60.0, clock)
    for number in range(100):
        window.count(str(number))
    clock.now += 61
    window.count("new")
    assert list(window._events) == ["new"]
    monkeypatch.setattr(module, "REMEMBERED", 10)
    for number in range(100):
        window.count(str(number))
    assert len(window._events) == 10


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "testclient"),
    ],
)
def test_where_a_request_comes_from(host: str, expected: str) -> None:
    assert source(request(host)) == expected


def request(host: str) -> Request:
    return Request({"type": "http", "client": Address(host, 1)})


def test_an_address_and_an_account_are_limited_each_for_itself() -> None:
    clock = Clock()
    configured = RateLimits(window_minutes=1, failures_per_address=5, failures_per_account=3)
    limits = Limits(configured, clock)
    for _ in range(3):
        limits.password(request("1.1.1.1"), "ada").failed()
    with pytest.raises(TooManyFailures) as refused:
        limits.password(request("2.2.2.2"), "ada").check()
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "60"})
    assert "60 seconds" in refused.value.message
    limits.password(request("1.1.1.1"), "eve").check()
    for _ in range(2):
        limits.password(request("1.1.1.1"), "eve").failed()
    for attempt in (
        limits.password(request("1.1.1.1"), "bob"),
        limits.secret(request("1.1.1.1")),
        limits.recovery(request("1.1.1.1"), "bob"),
        limits.code(request("1.1.1.1"), 1),
    ):
        with pytest.raises(TooManyFailures):
            attempt.check()
    limits.password(request("2.2.2.2"), "bob").check()
    clock.now += 61
    limits.password(request("1.1.1.1"), "ada").check()


@pytest.fixture
def ada(server: Any) -> Any:
    server.services.limits = Limits(
        RateLimits(
            window_minutes=5,
            failures_per_address=6,
            failures_per_account=3,
            recoveries_per_account=2,
        )
    )
    return server.user(server.organization(), username="ada", password=hash_password(PASSWORD))


def attempts(server: Any, ada: Any) -> dict[str, Any]:
    """One failing request per route that takes a credential."""

    def post(path: str, **body: Any) -> Any:
        return lambda: server.http.post(f"/api{path}", json=body)

    return {
        "login": post("/token/user", username="ada", password="x"),
        "unknown": post("/token/user", username="nobody", password="x"),
        "node": post("/token/node", api_key="5c9e1c3e-0d0a-4a7a-9d53-2f3f1f0f7a11"),
        "change": lambda: ada.patch(
            "/password/change", current_password="x", new_password="Aa1!aaaa"
        ),
        "lost": post("/recover/lost", username="ada"),
        "reset": post("/recover/reset", reset_token="x", password="Aa1!aaaa"),
        "2fa lost": post("/recover/2fa/lost", username="ada", password="x"),
        "2fa reset": post("/recover/2fa/reset", reset_token="x"),
    }


@pytest.mark.parametrize(
    ("route", "allowed"),
    [
        ("login", 3),
        ("unknown", 3),
        ("node", 6),
        ("change", 3),
        ("lost", 2),
        ("reset", 6),
        ("2fa lost", 3),
        ("2fa reset", 6),
    ],
)
def test_every_route_that_takes_a_credential_is_limited(
    server: Any, ada: Any, route: str, allowed: int
) -> None:
    attempt = attempts(server, ada)[route]
    for _ in range(allowed):
        assert attempt().status_code in (200, 400, 401)
    refused = attempt()
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 300
    assert "Too many failed attempts" in refused.json()["msg"]


def test_an_address_that_failed_too_often_is_limited_on_all_of_them(server: Any, ada: Any) -> None:
    for attempt in (routes := attempts(server, ada)).values():
        attempt()
    assert {attempt().status_code for attempt in routes.values()} == {429}
    # What needs no credential but a token goes on.
    assert ada.get("/rule").status_code == 200


def test_what_is_right_does_not_count(server: Any, ada: Any) -> None:
    for _ in range(10):
        body = {"username": "ada", "password": PASSWORD}
        assert server.http.post("/api/token/user", json=body).status_code == 200


def test_the_defaults_leave_a_hospital_alone(server: Any) -> None:
    defaults = RateLimits()
    assert defaults.failures_per_address >= 200
    policy = server.services.config.password_policy
    # Who is locked out is told so by the lock-out, long before the limit.
    assert defaults.failures_per_account >= 4 * policy.max_failed_attempts
