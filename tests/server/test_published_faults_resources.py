"""Published faults of the reference implementation in resources: origins, pages, payloads.

Those of accounts and tasks: `test_published_faults.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import pytest
from sqlalchemy import delete
from starlette.testclient import TestClient

from vantage6.client import Client
from vantage6.server.app import Application
from vantage6.server.config import ServerConfig
from vantage6.server.model.tables import Organization
from vantage6.web.pagination import MOST_PER_PAGE

SECRET = "only for tests, and as long as it must be"
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
    "/algorithmstore",
]

# -- pages of any origin that may call, with the rights of whoever looks at them ---------------

EVIL = {"Origin": "https://evil.example.org"}
POLLING = "/socket.io/?transport=polling&EIO=4"


@pytest.fixture
def opened(databases: Any) -> Iterator[Callable[..., TestClient]]:
    """Starts servers with these origins in their configuration."""
    running: list[TestClient] = []
    uris: list[str] = []

    def open_(**keys: Any) -> TestClient:
        uris.append(databases.prepared())
        config = ServerConfig.model_validate({"uri": uris[-1], "jwt_secret_key": SECRET, **keys})
        running.append(TestClient(Application(config), raise_server_exceptions=False))
        return running[-1].__enter__()

    yield open_
    for http in running:
        http.__exit__(None, None, None)
    for uri in uris:
        databases.discard(uri)


def preflight(http: TestClient, origin: dict[str, str]) -> Any:
    asked = {"Access-Control-Request-Method": "DELETE", **origin}
    return http.options("/api/organization", headers=asked)


def test_by_default_no_other_origin_may_call(opened: Any) -> None:
    http = opened()
    for answer in (
        http.get("/api/version", headers=EVIL),
        http.get("/api/organization", headers=EVIL),
        http.post("/api/token/user", headers=EVIL, json={"username": "a", "password": "b"}),
        preflight(http, EVIL),
    ):
        told = {name for name in answer.headers if name.lower().startswith("access-control-allow")}
        assert told == set(), answer.request.url


def test_by_default_no_other_origin_may_open_a_socket(opened: Any) -> None:
    http = opened()
    assert http.get(POLLING).status_code == 200
    refused = http.get(POLLING, headers=EVIL)
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


def test_an_origin_that_is_let_in_lets_no_other_in(opened: Any) -> None:
    good = "https://ui.example.org"
    http = opened(cors_allowed_origins=[good])
    for path in ("/api/version", POLLING):
        answer = http.get(path, headers={"Origin": good})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, good)
    assert preflight(http, {"Origin": good}).headers["access-control-allow-origin"] == good
    for other in (
        EVIL["Origin"],
        "http://ui.example.org",
        f"{good}.evil.org",
        f"https://evil.org/{good}",
        "https://uixexample.org",
        f"{good}:8443",
        "null",
    ):
        for answer in (
            http.get("/api/version", headers={"Origin": other}),
            http.get(POLLING, headers={"Origin": other}),
            preflight(http, {"Origin": other}),
        ):
            assert "access-control-allow-origin" not in answer.headers, other


def test_an_origin_may_be_a_regular_expression(opened: Any) -> None:
    http = opened(cors_allowed_origins=[r"https://[a-z]+\.example\.org", "https://ui.test"])
    for origin, let_in in (
        ("https://ui.example.org", True),
        ("https://ui.test", True),
        ("https://ui.example.org.evil.org", False),
        ("https://evil.org", False),
    ):
        answer = http.get("/api/version", headers={"Origin": origin})
        assert answer.headers.get("access-control-allow-origin") == (origin if let_in else None)


# -- lists that never end ----------------------------------------------------------------------


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("per_page", [1, 10, 9999, 2**31])
def test_a_page_past_the_end_has_no_next(shared_server: Any, path: str, per_page: int) -> None:
    root = shared_server.root()
    total = int(root.get(path).headers["total-count"])
    for page in (total + 1, total + 2, 2**31):
        answer = root.get(path, page=page, per_page=per_page).json()
        # The first page of all is none past the end, even of an empty list.
        if page > 1:
            assert answer["data"] == []
        assert "next" not in answer["links"]


def remove(server: Any, organization: int) -> None:
    """Take an organization away between two requests."""
    with server.services.database.write() as db:
        db.execute(delete(Organization).where(Organization.id == organization))


@pytest.mark.parametrize("change", ["add", "delete", "empty"])
def test_following_next_ends_while_items_come_and_go(server: Any, change: str) -> None:
    root = server.root()
    organizations = [server.organization() for _ in range(20)]
    total = int(root.get("/organization").headers["total-count"])
    path, requests = "/organization?per_page=3", 0
    while path:
        answer = root.request("GET", path.removeprefix("/api")).json()
        path, requests = answer["links"].get("next"), requests + 1
        # Slower than pages are read: a list that grows faster has no end for anybody.
        if change == "add":
            server.organization()
        elif change == "delete" and organizations:
            remove(server, organizations.pop())
        elif change == "empty":
            while organizations:
                remove(server, organizations.pop())
        assert requests <= total, "no end"


class InProcess(httpx.BaseTransport):
    """Takes a client's requests to the server of the test."""

    def __init__(self, http: TestClient, meanwhile: Callable[[], Any]) -> None:
        self._http = http
        self._meanwhile = meanwhile
        self.requests = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        answer = self._http.request(
            request.method,
            request.url.raw_path.decode(),
            headers=dict(request.headers),
            content=request.read(),
        )
        self._meanwhile()
        headers = {"Content-Type": answer.headers["Content-Type"]}
        return httpx.Response(answer.status_code, headers=headers, content=answer.content)


