"""The routes below ``/collaboration``, except nodes (``test_node.py``)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from vantage6.server.model.tables import (
    Authenticatable,
    Collaboration,
    Node,
    Payload,
    Run,
    Study,
    Task,
    User,
    member,
)


def test_a_collaboration_is_shown_as_the_contract_says(server: Any) -> None:
    organization = server.organization()
    id_ = server.collaboration(organization, name="lungs", encrypted=True)
    assert server.root().get(f"/collaboration/{id_}").json() == {
        "id": id_,
        "name": "lungs",
        "encrypted": True,
        "organizations": f"/api/organization?collaboration_id={id_}",
        "nodes": f"/api/node?collaboration_id={id_}",
        "tasks": f"/api/task?collaboration_id={id_}",
        "studies": f"/api/study?collaboration_id={id_}",
        "algorithm_stores": f"/api/algorithmstore?collaboration_id={id_}",
    }


def test_creating_answers_200_and_drops_unknown_organizations(server: Any) -> None:
    root = server.root()
    one, two = server.organization(), server.organization()
    answer = root.post(
        "/collaboration", name="new", organization_ids=[two, 9999, one], encrypted=False
    )
    assert answer.status_code == 200
    assert answer.json()["encrypted"] is False
    assert root.ids("/organization", collaboration_id=answer.json()["id"]) == [one, two]


def test_a_taken_name_is_refused_before_rights_are_looked_at(server: Any) -> None:
    organization = server.organization()
    server.collaboration(organization, name="taken")
    nobody = server.user(organization)
    body = {"organization_ids": [organization], "encrypted": True}
    assert nobody.post("/collaboration", name="taken", **body).status_code == 400
    assert nobody.post("/collaboration", name="free", **body).status_code == 401


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "123"}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": None}, "name"),
        ({"organization_ids": []}, "organization_ids"),
        ({"organization_ids": [1, 1]}, "organization_ids"),
        ({"organization_ids": [0]}, "organization_ids"),
        ({"organization_ids": [1, "x"]}, "organization_ids"),
        ({"encrypted": None}, "encrypted"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_bad_body_is_refused_with_a_text_for_the_field(
    server: Any, change: dict[str, Any], field: str
) -> None:
    body = {"name": "new", "organization_ids": [1], "encrypted": True, **change}
    answer = server.root().post("/collaboration", **body)
    assert answer.status_code == 400
    assert answer.json()["msg"] == "Request body is incorrect"
    assert list(answer.json()["errors"]) == [field]


def test_errors_in_a_list_are_told_by_index(server: Any) -> None:
    body = {"name": "new", "organization_ids": [1, "x"], "encrypted": True}
    errors = server.root().post("/collaboration", **body).json()["errors"]
    assert list(errors["organization_ids"]) == ["1"]
    assert isinstance(errors["organization_ids"]["1"][0], str)


def test_lists_are_filtered_by_name_encryption_and_organization(server: Any) -> None:
    one, two = server.organization(), server.organization()
    lungs = server.collaboration(one, name="lungs", encrypted=True)
    heart = server.collaboration(one, two, name="heart")
    root = server.root()
    assert root.ids("/collaboration") == [lungs, heart]
    assert root.ids("/collaboration", name="lun%") == [lungs]
    assert root.ids("/collaboration", name="lun") == []
    for yes, no in (("True", "False"), ("true", "false"), ("1", "0")):
        assert root.ids("/collaboration", encrypted=yes) == [lungs]
        assert root.ids("/collaboration", encrypted=no) == [heart]
    assert root.ids("/collaboration", organization_id=two) == [heart]
    assert root.ids("/collaboration", organization_id=9999) == []
    assert root.ids("/collaboration", sort="name") == [heart, lungs]
    assert root.ids("/collaboration", sort="-name") == [lungs, heart]


def test_there_are_no_stores_to_filter_by_yet(server: Any) -> None:
    assert server.root().get("/collaboration", algorithm_store_id=1).status_code == 404


@pytest.mark.parametrize("include", ["organizations", "tasks,organizations", "organizations,"])
def test_organizations_are_included_on_request(server: Any, include: str) -> None:
    one, two = server.organization(), server.organization()
    both = server.collaboration(one, two)
    empty = server.collaboration()
    root = server.root()
    shown = root.get("/collaboration", include=include).json()["data"]
    assert [[item["id"] for item in row["organizations"]] for row in shown] == [[one, two], []]
    assert shown[0]["organizations"][0] == root.get(f"/organization/{one}").json()
    single = root.get(f"/collaboration/{both}", include=include).json()
    assert [item["id"] for item in single["organizations"]] == [one, two]
    assert root.get(f"/collaboration/{empty}", include=include).json()["organizations"] == []


def test_updating_changes_only_what_is_given(server: Any) -> None:
    one, two = server.organization(), server.organization()
    id_ = server.collaboration(one, name="old", encrypted=True)
    root = server.root()
    assert root.patch(f"/collaboration/{id_}", name="new").json()["encrypted"] is True
    assert root.patch(f"/collaboration/{id_}", encrypted=False).json()["name"] == "new"
    assert root.ids("/organization", collaboration_id=id_) == [one]
    root.patch(f"/collaboration/{id_}", organization_ids=[two, 9999])
    assert root.ids("/organization", collaboration_id=id_) == [two]
    assert root.patch(f"/collaboration/{id_}", name="new").status_code == 200


def test_a_collaboration_cannot_take_anothers_name(server: Any) -> None:
    organization = server.organization()
    server.collaboration(organization, name="taken")
    id_ = server.collaboration(organization)
    answer = server.root().patch(f"/collaboration/{id_}", name="taken")
    assert answer.status_code == 400
    assert "taken" in answer.json()["msg"]


def test_a_member_with_scope_collaboration_adds_any_organization_one_by_one(server: Any) -> None:
    own, other = server.organization(), server.organization()
    id_ = server.collaboration(own)
    member_ = server.user(own, "collaboration EDIT COLLABORATION")
    answer = member_.post(f"/collaboration/{id_}/organization", id=other)
    assert answer.status_code == 200
    assert [item["id"] for item in answer.json()] == [own, other]
    assert answer.json()[1] == server.root().get(f"/organization/{other}").json()
    again = member_.post(f"/collaboration/{id_}/organization", id=other)
    assert again.json() == answer.json()
    assert member_.patch(f"/collaboration/{id_}", organization_ids=[own]).status_code == 401


def test_removing_an_organization_leaves_its_node_study_and_tasks(server: Any) -> None:
    own, other = server.organization(), server.organization()
    id_ = server.collaboration(own, other)
    node = server.node(other, id_)
    study = server.study(id_, other)
    task = server.task(id_, other)
    root = server.root()
    answer = root.delete(f"/collaboration/{id_}/organization", id=other)
    assert answer.status_code == 200
    assert [item["id"] for item in answer.json()] == [own]
    assert root.get(f"/node/{node.id}").json()["collaboration"]["id"] == id_
    assert root.get(f"/task/{task}").status_code == 200
    assert root.ids("/organization", study_id=study) == [other]
    assert root.delete(f"/collaboration/{id_}/organization", id=other).status_code == 404


def test_members_that_do_not_exist_are_not_found(server: Any) -> None:
    root = server.root()
    id_ = server.collaboration(server.organization())
    assert root.post(f"/collaboration/{id_}/organization", id=9999).status_code == 404
    assert root.delete(f"/collaboration/{id_}/organization", id=9999).status_code == 404
    assert root.post("/collaboration/9999/organization", id=1).status_code == 404


@pytest.mark.parametrize("dependent", ["task", "node", "study"])
@pytest.mark.parametrize("flag", [None, "False", "false", "0", ""])
def test_a_collaboration_with_dependents_stays_unless_asked_for_all(
    server: Any, dependent: str, flag: str | None
) -> None:
    organization = server.organization()
    id_ = server.collaboration(organization)
    if dependent == "task":
        server.task(id_, organization)
    elif dependent == "node":
        server.node(organization, id_)
    else:
        server.study(id_, organization)
    params = {} if flag is None else {"delete_dependents": flag}
    answer = server.root().delete(f"/collaboration/{id_}", params=params)
    assert answer.status_code == 400
    assert "delete_dependents" in answer.json()["msg"]


def test_deleting_with_dependents_leaves_nothing_of_it_and_everything_else(server: Any) -> None:
    organization = server.organization()
    doomed, kept = server.collaboration(organization), server.collaboration(organization)
    for id_ in (doomed, kept):
        server.node(organization, id_)
        study = server.study(id_, organization)
        task = server.task(id_, organization, runs={organization: "active"}, study_id=study)
        server.task(id_, organization, parent_id=task)
    root = server.root(organization)
    answer = root.delete(f"/collaboration/{doomed}", params={"delete_dependents": "True"})
    assert answer.status_code == 200
    assert str(doomed) in answer.json()["msg"]
    counts = {
        table: server.rows(select(func.count()).select_from(table))[0]
        for table in (Collaboration, member, Node.__table__, Study, Task, Run, Payload)
    }
    assert list(counts.values()) == [1, 1, 1, 1, 2, 2, 2]
    orphans = select(Authenticatable.__table__.c.id).where(
        Authenticatable.__table__.c.id.not_in(
            select(User.__table__.c.id).union_all(select(Node.__table__.c.id))
        )
    )
    assert server.rows(orphans) == []
