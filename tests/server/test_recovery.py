"""Lost passwords and second factors (``server.md`` 2.3, 2.4, 10.2), with a real mail server."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import pyotp
import pytest
from sqlalchemy import select, update

from mailbox_server import Mailbox, html_of, mail_server, text_of
from vantage6.server.auth.login import by_username
from vantage6.server.auth.passwords import hash_password
from vantage6.server.auth.recovery import mail_password_token
from vantage6.server.auth.tokens import Purpose
from vantage6.server.config import Smtp
from vantage6.server.model.tables import User

_USER: Any = User.__table__
PASSWORD, NEW = "Correct-horse-1", "Battery-staple-2"


@pytest.fixture
def ada(server: Any) -> Any:
    return server.user(
        server.organization(),
        username="ada",
        email="ada@example.org",
        firstname="Ada <i>",
        password=hash_password(PASSWORD),
    )


@pytest.fixture
def box(server: Any) -> Iterator[Mailbox]:
    with mail_server() as box:
        server.services.config.smtp = Smtp(server="127.0.0.1", port=box.port, MAIL_USE_TLS=False)
        yield box
        settle(server)


def settle(server: Any) -> None:
    """Wait until the mailroom has nothing left to do: two threads, two who wait for each other."""
    together = threading.Barrier(2)
    for future in [server.services.mailroom.submit(together.wait, 60) for _ in range(2)]:
        future.result(60)


def post(server: Any, path: str, **body: Any) -> Any:
    return server.http.post(f"/api{path}", json=body)


def login(server: Any, password: str = PASSWORD, username: str = "ada", **more: Any) -> Any:
    return post(server, "/token/user", username=username, password=password, **more)


def sent(server: Any, column: str) -> Any:
    return server.rows(select(getattr(User, column)).where(User.username == "ada"))[0]


@pytest.mark.parametrize("who", [{"username": "ada"}, {"email": "Ada@Example.org"}])
def test_a_lost_password_is_replaced_by_mail(
    server: Any, ada: Any, box: Mailbox, who: dict[str, str]
) -> None:
    asked = post(server, "/recover/lost", **who)
    assert asked.status_code == 200
    message = box.wait()
    assert message["Subject"] == "Password reset vantage6"
    assert message["X-Envelope-To"] == "ada@example.org"
    assert "Dear Ada <i>," in text_of(message)
    assert "Dear Ada &lt;i&gt;," in html_of(message)
    assert box.token() in html_of(message)
    assert "60 minutes" in text_of(message)
    assert "support@vantage6.ai" in text_of(message)
    for _ in range(5):
        assert login(server, "Wrong-one-9").status_code == 401
    assert login(server).status_code == 401  # blocked by now

    reset = post(server, "/recover/reset", reset_token=box.token(), password=NEW)
    assert (reset.status_code, reset.json()["msg"]) == (
        200,
        "The password has been reset successfully!",
    )
    assert login(server, NEW).status_code == 200  # unblocked by the reset
    assert login(server).status_code == 401


def test_a_token_works_once(server: Any, ada: Any, box: Mailbox) -> None:
    post(server, "/recover/lost", username="ada")
    assert post(server, "/recover/reset", reset_token=box.token(), password=NEW).status_code == 200
    again = post(server, "/recover/reset", reset_token=box.token(), password="Third-time-3")
    assert again.status_code == 401
    assert "used" in again.json()["msg"]
    assert login(server, NEW).status_code == 200


def test_a_token_is_void_once_the_password_was_changed_otherwise(
    server: Any, ada: Any, box: Mailbox
) -> None:
    post(server, "/recover/lost", username="ada")
    token = box.token()
    changed = ada.patch("/password/change", current_password=PASSWORD, new_password=NEW)
    assert changed.status_code == 200
    assert (
        post(server, "/recover/reset", reset_token=token, password="Third-time-3").status_code
        == 401
    )


def test_a_token_opens_nothing_but_what_it_is_for(server: Any, ada: Any, box: Mailbox) -> None:
    post(server, "/recover/lost", username="ada")
    post(server, "/recover/2fa/lost", username="ada", password=PASSWORD)
    password, factor = sorted(
        (box.token(1), box.token(2)),
        key=lambda token: jwt.decode(token, options={"verify_signature": False})["purpose"],
    )
    for path, body in (
        ("/recover/reset", {"reset_token": factor, "password": NEW}),
        ("/recover/2fa/reset", {"reset_token": password}),
        ("/recover/reset", {"reset_token": ada.token, "password": NEW}),
        ("/recover/2fa/reset", {"reset_token": ada.token}),
        ("/recover/2fa/reset", {"reset_token": "nonsense"}),
    ):
        answer = post(server, path, **body)
        assert answer.status_code == 400, (path, answer.text)
        assert "not a token to reset" in answer.json()["msg"]
    for token in (password, factor):
        headers = {"Authorization": f"Bearer {token}"}
        assert server.http.get(f"/api/user/{ada.id}", headers=headers).status_code == 422
        assert server.http.post("/api/token/refresh", headers=headers).status_code == 422


@pytest.mark.parametrize("path", ["/recover/reset", "/recover/2fa/reset"])
def test_an_expired_token_is_told_from_a_wrong_one(server: Any, ada: Any, path: str) -> None:
    purpose = Purpose.SECOND_FACTOR if "2fa" in path else Purpose.PASSWORD
    expired = server.services.tokens.issue_reset(purpose, ada.id, 0, timedelta(seconds=-1))
    body = {"reset_token": expired} | ({} if "2fa" in path else {"password": NEW})
    answer = post(server, path, **body)
    assert (answer.status_code, "expired" in answer.json()["msg"]) == (401, True)


def test_the_new_password_must_satisfy_the_policy(server: Any, ada: Any, box: Mailbox) -> None:
    post(server, "/recover/lost", username="ada")
    answer = post(server, "/recover/reset", reset_token=box.token(), password="weak")
    assert answer.status_code == 400
    assert "upper-case" in answer.json()["errors"]["password"][0]
    # The token is not used up by that.
    assert post(server, "/recover/reset", reset_token=box.token(), password=NEW).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"username": None}, {"username": "", "email": None}, {"who": "ada"}]
)
def test_somebody_must_be_named(server: Any, body: dict[str, Any]) -> None:
    for path, more in (("/recover/lost", {}), ("/recover/2fa/lost", {"password": "x"})):
        answer = post(server, path, **body, **more)
        assert (answer.status_code, answer.json()["msg"]) == (400, "Request body is incorrect")
        assert answer.json()["errors"]


def test_a_second_mail_goes_out_only_after_the_interval(
    server: Any, ada: Any, box: Mailbox
) -> None:
    """In the reference no second one ever did."""
    for _ in range(3):
        assert post(server, "/recover/lost", username="ada").status_code == 200
    settle(server)
    assert len(box.messages) == 1
    an_hour_ago = sent(server, "last_email_recover_password_sent") - timedelta(minutes=61)
    with server.services.database.write() as db:
        db.execute(update(_USER).values(last_email_recover_password_sent=an_hour_ago))
    post(server, "/recover/lost", username="ada")
    box.wait(2)
    # Another kind of mail has an interval of its own.
    post(server, "/recover/2fa/lost", username="ada", password=PASSWORD)
    assert box.wait(3)["Subject"] == "Two-factor authentication reset vantage6"


def test_of_many_who_ask_at_once_one_mail_comes(server: Any, ada: Any, box: Mailbox) -> None:
    for _ in range(20):
        mail_password_token(server.services, by_username("ada"))
    settle(server)
    assert len(box.messages) == 1


def test_a_mail_that_could_not_be_sent_is_logged_and_does_not_use_up_the_interval(
    server: Any, ada: Any, box: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    box.refusal = "550 ada@example.org is unknown here"
    with caplog.at_level(logging.INFO):
        assert post(server, "/recover/lost", username="ada").status_code == 200
        settle(server)
    ours = "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith("vantage6")
    )
    assert "550" in ours
    assert "ada@example.org" not in ours
    assert sent(server, "last_email_recover_password_sent") is None
    box.refusal = None
    post(server, "/recover/lost", username="ada")
    box.wait()


def test_nobody_waits_for_a_mail_server_that_is_gone(
    server: Any, ada: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with mail_server() as gone:
        port = gone.port
    server.services.config.smtp = Smtp(server="127.0.0.1", port=port, MAIL_USE_TLS=False)
    with caplog.at_level(logging.ERROR):
        assert post(server, "/recover/lost", username="ada").status_code == 200
        settle(server)
    assert "ConnectionRefusedError" in caplog.text


def test_without_a_mail_server_the_answer_is_the_same(
    server: Any, ada: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert server.services.config.smtp is None
    assert post(server, "/recover/lost", username="ada").status_code == 200
    assert "smtp" in caplog.text
    answer = post(server, "/recover/2fa/lost", username="ada", password=PASSWORD)
    assert (answer.status_code, "mail" in answer.json()["msg"]) == (400, True)


def test_a_blocked_account_is_told_by_mail(server: Any, ada: Any, box: Mailbox) -> None:
    for _ in range(5):
        login(server, "Wrong-one-9")
    settle(server)
    assert box.messages == []
    before = server.rows(select(User.failed_login_attempts, User.last_login_attempt))
    for _ in range(3):
        assert login(server).status_code == 401
    settle(server)
    assert server.rows(select(User.failed_login_attempts, User.last_login_attempt)) == before
    message = box.wait()
    assert message["Subject"] == "Failed login attempts on your vantage6 account"
    text = text_of(message)
    assert all(word in text for word in ("Ada <i>", "5 times", "testclient", "15 minutes", "UTC"))
    assert len(box.messages) == 1
    assert ada.get(f"/user/{ada.id}").json()["last_email_failed_login_sent"] is not None


def test_a_lost_second_factor_is_set_up_anew(server: Any, ada: Any, box: Mailbox) -> None:
    server.services.config.two_factor_auth = True
    first = login(server).json()["otp_secret"]
    asked = post(server, "/recover/2fa/lost", username=None, email="ada@example.org", password="x")
    assert asked.status_code == 401
    asked = post(
        server, "/recover/2fa/lost", username=None, email="ada@example.org", password=PASSWORD
    )
    assert asked.status_code == 200
    answer = post(server, "/recover/2fa/reset", reset_token=box.token())
    assert answer.status_code == 200
    assert set(answer.json()) == {"qr_uri", "otp_secret", "msg"}
    second = answer.json()["otp_secret"]
    assert second != first
    assert post(server, "/recover/2fa/reset", reset_token=box.token()).status_code == 401
    assert login(server, mfa_code=pyotp.TOTP(first).now()).status_code == 401
    assert "access_token" in login(server, mfa_code=pyotp.TOTP(second).now()).json()


def test_wrong_passwords_count_where_the_second_factor_is_lost(server: Any, ada: Any) -> None:
    for _ in range(5):
        wrong = post(server, "/recover/2fa/lost", username="ada", password="Wrong-one-9")
        assert (wrong.status_code, wrong.json()["msg"]) == (401, "Failed to login")
    assert login(server).status_code == 401


def test_how_long_a_token_is_good_for_is_configured_in_either_place(
    server: Any, ada: Any, box: Mailbox
) -> None:
    config = server.services.config
    config.email_token_validity_minutes = 5
    post(server, "/recover/lost", username="ada")
    claims = jwt.decode(box.token(), options={"verify_signature": False})
    assert 200 < claims["exp"] - time.time() <= 300
    assert "5 minutes" in text_of(box.wait())
    config.smtp.email_token_validity_minutes = 7
    assert config.reset_token_validity == timedelta(minutes=7)
