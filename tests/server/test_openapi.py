"""The description of the API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

OPEN = {
    ("get", "/api/version"),
    ("get", "/api/health"),
    ("get", "/api/health/live"),
    ("get", "/api/health/ready"),
    ("post", "/api/token/user"),
    ("post", "/api/token/node"),
    ("post", "/api/recover/lost"),
    ("post", "/api/recover/reset"),
    ("post", "/api/recover/2fa/lost"),
    ("post", "/api/recover/2fa/reset"),
}


@pytest.fixture(scope="module")
def document(shared_server: Any) -> dict[str, Any]:
    answer = shared_server.http.get("/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def routes(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            yield method, path, route


def test_the_description_names_the_version_of_the_contract(document: dict[str, Any]) -> None:
    assert document["info"]["version"] == "4.15.2"
    assert document["openapi"].startswith("3.")


def test_every_route_has_a_sentence_and_a_tag(document: dict[str, Any]) -> None:
    for method, path, route in routes(document):
        assert route["summary"], (method, path)
        assert route["description"].endswith((".", "``")), (method, path)
        assert route["tags"], (method, path)


def test_every_route_but_the_open_ones_needs_a_token(document: dict[str, Any]) -> None:
    without = {
        (method, path) for method, path, route in routes(document) if "security" not in route
    }
    assert without == OPEN
    schemes = document["components"]["securitySchemes"]
    assert [(item["type"], item["scheme"]) for item in schemes.values()] == [("http", "bearer")]


def test_every_operation_has_an_id_that_a_client_can_call_a_function(
    document: dict[str, Any],
) -> None:
    ids = [route["operationId"] for _, _, route in routes(document)]
    assert len(set(ids)) == len(ids)
    for id_ in ids:
        assert re.fullmatch("[a-z]+(_[a-z]+)*", id_), id_


def test_every_operation_says_what_it_answers_and_how_it_refuses(
    document: dict[str, Any],
) -> None:
    error = {"$ref": "#/components/schemas/Error"}
    for method, path, route in routes(document):
        successes = {code for code in route["responses"] if code.startswith("2")}
        assert successes, (method, path)
        for code, response in route["responses"].items():
            if "application/octet-stream" in response["content"]:
                assert (method, path) == ("get", "/api/blobstream/{uuid}")
                continue
            schema = response["content"]["application/json"]["schema"]
            if code in successes:
                assert schema not in ({}, error), (method, path, code)
                assert set(schema) & {"$ref", "anyOf", "items"}, (method, path, code)
            else:
                assert schema == error, (method, path, code)
        assert {"400", "401", "404", "422", "default"} <= set(route["responses"]), (method, path)
    assert document["components"]["schemas"]["Error"]["required"] == ["msg"]


def test_every_list_tells_its_total_and_takes_pages_and_an_order(document: dict[str, Any]) -> None:
    lists = 0
    for method, path, route in routes(document):
        answer = route["responses"].get("200")
        if answer is None or "headers" not in answer:
            continue
        lists += 1
        assert (method, set(answer["headers"])) == ("get", {"total-count", "Link"})
        names = {item["name"] for item in route["parameters"]}
        assert {"page", "per_page", "sort"} <= names, path
    assert lists == 11


def test_all_references_lead_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert wanted <= set(document["components"]["schemas"])
    assert set(document["components"]["schemas"]) - wanted == set()


def test_every_body_has_an_example_that_it_takes(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    bodies = set()
    for _, _, route in routes(document):
        body = route.get("requestBody")
        if body and "application/json" in body["content"]:
            bodies.add(body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2])
    for name in bodies:
        schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
        for example in schemas[name]["examples"]:
            jsonschema_rs.validate(schema, example)


def test_the_page_about_the_api_needs_no_other_host(shared_server: Any) -> None:
    http = shared_server.http
    page = http.get("/docs")
    assert page.status_code == 200
    addresses = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)""", page.text)
    assert len(addresses) >= 3
    for address in addresses:
        assert address.startswith("/"), address
        assert http.get(address).status_code == 200, address
    assert "//" not in re.sub(r"<!--.*?-->", "", page.text, flags=re.DOTALL).replace("</", "")


def test_every_body_is_described_and_refuses_unknown_keys(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for method, path, route in routes(document):
        body = route.get("requestBody")
        if body is None or "application/json" not in body["content"]:
            continue
        schema = body["content"]["application/json"]["schema"]
        described = schemas[schema["$ref"].rpartition("/")[2]]
        assert described["additionalProperties"] is False, (method, path)
        assert described["properties"], (method, path)


@pytest.mark.parametrize("path", ["/api/nonsense", "/api/version/", "/api/task/abc", "/nonsense"])
def test_what_is_not_routed_answers_json_with_a_message(shared_server: Any, path: str) -> None:
    answer = shared_server.http.get(path)
    assert answer.status_code == 404
    assert isinstance(answer.json()["msg"], str)


def test_a_method_that_is_not_there_is_refused_with_those_that_are(shared_server: Any) -> None:
    answer = shared_server.http.put("/api/organization/1")
    assert answer.status_code == 405
    assert "allow" in answer.headers
    assert isinstance(answer.json()["msg"], str)


def test_what_is_no_json_is_refused(shared_server: Any) -> None:
    root = shared_server.root()
    headers = {"Authorization": f"Bearer {root.token}", "Content-Type": "application/json"}
    for content in (b"{", b"", b"[]", b'"x"', b"null", b"\xff"):
        answer = shared_server.http.post("/api/organization", content=content, headers=headers)
        assert answer.status_code == 400, content
        assert isinstance(answer.json()["msg"], str)
