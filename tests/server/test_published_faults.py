"""Faults that were published about the reference implementation, one test or more for each.

Injection by the environment of algorithms is the node's part: names and values come from the node's
own configuration and labels it knows (``tests/node/test_data.py``).
"""

from __future__ import annotations

import base64
import json
import statistics
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import uvicorn

from vantage6.server.app import Application
from vantage6.server.auth.passwords import hash_password
from vantage6.server.auth.tokens import new_secret
from vantage6.server.config import ConfigurationError, ServerConfig

PASSWORD, NEW = "Correct-horse-1", "Battery-staple-2"


@pytest.fixture
def ada(server: Any) -> Any:
    return server.user(
        server.organization(),
        username="ada",
        email="ada@example.org",
        password=hash_password(PASSWORD),
        otp_secret="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    )


def login(server: Any, username: str, password: str) -> Any:
    body = {"username": username, "password": password}
    return server.http.post("/api/token/user", json=body)


# -- a secret for signing tokens that can be guessed ------------------------------------------


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("short", "fewer than 32 characters"),
        ("abc" * 20, "too few different characters"),
        (str(uuid.uuid1()), "can be guessed"),
        (uuid.uuid1().hex, "can be guessed"),
    ],
    ids=["short", "monotonous", "by time", "by time, in hexadecimal"],
)
def test_a_weak_signing_secret_is_refused_with_the_way_to_a_better_one(
    tmp_path: Path, secret: str, says: str
) -> None:
    file = tmp_path / "server.yaml"
    file.write_text(f"port: 7601\njwt_secret_key: {json.dumps(secret)}\n")
    with pytest.raises(ConfigurationError, match=says) as refused:
        ServerConfig.load(file)
    assert "jwt_secret_key" in str(refused.value)
    assert "secrets.token_hex(32)" in str(refused.value)
    assert secret not in str(refused.value)


def test_a_secret_that_the_server_makes_itself_is_random() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(len(bytes.fromhex(secret)) == 32 for secret in made)
    for good in (new_secret(), str(uuid.uuid4())):
        assert ServerConfig(jwt_secret_key=good).jwt_secret_key == good


# -- guessing the password where it is changed -------------------------------------------------


def test_changing_the_password_is_locked_out_like_logging_in(server: Any, ada: Any) -> None:
    def change(current: str) -> Any:
        return ada.patch("/password/change", current_password=current, new_password=NEW)

    for _ in range(5):
        assert change("Wrong-one-9").status_code == 401
    assert change(PASSWORD).status_code == 401
    assert login(server, "ada", PASSWORD).status_code == 401
    for _ in range(100):
        answer = change("Wrong-one-9")
        if answer.status_code == 429:
            break
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)


# -- a collaboration's administrator who makes himself more ------------------------------------


def test_a_collaboration_administrator_cannot_promote_himself(server: Any) -> None:
    organization, other = server.organization(), server.organization()
    server.collaboration(organization, other)
    admin_role = server.default_role("Collaboration Admin")
    admin = server.user(organization, roles=[admin_role])
    root, forbidden = server.default_role("Root"), server.rule("organization CREATE GLOBAL")
    own = server.role(organization, "task VIEW ORGANIZATION")
    held = set(admin.ids("/rule", user_id=admin.id, no_pagination=1))
    accomplice = server.user(organization)

    for path, change in (
        (f"/user/{admin.id}", {"roles": [admin_role, root]}),
        (f"/user/{admin.id}", {"rules": [forbidden]}),
        (f"/user/{admin.id}", {"rules": [server.rule("task VIEW ORGANIZATION")]}),
        (f"/user/{accomplice.id}", {"roles": [root]}),
        (f"/user/{accomplice.id}", {"rules": [forbidden]}),
        (f"/role/{own}", {"rules": [forbidden]}),
        (f"/role/{admin_role}", {"rules": [forbidden]}),
    ):
        assert admin.patch(path, **change).status_code in (400, 401), (path, change)
    person = {"username": "puppet", "email": "puppet@example.org", "password": NEW}
    for path, body in (
        ("/user", {**person, "roles": [root]}),
        ("/user", {**person, "rules": [forbidden]}),
        ("/role", {"name": "r", "description": "", "rules": [forbidden]}),
        (f"/role/{own}/rule/{forbidden}", {}),
        (f"/role/{admin_role}/rule/{forbidden}", {}),
    ):
        assert admin.post(path, **body).status_code in (400, 401), (path, body)
    # Nor by moving into another organization.
    admin.patch(f"/user/{admin.id}", organization_id=other)
    shown = admin.get(f"/user/{admin.id}").json()
    assert shown["organization"]["id"] == organization
    assert set(admin.ids("/rule", user_id=admin.id, no_pagination=1)) == held
    assert admin.post("/organization", name="mine").status_code == 401


