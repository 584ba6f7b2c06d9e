"""The routes below ``/study``."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from vantage6.server.model.tables import Run, Study, Task, study_member


@pytest.fixture
def collaboration(server: Any) -> tuple[int, int, int]:
    """A collaboration and the two organizations in it."""
    one, two = server.organization(), server.organization()
    return server.collaboration(one, two), one, two


def test_a_study_is_shown_as_the_contract_says(
    server: Any, collaboration: tuple[int, int, int]
) -> None:
    id_, one, _ = collaboration
    study = server.study(id_, one, name="smokers")
    assert server.root().get(f"/study/{study}").json() == {
        "id": study,
        "name": "smokers",
        "collaboration": {
            "id": id_,
            "link": f"/api/collaboration/{id_}",
            "methods": ["GET", "PATCH", "DELETE"],
        },
        "organizations": f"/api/organization?study_id={study}",
        "tasks": f"/api/task?study_id={study}",
    }


def test_creating_answers_the_study_with_its_organizations(
    server: Any, collaboration: tuple[int, int, int]
) -> None:
    id_, one, two = collaboration
    answer = server.root().post(
        "/study", name="new", collaboration_id=id_, organization_ids=[two, one]
    )
    assert answer.status_code == 201
    assert [item["id"] for item in answer.json()["organizations"]] == [one, two]
    assert answer.json()["organizations"][0]["name"]


def test_checks_come_in_the_order_of_the_contract(
    server: Any, collaboration: tuple[int, int, int]
) -> None:
    id_, one, _ = collaboration
    server.study(id_, one, name="taken")
    stranger = server.organization()
    nobody, root = server.user(one), server.root()
    body = {"collaboration_id": id_, "organization_ids": [stranger]}
    assert nobody.post("/study", name="taken", **body).status_code == 400
    assert nobody.post("/study", name="free", **body).status_code == 401
    answer = root.post("/study", name="free", **body)
    assert answer.status_code == 400
    assert str(stranger) in answer.json()["msg"]
    body["collaboration_id"] = 9999
    assert nobody.post("/study", name="free", **body).status_code == 401
    assert root.post("/study", name="free", **body).status_code == 404


def test_lists_are_filtered_by_name_organization_and_collaboration(
    server: Any, collaboration: tuple[int, int, int]
) -> None:
    id_, one, two = collaboration
    first = server.study(id_, one, name="first")
    second = server.study(id_, one, two, name="second")
    other = server.study(server.collaboration(one), one, name="other")
    root = server.root()
    assert root.ids("/study") == [first, second, other]
    assert root.ids("/study", name="%ir%") == [first]
    assert root.ids("/study", organization_id=two) == [second]
    assert root.ids("/study", collaboration_id=id_) == [first, second]
    assert root.ids("/study", collaboration_id=id_, organization_id=one, name="s%") == [second]
    assert root.ids("/study", sort="-name") == [second, other, first]


def test_organizations_are_included_on_request(
    server: Any, collaboration: tuple[int, int, int]
) -> None:
    id_, one, two = collaboration
    first, second = server.study(id_, one, two), server.study(id_, two)
    root = server.root()
    shown = root.get("/study", include="organizations").json()["data"]
    assert [[item["id"] for item in row["organizations"]] for row in shown] == [[one, two], [two]]
    single = root.get(f"/study/{second}", include="organizations").json()
    assert [item["id"] for item in single["organizations"]] == [two]
    assert isinstance(root.get(f"/study/{first}").json()["organizations"], str)


def test_updating_changes_name_and_members_but_never_the_collaboration(
    server: Any, collaboration: tuple[int, int, int]
) -> None:
    id_, one, two = collaboration
    study = server.study(id_, one, name="old")
    server.study(id_, one, name="taken")
    root = server.root()
    other = server.collaboration(one)
    answer = root.patch(f"/study/{study}", name="new", collaboration_id=other)
    assert answer.status_code == 200
    assert answer.json()["collaboration"]["id"] == id_
    assert [item["id"] for item in answer.json()["organizations"]] == [one]
    answer = root.patch(f"/study/{study}", organization_ids=[two])
    assert [item["id"] for item in answer.json()["organizations"]] == [two]
    assert answer.json()["name"] == "new"
    stranger = server.organization()
    assert root.patch(f"/study/{study}", organization_ids=[two, stranger]).status_code == 400
    assert root.patch(f"/study/{study}", name="taken").status_code == 400
    assert root.patch(f"/study/{study}", name=None).status_code == 400
    assert root.ids("/organization", study_id=study) == [two]


def test_members_are_added_and_removed_one_by_one(
    server: Any, collaboration: tuple[int, int, int]
) -> None:
    id_, one, two = collaboration
    study = server.study(id_, one)
    root = server.root()
    for _ in range(2):
        answer = root.post(f"/study/{study}/organization", id=two)
        assert answer.status_code == 200
        assert [item["id"] for item in answer.json()] == [one, two]
    answer = root.delete(f"/study/{study}/organization", id=one)
    assert answer.status_code == 200
    assert [item["id"] for item in answer.json()] == [two]
    assert root.delete(f"/study/{study}/organization", id=one).status_code == 404
    stranger = server.organization()
    assert root.post(f"/study/{study}/organization", id=stranger).status_code == 400
    assert root.post(f"/study/{study}/organization", id=9999).status_code == 404
    assert root.post("/study/9999/organization", id=one).status_code == 404


def test_a_study_with_tasks_stays_unless_asked_for_all(
    server: Any, collaboration: tuple[int, int, int]
) -> None:
    id_, one, _ = collaboration
    study = server.study(id_, one)
    task = server.task(id_, one, study_id=study, runs={one: "active"})
    # A subtask need not name the study.
    server.task(id_, one, parent_id=task, runs={one: "active"})
    kept = server.task(id_, one)
    root = server.root()
    assert root.delete(f"/study/{study}").status_code == 400
    assert root.delete(f"/study/{study}", params={"delete_dependents": "true"}).status_code == 200
    assert server.rows(select(Task.id)) == [kept]
    assert server.rows(select(Run.task_id)) == [kept]
    assert server.rows(select(func.count()).select_from(study_member)) == [0]
    assert server.rows(select(Study.id)) == []


def test_an_unknown_study_filters_organizations_with_404_and_nodes_with_400(server: Any) -> None:
    root = server.root()
    assert root.get("/organization", study_id=9999).status_code == 404
    assert root.get("/node", study_id=9999).status_code == 400
