"""Requests made up from the API's description, by every kind of caller.

Schemathesis makes up what fits the description (``positive``) and what does not (``negative``).
Whatever is sent: no server error, every refusal a JSON object with a text `msg`, and every success
in the shape that is described. Changes are rehearsed, then undone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2 as httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core import NotSet

from vantage6.server.api import task_status
from vantage6.server.stores import Stores

#: The operations are dealt out to so many tests, so that several processes share them.
HANDS = 6
EXAMPLES = 4
#: What a route may answer although it is a server error: that this server does not do it, or that
#: the other side of it, a store, answers nonsense.
ADMITTED = {
    "GET /api/vpn": 501,
    "POST /api/vpn/update": 501,
    "POST /api/algorithmstore": 502,
    "DELETE /api/algorithmstore/{id_}": 502,
}


class Fuzzed:
    """A server with something of everything, its description, and callers."""

    def __init__(self, server: Any) -> None:
        self.server = server
        one, two = server.organization(), server.organization()
        together = server.collaboration(one, two)
        study = server.study(together, one)
        self.node = server.node(one, together, status="online")
        server.node(two, together, status="online")
        self.root = server.root(one)
        self.researcher = server.user(one, roles=[server.default_role("Researcher")])
        store = server.store(together)
        server.store(None)
        self.task = server.task(
            together,
            one,
            self.researcher.id,
            runs={one: "active", two: "completed"},
            study_id=study,
            algorithm_store_id=store,
            databases=[{"label": "default", "parameters": {"query": "q"}}],
        )
        server.task(together, one, self.researcher.id, parent_id=self.task)
        server.port(server.runs(self.task)[0], label="com")
        self.container = server.container(self.node, one, together, self.task)
        self.document = server.http.get("/openapi.json").json()
        self.schema = schemathesis.openapi.from_dict(self.document)
        self._validators: dict[str, Any] = {}

    @property
    def callers(self) -> Mapping[str, Any]:
        """Token by the name of who holds it."""
        return {
            "root": self.root.token,
            "researcher": self.researcher.token,
            "node": self.node.token,
            "container": self.container.token,
            "nobody": None,
        }

    def operations(self) -> list[Any]:
        """All operations, in a fixed order."""
        return sorted(
            (result.ok() for result in self.schema.get_all_operations()),
            key=lambda operation: operation.label,
        )

    def described(self, label: str, status: int) -> dict[str, Any]:
        """What the description says of an answer."""
        method, path = label.split()
        responses = self.document["paths"][path][method.lower()]["responses"]
        found = responses.get(str(status), responses["default"])
        schema: dict[str, Any] = found["content"]["application/json"]["schema"]
        return schema

    def check(self, label: str, answer: Any, what: str) -> None:
        """Whether an answer is one that may be given."""
        status = answer.status_code
        assert status < 500 or status == ADMITTED.get(label), what
        content = answer.json()
        if status >= 400:
            assert isinstance(content, dict), what
            assert isinstance(content["msg"], str), what
            assert content["msg"], what
            assert "Traceback" not in answer.text, what
            assert "sqlalchemy" not in answer.text.lower(), what
        schema = self.described(label, status)
        key = json.dumps(schema)
        if key not in self._validators:
            self._validators[key] = jsonschema_rs.validator_for(
                {**schema, "components": self.document["components"]}
            )
        try:
            self._validators[key].validate(content)
        except jsonschema_rs.ValidationError as error:
            pytest.fail(f"{what}\nis not as described: {error}")


@pytest.fixture(scope="module")
def fuzzed(shared_server: Any) -> Fuzzed:
    return Fuzzed(shared_server)


async def _some_store(request: httpx.Request) -> httpx.Response:
    """Answers like a store of an unsteady character; no name is looked up, nothing leaves."""
    kinds = (
        lambda: httpx.Response(201, json={"data": [{"image": "i", "digest": "sha256:1"}]}),
        lambda: httpx.Response(200, json={"data": [{"image": "i", "digest": "sha256:1"}]}),
        lambda: httpx.Response(403, content=b"<html>"),
        lambda: httpx.Response(200, json=[]),
    )
    return kinds[len(str(request.url)) % len(kinds)]()


@pytest.fixture
def unsteady_store(fuzzed: Fuzzed) -> Iterator[None]:
    services = fuzzed.server.services
    before = services.stores
    services.stores = Stores(transport=httpx.MockTransport(_some_store))
    yield
    services.stores = before


def small(value: Any) -> Any:
    """Numbers that are ids of something more often than not."""
    if isinstance(value, bool) or not isinstance(value, (int, list, dict)):
        return value
    if isinstance(value, int):
        return value if value < 1 else 1 + value % 8
    if isinstance(value, list):
        return [small(item) for item in value]
    return {key: small(item) for key, item in value.items()}


def send(fuzzed: Fuzzed, case: Any, token: str | None) -> tuple[Any, str]:
    """Send a request; gives the answer and what it was."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    options: dict[str, Any] = {}
    if not isinstance(case.body, NotSet):
        content = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()
        options["content"] = content
        headers["Content-Type"] = "application/json"
    answer = fuzzed.server.http.request(
        case.method, case.formatted_path, params=case.query or None, headers=headers, **options
    )
    what = (
        f"{case.method} {case.formatted_path} {case.query} {str(case.body)[:1000]}\n"
        f"gave {answer.status_code} {answer.text[:1000]}"
    )
    return answer, what


@pytest.mark.parametrize("hand", range(HANDS))
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.usefixtures("unsteady_store")
def test_nothing_that_is_sent_breaks_the_server(
    fuzzed: Fuzzed, monkeypatch: pytest.MonkeyPatch, mode: GenerationMode, hand: int
) -> None:
    # Whoever waits for a task would wait.
    monkeypatch.setattr(task_status, "LONGEST_WAIT", 0.01)
    for operation in fuzzed.operations()[hand::HANDS]:
        raw = operation.definition.raw
        if mode is GenerationMode.NEGATIVE and not {"parameters", "requestBody"} & set(raw):
            continue  # nothing of it can be wrong
        with fuzzed.server.rehearse():
            try_out(fuzzed, operation, mode)


def try_out(fuzzed: Fuzzed, operation: Any, mode: GenerationMode) -> None:
    """Send what is made up for one operation, by everybody; login needs nobody."""
    callers = fuzzed.callers if "security" in operation.definition.raw else {"nobody": None}

    @seed(4152)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode), modest=st.booleans())
    def check(case: Any, modest: bool) -> None:
        if modest:
            for part in ("path_parameters", "query", "body"):
                setattr(case, part, small(getattr(case, part)))
        for name, token in callers.items():
            answer, what = send(fuzzed, case, token)
            fuzzed.check(operation.label, answer, f"{name}: {what}")

    check()


def test_every_operation_is_tried(fuzzed: Fuzzed) -> None:
    described = {
        f"{method.upper()} {path}"
        for path, methods in fuzzed.document["paths"].items()
        for method in methods
    }
    assert {operation.label for operation in fuzzed.operations()} == described