@pytest.mark.parametrize("change", ["add", "delete"])
def test_the_clients_iterate_ends_while_items_come_and_go(server: Any, change: str) -> None:
    root = server.root()
    known = [server.organization() for _ in range(20)]
    doomed = list(known)

    def meanwhile() -> None:
        if change == "add":
            server.organization()
        elif doomed:
            remove(server, doomed.pop())

    transport = InProcess(server.http, meanwhile)
    with Client("http://server", 5000, log_level="critical", transport=transport) as client:
        client._access_token = root.token
        found = [item["id"] for item in client.organization.iterate(per_page=3)]
    assert len(found) == len(set(found))
    assert transport.requests <= 15
    if change == "add":
        assert set(known) <= set(found)


# -- lists that get slower with everything that is stored --------------------------------------


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("/task", set()),
        ("/task?sort=name", set()),
        ("/task?include=runs", {"input", "log"}),
        ("/task?include=results", {"result"}),
        ("/run", {"input", "log"}),
        ("/run?sort=status", {"input", "log"}),
        ("/result", {"result"}),
        ("/node", set()),
        ("/collaboration", set()),
    ],
)
def test_a_list_reads_the_payloads_it_shows_and_no_others(
    server: Any, path: str, columns: set[str]
) -> None:
    organization = server.organization()
    server.task(server.collaboration(organization), organization)
    root = server.root()
    with server.statements() as statements:
        assert root.request("GET", path).status_code == 200
    read = {
        name
        for name in ("input", "log", "result")
        for each in statements
        if f"payload.{name}" in each
    }
    assert read == columns


@pytest.mark.parametrize("path", ["/run", "/result"])
@pytest.mark.parametrize("sort", ["status", "-finished_at,id"])
def test_what_sorts_runs_does_not_carry_their_payloads(server: Any, path: str, sort: str) -> None:
    """Of the 300 runs of a test with 1 MB each, ten of a page took SQLite 300 ms and more."""
    organization = server.organization()
    server.task(server.collaboration(organization), organization)
    root = server.root()
    with server.statements() as statements:
        assert len(root.ids(path, sort=sort)) == 1
    [listing] = [each for each in statements if "LIMIT" in each]
    innermost = listing[listing.rindex("SELECT") : listing.index("LIMIT")]
    chosen, _, joined = innermost.partition("FROM")
    assert chosen.split() == ["SELECT", "run.id"]
    assert not any(f"payload.{name}" in joined for name in ("input", "log", "result"))


def test_sorting_gives_each_page_in_order_and_every_run_once(server: Any) -> None:
    organization, other = server.organization(), server.organization()
    collaboration = server.collaboration(organization, other)
    for number in range(9):
        runs = {organization: ("failed", "active", "completed")[number % 3], other: "pending"}
        server.task(collaboration, organization, runs=runs)
    root = server.root()
    for path in ("/run", "/result"):
        pages = [
            root.ids(path, sort="status", per_page=4, page=page, organization_id=organization)
            for page in (1, 2, 3, 4)
        ]
        assert [len(page) for page in pages] == [4, 4, 1, 0]
        ids = [id_ for page in pages for id_ in page]
        assert len(set(ids)) == 9
        shown = [root.get(f"/run/{id_}").json()["status"] for id_ in ids]
        assert shown == sorted(shown)
        answer = root.get(path, sort="status", per_page=4, organization_id=organization)
        assert answer.headers["total-count"] == "9"


# -- one request for everything ----------------------------------------------------------------


def test_a_page_has_a_bound_and_the_next_goes_on_behind_it(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_PER_PAGE == 10_000  # the UI asks for 9999 and follows no links
    monkeypatch.setattr("vantage6.web.pagination.MOST_PER_PAGE", 4)
    root = server.root()
    known = [server.organization() for _ in range(9)]
    path, found, sizes = "/api/organization?per_page=100", [], []
    while path:
        answer = root.request("GET", path.removeprefix("/api"))
        content = answer.json()
        found += [item["id"] for item in content["data"]]
        sizes.append(len(content["data"]))
        path = content["links"].get("next")
    total = int(answer.headers["total-count"])
    assert set(known) < set(found)
    assert len(found) == len(set(found)) == total
    assert set(sizes[:-1]) == {4}
    # All rules at once, as the UI asks for them, are not a page.
    rules = root.get("/rule", no_pagination=1).json()
    assert len(rules["data"]) == len(server.all_rules)
    assert "next" not in rules["links"]
