"""Our client's calls about passwords and second factors, against a real server and mail server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from sqlalchemy import update

from account_site import ROOT, Site, account_site
from vantage6.client import UserClient
from vantage6.client.exceptions import AuthenticationException, SessionExpiredError
from vantage6.server.model.database import Database
from vantage6.server.model.tables import User

_USER: Any = User.__table__

NEW = "Battery-staple-2"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with account_site(tmp_path) as running:
        yield running


def stranger_at(site: Site) -> UserClient:
    return UserClient("http://127.0.0.1", site.port, "/api", log_level="info")


def log_in(site: Site, password: str = ROOT, **more: Any) -> UserClient:
    client = stranger_at(site)
    client.authenticate("root", password, **more)
    return client


@pytest.mark.parametrize("who", [{"username": "root"}, {"email": "root@domain.ext"}])
def test_a_lost_password(site: Site, who: dict[str, str]) -> None:
    stranger = stranger_at(site)
    asked = stranger.util.reset_my_password(**who)
    assert asked is not None
    assert "email" in asked["msg"]
    assert stranger.util.set_my_password(site.box.token(), "weak")["errors"]["password"]
    done = stranger.util.set_my_password(site.box.token(), NEW)
    assert "success" in done["msg"]
    with pytest.raises(AuthenticationException):
        log_in(site)
    assert log_in(site, NEW).user.get()["username"] == "root"
    assert (site.box.encrypted, site.box.logins) == ([True], ["v6"])


@pytest.mark.parametrize("who", [{"username": "root"}, {"email": "root@domain.ext"}])
def test_a_lost_second_factor(
    site: Site, who: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    site.config.two_factor_auth = True
    client = log_in(site)  # shows a code to scan, and logs nobody in
    assert "scan" in capsys.readouterr().out.lower()
    assert client.token is None
    with pytest.raises(AuthenticationException, match="two-factor authentication code"):
        log_in(site)

    assert client.util.reset_two_factor_auth("Wrong-one-9", **who)["msg"] == "Failed to login"
    asked = client.util.reset_two_factor_auth(ROOT, **who)
    assert "email" in asked["msg"]
    fresh = client.util.set_two_factor_auth(site.box.token())
    assert fresh["otp_secret"] in capsys.readouterr().out
    code = pyotp.TOTP(fresh["otp_secret"]).now()
    assert log_in(site, mfa_code=int(code)).user.get()["username"] == "root"
    # It was used; the answer says so.
    with pytest.raises(AuthenticationException, match="used before"):
        log_in(site, mfa_code=code)
    again = client.util.set_two_factor_auth(site.box.token())
    assert "used" in again["msg"]


def test_a_changed_password_ends_the_other_sessions_only(site: Site) -> None:
    here, elsewhere = log_in(site), log_in(site)
    assert "success" in here.util.change_my_password(ROOT, NEW)["msg"]
    assert here.user.get()["username"] == "root"
    here.refresh_token()
    assert here.user.get()["username"] == "root"
    with pytest.raises(SessionExpiredError, match="authenticate"):
        elsewhere.user.get()
    assert "success" in here.util.change_my_password(NEW, ROOT)["msg"]


def test_who_still_has_a_made_up_password_is_told_at_each_login(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    log_in(site)
    assert "made up" not in capsys.readouterr().out
    database = Database(site.config.database_uri)
    with database.write() as db:
        db.execute(update(_USER).values(password_made_up=True))
    database.close()
    client = log_in(site)
    assert "made up by the server" in capsys.readouterr().out
    client.util.change_my_password(ROOT, NEW)
    capsys.readouterr()
    log_in(site, NEW)
    assert "made up" not in capsys.readouterr().out


def test_too_many_wrong_passwords_are_explained(site: Site) -> None:
    site.config.password_policy.max_failed_attempts = 1000
    for _ in range(site.config.rate_limits.failures_per_account):
        with pytest.raises(AuthenticationException, match="Failed to login"):
            log_in(site, "Wrong-one-9")
    with pytest.raises(AuthenticationException, match=r"Too many failed attempts.* minutes"):
        log_in(site)
