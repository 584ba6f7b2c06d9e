"""When tokens end before their time."""

from __future__ import annotations

from typing import Any

import pyotp
import pytest

from mailbox_server import mail_server
from vantage6.server.auth.passwords import hash_password
from vantage6.server.auth.tokens import Kind, Tokens
from vantage6.server.config import Smtp

PASSWORD, NEW = "Correct-horse-1", "Battery-staple-2"


@pytest.fixture
def ada(server: Any) -> int:
    organization = server.organization()
    fields = {"username": "ada", "email": "ada@example.org", "password": hash_password(PASSWORD)}
    return server.user(organization, **fields).id


def login(server: Any, password: str = PASSWORD, **more: Any) -> dict[str, str]:
    body = {"username": "ada", "password": password, **more}
    answer: dict[str, str] = server.http.post("/api/token/user", json=body).json()
    return answer


def ask(server: Any, token: str, method: str = "GET", path: str = "/rule", **body: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return server.http.request(method, f"/api{path}", headers=headers, json=body or None)


def renew(server: Any, tokens: dict[str, str]) -> Any:
    return ask(server, tokens["refresh_token"], "POST", "/token/refresh")


def change(server: Any, tokens: dict[str, str], current: str, new: str) -> None:
    body = {"current_password": current, "new_password": new}
    answer = ask(server, tokens["access_token"], "PATCH", "/password/change", **body)
    assert answer.status_code == 200, answer.text


def test_a_new_password_ends_the_other_logins(server: Any, ada: int) -> None:
    here, elsewhere = login(server), login(server)
    prolonged = renew(server, elsewhere).json()
    change(server, here, PASSWORD, NEW)
    for tokens in (elsewhere, prolonged):
        ended = ask(server, tokens["access_token"])
        assert (ended.status_code, ended.json()["msg"]) == (401, "Token has expired")
        ended = renew(server, tokens)
        assert (ended.status_code, ended.json()["msg"]) == (401, "Token has expired")
    assert ask(server, login(server, NEW)["access_token"]).status_code == 200


def test_the_login_that_changed_the_password_goes_on_but_only_until_the_next_change(
    server: Any, ada: int
) -> None:
    here = login(server)
    change(server, here, PASSWORD, NEW)
    assert ask(server, here["access_token"]).status_code == 200
    prolonged = renew(server, here).json()
    assert ask(server, prolonged["access_token"]).status_code == 200

    elsewhere = login(server, NEW)
    change(server, elsewhere, NEW, PASSWORD)
    for tokens in (here, prolonged):
        assert ask(server, tokens["access_token"]).status_code == 401
        assert renew(server, tokens).status_code == 401
    assert renew(server, elsewhere).status_code == 200


def test_a_password_by_mail_ends_all_logins(server: Any, ada: int) -> None:
    here = login(server)
    change(server, here, PASSWORD, NEW)
    with mail_server() as box:
        server.services.config.smtp = Smtp(server="127.0.0.1", port=box.port, MAIL_USE_TLS=False)
        server.http.post("/api/recover/lost", json={"username": "ada"})
        body = {"reset_token": box.token(), "password": PASSWORD}
    assert server.http.post("/api/recover/reset", json=body).status_code == 200
    assert ask(server, here["access_token"]).status_code == 401
    assert renew(server, here).status_code == 401
    assert ask(server, login(server)["access_token"]).status_code == 200


def test_a_new_second_factor_ends_all_logins(server: Any, ada: int) -> None:
    server.services.config.two_factor_auth = True
    secret = login(server)["otp_secret"]
    here = login(server, mfa_code=pyotp.TOTP(secret).now())
    with mail_server() as box:
        server.services.config.smtp = Smtp(server="127.0.0.1", port=box.port, MAIL_USE_TLS=False)
        body = {"username": "ada", "password": PASSWORD}
        server.http.post("/api/recover/2fa/lost", json=body)
        body = {"reset_token": box.token()}
    assert server.http.post("/api/recover/2fa/reset", json=body).status_code == 200
    assert ask(server, here["access_token"]).status_code == 401
    assert renew(server, here).status_code == 401


def test_the_tokens_of_a_deleted_user_end(server: Any, ada: int) -> None:
    tokens = login(server)
    assert server.root().delete(f"/user/{ada}").status_code == 200
    assert ask(server, tokens["access_token"]).json()["msg"] == f"Error loading the user {ada}"
    assert renew(server, tokens).status_code == 401
    # And nobody else ever gets that id.
    assert server.user(server.organization()).id > ada


def test_other_people_and_nodes_are_not_concerned(server: Any, ada: int) -> None:
    organization = server.organization()
    node = server.node(organization, server.collaboration(organization))
    eve = server.user(organization)
    change(server, login(server), PASSWORD, NEW)
    assert eve.get("/rule").status_code == 200
    assert node.get(f"/node/{node.id}").status_code == 200
    # The contract: a new API key leaves the node's tokens alone.
    assert server.root().post("/recover/node", id=node.id).status_code == 200
    assert node.get(f"/node/{node.id}").status_code == 200


def test_a_token_from_before_this_was_known_is_one_of_the_first_generation(
    server: Any, ada: int
) -> None:
    import jwt

    claims = jwt.decode(login(server)["access_token"], options={"verify_signature": False})
    del claims["generation"], claims["sid"]
    old = jwt.encode(claims, server.services.tokens._secret, algorithm="HS256")
    assert ask(server, old).status_code == 200
    change(server, login(server), PASSWORD, NEW)
    assert ask(server, old).status_code == 401


def test_another_process_knows_at_once_and_without_asking_more(server: Any, ada: int) -> None:
    """What ends tokens is in the row that is read anyway; nothing is remembered in a process."""
    elsewhere = login(server)["access_token"]
    with server.statements() as before:
        ask(server, elsewhere)
    change(server, login(server), PASSWORD, NEW)
    other = Tokens(server.services.tokens._secret)
    server.services.tokens, mine = other, server.services.tokens
    try:
        with server.statements() as after:
            assert ask(server, elsewhere).status_code == 401
    finally:
        server.services.tokens = mine
    assert len(after) <= len(before)


def test_a_login_under_way_when_the_password_changes_comes_to_nothing(
    server: Any, ada: int
) -> None:
    """Tokens carry the generation that was true when the password was."""
    tokens = login(server)
    stale = server.services.tokens.issue(Kind.USER, ada, generation=0)[0]
    change(server, tokens, PASSWORD, NEW)
    assert ask(server, stale).status_code == 401
