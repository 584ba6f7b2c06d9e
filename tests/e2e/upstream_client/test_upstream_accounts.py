"""Passwords and second factors with the unmodified upstream client."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pyotp
import pytest

from account_site import ROOT, Site, account_site
from peers import PeerUnavailable, peer_python

# Making the environment counts as part of the first test.
pytestmark = [pytest.mark.peer, pytest.mark.timeout(400)]

CALLS = Path(__file__).parent / "calls.py"
NEW = "Battery-staple-2"


class Upstream:
    """An upstream client in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, name: str, **arguments: Any) -> Any:
        """Call a method of the client."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, arguments]) + "\n")
        self._process.stdin.flush()
        said = []
        for line in self._process.stdout:
            if line.startswith("ANSWER "):
                return json.loads(line.removeprefix("ANSWER "))
            said.append(line)
        raise AssertionError("".join(said))


@pytest.fixture(scope="module")
def python(lacking: Callable[[str], NoReturn]) -> Path:
    try:
        return peer_python("vantage6-client==4.15.2")
    except PeerUnavailable as error:
        lacking(f"the upstream client cannot be installed: {error}")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with account_site(tmp_path) as running:
        yield running


@contextmanager
def upstream(python: Path, site: Site) -> Iterator[Upstream]:
    process = subprocess.Popen(
        [str(python), str(CALLS), str(site.port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        yield Upstream(process)


def test_a_lost_password_and_a_changed_one(python: Path, site: Site) -> None:
    with upstream(python, site) as client:
        assert "email" in client("util.reset_my_password", username="root")["msg"]
        token = site.box.token()
        assert "success" in client("util.set_my_password", token=token, password=NEW)["msg"]
        client("authenticate", username="root", password=NEW)
        # It goes on with its tokens, and with those it renews: it does not log in again.
        for old, new in ((NEW, ROOT), (ROOT, NEW)):
            changed = client("util.change_my_password", current_password=old, new_password=new)
            assert "success" in changed["msg"]
            assert client("refresh_token") is None
            assert client("user.get")["username"] == "root"


def test_a_lost_second_factor(python: Path, site: Site) -> None:
    site.config.two_factor_auth = True
    with upstream(python, site) as client:
        assert client("authenticate", username="root", password=ROOT) is None
        asked = client("authenticate", username="root", password=ROOT)
        assert asked["text"] == "Please include your two-factor authentication code"
        # It sends null for what is not given.
        assert (
            "email" in client("util.reset_two_factor_auth", password=ROOT, username="root")["msg"]
        )
        fresh = client("util.set_two_factor_auth", token=site.box.token())
        secret = (fresh or {}).get("otp_secret")
        assert secret, fresh
        code = int(pyotp.TOTP(secret).now())
        assert client("authenticate", username="root", password=ROOT, mfa_code=code) is None
        assert client("user.get")["username"] == "root"
