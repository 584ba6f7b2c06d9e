"""``/algorithmstore``, and tasks from a store, with a small store that answers over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import select

from vantage6.server.model.tables import AlgorithmStore, Task
from vantage6.server.stores import Stores

DIGEST = "sha256:" + "ab" * 32
IMAGE = "registry.example.org/average:1"


class Store:
    """A store on loopback that answers what a test tells it to, and remembers what it was asked."""

    def __init__(self) -> None:
        store = self
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {
            ("POST", "/api/vantage6-server"): (201, {"id": 1}),
            ("GET", "/api/vantage6-server"): (200, []),
        }
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                headers = {key.lower(): value for key, value in self.headers.items()}
                store.asked.append((self.command, self.path, headers, body))
                path = self.path.partition("?")[0]
                status, content = store.answers.get((self.command, path), (404, {"msg": "nothing"}))
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", self.path)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815 (the library's names)

            def log_message(self, *_: Any) -> None:
                """Not to standard error."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/api"

    def offers(self, image: str, digest: str | None) -> None:
        self.answers["GET", "/api/algorithm"] = (
            200,
            {"data": [{"image": image, "digest": digest}]},
        )

    def calls(self) -> list[tuple[str, str]]:
        """What it was asked, in order."""
        return [(method, path) for method, path, *_ in self.asked]

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def store() -> Iterator[Store]:
    running = Store()
    yield running
    running.close()


@pytest.fixture
def root(server: Any) -> Any:
    return server.root()


def link(caller: Any, store: Store, **body: Any) -> Any:
    body = {
        "name": "a store",
        "algorithm_store_url": store.url,
        "server_url": "https://v6.example.org",
        "force": True,
        **body,
    }
    return caller.post("/algorithmstore", **body)


def test_a_store_is_linked_to_a_collaboration_and_told_of_the_server(
    server: Any, root: Any, store: Store
) -> None:
    collaboration = server.collaboration(server.organization())
    answer = link(root, store, algorithm_store_url=f"{store.url}/", collaboration_id=collaboration)
    assert answer.status_code == 201, answer.text
    id_ = answer.json()["id"]
    assert answer.json() == {
        "id": id_,
        "name": "a store",
        "url": store.url,
        "collaborations": f"/api/collaboration?algorithm_store_id={id_}",
    }
    [(method, path, headers, body)] = store.asked
    assert (method, path) == ("POST", "/api/vantage6-server")
    assert body == {"url": "https://v6.example.org/api", "force": True}
    assert headers["server_url"] == "https://v6.example.org/api"
    assert headers["authorization"] == f"Bearer {root.token}"
    assert root.get(f"/algorithmstore/{id_}").json() == answer.json()
    assert root.ids("/algorithmstore", collaboration_id=collaboration) == [id_]
    assert root.ids("/collaboration", algorithm_store_id=id_) == [collaboration]


def test_a_store_for_all_collaborations_takes_the_place_of_single_links(
    server: Any, root: Any, store: Store
) -> None:
    organization = server.organization()
    collaboration = server.collaboration(organization)
    other = server.collaboration(organization)
    old = link(root, store, collaboration_id=collaboration).json()["id"]
    task = server.task(collaboration, organization, algorithm_store_id=old)
    answer = link(root, store)
    assert answer.json()["collaborations"] is None
    id_ = answer.json()["id"]
    assert root.ids("/algorithmstore") == [id_]
    assert root.get(f"/task/{task}").json()["algorithm_store"]["id"] == id_
    assert root.ids("/collaboration", algorithm_store_id=id_) == [collaboration, other]
    for again in ({}, {"collaboration_id": collaboration}):
        refused = link(root, store, **again)
        assert (refused.status_code, "available for all" in refused.json()["msg"]) == (400, True)


