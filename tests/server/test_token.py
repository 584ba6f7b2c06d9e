"""Logging in, renewing, and changing the password (``server.md`` 2)."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import jwt
import pytest
from sqlalchemy import update

from vantage6.server.auth.passwords import check_policy, hash_password
from vantage6.server.auth.tokens import Kind, Tokens
from vantage6.server.model.tables import Authenticatable, User

PASSWORD = "Correct-horse-1"


@pytest.fixture
def ada(server: Any) -> int:
    organization = server.organization()
    return server.user(organization, username="ada", password=hash_password(PASSWORD)).id


def login(server: Any, password: str = PASSWORD, username: str = "ada", **more: object):  # type: ignore[no-untyped-def]
    body = {"username": username, "password": password, **more}
    return server.http.post("/api/token/user", json=body)


def test_a_login_gives_tokens_and_where_to_renew_them(server: Any, ada: int) -> None:
    answer = login(server)
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"access_token", "refresh_token", "refresh_url", "user_url"}
    assert body["refresh_url"] == "/api/token/refresh"
    assert body["user_url"] == f"/api/user/{ada}"
    assert answer.headers["jwt-token"] == body["access_token"]
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert claims["sub"] == ada
    assert isinstance(claims["sub"], int)
    assert (claims["client_type"], claims["type"], claims["fresh"]) == ("user", "access", False)
    assert claims["exp"] - claims["iat"] == 6 * 3600


def test_unknown_wrong_and_blocked_look_the_same(server: Any, ada: int) -> None:
    answers = [login(server, username="nobody"), login(server, "wrong")]
    for _ in range(4):
        login(server, "wrong")
    answers.append(login(server))  # right, but blocked by now
    assert {(answer.status_code, answer.text) for answer in answers} == {
        (401, '{"msg":"Failed to login"}')
    }


def test_a_block_ends_by_itself(server: Any, ada: int) -> None:
    for _ in range(5):
        login(server, "wrong")
    assert login(server).status_code == 401
    with server.services.database.write() as db:
        user = db.get_one(User, ada)
        assert user.last_login_attempt is not None
        user.last_login_attempt -= timedelta(minutes=16)
    assert login(server).status_code == 200


def test_a_right_password_clears_the_count(server: Any, ada: int) -> None:
    for _ in range(3):
        for _ in range(4):
            login(server, "wrong")
        assert login(server).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "ada"},
        {"username": "ada", "password": ""},
        {"username": "ada", "password": "x", "more": 1},
        {"username": 1, "password": "x"},
    ],
)
def test_a_malformed_login_says_what_is_wrong(server: Any, body: dict[str, object]) -> None:
    answer = server.http.post("/api/token/user", json=body)
    assert answer.status_code == 400
    assert answer.json()["msg"] == "Request body is incorrect"
    assert answer.json()["errors"]


def test_a_node_logs_in_with_its_key(server: Any) -> None:
    organization = server.organization()
    collaboration = server.collaboration(organization)
    key = "5c9e1c3e-0d0a-4a7a-9d53-2f3f1f0f7a11"
    node = server.node(organization, collaboration, name=key)
    answer = server.http.post("/api/token/node", json={"api_key": key})
    assert answer.status_code == 200
    assert answer.json()["node_url"] == f"/api/node/{node.id}"
    unknown = server.http.post("/api/token/node", json={"api_key": key[:-1] + "2"})
    assert (unknown.status_code, unknown.json()["msg"]) == (401, "Api key is not recognized!")
    assert server.http.post("/api/token/node", json={"api_key": "x"}).status_code == 400


def test_refreshing_gives_new_tokens(server: Any, ada: int) -> None:
    tokens = login(server).json()
    headers = {"Authorization": f"Bearer {tokens['refresh_token']}"}
    renewed = server.http.post("/api/token/refresh", headers=headers)
    assert renewed.status_code == 200
    assert renewed.json()["access_token"] != tokens["access_token"]
    assert set(renewed.json()) == {"access_token", "refresh_token", "refresh_url", "user_url"}
    again = server.http.post("/api/token/refresh", headers=headers)
    assert again.status_code == 200  # the old one stays valid
    assert server.http.post("/api/token/refresh", headers=headers, json={"x": 1}).status_code == 200
    headers = {"Authorization": f"Bearer {renewed.json()['access_token']}"}
    assert server.http.get(f"/api/user/{ada}", headers=headers).status_code == 200
    access_as_refresh = server.http.post("/api/token/refresh", headers=headers)
    assert access_as_refresh.status_code == 422
    assert access_as_refresh.json()["msg"] == "Only refresh tokens are allowed"


def test_tokens_name_the_roles_renewed_ones_too(server: Any) -> None:
    server.user(
        server.organization(),
        username="eve",
        password=hash_password(PASSWORD),
        roles=[server.default_role("Researcher")],
    )
    first = login(server, username="eve").json()
    headers = {"Authorization": f"Bearer {first['refresh_token']}"}
    second = server.http.post("/api/token/refresh", headers=headers).json()
    for token in (first["access_token"], second["access_token"], second["refresh_token"]):
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["roles"] == ["Researcher"]


def test_a_refresh_token_ends_too(server: Any, ada: int) -> None:
    claims = jwt.decode(login(server).json()["refresh_token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 48 * 3600
    expired = Tokens(server.services.tokens._secret)
    expired._refresh = timedelta(seconds=-5)
    headers = {"Authorization": f"Bearer {expired.issue(Kind.USER, ada)[1]}"}
    answer = server.http.post("/api/token/refresh", headers=headers)
    assert (answer.status_code, answer.json()["msg"]) == (401, "Token has expired")


def test_bad_tokens_are_refused_as_the_contract_says(server: Any, ada: int) -> None:
    tokens = server.services.tokens
    access, refresh = tokens.issue(Kind.USER, ada)
    expired = Tokens(tokens._secret)
    expired._access = timedelta(seconds=-5)
    foreign = Tokens("another secret, of sufficient length")
    for header, status, says in (
        (None, 401, "Missing Authorization Header"),
        (access, 401, "Bearer"),
        ("Bearer nonsense", 422, "Not enough segments"),
        (f"Bearer {refresh}", 422, "Only non-refresh tokens are allowed"),
        (f"Bearer {expired.issue(Kind.USER, ada)[0]}", 401, "Token has expired"),
        (f"Bearer {foreign.issue(Kind.USER, ada)[0]}", 422, "Signature verification failed"),
        (f"Bearer {tokens.issue(Kind.USER, 999)[0]}", 401, "Error loading the user 999"),
    ):
        headers = {"Authorization": header} if header else {}
        answer = server.http.get("/api/rule", headers=headers)
        assert (answer.status_code, says in answer.json()["msg"]) == (status, True), answer.text


def test_a_token_of_the_wrong_kind_is_told_which_is_needed(server: Any) -> None:
    organization = server.organization()
    node = server.node(organization, server.collaboration(organization))
    answer = node.get("/user")
    assert answer.status_code == 401
    assert "user" in answer.json()["msg"]


@pytest.mark.parametrize(
    ("hours", "expected"), [(1, 3600), ("0.75", 2700), (0.1, 21600), ("x", 21600), (None, 21600)]
)
def test_lifetimes_come_from_the_configuration_if_they_make_sense(
    hours: object, expected: int
) -> None:
    access, _ = Tokens("s" * 32, hours).issue(Kind.USER, 1)
    claims = jwt.decode(access, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == expected


def test_the_own_password_can_be_changed(server: Any, ada: int) -> None:
    token = login(server).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}

    def change(current: str, new: str) -> int:
        body = {"current_password": current, "new_password": new}
        answer = server.http.patch("/api/password/change", json=body, headers=headers)
        assert answer.json()["msg"]
        return answer.status_code

    assert change("wrong", "Another-word-2") == 401
    assert change(PASSWORD, "weak") == 400
    assert change(PASSWORD, PASSWORD) == 400
    assert change(PASSWORD, "Another-word-2") == 200
    assert login(server).status_code == 401
    assert login(server, "Another-word-2").status_code == 200


@pytest.mark.parametrize(
    ("password", "lacks"),
    [
        ("Aa1!", "8 to 128"),
        ("Aaaaaaa!", "digit"),
        ("aaaaaa1!", "upper"),
        ("AAAAAA1!", "lower"),
        ("Aaaaaaa1", "special"),
    ],
)
def test_the_policy_names_what_a_password_lacks(password: str, lacks: str) -> None:
    with pytest.raises(ValueError, match=lacks):
        check_policy(password)


def test_an_imported_bcrypt_hash_is_verified_and_then_replaced(server: Any, ada: int) -> None:
    import bcrypt

    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    with server.services.database.write() as db:
        db.execute(update(User).where(User.id == ada).values(password=old))
    assert login(server, "wrong").status_code == 401
    assert login(server).status_code == 200
    with server.services.database.read() as db:
        assert db.get_one(User, ada).password.startswith("$argon2id$")
    assert login(server).status_code == 200


def test_an_imported_hash_that_is_none_lets_nobody_in(server: Any, ada: int) -> None:
    for broken in ("$2b$12$too-short", "", "plain"):
        with server.services.database.write() as db:
            db.execute(update(User).where(User.id == ada).values(password=broken))
        assert login(server, broken or "x").status_code == 401


def test_who_is_here_is_seen(server: Any, ada: int) -> None:
    login(server)
    server.services.presence.flush()
    with server.services.database.read() as db:
        assert db.get_one(Authenticatable, ada).last_seen is not None


def test_guessing_does_not_keep_others_waiting(server: Any, ada: int) -> None:
    """Passwords are hashed by threads of their own; with all of them busy, others are served."""
    release = threading.Event()
    busy = [server.services.hashing.submit(release.wait, 60) for _ in range(8)]
    guesses = [threading.Thread(target=login, args=(server, "wrong")) for _ in range(24)]
    try:
        for thread in guesses:
            thread.start()
        assert server.root().get("/organization").status_code == 200
        assert any(thread.is_alive() for thread in guesses)
        assert not all(future.done() for future in busy)
    finally:
        release.set()
        for thread in guesses:
            thread.join()
