"""One-time codes as second factor (``server.md`` 2.4)."""

from __future__ import annotations

import time
from typing import Any

import pyotp
import pytest
from sqlalchemy import select

from vantage6.server.auth import second_factor
from vantage6.server.auth.passwords import hash_password
from vantage6.server.model.tables import User

PASSWORD = "Correct-horse-1"


@pytest.fixture
def ada(server: Any) -> int:
    server.services.config.two_factor_auth = True
    organization = server.organization()
    return server.user(organization, username="ada", password=hash_password(PASSWORD)).id


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that codes go by."""
    now = [time.time()]

    class Clock:
        time = staticmethod(lambda: now[0])

    monkeypatch.setattr(second_factor, "time", Clock)
    return now


def login(server: Any, **more: Any) -> Any:
    body = {"username": "ada", "password": PASSWORD, **more}
    return server.http.post("/api/token/user", json=body)


def wrong_code(secret: str, now: float) -> str:
    right = {pyotp.TOTP(secret).at(now + 30 * step) for step in range(-3, 4)}
    return next(code for number in range(10) if (code := f"{number:06d}") not in right)


def test_it_is_set_up_at_the_first_login_and_then_asked_for(
    server: Any, ada: int, clock: list[float]
) -> None:
    enrolled = login(server)
    assert enrolled.status_code == 200
    body = enrolled.json()
    assert set(body) == {"qr_uri", "otp_secret", "msg"}
    secret = body["otp_secret"]
    assert len(secret) == 32
    issuer = "vantage6%20%28cotopaxi%29"
    assert body["qr_uri"] == f"otpauth://totp/{issuer}:ada?secret={secret}&issuer={issuer}"
    asked = login(server)
    assert asked.status_code == 200
    assert asked.json() == {"msg": "Please include your two-factor authentication code"}
    wrong = login(server, mfa_code=wrong_code(secret, clock[0]))
    assert (wrong.status_code, "access_token" in wrong.text) == (401, False)
    assert "access_token" in login(server, mfa_code=pyotp.TOTP(secret).at(clock[0])).json()


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_a_clock_may_be_half_a_minute_off(
    server: Any, ada: int, clock: list[float], step: int
) -> None:
    totp = pyotp.TOTP(login(server).json()["otp_secret"])
    for far in (-3, 3):
        if totp.at(clock[0] + 30 * far) not in {totp.at(clock[0] + 30 * n) for n in (-1, 0, 1)}:
            assert login(server, mfa_code=totp.at(clock[0] + 30 * far)).status_code == 401
    assert "access_token" in login(server, mfa_code=totp.at(clock[0] + 30 * step)).json()


def test_a_code_may_be_a_number_without_its_leading_zeros_or_have_spaces(
    server: Any, ada: int, clock: list[float]
) -> None:
    totp = pyotp.TOTP(login(server).json()["otp_secret"])
    while not totp.at(clock[0]).startswith("0"):
        clock[0] += 30
    assert "access_token" in login(server, mfa_code=int(totp.at(clock[0]))).json()
    clock[0] += 90
    code = totp.at(clock[0])
    assert "access_token" in login(server, mfa_code=f" {code[:3]} {code[3:]}").json()
    assert login(server, mfa_code=True).status_code == 400
    assert login(server, mfa_code="12345678901").status_code == 400


def test_a_code_counts_once(server: Any, ada: int, clock: list[float]) -> None:
    totp = pyotp.TOTP(login(server).json()["otp_secret"])
    assert "access_token" in login(server, mfa_code=totp.at(clock[0])).json()
    assert login(server, mfa_code=totp.at(clock[0])).status_code == 401
    # Nor does one from before, which somebody may have looked at.
    assert login(server, mfa_code=totp.at(clock[0] - 30)).status_code == 401
    clock[0] += 30
    assert "access_token" in login(server, mfa_code=totp.at(clock[0])).json()


def test_of_two_processes_that_get_the_same_code_one_takes_it(
    server: Any, ada: int, clock: list[float]
) -> None:
    secret = login(server).json()["otp_secret"]
    code = pyotp.TOTP(secret).at(clock[0])
    taken = [second_factor.use_code(server.services, ada, secret, code) for _ in range(2)]
    assert taken == [True, False]


def test_wrong_codes_are_limited_but_do_not_lock_the_account(
    server: Any, ada: int, clock: list[float]
) -> None:
    secret = login(server).json()["otp_secret"]
    wrong = wrong_code(secret, clock[0])
    limit = server.services.config.rate_limits.wrong_codes_per_account
    for _ in range(limit):
        assert login(server, mfa_code=wrong).status_code == 401
    limited = login(server, mfa_code=pyotp.TOTP(secret).at(clock[0]))
    assert limited.status_code == 429
    assert int(limited.headers["Retry-After"]) > 0
    assert server.rows(select(User.failed_login_attempts).where(User.id == ada)) == [0]


def test_the_code_is_ignored_where_no_second_factor_is_wanted(server: Any, ada: int) -> None:
    server.services.config.two_factor_auth = False
    assert "access_token" in login(server, mfa_code="whatever").json()


def test_of_two_first_logins_at_once_one_shows_a_secret(server: Any, ada: int) -> None:
    first = second_factor.enrol_first(server.services, ada)
    assert first is not None
    assert second_factor.enrol_first(server.services, ada) is None
    assert server.rows(select(User.otp_secret).where(User.id == ada)) == [first["otp_secret"]]
