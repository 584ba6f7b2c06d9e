"""``/column``: the columns of a database, from what nodes tell or from a task."""

from __future__ import annotations

from typing import Any

import pytest


class Site:
    """A collaboration of two organizations with their nodes."""

    def __init__(self, server: Any) -> None:
        self.one, self.two = server.organization(), server.organization()
        self.together = server.collaboration(self.one, self.two)
        server.node(self.one, self.together, config=[["database_labels", "default"]])
        server.node(
            self.two,
            self.together,
            config=[["columns_known", "age"], ["columns_known", "sex"], ["columns_other", "x"]],
        )
        self.user = server.user(self.one, roles=[server.default_role("Researcher")])

    def ask(self, caller: Any = None, **fields: Any) -> Any:
        body = {
            "db_label": "known",
            "collaboration_id": self.together,
            "organizations": [{"id": self.one, "input": "e30="}],
            **fields,
        }
        return (caller or self.user).post("/column", **body)


@pytest.fixture
def site(server: Any) -> Site:
    return Site(server)


def test_columns_that_a_node_tells_are_answered_at_once(site: Site) -> None:
    answer = site.ask()
    assert (answer.status_code, answer.json()) == (200, {"columns": ["age", "sex"]})
    assert site.user.ids("/task") == []


def test_columns_that_no_node_tells_are_found_by_a_task(site: Site) -> None:
    answer = site.ask(db_label="unknown", sheet_name="sheet 1", query="select 1")
    assert answer.status_code == 201, answer.text
    task = answer.json()
    assert "columns" not in task
    assert task["name"] == "get_column_names"
    assert task["image"] == "ghcr.io/vantage6/algorithm-basics:latest"
    parameters = '{"query":"select 1","sheet_name":"sheet 1"}'
    assert task["databases"] == [{"label": "unknown", "parameters": parameters}]
    assert site.user.ids("/task") == [task["id"]]


def test_columns_are_for_those_who_may_create_tasks(server: Any, site: Site) -> None:
    viewer = server.user(site.one, roles=[server.default_role("Viewer")])
    assert site.ask(viewer).status_code == 401
    assert site.ask(collaboration_id=999999).status_code == 404
    assert site.ask(db_label="").status_code == 400
    stranger = server.organization()
    asked = site.ask(db_label="unknown", organizations=[{"id": stranger, "input": "e30="}])
    assert asked.status_code == 400