def test_a_store_is_linked_to_a_collaboration_once(server: Any, root: Any, store: Store) -> None:
    one, other = (server.collaboration(server.organization()) for _ in range(2))
    assert link(root, store, collaboration_id=one).status_code == 201
    assert link(root, store, collaboration_id=other).status_code == 201
    assert link(root, store, collaboration_id=one).status_code == 400


@pytest.mark.parametrize("form", [lambda id_: [id_], str])
def test_the_collaboration_may_come_as_the_clients_send_it(
    server: Any, root: Any, store: Store, form: Any
) -> None:
    collaboration = server.collaboration(server.organization())
    answer = link(root, store, collaboration_id=form(collaboration))
    assert answer.status_code == 201
    assert root.ids("/algorithmstore", collaboration_id=collaboration) == [answer.json()["id"]]


def test_a_store_that_knows_the_server_already_is_linked(root: Any, store: Store) -> None:
    store.answers["POST", "/api/vantage6-server"] = (208, {"msg": "already"})
    assert link(root, store).status_code == 201


def test_a_public_store_that_refuses_to_know_the_server_is_linked_to_read_from(
    root: Any, store: Store
) -> None:
    store.answers["POST", "/api/vantage6-server"] = (403, {"msg": "no"})
    refused = link(root, store)
    assert refused.status_code == 403
    assert refused.json()["msg"] == "Algorithm store error: no, HTTP status: 403"
    store.answers["GET", "/api/policy/public"] = (200, {"algorithm_view": "whitelisted"})
    assert link(root, store).status_code == 403
    store.answers["GET", "/api/policy/public"] = (200, {"algorithm_view": "public"})
    assert link(root, store).status_code == 201


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        ((400, {"msg": "bad"}), 400, "Algorithm store error: bad, HTTP status: 400"),
        ((500, b"<html>"), 500, "Communication to algorithm store failed. HTTP status: 500"),
        ((200, {"msg": "what"}), 502, "what"),
        ((403, [1, 2]), 403, "HTTP status: 403"),
        ((404, b"x" * (5 * 2**20)), 502, "HTTP status: 502"),
    ],
)
def test_a_stores_refusal_is_passed_on_and_nothing_is_kept(
    server: Any, root: Any, store: Store, answer: Any, status: int, text: str
) -> None:
    store.answers["POST", "/api/vantage6-server"] = answer
    refused = link(root, store)
    assert refused.status_code == status
    assert text in refused.json()["msg"]
    assert root.ids("/algorithmstore") == []


def test_a_store_that_is_not_there_is_not_linked(root: Any, store: Store) -> None:
    # Port 9 of a name that is not localhost: nobody listens.
    answer = link(root, store, algorithm_store_url="http://127.0.0.2:9/api")
    assert answer.status_code == 404
    assert "cannot be reached" in answer.json()["msg"]
    answer = link(root, store, algorithm_store_url="http://localhost:9/api")
    assert answer.status_code == 400
    assert "dev.host_uri" in answer.json()["msg"]


@pytest.mark.parametrize("host_uri", ["http://127.0.0.1", "127.0.0.1"])
def test_a_store_at_localhost_is_also_looked_for_at_the_configured_host(
    server: Any, root: Any, store: Store, host_uri: str
) -> None:
    server.services.config.server_url = "https://v6.example.org"
    before, server.services.stores = server.services.stores, Stores(host_uri)
    try:
        # Nobody listens at ::1, which is a name of this machine too.
        answer = link(root, store, algorithm_store_url=f"http://[::1]:{store.port}/api")
    finally:
        server.http.portal.call(server.services.stores.close)
        server.services.stores = before
    assert answer.status_code == 201, answer.text
    assert store.calls() == [("POST", "/api/vantage6-server")]