# -- finding out who has an account ------------------------------------------------------------


def test_neither_login_nor_recovery_says_who_has_an_account(server: Any, ada: Any) -> None:
    for path, known, unknown in (
        (
            "/token/user",
            {"username": "ada", "password": "Wrong-one-9"},
            {"username": "nobody", "password": "Wrong-one-9"},
        ),
        ("/recover/lost", {"username": "ada"}, {"username": "nobody"}),
        ("/recover/lost", {"email": "ada@example.org"}, {"email": "nobody@example.org"}),
        (
            "/recover/2fa/lost",
            {"username": "ada", "password": "Wrong-one-9"},
            {"username": "nobody", "password": "Wrong-one-9"},
        ),
        (
            "/recover/2fa/lost",
            {"email": "ada@example.org", "password": "Wrong-one-9"},
            {"email": "nobody@example.org", "password": "Wrong-one-9"},
        ),
    ):
        answers = [server.http.post(f"/api{path}", json=body) for body in (known, unknown)]
        assert len({(answer.status_code, answer.text) for answer in answers}) == 1, path


def test_recovery_looks_for_the_account_only_after_the_answer(server: Any, ada: Any) -> None:
    """So that no time can tell; with a mail server or without."""
    for username in ("ada", "nobody"):
        with server.statements() as statements:
            server.http.post("/api/recover/lost", json={"username": username})
        assert statements == []


def test_the_time_of_a_login_does_not_say_who_has_an_account(server: Any, ada: Any) -> None:
    """The work is counted exactly in `test_login.py`; this looks at the clock."""
    times: dict[str, list[float]] = {"ada": [], "nobody": []}
    server.services.config.password_policy.max_failed_attempts = 1000
    for _ in range(12):
        for username, measured in times.items():
            start = time.perf_counter()
            assert login(server, username, "Wrong-one-9").status_code == 401
            measured.append(time.perf_counter() - start)
    known, unknown = (min(measured) for measured in times.values())
    # Without the hash for nobody, one of them would be ten times as fast.
    assert 0.4 < unknown / known < 2.5, times


# -- secrets of one-time codes in the list of users --------------------------------------------


def test_nobody_is_shown_the_secret_of_anybodys_one_time_codes(server: Any, ada: Any) -> None:
    root = server.root()
    for answer in (
        root.get("/user", per_page=100),
        root.get(f"/user/{ada.id}", include_permissions="true"),
        ada.get(f"/user/{ada.id}"),
        root.patch(f"/user/{ada.id}", firstname="Ada"),
    ):
        assert answer.status_code == 200
        assert "JBSWY3DP" not in answer.text
        content = answer.json()
        for user in content.get("data", [content]):
            assert user["otp_secret"] is None
            assert not {"password", "failed_login_attempts", "token_generation"} & set(user)


# -- guessers who keep everybody else waiting --------------------------------------------------


