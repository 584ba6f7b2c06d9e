"""The routes below ``/organization``."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from sqlalchemy import func, select

from vantage6.server.model.tables import (
    Authenticatable,
    Node,
    Organization,
    Role,
    Run,
    Task,
    User,
    member,
    study_member,
)

KEY = base64.b64encode(b"-----BEGIN PUBLIC KEY-----\n...").decode()


def test_an_organization_is_shown_as_the_contract_says(server: Any) -> None:
    id_ = server.organization("Utrecht", domain="uu.nl", country="NL", public_key=b"key")
    assert server.root().get(f"/organization/{id_}").json() == {
        "id": id_,
        "name": "Utrecht",
        "domain": "uu.nl",
        "address1": None,
        "address2": None,
        "zipcode": None,
        "country": "NL",
        "public_key": base64.b64encode(b"key").decode(),
        "collaborations": f"/api/collaboration?organization_id={id_}",
        "nodes": f"/api/node?organization_id={id_}",
        "users": f"/api/user?organization_id={id_}",
        "tasks": f"/api/task?init_org_id={id_}",
        "runs": f"/api/run?organization_id={id_}",
        "studies": f"/api/study?organization_id={id_}",
    }


def test_what_is_not_given_is_empty_but_the_second_address_line_is_null(server: Any) -> None:
    answer = server.root().post("/organization", name="new")
    assert answer.status_code == 201
    shown = answer.json()
    assert (shown["address1"], shown["country"], shown["domain"]) == ("", "", "")
    assert (shown["address2"], shown["public_key"]) == (None, "")


def test_a_public_key_comes_back_as_it_was_sent(server: Any) -> None:
    root = server.root()
    assert root.post("/organization", name="new", public_key=KEY).json()["public_key"] == KEY
    own = root.get(f"/user/{root.id}").json()["organization"]["id"]
    assert root.patch(f"/organization/{own}", public_key=KEY).json()["public_key"] == KEY
    assert root.get(f"/organization/{own}").json()["public_key"] == KEY


def test_keys_for_authenticated_encryption_come_back_and_are_the_members_own(server: Any) -> None:
    root, keys = server.root(), "v6a1:" + KEY
    own = root.get(f"/user/{root.id}").json()["organization"]["id"]
    answer = root.patch(f"/organization/{own}", authenticated_keys=keys)
    assert answer.json()["authenticated_keys"] == keys
    assert root.get(f"/organization/{own}").json()["authenticated_keys"] == keys
    assert root.patch(f"/organization/{own}", country="NL").json()["authenticated_keys"] == keys
    emptied = root.patch(f"/organization/{own}", authenticated_keys="")
    assert "authenticated_keys" not in emptied.json()
    other = server.organization("Utrecht")
    refused = root.patch(f"/organization/{other}", authenticated_keys=keys)
    assert refused.status_code == 401
    assert "Only members" in refused.json()["msg"]
    for bad in ("x" * 257, "with space", "line\n", None):
        assert root.patch(f"/organization/{own}", authenticated_keys=bad).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "42"},
        {"name": None},
        {"name": "x" * 129},
        {"name": "new", "country": "x" * 129},
        {"name": "new", "public_key": "not base64!"},
        {"name": "new", "unknown": 1},
        {"name": "taken"},
    ],
)
def test_a_bad_body_is_refused(server: Any, body: dict[str, Any]) -> None:
    server.organization("taken")
    assert server.root().post("/organization", **body).status_code == 400


def test_lists_are_filtered_by_name_country_and_ids(server: Any) -> None:
    one = server.organization("Utrecht", country="NL")
    two = server.organization("Gent", country="BE")
    root = server.root(two)
    assert root.ids("/organization", name="%e%t") == [one, two]
    assert root.ids("/organization", name="Gent") == [two]
    assert root.ids("/organization", country="NL") == [one]
    assert root.ids("/organization", ids=[one, two]) == [one, two]
    assert root.ids("/organization", ids=f"{one},{two}") == [one, two]
    assert root.ids("/organization", ids=one) == [one]
    assert root.get("/organization", ids="x").status_code == 400
    assert root.get("/organization", ids="9" * 30).status_code == 400


def test_updating_changes_only_what_is_given(server: Any) -> None:
    id_ = server.organization("old", country="NL")
    server.organization("taken")
    root = server.root()
    assert root.patch(f"/organization/{id_}", name="new").json()["country"] == "NL"
    assert root.patch(f"/organization/{id_}", name="taken").status_code == 400
    assert root.patch(f"/organization/{id_}", name=None).status_code == 400
    assert root.patch("/organization/9999", name="x").status_code == 404


@pytest.mark.parametrize("dependent", ["run", "task", "node", "user", "role"])
def test_an_organization_with_dependents_stays_unless_asked_for_all(
    server: Any, dependent: str
) -> None:
    id_, other = server.organization(), server.organization()
    collaboration = server.collaboration(id_, other)
    {
        "run": lambda: server.task(collaboration, other, runs={id_: "completed"}),
        "task": lambda: server.task(collaboration, id_, runs={other: "completed"}),
        "node": lambda: server.node(id_, collaboration),
        "user": lambda: server.user(id_),
        "role": lambda: server.role(id_),
    }[dependent]()
    root = server.root()
    answer = root.delete(f"/organization/{id_}", params={"delete_dependents": "False"})
    assert answer.status_code == 400
    assert f"{dependent}s" in answer.json()["msg"]
    answer = root.delete(f"/organization/{id_}", params={"delete_dependents": "True"})
    assert answer.status_code == 200
    assert root.get(f"/organization/{id_}").status_code == 404


def test_deleting_with_dependents_leaves_nothing_of_it_and_everything_else(server: Any) -> None:
    doomed, kept = server.organization(), server.organization()
    both = server.collaboration(doomed, kept)
    server.study(both, doomed, kept)
    for id_ in (doomed, kept):
        server.node(id_, both)
        server.user(id_, roles=[server.role(id_, "task VIEW OWN")])
    server.task(both, doomed, runs={kept: "active"})
    shared = server.task(both, kept, runs={doomed: "pending", kept: "completed"})
    root = server.root(kept)
    assert root.delete(f"/organization/{doomed}?delete_dependents=1").status_code == 200
    users = User.__table__
    owners = {
        "nodes": server.rows(select(Node.__table__.c.organization_id)),
        "users": server.rows(select(users.c.organization_id).where(users.c.username != "root")),
        "roles": server.rows(select(Role.organization_id).where(~Role.is_default_role)),
        "tasks": server.rows(select(Task.init_org_id)),
        "runs": server.rows(select(Run.organization_id)),
        "members": server.rows(select(member.c.organization_id)),
        "study members": server.rows(select(study_member.c.organization_id)),
    }
    assert {name: set(ids) for name, ids in owners.items()} == {name: {kept} for name in owners}
    # Nobody waits any more for what the deleted organization owed.
    task = root.get(f"/task/{shared}").json()
    assert task["status"] == "completed"
    assert task["finished_at"] is not None
    orphans = select(func.count()).where(
        Authenticatable.__table__.c.id.not_in(
            select(users.c.id).union_all(select(Node.__table__.c.id))
        )
    )
    assert server.rows(orphans) == [0]


def test_nobody_deletes_their_own_organization(server: Any) -> None:
    root = server.root()
    own = root.get(f"/user/{root.id}").json()["organization"]["id"]
    assert root.delete(f"/organization/{own}?delete_dependents=1").status_code == 400
    assert server.rows(select(Organization.id).where(Organization.id == own)) == [own]


def test_without_the_right_even_an_unknown_organization_is_refused(server: Any) -> None:
    nobody = server.user(server.organization())
    assert nobody.delete("/organization/9999").status_code == 401
    assert server.root().delete("/organization/9999").status_code == 404