def test_localhost_needs_force_and_the_server_an_address(
    server: Any, root: Any, store: Store
) -> None:
    refused = link(root, store, force=False)
    assert (refused.status_code, "force" in refused.json()["msg"]) == (400, True)
    refused = link(root, store, server_url=None)
    assert (refused.status_code, "server_url" in refused.json()["msg"]) == (400, True)
    server.services.config.server_url = "https://v6.example.org/api/"
    assert link(root, store, server_url=None).status_code == 201
    assert store.asked[0][3]["url"] == "https://v6.example.org/api"


@pytest.mark.parametrize(
    "url",
    ["", "store", "ftp://store.org/api", "http://v6-server:7601", "http://", "https://a b.org",
     "https://user:secret@store.org", "https://store.org/api?x=1", "http://[::", "http://a.b:x"],
)  # fmt: skip
def test_what_is_no_address_is_refused(root: Any, store: Store, url: str) -> None:
    answer = link(root, store, algorithm_store_url=url)
    assert answer.status_code == 400
    assert "algorithm_store_url" in answer.json()["errors"]
    assert store.asked == []


def test_a_link_is_renamed_and_moved(server: Any, root: Any) -> None:
    one, other = (server.collaboration(server.organization()) for _ in range(2))
    id_ = server.store(one, url="https://s.example.org/api")
    assert root.patch(f"/algorithmstore/{id_}", name="new").json()["name"] == "new"
    ignored = {"algorithm_store_url": "https://else.example.org", "server_url": None, "force": None}
    moved = root.patch(f"/algorithmstore/{id_}", collaboration_id=other, **ignored).json()
    assert moved["url"] == "https://s.example.org/api"
    assert root.ids("/collaboration", algorithm_store_id=id_) == [other]
    assert root.patch(f"/algorithmstore/{id_}", collaboration_id=999999).status_code == 404
    assert root.patch(f"/algorithmstore/{id_}", collaboration_id=None).status_code == 200
    assert root.get(f"/algorithmstore/{id_}").json()["collaborations"] is None


def test_unlinking_tells_the_store_and_leaves_other_servers_alone(
    server: Any, root: Any, store: Store
) -> None:
    organization = server.organization()
    collaboration = server.collaboration(organization)
    id_ = link(root, store, collaboration_id=collaboration).json()["id"]
    task = server.task(collaboration, organization, algorithm_store_id=id_)
    store.answers["GET", "/api/vantage6-server"] = (
        200,
        [
            {"id": 7, "url": "https://other.example.org/api"},
            {"id": 8, "url": "https://v6.example.org/api"},
        ],
    )
    store.answers["DELETE", "/api/vantage6-server/8"] = (200, {"msg": "gone"})
    store.asked.clear()
    path = f"/algorithmstore/{id_}"
    assert root.delete(path).status_code == 400  # nobody says what our address is
    answer = root.delete(path, params={"server_url": "https://v6.example.org"})
    assert answer.status_code == 200, answer.text
    assert store.calls() == [("GET", "/api/vantage6-server"), ("DELETE", "/api/vantage6-server/8")]
    assert root.get(path).status_code == 404
    assert root.get(f"/task/{task}").json()["algorithm_store"] is None


@pytest.mark.parametrize(("status", "left"), [(200, []), (404, []), (500, ["kept"])])
def test_a_store_that_does_not_forget_the_server_stays_linked(
    root: Any, store: Store, status: int, left: list[str]
) -> None:
    id_ = link(root, store).json()["id"]
    store.answers["GET", "/api/vantage6-server"] = (
        200,
        # What a store should not answer, and then what it should.
        ["nonsense", {"url": "no id"}, {"id": 8, "url": "https://v6.example.org/api/"}],
    )
    store.answers["DELETE", "/api/vantage6-server/8"] = (status, {"msg": "it is stuck"})
    params = {"server_url": "https://v6.example.org"}
    answer = root.delete(f"/algorithmstore/{id_}", params=params)
    assert answer.status_code == (500 if left else 200)
    assert root.ids("/algorithmstore") == [id_ for _ in left]