def test_clients_with_wrong_passwords_do_not_stall_the_others(databases: Any) -> None:
    """Eight hammer a real server without pause; what others ask stays fast, and logins work."""
    app = Application(
        ServerConfig(
            uri=databases.prepared(),
            rate_limits={"failures_per_address": 10**6, "failures_per_account": 10**6},
        )
    )
    running = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    url = f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}/api"
    stop, tried = threading.Event(), []

    def guess(number: int) -> None:
        with httpx.Client(timeout=60) as http:
            while not stop.is_set():
                body = {"username": f"user{number}", "password": "Wrong-one-9"}
                tried.append(http.post(f"{url}/token/user", json=body).status_code)

    def ask(http: httpx.Client, token: str, times: int) -> float:
        measured = []
        for _ in range(times):
            start = time.perf_counter()
            answer = http.get(f"{url}/user/1", headers={"Authorization": f"Bearer {token}"})
            measured.append(time.perf_counter() - start)
            assert answer.status_code == 200
        return statistics.median(measured)

    guessers = [threading.Thread(target=guess, args=(number,)) for number in range(8)]
    try:
        with httpx.Client(timeout=60) as http:
            body = {"username": "root", "password": "a password of root, 1"}
            token = http.post(f"{url}/token/user", json=body).json()["access_token"]
            calm = ask(http, token, 50)
            for guesser in guessers:
                guesser.start()
            while len(tried) < 8:
                time.sleep(0.01)
            busy = ask(http, token, 50)
            assert "access_token" in http.post(f"{url}/token/user", json=body).json()
    finally:
        stop.set()
        for guesser in guessers:
            guesser.join(60)
        running.should_exit = True
        thread.join(60)
    assert set(tried) == {401}
    print(f"median of GET /user/1: {calm * 1000:.1f} ms, meanwhile {busy * 1000:.1f} ms")
    # One hash takes 80 ms: whoever waited for the guessers' would wait for at least that.
    assert busy < max(0.08, 20 * calm), (calm, busy)


# -- a first password that everybody knows, and that stays -------------------------------------


def test_root_does_not_have_the_password_that_everybody_knows(server: Any) -> None:
    """That a made-up one is to be changed: `test_start.py`."""
    for password in ("root", "", "admin", "password"):
        assert login(server, "root", password).status_code in (400, 401)


# -- input that is not encrypted where it must be ----------------------------------------------


@pytest.mark.parametrize(
    "readable",
    [
        base64.b64encode(b'{"method": "m"}').decode(),
        base64.encodebytes(b'{"method": "m", "kwargs": {"patient": "Ada"}}' * 9).decode(),
        '{"method": "m"}',
        '{"method": "me"}',
        '{"patient": "Ünal, born 1971"}',
        "",
    ],
    ids=["base64", "lines of base64", "text", "text of another length", "no ASCII", "empty"],
)
def test_input_that_can_be_read_is_refused_in_an_encrypted_collaboration(
    server: Any, readable: str
) -> None:
    organization = server.organization()
    collaboration = server.collaboration(organization, encrypted=True)
    server.node(organization, collaboration)
    answer = server.root(organization).post(
        "/task",
        image="image",
        name="task",
        collaboration_id=collaboration,
        organizations=[{"id": organization, "input": readable}],
    )
    assert answer.status_code == 400, answer.text
    assert server.root(organization).ids("/task") == []


# -- a parent that is believed, and lets an image run that is not allowed ----------------------


def test_nobody_names_the_parent_of_a_task(server: Any) -> None:
    """It follows from the container's token, which the server signed."""
    organization = server.organization()
    collaboration = server.collaboration(organization)
    node = server.node(organization, collaboration)
    user = server.root(organization)
    task = server.task(collaboration, organization, user.id, runs={organization: "active"})
    other = server.task(collaboration, organization, user.id, runs={organization: "active"})
    container = server.container(node, organization, collaboration, task)
    body = {
        "image": "image",
        "name": "subtask",
        "collaboration_id": collaboration,
        "organizations": [{"id": organization, "input": "e30="}],
    }
    for key in ("parent_id", "parent", "init_user_id", "job_id"):
        for caller in (user, container):
            refused = caller.post("/task", **{**body, key: other})
            assert (refused.status_code, key in refused.json()["errors"]) == (400, True)
    evil = container.post("/task", **{**body, "image": "evil"})
    assert (evil.status_code, "image" in evil.json()["msg"]) == (401, True)
    assert container.post("/task", **body).json()["parent"]["id"] == task
    assert user.post("/task", **body).json()["parent"] is None
