"""Completes the OpenAPI document: answers, errors and examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from vantage6.server.description.answers import ANSWERS, Answer, Model
from vantage6.server.description.examples import EXAMPLES
from vantage6.server.description.shapes.basis import Error, PageLinks

_SCHEMAS = "#/components/schemas/"
_REFUSALS = {
    "400": "The request is wrong: `msg` says how, `errors` which field",
    "401": "Not logged in, or not allowed",
    "404": "There is no such thing",
    "422": "The token is malformed, wrongly signed, or of the wrong kind (access, refresh)",
    "default": "Any other refusal",
}
_LIST_HEADERS = {
    "total-count": {
        "description": "How many there are on all pages",
        "schema": {"type": "integer"},
    },
    "Link": {"description": "`links` in the form of RFC 8288", "schema": {"type": "string"}},
}
_METHODS = ("get", "post", "patch", "delete", "put")


def describe(api: FastAPI, api_path: str) -> None:
    """Have the application describe itself in full."""

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            document = get_openapi(
                title=api.title,
                version=api.version,
                description=api.description,
                openapi_version=api.openapi_version,
                routes=api.routes,
            )
            _complete(document, api_path)
            api.openapi_schema = document
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any], api_path: str) -> None:
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas.update(_schemas())
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                name = f"{method.upper()} {path.removeprefix(api_path)}"
                _complete_route(methods[method], ANSWERS.get(name))
    for name, example in EXAMPLES.items():
        if name in schemas:
            schemas[name]["examples"] = [example]


def _complete_route(route: dict[str, Any], answer: Answer | None) -> None:
    if answer is not None:
        route["responses"] = {str(status): found for status, found in _answers(answer)}
    else:
        route["responses"].pop("422", None)
    for status, text in _REFUSALS.items():
        route["responses"].setdefault(status, {"description": text, **_content(_ref(Error))})


def _answers(answer: Answer) -> Iterator[tuple[int, dict[str, Any]]]:
    if answer.form == "bytes":
        octets = {"schema": {"type": "string", "format": "binary"}}
        content = {"application/octet-stream": octets}
        yield answer.status, {"description": "The bytes", "content": content}
        return
    first = answer.models[0]
    schema: dict[str, Any] = _ref(first)
    if answer.form == "page":
        schema = {"$ref": f"{_SCHEMAS}{first.__name__}Page"}
    elif answer.form == "array":
        schema = {"type": "array", "items": _ref(first)}
    elif len(answer.models) > 1:
        schema = {"anyOf": [_ref(model) for model in answer.models]}
    found = {"description": _summary(first), **_content(schema)}
    if answer.form == "page":
        found["headers"] = _LIST_HEADERS
    yield answer.status, found
    for status, model in answer.others.items():
        yield status, {"description": _summary(model), **_content(_ref(model))}


def _schemas() -> dict[str, Any]:
    models: dict[str, Model] = {model.__name__: model for model in (Error, PageLinks)}
    for answer in ANSWERS.values():
        models |= {m.__name__: m for m in (*answer.models, *answer.others.values())}
    _, definitions = models_json_schema(
        [(model, "validation") for model in models.values()], ref_template=_SCHEMAS + "{model}"
    )
    schemas: dict[str, Any] = definitions["$defs"]
    pages = {answer.models[0] for answer in ANSWERS.values() if answer.form == "page"}
    for model in pages:
        schemas[f"{model.__name__}Page"] = {
            "type": "object",
            "description": f"A page of a list. {_summary(model)}",
            "properties": {
                "data": {"type": "array", "items": _ref(model)},
                "links": _ref(PageLinks),
            },
            "required": ["data", "links"],
        }
    return schemas


def _summary(model: Model) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


def _ref(model: Model) -> dict[str, Any]:
    return {"$ref": _SCHEMAS + model.__name__}


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}