@pytest.mark.parametrize("status", [401, 403])
def test_a_store_that_never_knew_the_server_is_unlinked(
    root: Any, store: Store, status: int
) -> None:
    id_ = link(root, store).json()["id"]
    store.answers["GET", "/api/vantage6-server"] = (status, {"msg": "who?"})
    answer = root.delete(f"/algorithmstore/{id_}", params={"server_url": "https://v6.example.org"})
    assert answer.status_code == 200


def test_a_store_that_fails_is_unlinked_by_force_only(root: Any, store: Store) -> None:
    id_ = link(root, store).json()["id"]
    store.answers["GET", "/api/vantage6-server"] = (500, {"msg": "broken"})
    params = {"server_url": "https://v6.example.org"}
    assert root.delete(f"/algorithmstore/{id_}", params=params).status_code == 500
    assert root.ids("/algorithmstore") == [id_]
    answer = root.delete(f"/algorithmstore/{id_}", params={**params, "force": "1"})
    assert answer.status_code == 200
    assert root.ids("/algorithmstore") == []


def test_a_store_that_several_collaborations_use_goes_for_all_and_by_global_right_only(
    server: Any, root: Any, store: Store
) -> None:
    organization = server.organization()
    one, other = (server.collaboration(organization) for _ in range(2))
    ids = [server.store(collaboration, url=store.url) for collaboration in (one, other)]
    editor = server.user(organization, "collaboration EDIT COLLABORATION")
    params = {"server_url": "https://v6.example.org"}
    assert editor.delete(f"/algorithmstore/{ids[0]}", params=params).status_code == 401
    assert store.asked == []
    assert root.delete(f"/algorithmstore/{ids[0]}", params=params).status_code == 200
    assert root.ids("/algorithmstore") == []


class Lab:
    """A collaboration with a node, and a store."""

    def __init__(self, server: Any, store: Store, *, encrypted: bool = False) -> None:
        self.server = server
        self.organization = server.organization()
        self.collaboration = server.collaboration(self.organization, encrypted=encrypted)
        self.node = server.node(self.organization, self.collaboration)
        self.user = server.root(self.organization)
        self.store = server.store(self.collaboration, url=store.url)

    def create(self, caller: Any = None, **fields: Any) -> Any:
        body = {
            "collaboration_id": self.collaboration,
            "image": IMAGE,
            "organizations": [{"id": self.organization, "input": "e30="}],
            "server_url": "https://v6.example.org",
            "store_id": self.store,
            **fields,
        }
        return (caller or self.user).post("/task", **body)


def test_a_task_from_a_store_runs_the_stores_image_by_digest(server: Any, store: Store) -> None:
    lab = Lab(server, store)
    store.offers(f"{IMAGE}.0", DIGEST)
    answer = lab.create()
    assert answer.status_code == 201, answer.text
    task = answer.json()
    assert task["image"] == f"{IMAGE}.0@{DIGEST}"
    assert task["algorithm_store"] == {
        "id": lab.store,
        "link": f"/api/algorithmstore/{lab.store}",
        "methods": ["GET", "PATCH", "DELETE"],
    }
    [(method, path, headers, _)] = store.asked
    assert method == "GET"
    assert path == "/api/algorithm?image=registry.example.org%2Faverage%3A1"
    assert headers["server_url"] == "https://v6.example.org/api"
    assert headers["authorization"] == f"Bearer {lab.user.token}"
    assert lab.user.ids("/task", store_id=lab.store) == [task["id"]]


def test_an_algorithm_without_a_digest_is_not_called_the_stores(server: Any, store: Store) -> None:
    lab = Lab(server, store)
    store.offers(IMAGE, None)
    task = lab.create().json()
    assert (task["image"], task["algorithm_store"]) == (IMAGE, None)


