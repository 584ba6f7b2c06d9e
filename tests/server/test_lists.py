"""What all lists share: pages, links, sorting, and a constant number of SQL statements."""

from __future__ import annotations

from typing import Any

import pytest

LISTS = [
    "/organization",
    "/collaboration",
    "/study",
    "/node",
    "/user",
    "/role",
    "/rule",
    "/task",
    "/run",
    "/result",
]

#: A list request may take: who asks, how many there are, the page, what is included.
MOST = 3
INCLUDED = {
    "/collaboration": "organizations",
    "/study": "organizations",
    "/task": "runs",
    "/run": "task",
}


def fill(server: Any, rows: int) -> None:
    """Put at least so many rows into every list."""
    organization = server.organization()
    for _ in range(rows):
        other = server.organization()
        collaboration = server.collaboration(organization, other)
        study = server.study(collaboration, organization, other)
        server.node(other, collaboration)
        user = server.user(other, "task VIEW OWN", roles=[server.role(other, "task VIEW OWN")])
        runs = {organization: "completed", other: "failed"}
        server.task(collaboration, organization, user.id, study_id=study, runs=runs)


@pytest.fixture(scope="module")
def filled(shared_server: Any) -> Any:
    fill(shared_server, 12)
    return shared_server


@pytest.mark.parametrize("path", LISTS)
def test_a_list_takes_the_same_few_statements_whatever_its_length(server: Any, path: str) -> None:
    root = server.root()
    fill(server, 12)  # a full page: one that is not full saves the statement that counts

    def count(path: str) -> int:
        with server.statements() as seen:
            answer = root.get(path)
        assert answer.status_code == 200
        assert answer.json()["data"]
        return len(seen)

    few = count(path)
    assert few <= MOST
    including = f"{path}?include={INCLUDED.get(path)}"
    with_included = count(including)
    assert with_included <= MOST + 1
    fill(server, 24)
    assert count(path) == few
    assert count(including) == with_included


@pytest.mark.parametrize("path", LISTS)
def test_a_scoped_caller_takes_no_more_statements_than_root(filled: Any, path: str) -> None:
    organization = filled.organization()
    filled.collaboration(organization)
    for role in ("Viewer", "Researcher", "Collaboration Admin"):
        caller = filled.user(organization, roles=[filled.default_role(role)])
        with filled.statements() as seen:
            assert caller.get(path).status_code == 200
        assert len(seen) <= MOST


@pytest.mark.parametrize("path", LISTS)
def test_pages_link_to_their_neighbours_and_keep_the_query(filled: Any, path: str) -> None:
    root = filled.root()
    total = int(root.get(path).headers["total-count"])
    last = -(-total // 3)
    seen: list[int] = []
    for number in range(1, last + 1):
        answer = root.get(f"{path}?per_page=3&include=a&include=b&page={number}")
        query = f"/api{path}?per_page=3&include=a&include=b&page="
        links = {"first": 1, "self": number, "last": last}
        if number > 1:
            links["previous"] = number - 1
        if number < last:
            links["next"] = number + 1
        assert answer.json()["links"] == {rel: f"{query}{n}" for rel, n in links.items()}
        assert answer.headers["total-count"] == str(total)
        assert answer.headers["access-control-expose-headers"] == "total-count, Link"
        header = answer.headers["Link"].split(",<")
        assert {part.rpartition("rel=")[2] for part in header} == set(links)
        seen += [item["id"] for item in answer.json()["data"]]
    assert len(seen) == len(set(seen)) == total
    beyond = root.get(f"{path}?per_page=3&page={last + 5}").json()
    assert beyond["data"] == []
    assert beyond["links"]["previous"].endswith(f"page={last + 4}")


@pytest.mark.parametrize("path", LISTS)
def test_the_default_order_is_newest_first_for_tasks_and_oldest_first_elsewhere(
    filled: Any, path: str
) -> None:
    root = filled.root()
    ids = root.ids(path, per_page=9999)
    newest_first = path in ("/task", "/run", "/result")
    assert ids == sorted(ids, reverse=newest_first)
    assert root.ids(path, per_page=9999, sort="+id") == sorted(ids)
    assert root.ids(path, per_page=9999, sort="-id") == sorted(ids, reverse=True)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-1", "page=x", "per_page=0", "per_page=x", "sort=nonsense", "sort=", "page="],
)
def test_a_bad_page_size_or_field_is_refused_by_name(filled: Any, path: str, query: str) -> None:
    answer = filled.root().get(f"{path}?{query}")
    name = query.partition("=")[0]
    if query == "sort=":
        assert answer.status_code == 200
        return
    assert answer.status_code == 400
    assert name in answer.json()["msg"]


@pytest.mark.parametrize("path", ["/collaboration", "/study", "/node", "/task", "/run", "/result"])
def test_an_empty_list_has_no_last_page(server: Any, path: str) -> None:
    answer = server.root().get(path).json()
    assert answer == {
        "data": [],
        "links": {"first": f"/api{path}?page=1", "self": f"/api{path}?page=1"},
    }


def test_values_too_large_for_a_database_are_refused(filled: Any) -> None:
    root = filled.root()
    for query in (
        f"page={10**30}",
        f"per_page={10**30}",
        f"collaboration_id={10**30}",
        f"organization_id={-(10**30)}",
    ):
        assert root.get(f"/node?{query}").status_code == 400
