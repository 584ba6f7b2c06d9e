"""Whatever is sent: an answer in JSON that is no server error and tells no secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

JSON = "application/json"
NASTY_TEXTS = [
    "",
    "0",
    "-1",
    "9" * 30,
    "NaN",
    "a\0b",
    "\N{GRINNING FACE}",
    "%",
    "'; drop table user; --",
    "2026-01-01T00:00:00+99:99",
    "9999-12-31T23:59:59-14:00",
    "x" * 60_000,
    "a,b,,c",
]
NASTY_VALUES = [
    None,
    -1,
    10**30,
    1.5,
    "",
    "a\0b",
    "x" * 5000,
    [[None]],
    [10**30],
    {},
    [{"id": 10**30}],
    [{}],
]


class Callers:
    """A user with all rights and a node: one of them is let in by every route."""

    def __init__(self, server: Any) -> None:
        organization = server.organization()
        collaboration = server.collaboration(organization)
        self._node = server.node(organization, collaboration)
        self._root = server.root(organization)
        self.task = server.task(
            collaboration, organization, self._root.id, runs={organization: "active"}
        )

    def request(self, method: str, path: str, **options: Any) -> Any:
        answer = self._root.request(method, path, **options)
        if answer.status_code == 401 and "This needs a token" in answer.json()["msg"]:
            answer = self._node.request(method, path, **options)
        return answer


@pytest.fixture(scope="module")
def callers(shared_server: Any) -> Callers:
    return Callers(shared_server)


def operations(server: Any) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    document = server.http.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            path_ = path.removeprefix("/api").replace("{id_}", "1").replace("{rule_id}", "1")
            yield method.upper(), path_, route, document["components"]["schemas"]


def check(answer: Any, what: str) -> None:
    assert answer.status_code < 500 or answer.status_code == 501, (
        f"{what}: {answer.status_code} {answer.text[:300]}"
    )
    content = answer.json()
    if answer.status_code >= 400:
        assert isinstance(content["msg"], str), what
        assert "Traceback" not in answer.text, what
        assert "sqlalchemy" not in answer.text.lower(), what


def test_no_query_breaks_a_route(shared_server: Any, callers: Callers) -> None:
    tried = 0
    with shared_server.rehearse():
        for method, path, route, _ in operations(shared_server):
            names = [item["name"] for item in route.get("parameters", ()) if item["in"] == "query"]
            # `wait` would wait.
            for name in set(names) - {"wait"}:
                for text in NASTY_TEXTS:
                    answer = callers.request(method, path, params={name: text})
                    check(answer, f"{method} {path}?{name}={text[:40]!r}")
                    tried += 1
    assert tried > 500


def test_no_body_breaks_a_route(
    shared_server: Any, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vantage6.server.api.user.hash_password", lambda _: "hash")
    tried = 0
    with shared_server.rehearse():
        for method, path, route, schemas in operations(shared_server):
            if JSON not in route.get("requestBody", {}).get("content", {}):
                continue
            reference = route["requestBody"]["content"][JSON]["schema"]["$ref"]
            schema = schemas[reference.rpartition("/")[2]]
            required = {name: usual(name) for name in schema.get("required", ())}
            for name in schema["properties"]:
                for value in [usual(name), *NASTY_VALUES]:
                    body = {**required, name: value}
                    answer = callers.request(method, path, json=body)
                    check(answer, f"{method} {path} {name}={str(value)[:40]}")
                    tried += 1
            for whole in NASTY_VALUES:
                check(
                    callers.request(method, path, json=whole), f"{method} {path} {str(whole)[:40]}"
                )
    assert tried > 500


def usual(field: str) -> Any:
    """A value that a field of this name takes, so that the checks after the schema are reached."""
    return {
        "id": 1,
        "name": "new",
        "username": "newcomer",
        "email": "newcomer@example.org",
        "password": "Passw0rd!",
        "new_password": "Passw0rd!",
        "current_password": "Passw0rd!",
        "organization_id": 1,
        "collaboration_id": 1,
        "task_id": 1,
        "organization_ids": [1],
        "organizations": [{"id": 1, "input": "e30="}],
        "databases": [{"label": "default"}],
        "roles": [1],
        "rules": [1],
        "encrypted": False,
        "clear_ip": False,
        "ip": "10.0.0.1",
        "public_key": "a2V5",
        "image": "image",
        "api_key": "5c9e1c3e-0d0a-4a7a-9d53-2f3f1f0f7a11",
        "started_at": "2026-01-01T00:00:00",
        "finished_at": "2026-01-01T00:00:00",
        "status": "active",
    }.get(field, "text")