def test_the_containers_token_and_its_subtasks_carry_the_store(server: Any, store: Store) -> None:
    lab = Lab(server, store)
    store.offers(IMAGE, DIGEST)
    task = lab.create().json()
    answer = lab.node.post("/token/container", task_id=task["id"], image=task["image"])
    token = answer.json()["container_token"]
    run = server.runs(task["id"])[0]
    claimed = lab.node.patch(f"/run/{run}?container_token=1", status="active").json()
    tokens = server.services.tokens
    for each in (token, claimed["container_token"]):
        subject: Any = tokens.verify(f"Bearer {each}").subject
        assert subject["store_id"] == lab.store
    container = server.container(
        lab.node, lab.organization, lab.collaboration, task["id"], image=task["image"]
    )
    store.asked.clear()
    body = {
        "collaboration_id": lab.collaboration,
        "image": task["image"],
        "organizations": [{"id": lab.organization, "input": "e30="}],
    }
    for store_id in ({}, {"store_id": None}, {"store_id": 999999}):
        subtask = container.post("/task", **body, **store_id)
        assert subtask.status_code == 201, subtask.text
        assert subtask.json()["algorithm_store"]["id"] == lab.store
    assert store.asked == []


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        ((200, {"data": []}), 400, "Algorithm not found in store!"),
        ((200, {"data": [{}]}), 400, "Algorithm not found in store!"),
        ((200, b"nonsense"), 400, "Algorithm not found in store!"),
        ((400, {"msg": "digest"}), 400, "Could not retrieve algorithm from store!"),
        ((403, {"msg": "not whitelisted"}), 400, "HTTP status: 403"),
        ((503, b""), 400, "HTTP status: 503"),
        ((302, b"in a circle"), 400, "cannot be reached"),
    ],
)
def test_no_task_is_made_of_what_the_store_does_not_offer(
    server: Any, store: Store, answer: Any, status: int, text: str
) -> None:
    lab = Lab(server, store)
    store.answers["GET", "/api/algorithm"] = answer
    refused = lab.create()
    assert refused.status_code == status
    assert text in refused.json()["msg"]
    assert server.rows(select(Task.id)) == []


def test_the_store_is_asked_only_after_everything_else_is_checked(
    server: Any, store: Store
) -> None:
    lab = Lab(server, store)
    assert lab.create(store_id=999999).status_code == 400
    other = server.store(server.collaboration(lab.organization), url="https://o.example.org")
    assert lab.create(store_id=other).status_code == 403
    viewer = server.user(lab.organization, "task VIEW GLOBAL")
    assert lab.create(viewer).status_code == 401
    assert lab.create(organizations=[{"id": lab.organization, "input": "/w=="}]).status_code == 400
    refused = lab.create(server_url=None)
    assert refused.status_code == 400
    assert store.asked == []


def test_deleting_a_collaboration_deletes_its_links_and_does_not_open_them_to_all(
    server: Any, root: Any
) -> None:
    collaboration = server.collaboration(server.organization())
    server.store(collaboration)
    for_all = server.store(None)
    assert root.delete(f"/collaboration/{collaboration}").status_code == 200
    assert server.rows(select(AlgorithmStore.id)) == [for_all]


def test_the_filters_of_the_list(server: Any, root: Any) -> None:
    one, other = (server.collaboration(server.organization()) for _ in range(2))
    first = server.store(one, name="alpha", url="https://alpha.example.org/api")
    server.store(other, name="beta", url="https://beta.example.org/api")
    for_all = server.store(None, name="gamma", url="https://gamma.example.org/api")
    assert root.ids("/algorithmstore", name="alph%") == [first]
    assert root.ids("/algorithmstore", url="%alpha%") == [first]
    assert root.ids("/algorithmstore", collaboration_id=one) == [first, for_all]
    assert root.get("/algorithmstore", collaboration_id=999999).status_code == 404
    assert root.get("/collaboration", algorithm_store_id=999999).status_code == 404
    assert root.ids("/algorithmstore", sort="-name") == [for_all, first + 1, first]
