"""The client and an algorithm store, over real HTTP: a small one, in the contract's words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest

from vantage6.client import Client, UserClient
from vantage6.client.exceptions import RefusedError, StoreNotSetError
from web import web_service

SERVER = "http://server:5000/api"


class Store(BaseHTTPRequestHandler):
    """Algorithms and their reviews, for the users of one server."""

    protocol_version = "HTTP/1.1"
    algorithms: list[dict[str, Any]]
    reviews: list[dict[str, Any]]

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        status, said = self.decide(body)
        content = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 (the names http.server looks for)

    def log_message(self, format: str, *args: object) -> None:
        """Keep standard error for what matters."""

    def decide(self, body: Any) -> tuple[int, Any]:
        url = urlsplit(self.path)
        path, query = url.path.removeprefix("/store/api/"), parse_qs(url.query)
        if path == "policy/public":
            return 200, {"algorithm_view": "whitelisted", "allowed_servers": None}
        if self.headers.get("server_url") != SERVER:
            return 400, {"msg": "Please specify the server URL in the header"}
        if not (self.headers.get("Authorization") or "").startswith("Bearer ey"):
            return 401, {"msg": "Missing Authorization Header"}
        return self.carry_out(path, query, body)

    def carry_out(self, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        if path == "algorithm" and self.command == "GET":
            return 200, self.page(self.algorithms, "algorithm", query)
        if path == "algorithm":
            self.algorithms.append({"id": len(self.algorithms) + 1, **body})
            return 201, self.algorithms[-1]
        if found := re.fullmatch(r"algorithm/(\d+)(/invalidate)?", path):
            return self.algorithm(int(found[1]), bool(found[2]), body)
        if path == "review":
            self.reviews.append({"id": len(self.reviews) + 1, "status": "under review", **body})
            return 201, self.reviews[-1]
        if found := re.fullmatch(r"review/(\d+)/(approve|reject)", path):
            review = self.reviews[int(found[1]) - 1]
            verdict = {"approve": "approved", "reject": "rejected"}[found[2]]
            review |= {"status": verdict, **body}
            return 200, review
        return 403, {"msg": "You lack the permission to do this!"}

    def algorithm(self, id_: int, invalidate: bool, body: Any) -> tuple[int, Any]:
        known = [one for one in self.algorithms if one["id"] == id_]
        if not known:
            return 404, {"msg": f"Algorithm id={id_} not found"}
        if self.command == "DELETE":
            self.algorithms.remove(known[0])
            return 200, {"msg": f"Algorithm id={id_} was successfully deleted"}
        if invalidate:
            known[0]["status"] = "removed"
            return 200, {"msg": f"Algorithm id={id_} was successfully invalidated"}
        known[0].update(body or {})
        return 200, known[0]

    def page(self, items: list[Any], name: str, query: dict[str, list[str]]) -> dict[str, Any]:
        number, size = int(query["page"][0]), int(query["per_page"][0])
        links = {"first": f"/store/api/{name}?page=1", "self": self.path}
        if number * size < len(items):
            links["next"] = f"/store/api/{name}?page={number + 1}"
        return {"data": items[(number - 1) * size : number * size], "links": links}


@pytest.fixture
def researcher(server: Callable[[httpx.Request], httpx.Response]) -> Iterator[UserClient]:
    """Asks an imaginary server, and a real store."""

    class Kept(Store):
        algorithms: list[dict[str, Any]] = []  # noqa: RUF012 (this store's own)
        reviews: list[dict[str, Any]] = []  # noqa: RUF012

    with web_service(Kept) as port:
        through = httpx.HTTPTransport()

        class Roads(httpx.BaseTransport):
            """To the store by the network, to the server within the test."""

            def handle_request(self, request: httpx.Request) -> httpx.Response:
                if request.url.host == "127.0.0.1":
                    return through.handle_request(request)
                return httpx.MockTransport(server).handle_request(request)

        url = f"http://127.0.0.1:{port}/store/api"
        server.on("GET /api/algorithmstore/2", {"id": 2, "name": "a store", "url": url})  # type: ignore[attr-defined]
        with Client("http://server", 5000, log_level="info", transport=Roads()) as client:
            client.authenticate("ada", "secret")
            yield client
        through.close()


def add(client: UserClient, number: int) -> Any:
    functions = [{"name": "f", "type": "federated", "databases": [], "arguments": []}]
    return client.algorithm.create(
        *(f"average {number}", "a mean", f"example.org/average:{number}", "horizontal"),
        *("4.15", "https://example.org/code", functions),
    )


def test_a_store_has_to_be_selected(researcher: UserClient) -> None:
    with pytest.raises(StoreNotSetError, match=r"client\.store\.set\(\)"):
        researcher.algorithm.list()
    assert researcher.store.set(2)["name"] == "a store"
    assert researcher.algorithm.list() == {
        "data": [],
        "links": {
            "first": "/store/api/algorithm?page=1",
            "self": "/store/api/algorithm?page=1&per_page=10",
        },
    }


def test_algorithms_are_made_viewed_changed_and_removed(
    researcher: UserClient, capsys: pytest.CaptureFixture[str]
) -> None:
    researcher.store.set(2)
    made = add(researcher, 1)
    assert made["image"] == "example.org/average:1"
    assert researcher.algorithm.get(made["id"], fields=["name"]) == {"name": "average 1"}
    assert researcher.algorithm.update(made["id"], description="new")["description"] == "new"
    assert "invalidated" in researcher.algorithm.invalidate(made["id"])["msg"]
    assert researcher.algorithm.list(field="status") == [{"status": "removed"}]
    researcher.algorithm.delete(made["id"])
    assert "--> Algorithm id=1 was successfully deleted" in capsys.readouterr().out
    assert researcher.algorithm.list(fields=["id"]) == []


def test_a_review_approves_or_refuses(researcher: UserClient) -> None:
    researcher.store.set(2)
    add(researcher, 1)
    review = researcher.store.review.create(1, 7)
    assert review["status"] == "under review"
    assert researcher.store.review.approve(review["id"], "fine") == {
        "id": 1,
        "algorithm_id": 1,
        "reviewer_id": 7,
        "status": "approved",
        "comment": "fine",
    }
    assert researcher.store.review.reject(review["id"])["status"] == "rejected"


def test_all_pages_of_a_store_are_gone_through(researcher: UserClient) -> None:
    researcher.store.set(2)
    for number in range(7):
        add(researcher, number)
    names = [one["name"] for one in researcher.algorithm.iterate(per_page=3)]
    assert names == [f"average {number}" for number in range(7)]
    assert len(researcher.algorithm.list(page=2, per_page=5, field="id")) == 2


def test_what_a_store_refuses_is_told_in_its_words(researcher: UserClient) -> None:
    researcher.store.set(2)
    assert researcher.algorithm.get(9) == {"msg": "Algorithm id=9 not found"}
    assert researcher.store.user.register("bob", [1])["msg"].startswith("You lack")
    with pytest.raises(RefusedError, match="You lack the permission"):
        researcher.store.role.list(fields=["id"])
    assert researcher.store.policy.get(public=True, fields=["algorithm_view"]) == {
        "algorithm_view": "whitelisted"
    }
