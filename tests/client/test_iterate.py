"""Going through all pages of a list as one."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recording import RecordingServer
from vantage6.client import Client, UserClient
from vantage6.client.exceptions import RefusedError


def pages_of(items: list[dict[str, Any]]) -> Any:
    """A list of a server of the contract: pages, and a link to the next while there is one."""

    def answer(request: httpx.Request) -> dict[str, Any]:
        page, size = (int(request.url.params[key]) for key in ("page", "per_page"))
        links = {"first": "/api/x?page=1", "self": f"/api/x?page={page}"}
        if page * size < len(items):
            links["next"] = f"/api/x?page={page + 1}"
        return {"data": items[(page - 1) * size : page * size], "links": links}

    return answer


GROUPS = (
    *("collaboration", "organization", "user", "role", "rule", "node", "study", "task", "run"),
    *("store", "algorithm", "store.role", "store.rule", "store.user", "store.review"),
)


@pytest.mark.parametrize("group", GROUPS)
def test_every_list_can_be_gone_through_as_one(client: UserClient, server: Any, group: str) -> None:
    items = [{"id": id_} for id_ in range(7)]
    client.store.url = "http://store:5001/api"
    owner: Any = client
    for part in group.split("."):
        owner = getattr(owner, part)
    name = group.rpartition(".")[2]
    endpoint = {"store": "algorithmstore"}.get(name, name)
    server.on(f"GET /api/{endpoint}", pages_of(items))
    assert list(owner.iterate(per_page=3)) == items
    assert len(server.lines) == 3
    assert list(owner.iterate()) == items
    assert "per_page=100" in server.lines[-1]
    assert len(server.lines) == 4


def test_a_page_is_fetched_when_it_is_wanted(client: UserClient, server: Any) -> None:
    server.on("GET /api/task", pages_of([{"id": id_} for id_ in range(5)]))
    tasks = client.task.iterate(status="failed", per_page=2)
    assert server.lines == []
    assert [next(tasks)["id"], next(tasks)["id"]] == [0, 1]
    assert server.lines == ["GET /api/task?page=1&per_page=2&status=failed"]
    assert [task["id"] for task in tasks] == [2, 3, 4]


def test_filters_and_fields_apply_to_each_page(client: UserClient, server: Any) -> None:
    nodes = [{"id": id_, "status": "online" if id_ % 2 else "offline"} for id_ in range(6)]
    server.on("GET /api/node", pages_of(nodes))
    online = client.node.iterate(per_page=2, filter_=("status", "online"), field="id")
    assert list(online) == [{"id": 1}, {"id": 3}, {"id": 5}]


def test_an_item_that_is_pushed_to_the_next_page_comes_once(
    client: UserClient, server: Any
) -> None:
    tasks = [{"id": id_} for id_ in (5, 4, 3, 2, 1)]
    server.on("GET /api/task", pages_of(tasks))
    going = client.task.iterate(per_page=2)
    seen = [next(going)["id"], next(going)["id"]]
    tasks.insert(0, {"id": 6})
    seen += [task["id"] for task in going]
    assert seen == [5, 4, 3, 2, 1]


def test_a_refusal_on_the_way_is_raised(client: UserClient, server: Any) -> None:
    server.on(
        "GET /api/task",
        {"data": [{"id": 1}], "links": {"next": "/api/task?page=2"}},
        (401, {"msg": "You lack the permission to do that!"}),
    )
    going = client.task.iterate()
    assert next(going) == {"id": 1}
    with pytest.raises(RefusedError, match="You lack the permission"):
        next(going)


def test_a_keyword_that_the_list_lacks_is_told_as_such(client: UserClient) -> None:
    with pytest.raises(TypeError, match="colour"):
        list(client.task.iterate(colour="blue"))


@given(
    count=st.integers(0, 40),
    per_page=st.integers(1, 45),
    wanted=st.integers(0, 3),
)
def test_pages_of_any_size_hold_the_same_items(count: int, per_page: int, wanted: int) -> None:
    server = RecordingServer()
    items = [{"id": id_, "kind": id_ % 4} for id_ in range(count)]
    server.on("GET /api/rule", pages_of(items))
    transport = httpx.MockTransport(server)
    with Client("http://server", 5000, log_level="critical", transport=transport) as client:
        found = list(client.rule.iterate(per_page=per_page, filter_=("kind", wanted)))
    assert found == [item for item in items if item["kind"] == wanted]
    assert len(server.lines) == max(1, -(-count // per_page))
