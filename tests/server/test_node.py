"""The routes below ``/node``, nodes of a collaboration, and new API keys."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import func, select

from vantage6.server.model.tables import Authenticatable, Node


@pytest.fixture
def place(server: Any) -> tuple[int, int]:
    """An organization and a collaboration of it."""
    organization = server.organization("Utrecht")
    return organization, server.collaboration(organization, name="lungs")


def log_in(server: Any, api_key: str) -> int:
    answer = server.http.post("/api/token/node", json={"api_key": api_key})
    return int(answer.status_code)


def test_a_node_is_shown_as_the_contract_says(server: Any, place: tuple[int, int]) -> None:
    organization, collaboration = place
    node = server.node(
        organization,
        collaboration,
        name="station",
        ip="10.1.2.3",
        status="online",
        last_seen=datetime(2026, 1, 31, 12, 0, 0, 123456),  # noqa: DTZ001 (as in the database)
        config=[["encryption", "false"], ["allowed_orgs", "1"], ["allowed_orgs", "2"]],
    )
    assert server.root().get(f"/node/{node.id}").json() == {
        "id": node.id,
        "type": "node",
        "name": "station",
        "status": "online",
        "last_seen": "2026-01-31T12:00:00.123456",
        "ip": "10.1.2.3",
        "organization": {
            "id": organization,
            "link": f"/api/organization/{organization}",
            "methods": ["GET", "PATCH", "DELETE"],
        },
        "collaboration": {
            "id": collaboration,
            "link": f"/api/collaboration/{collaboration}",
            "methods": ["GET", "PATCH", "DELETE"],
        },
        "config": [
            {"key": "encryption", "value": "false"},
            {"key": "allowed_orgs", "value": "1"},
            {"key": "allowed_orgs", "value": "2"},
        ],
    }


def test_a_new_node_gets_a_name_and_a_key_that_is_shown_once_and_logs_in(
    server: Any, place: tuple[int, int]
) -> None:
    organization, collaboration = place
    admin = server.user(organization, "node CREATE ORGANIZATION", "node VIEW ORGANIZATION")
    answer = admin.post("/node", collaboration_id=collaboration)
    assert answer.status_code == 201
    node = answer.json()
    assert node["name"] == "Utrecht - lungs Node"
    assert (node["status"], node["config"], node["ip"]) == ("offline", [], None)
    key = node.pop("api_key")
    assert str(uuid.UUID(key, version=4)) == key
    assert admin.get(f"/node/{node['id']}").json() == node
    assert log_in(server, key) == 200
    assert key not in str(server.rows(select(Node.api_key_hash)))


def test_a_nodes_default_name_is_cut_to_what_a_name_may_be(server: Any) -> None:
    organization = server.organization("o" * 128)
    collaboration = server.collaboration(organization, name="c" * 128)
    answer = server.root(organization).post("/node", collaboration_id=collaboration)
    assert answer.json()["name"] == "o" * 128


def test_checks_of_a_new_node_come_in_the_order_of_the_contract(
    server: Any, place: tuple[int, int]
) -> None:
    organization, collaboration = place
    stranger = server.organization()
    nobody, root = server.user(organization), server.root(organization)
    server.node(organization, server.collaboration(organization), name="taken")

    def create(caller: Any, **body: Any) -> int:
        return int(caller.post("/node", **body).status_code)

    assert create(nobody) == 400
    assert create(nobody, collaboration_id=9999, organization_id=9999) == 404
    assert create(nobody, collaboration_id=collaboration, organization_id=9999) == 404
    assert create(nobody, collaboration_id=collaboration) == 401
    assert create(root, collaboration_id=collaboration, organization_id=stranger) == 400
    assert create(root, collaboration_id=collaboration, name="taken") == 400
    assert create(root, collaboration_id=collaboration, name="123") == 400
    assert create(root, collaboration_id=collaboration, name=None, organization_id=None) == 201
    assert create(root, collaboration_id=collaboration) == 400


def test_lists_are_filtered(server: Any, place: tuple[int, int]) -> None:
    organization, collaboration = place
    other = server.organization()
    both = server.collaboration(organization, other)
    old, new = datetime(2026, 1, 1, 12), datetime(2026, 2, 1, 12)  # noqa: DTZ001
    first = server.node(organization, collaboration, name="first", status="online", last_seen=old)
    second = server.node(organization, both, name="second", last_seen=new, ip="10.0.0.2")
    third = server.node(other, both, name="third", status=None)
    study = server.study(both, other)
    root = server.root()
    everyone = [first.id, second.id, third.id]
    assert root.ids("/node") == everyone
    assert root.ids("/node", name="%ir%") == [first.id, third.id]
    assert root.ids("/node", organization_id=organization) == [first.id, second.id]
    assert root.ids("/node", collaboration_id=both) == [second.id, third.id]
    assert root.ids("/node", study_id=study) == [third.id]
    assert root.ids("/node", status="online") == [first.id]
    assert root.ids("/node", status="offline") == [second.id]
    assert root.ids("/node", ip="10.0.0.2") == [second.id]
    assert root.ids("/node", last_seen_from="2026-02-01T12:00:00") == [second.id]
    assert root.ids("/node", last_seen_from="2026-02-01T13:30:00+01:00") == []
    assert root.ids("/node", last_seen_till="2026-02-01T13:00:00.5+01:00") == [first.id, second.id]
    assert root.ids("/node", last_seen_till="2026-01-31") == [first.id]
    assert root.ids("/node", sort="-id") == everyone[::-1]


@pytest.mark.parametrize("moment", ["yesterday", "0001-01-01T00:00:00+14:00", "2026-13-01"])
def test_what_is_no_time_is_refused(server: Any, moment: str) -> None:
    answer = server.root().get("/node", last_seen_from=moment)
    assert answer.status_code == 400
    assert "last_seen_from" in answer.json()["msg"]


def test_a_nodes_name_and_address_change(server: Any, place: tuple[int, int]) -> None:
    node = server.node(*place)
    server.node(place[0], server.collaboration(place[0]), name="taken")
    root = server.root()
    assert root.patch(f"/node/{node.id}", name="renamed").json()["name"] == "renamed"
    assert root.patch(f"/node/{node.id}", ip="2001:db8::1").json()["ip"] == "2001:db8::1"
    assert root.patch(f"/node/{node.id}", clear_ip=False).json()["ip"] == "2001:db8::1"
    assert root.patch(f"/node/{node.id}", clear_ip=True).json()["ip"] is None
    for wrong in (
        {"name": "taken"},
        {"name": None},
        {"ip": "300.1.1.1"},
        {"organization_id": place[0]},
        {"collaboration_id": place[1]},
    ):
        assert root.patch(f"/node/{node.id}", **wrong).status_code == 400
    assert root.patch(f"/node/{node.id}").json()["name"] == "renamed"


def test_deleting_a_node_leaves_its_runs(server: Any, place: tuple[int, int]) -> None:
    organization, collaboration = place
    node = server.node(*place)
    task = server.task(collaboration, organization)
    root = server.root()
    (run,) = server.runs(task)
    assert root.get(f"/run/{run}").json()["node"]["id"] == node.id
    assert root.delete(f"/node/{node.id}").status_code == 200
    assert root.get(f"/node/{node.id}").status_code == 404
    assert root.get(f"/run/{run}").json()["node"] == {}
    left = select(func.count()).where(Authenticatable.__table__.c.id == node.id)
    assert server.rows(left) == [0]


def test_an_id_is_never_given_out_twice(server: Any, place: tuple[int, int]) -> None:
    node = server.node(*place)
    root = server.root()
    newest = server.user(place[0])
    assert root.delete(f"/user/{newest.id}").status_code == 200
    assert server.user(place[0]).id > newest.id > node.id


def test_a_new_api_key_replaces_the_old_one(server: Any, place: tuple[int, int]) -> None:
    root = server.root(place[0])
    node = root.post("/node", collaboration_id=place[1]).json()
    answer = root.post("/recover/node", id=node["id"])
    assert answer.status_code == 200
    assert log_in(server, node["api_key"]) == 401
    assert log_in(server, answer.json()["api_key"]) == 200
    assert root.post("/recover/node", id=9999).status_code == 404
    assert root.post("/recover/node").status_code == 400


def test_a_node_is_moved_into_another_collaboration(server: Any, place: tuple[int, int]) -> None:
    organization, collaboration = place
    other = server.organization()
    to = server.collaboration(organization, other)
    there = server.node(other, to)
    node = server.node(*place)
    root = server.root()
    answer = root.post(f"/collaboration/{to}/node", id=node.id)
    assert answer.status_code == 201
    assert [item["id"] for item in answer.json()] == [there.id, node.id]
    assert set(answer.json()[0]) == {"id", "name", "status", "last_seen", "ip", "organization"}
    assert root.get(f"/node/{node.id}").json()["collaboration"]["id"] == to
    # Already there; back where its organization is a member; where it is none.
    assert root.post(f"/collaboration/{to}/node", id=node.id).status_code == 400
    assert root.post(f"/collaboration/{collaboration}/node", id=node.id).status_code == 201
    assert root.post(f"/collaboration/{collaboration}/node", id=there.id).status_code == 400
    assert root.post(f"/collaboration/{to}/node", id=9999).status_code == 404


def test_an_organization_has_one_node_in_a_collaboration(
    server: Any, place: tuple[int, int]
) -> None:
    server.node(*place)
    second = server.node(place[0], None)
    answer = server.root().post(f"/collaboration/{place[1]}/node", id=second.id)
    assert answer.status_code == 400
    assert "already has a node" in answer.json()["msg"]


def test_a_node_taken_out_of_a_collaboration_goes_on_to_exist(
    server: Any, place: tuple[int, int]
) -> None:
    node = server.node(*place)
    root = server.root()
    answer = root.delete(f"/collaboration/{place[1]}/node", id=node.id)
    assert answer.status_code == 200
    assert isinstance(answer.json()["msg"], str)
    assert root.get(f"/node/{node.id}").json()["collaboration"] is None
    assert root.delete(f"/collaboration/{place[1]}/node", id=node.id).status_code == 400
    assert node.ids("/task") == []
