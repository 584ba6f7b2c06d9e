from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest

from recording import TurnableClock, access_token, login_answer
from vantage6.client import UserClient
from vantage6.client.exceptions import (
    AuthenticationException,
    NotAuthenticatedError,
    ServerUnreachableError,
    SessionExpiredError,
)
from vantage6.common.encryption import DummyCryptor


def test_login_asks_for_token_user_and_organization_and_says_who_you_are(
    stranger: UserClient, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    stranger.authenticate("ada", "secret")
    assert server.lines == [
        "POST /api/token/user",
        "GET /api/user/7",
        "GET /api/organization/3",
    ]
    assert repr(stranger.whoami) == "<WhoAmI name=Ada, type=user, organization=Utrecht, (id=3)>"
    assert stranger.name == "Ada"
    assert isinstance(stranger.cryptor, DummyCryptor)
    assert capsys.readouterr().out.splitlines() == [
        "Successfully authenticated",
        " --> Succesfully authenticated",
        " --> Name: Ada (id=7)",
        " --> Organization: Utrecht (id=3)",
    ]


@pytest.mark.parametrize(
    ("code", "sent"), [("012345", "012345"), (123456, "123456"), (12345, "012345")]
)
def test_a_second_factor_may_be_text_or_number(
    stranger: UserClient, server: Any, code: int | str, sent: str
) -> None:
    stranger.authenticate("ada", "secret", code)
    assert (
        server.requests[0].read()
        == httpx.Request(
            "POST", "http://x", json={"username": "ada", "password": "secret", "mfa_code": sent}
        ).read()
    )


def test_a_refused_login_carries_what_the_server_said(stranger: UserClient, server: Any) -> None:
    server.on("POST /api/token/user", (401, {"msg": "Failed to login"}))
    with pytest.raises(AuthenticationException, match="Failed to authenticate: Failed to login"):
        stranger.authenticate("ada", "wrong")
    assert stranger.token is None
    assert len(server.lines) == 1


def test_a_gateway_without_server_is_no_refused_login(stranger: UserClient, server: Any) -> None:
    server.on("POST /api/token/user", httpx.Response(502, text="<html>Bad gateway</html>"))
    with pytest.raises(ConnectionError, match=r"does not answer \(status 502"):
        stranger.authenticate("ada", "secret")


def test_nobody_is_taken_for_who_was_logged_in_before(client: UserClient, server: Any) -> None:
    server.on("GET /api/user/7", (500, {"msg": "An unexpected error occurred on the server!"}))
    client.authenticate("somebody else", "secret")
    assert client.whoami is None


def test_a_missing_second_factor_is_asked_for(stranger: UserClient, server: Any) -> None:
    words = "Please include your two-factor authentication code"
    server.on("POST /api/token/user", {"msg": words})
    with pytest.raises(AuthenticationException, match=words):
        stranger.authenticate("ada", "secret")


def test_a_first_second_factor_shows_a_qr_code(
    stranger: UserClient, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on(
        "POST /api/token/user",
        {"qr_uri": "otpauth://totp/x?secret=ABC", "otp_secret": "ABC", "msg": "scan"},
    )
    stranger.authenticate("ada", "secret")
    shown = capsys.readouterr().out
    assert "█" in shown
    assert "ABC" in shown
    assert stranger.token is None


def test_a_wrong_path_is_told_as_such(stranger: UserClient, server: Any) -> None:
    server.on("POST /api/token/user", (404, {"msg": "no such page"}))
    with pytest.raises(ConnectionError, match=r"Server not found at http://server:5000/api/token"):
        stranger.authenticate("ada", "secret")


def test_something_that_is_no_server_is_told_as_such(stranger: UserClient, server: Any) -> None:
    server.on("POST /api/token/user", httpx.Response(200, text="<html>hello</html>"))
    with pytest.raises(ValueError, match=r"is not JSON\. Are host, port and API path"):
        stranger.authenticate("ada", "secret")


def test_login_to_nobody_fails_at_once_and_names_the_address(
    stranger: UserClient, server: Any, clock: TurnableClock
) -> None:
    server.on("POST /api/token/user", httpx.ConnectError("Connection refused"))
    with pytest.raises(ConnectionError, match="http://server:5000/api/token/user") as caught:
        stranger.authenticate("ada", "secret")
    assert isinstance(caught.value, ServerUnreachableError)
    assert clock.sleeps == []


def test_login_goes_on_when_the_user_cannot_be_read(
    stranger: UserClient, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on("GET /api/organization/3", (401, {"msg": "You lack the permission to do that!"}))
    stranger.authenticate("ada", "secret")
    assert stranger.token
    assert stranger.whoami is None
    said = capsys.readouterr().out
    assert "--> Retrieving additional user info failed!" in said
    assert "You lack the permission to do that!" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.organization.get(),
        lambda c: c.user.get(),
        lambda c: c.collaboration.list(),
        lambda c: c.node.create(1),
        lambda c: c.role.create("n", "d", []),
        lambda c: c.setup_encryption(None),
        lambda c: c.task.create([1], "n", "i", "", {"method": "m"}, collaboration=1),
        lambda c: c.refresh_token(),
        lambda c: c.util.generate_private_key(),
        lambda c: c.name,
    ],
)
def test_a_call_before_login_says_to_log_in(
    stranger: UserClient, server: Any, call: Callable[[UserClient], Any]
) -> None:
    with pytest.raises(NotAuthenticatedError, match=r"(?i)authenticat|logged in") as caught:
        call(stranger)
    assert isinstance(caught.value, AssertionError | AttributeError)
    assert server.lines == []


def test_a_request_before_login_that_needs_one_says_so(stranger: UserClient, server: Any) -> None:
    server.on("GET /api/rule", (401, {"msg": "Missing Authorization Header"}))
    with pytest.raises(NotAuthenticatedError, match="Missing Authorization Header"):
        stranger.rule.list()


def test_a_forgotten_password_needs_no_login(stranger: UserClient, server: Any) -> None:
    server.on("POST /api/recover/lost", {"msg": "mail is on its way"})
    assert stranger.util.reset_my_password("a@b.nl") == {"msg": "mail is on its way"}
    assert stranger.util.reset_my_password() is None


def test_a_token_is_renewed_before_it_expires(
    client: UserClient, server: Any, clock: TurnableClock
) -> None:
    renewed = login_answer(issued=2_000_000)
    server.on("POST /api/token/refresh", renewed)
    server.on("GET /api/version", {"version": "4.15.2"})
    clock.time += 21600 - 90
    client.util.get_server_version()
    assert server.lines == ["GET /api/version"]
    clock.time += 60
    client.util.get_server_version()
    assert server.lines[1:] == ["POST /api/token/refresh", "GET /api/version"]
    assert server.requests[1].headers["Authorization"] == "Bearer renew-me"
    assert server.requests[1].read() == b""
    assert client.token == renewed["access_token"]
    client.util.get_server_version()
    assert len(server.lines) == 4


def test_an_expired_token_is_renewed_and_the_request_repeated_once(
    client: UserClient, server: Any
) -> None:
    server.on("GET /api/rule/1", (401, {"msg": "Token has expired"}), {"id": 1})
    server.on("POST /api/token/refresh", login_answer())
    assert client.rule.get(1) == {"id": 1}
    assert server.lines == ["GET /api/rule/1", "POST /api/token/refresh", "GET /api/rule/1"]


def test_a_token_that_stays_expired_is_renewed_once_only(client: UserClient, server: Any) -> None:
    server.on("GET /api/rule/1", (401, {"msg": "Token has expired"}))
    server.on("POST /api/token/refresh", login_answer())
    assert client.rule.get(1)["msg"] == "Token has expired"
    assert len(server.lines) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500])
def test_a_refusal_is_no_reason_to_renew_the_token_or_to_ask_twice(
    client: UserClient, server: Any, status: int
) -> None:
    server.on("POST /api/task", (status, {"msg": "You lack the permission to do that!"}))
    client.task.create([1], "n", "i", "", {"method": "m"}, collaboration=1)
    assert server.lines == ["GET /api/blobstream/status", "POST /api/task"]


def test_a_login_that_cannot_be_renewed_says_to_log_in_again(
    client: UserClient, server: Any
) -> None:
    server.on("GET /api/rule/1", (401, {"msg": "Token has expired"}))
    server.on("POST /api/token/refresh", (401, {"msg": "Token has expired"}))
    with pytest.raises(SessionExpiredError, match="authenticate again: Token has expired"):
        client.rule.get(1)


def test_a_refresh_answer_without_tokens_is_not_believed(client: UserClient, server: Any) -> None:
    server.on("POST /api/token/refresh", {"access_token": access_token()})
    with pytest.raises(SessionExpiredError):
        client.refresh_token()
