"""The routes below ``/user``; granting is in ``test_granting.py``."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import func, select

from vantage6.server.auth.passwords import verify_password
from vantage6.server.model.tables import Authenticatable, Run, Task, User, user_role, user_rule

PERSON = {
    "username": "ada",
    "email": "ada@example.org",
    "password": "Passw0rd!",
    "firstname": "Ada",
    "lastname": "Lovelace",
}


def test_a_user_is_shown_as_the_contract_says_without_any_secret(server: Any) -> None:
    organization = server.organization()
    moment = datetime(2026, 1, 31, 12)  # noqa: DTZ001 (as in the database)
    user = server.user(
        organization,
        username="ada",
        firstname="Ada",
        email="ada@example.org",
        status="online",
        last_seen=moment,
        ip="10.0.0.1",
        otp_secret="JBSWY3DPEHPK3PXP",
        failed_login_attempts=3,
        last_email_failed_login_sent=moment,
    )
    assert server.root().get(f"/user/{user.id}").json() == {
        "id": user.id,
        "type": "user",
        "username": "ada",
        "firstname": "Ada",
        "lastname": None,
        "email": "ada@example.org",
        "organization": {
            "id": organization,
            "link": f"/api/organization/{organization}",
            "methods": ["GET", "PATCH", "DELETE"],
        },
        "roles": f"/api/role?user_id={user.id}",
        "rules": f"/api/rule?user_id={user.id}",
        "status": "online",
        "last_seen": "2026-01-31T12:00:00",
        "last_email_failed_login_sent": "2026-01-31T12:00:00",
        "last_email_recover_password_sent": None,
        "ip": None,
        "otp_secret": None,
    }


def test_a_new_user_can_log_in_and_belongs_to_the_creators_organization(server: Any) -> None:
    root = server.root()
    answer = root.post("/user", **PERSON, organization_id=None)
    assert answer.status_code == 201
    mine = root.get(f"/user/{root.id}").json()["organization"]["id"]
    assert answer.json()["organization"]["id"] == mine
    login = {"username": "ada", "password": PERSON["password"]}
    assert server.http.post("/api/token/user", json=login).status_code == 200
    (stored,) = server.rows(select(User.password).where(User.username == "ada"))
    assert verify_password(PERSON["password"], stored)


def test_names_of_a_new_user_are_optional(server: Any) -> None:
    body = {key: PERSON[key] for key in ("username", "email", "password")}
    answer = server.root().post("/user", **body)
    assert answer.status_code == 201
    assert (answer.json()["firstname"], answer.json()["lastname"]) == (None, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "ab"),
        ("username", "1ab"),
        ("username", "123"),
        ("username", "a b c"),
        ("username", "ada\n"),
        ("username", "a" * 129),
        ("username", None),
        ("email", "ada"),
        ("email", "ada@host"),
        ("email", "ada@example.o"),
        ("email", "ada@@example.org"),
        ("email", ".ada@example.org"),
        ("email", "ada@-example.org"),
        ("email", "ada@example.org\n"),
        ("email", "a" * 250 + "@example.org"),
        ("password", "short1!A"[:7]),
        ("password", "Password1"),
        ("password", "password1!"),
        ("password", "PASSWORD1!"),
        ("password", "Password!"),
        ("password", "Aa1!" * 33),
        ("firstname", "x" * 129),
        ("organization_id", 0),
        ("roles", [0]),
        ("rules", ["x"]),
        ("roles", None),
        ("otp_secret", "x"),
    ],
)
def test_a_bad_field_is_refused_with_a_text_for_it(server: Any, field: str, value: Any) -> None:
    answer = server.root().post("/user", **{**PERSON, field: value})
    assert answer.status_code == 400
    assert answer.json()["msg"] == "Request body is incorrect"
    assert list(answer.json()["errors"]) == [field]
    assert PERSON["password"] not in answer.text


@pytest.mark.parametrize("text", [r"\ud800", r"\u0000", r"\uffff"])
def test_text_that_no_database_holds_is_refused_or_kept_but_breaks_nothing(
    server: Any, text: str
) -> None:
    root = server.root()
    content = f'{{"name": "a{text}b"}}'.encode()
    headers = {"Authorization": f"Bearer {root.token}", "Content-Type": "application/json"}
    answer = server.http.post("/api/organization", content=content, headers=headers)
    assert answer.status_code in (201, 400)
    assert "name" in answer.json() or isinstance(answer.json()["msg"], str)
    assert root.get("/organization", name="a\0b").status_code in (200, 400)


@pytest.mark.parametrize(
    "email", ["ada@localhost", "ada.l+v6@sub.example.org", "a_b@ex-ample.co.uk", "ádá@example.org"]
)
def test_addresses_that_may_be_used_inside_a_site_pass(server: Any, email: str) -> None:
    assert server.root().post("/user", **{**PERSON, "email": email}).status_code == 201


def test_checks_of_a_new_user_come_in_the_order_of_the_contract(server: Any) -> None:
    organization = server.organization()
    nobody, root = server.user(organization), server.root()
    server.user(organization, username="taken", email="taken@example.org")
    taken_name = {**PERSON, "username": "taken"}
    taken_email = {**PERSON, "email": "taken@example.org"}
    assert nobody.post("/user", **taken_name).status_code == 400
    assert nobody.post("/user", **taken_email).status_code == 400
    assert nobody.post("/user", **PERSON, organization_id=9999).status_code == 401
    assert root.post("/user", **PERSON, organization_id=9999).status_code == 404
    assert nobody.post("/user", **PERSON).status_code == 401


def test_lists_are_filtered(server: Any) -> None:
    organization, other = server.organization(), server.organization()
    collaboration = server.collaboration(organization)
    role = server.role(other)
    old, new = datetime(2026, 1, 1, 12), datetime(2026, 2, 1, 12)  # noqa: DTZ001
    ada = server.user(
        organization, "task VIEW OWN", username="ada", firstname="Ada", email="ada@a.org"
    )
    bob = server.user(other, roles=[role], username="bob", lastname="Bee", last_seen=old)
    eve = server.user(other, username="eve", last_seen=new)
    root = server.user(other, "user VIEW GLOBAL")
    assert root.ids("/user", username="ada") == [ada.id]
    assert root.ids("/user", username="%b%") == [bob.id]
    assert root.ids("/user", firstname="A%") == [ada.id]
    assert root.ids("/user", lastname="Bee") == [bob.id]
    assert root.ids("/user", email="%@a.org") == [ada.id]
    assert root.ids("/user", organization_id=organization) == [ada.id]
    assert root.ids("/user", collaboration_id=collaboration) == [ada.id]
    assert root.ids("/user", role_id=role) == [bob.id]
    assert root.ids("/user", rule_id=server.rule("task VIEW OWN")) == [ada.id]
    assert root.ids("/user", last_seen_from="2026-01-15T00:00:00") == [eve.id]
    assert root.ids("/user", last_seen_till="2026-01-15T00:00:00") == [bob.id]
    assert root.ids("/user", sort="-username", username="___") == [eve.id, bob.id, ada.id]
    assert root.ids("/user", sort="-id")[:3] == [root.id, eve.id, bob.id]
    assert root.get("/user", role_id=9999).status_code == 400
    assert root.get("/user", rule_id=9999).status_code == 400
    assert root.get("/user", sort="password").status_code == 400


def test_what_the_page_asks_after_login(server: Any) -> None:
    organization, partner, stranger = (server.organization() for _ in range(3))
    server.collaboration(organization, partner)
    server.collaboration(stranger)
    role = server.role(organization, "task VIEW OWN", "user VIEW GLOBAL")
    user = server.user(organization, "task VIEW OWN", "node VIEW GLOBAL", roles=[role])
    plain = user.get(f"/user/{user.id}").json()
    assert "permissions" not in plain
    assert "permissions" not in user.get(f"/user/{user.id}", include_permissions="false").json()
    rules = ("node VIEW GLOBAL", "task VIEW OWN", "user VIEW GLOBAL")
    assert user.get(f"/user/{user.id}", include_permissions="true").json() == {
        **plain,
        "permissions": {
            "roles": [role],
            "rules": [server.rule(rule) for rule in rules],
            "orgs_in_collabs": [organization, partner],
        },
    }
    lonely = server.user(stranger := server.organization())
    shown = lonely.get(f"/user/{lonely.id}", include_permissions="1").json()["permissions"]
    assert shown == {"roles": [], "rules": [], "orgs_in_collabs": [stranger]}


def test_updating_changes_only_what_is_given(server: Any) -> None:
    organization = server.organization()
    user = server.user(organization, "user EDIT OWN", username="ada", email="ada@example.org")
    other = server.organization()
    before = user.get(f"/user/{user.id}").json()
    assert user.patch(f"/user/{user.id}").json() == before
    answer = user.patch(f"/user/{user.id}", firstname="Ada", organization_id=other)
    assert answer.status_code == 200
    assert answer.json() == {**before, "firstname": "Ada"}
    answer = user.patch(f"/user/{user.id}", username="countess", email="c@example.org")
    assert (answer.json()["username"], answer.json()["email"]) == ("countess", "c@example.org")


def test_a_user_is_renamed_only_by_themselves(server: Any) -> None:
    root = server.root()
    user = server.user(server.organization(), username="ada")
    assert root.patch(f"/user/{user.id}", username="bob").status_code == 400
    assert root.patch(f"/user/{user.id}", username="ada").status_code == 200
    assert root.patch(f"/user/{root.id}", username="ada").status_code == 400
    assert root.patch(f"/user/{root.id}", username="admin").json()["username"] == "admin"


@pytest.mark.parametrize(
    "change",
    [
        {"email": "taken@example.org"},
        {"email": "nonsense"},
        {"password": "Passw0rd!"},
        {"firstname": None},
        {"roles": None},
        {"unknown": 1},
    ],
)
def test_a_bad_change_is_refused(server: Any, change: dict[str, Any]) -> None:
    organization = server.organization()
    server.user(organization, email="taken@example.org")
    user = server.user(organization)
    answer = server.root().patch(f"/user/{user.id}", **change)
    assert answer.status_code == 400
    assert "Passw0rd!" not in answer.text


def test_roles_and_rules_are_replaced_as_a_whole(server: Any) -> None:
    organization = server.organization()
    one, two = server.role(organization), server.role(organization)
    user = server.user(organization, "task VIEW OWN", roles=[one])
    root = server.root()
    rule = server.rule("run VIEW OWN")
    assert root.patch(f"/user/{user.id}", roles=[two, two], rules=[rule]).status_code == 200
    assert root.ids("/role", user_id=user.id) == [two]
    assert root.ids("/rule", user_id=user.id) == [rule]
    assert root.patch(f"/user/{user.id}", roles=[]).status_code == 200
    assert root.ids("/role", user_id=user.id) == []


def test_a_user_who_created_tasks_stays_unless_asked_for_all(server: Any) -> None:
    organization, other = server.organization(), server.organization()
    collaboration = server.collaboration(organization, other)
    user = server.user(organization, "task VIEW OWN", roles=[server.role(organization)])
    keeper = server.user(organization)
    task = server.task(collaboration, organization, user.id, runs={organization: "active"})
    server.task(collaboration, other, user.id, parent_id=task, runs={other: "pending"})
    kept = server.task(collaboration, organization, keeper.id)
    root = server.root()
    answer = root.delete(f"/user/{user.id}")
    assert answer.status_code == 400
    assert "delete_dependents" in answer.json()["msg"]
    answer = root.delete(f"/user/{user.id}", params={"delete_dependents": "true"})
    assert answer.status_code == 200
    assert server.rows(select(Task.id)) == [kept]
    assert server.rows(select(Run.task_id)) == [kept]
    for table in (user_role, user_rule):
        assert server.rows(select(table).where(table.c.user_id == user.id)) == []
    left = select(func.count()).where(Authenticatable.__table__.c.id == user.id)
    assert server.rows(left) == [0]


def test_people_may_delete_their_own_account_with_the_own_scope(server: Any) -> None:
    user = server.user(server.organization(), "user DELETE OWN")
    assert user.delete(f"/user/{user.id}").status_code == 200
    assert user.get(f"/user/{user.id}").status_code == 401


def test_a_password_is_hashed_while_no_transaction_is_open(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = server.root()
    hashing, done = threading.Event(), threading.Event()

    def slow_hash(_: str) -> str:
        hashing.set()
        assert done.wait(10)
        return "hash"

    monkeypatch.setattr("vantage6.server.api.user.hash_password", slow_hash)
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(root.post("/user", **PERSON)))
    thread.start()
    try:
        assert hashing.wait(10)
        # Another writer is not kept waiting.
        assert root.post("/organization", name="meanwhile").status_code == 201
    finally:
        done.set()
        thread.join(10)
    assert answers[0].status_code == 201


def test_of_two_who_take_a_name_at_once_one_is_refused(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = server.root()
    together = threading.Barrier(2)

    def hash_together(_: str) -> str:
        together.wait(10)
        return "hash"

    monkeypatch.setattr("vantage6.server.api.user.hash_password", hash_together)
    answers: list[int] = []

    def create(email: str) -> None:
        answers.append(root.post("/user", **{**PERSON, "email": email}).status_code)

    threads = [threading.Thread(target=create, args=(f"{n}@a.org",)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answers) == [201, 400]


def test_what_still_runs_of_deleted_tasks_is_killed_even_if_its_task_has_failed(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization, other = server.organization(), server.organization()
    collaboration = server.collaboration(organization, other)
    user = server.user(organization)
    runs = {organization: "failed", other: "active"}
    task = server.task(collaboration, organization, user.id, runs=runs)
    told: list[Any] = []
    monkeypatch.setattr(server.services.events, "tell", lambda *event: told.append(event))
    _, running = server.runs(task)
    assert server.root().delete(f"/user/{user.id}?delete_dependents=1").status_code == 200
    kill_list = [{"task_id": task, "run_id": running, "organization_id": other}]
    payload = {"kill_list": kill_list, "collaboration_id": collaboration}
    rooms = [
        f"collaboration_{collaboration}",
        f"collaboration_{collaboration}_organization_{other}",
    ]
    assert told == [("kill_containers", payload, rooms)]
