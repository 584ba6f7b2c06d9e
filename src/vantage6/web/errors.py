"""How a refusal looks on the wire: always a JSON object with a string ``msg``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from vantage6.web.responses import JSON

log = logging.getLogger(__name__)


class Refusal(Exception):
    """The request is refused; the message says what is wrong and what to do.

    Parameters
    ----------
    status : int
        HTTP status code.
    message : str
        For the person who asked.
    errors : mapping, optional
        Texts per field of the body.
    headers : mapping, optional
        Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        errors: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors
        self.headers = headers

    def response(self) -> JSON:
        """The answer to send."""
        content: dict[str, Any] = {"msg": self.message}
        if self.errors:
            content["errors"] = self.errors
        return JSON(content, self.status, self.headers)


def bad_request(message: str) -> Refusal:
    """400: the request itself is wrong."""
    return Refusal(HTTPStatus.BAD_REQUEST, message)


def unauthorized(message: str) -> Refusal:
    """401: not logged in, or not allowed (the contract does not use 403 for that)."""
    return Refusal(HTTPStatus.UNAUTHORIZED, message)


def not_found(message: str) -> Refusal:
    """404: there is no such thing."""
    return Refusal(HTTPStatus.NOT_FOUND, message)


def conflict(message: str) -> Refusal:
    """409: somebody else was first."""
    return Refusal(HTTPStatus.CONFLICT, message)


def lacks_permission() -> Refusal:
    """401 for whoever lacks a rule."""
    return unauthorized("You lack the permission to do that!")


def incorrect_body(errors: Mapping[str, Any]) -> Refusal:
    """400 with texts per field."""
    return Refusal(HTTPStatus.BAD_REQUEST, "Request body is incorrect", errors)


def _nested(errors: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Pydantic's flat list as ``{field: [text]}``, with list items nested by index."""
    result: dict[str, Any] = {}
    for error in errors:
        text = str(error["msg"]).removeprefix("Value error, ")
        path = [str(part) for part in error["loc"][1:]] or ["_schema"]
        place = result
        for part in path[:-1]:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            place = inner
        else:
            place.setdefault(path[-1], []).append(text)
    return result


def install(app: FastAPI) -> None:
    """Make every error of the application answer in the contract's form."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> JSON:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSON:
        found = error.errors()
        if any(item["type"] == "json_invalid" for item in found):
            return incorrect_body({"_schema": ["Not valid JSON."]}).response()
        in_query = [item for item in found if item["loc"][0] == "query"]
        if in_query:
            item = in_query[0]
            name = item["loc"][1]
            return bad_request(f"Query parameter '{name}': {item['msg']}").response()
        return incorrect_body(_nested(found)).response()

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSON:
        if error.status_code == HTTPStatus.NOT_FOUND:
            message = f"There is nothing at {request.url.path}"
        else:
            message = str(error.detail)
        # The framework's own refusals carry `message` in the contract; `msg` serves the client.
        return JSON(
            {"msg": message, "message": message}, error.status_code, dict(error.headers or {})
        )

    @app.exception_handler(OverflowError)
    @app.exception_handler(DataError)
    async def unstorable(_: Request, __: Exception) -> JSON:
        # Not the database's own words: they quote the value.
        return bad_request("The database cannot hold one of the values that were sent").response()

    @app.exception_handler(IntegrityError)
    async def conflict(request: Request, error: IntegrityError) -> JSON:
        kind = type(error.orig).__name__
        log.warning("%s %s: %s", request.method, request.url.path, kind)
        return bad_request(
            "Somebody else changed the same at this moment. Look again, and repeat if needed"
        ).response()

    @app.exception_handler(OperationalError)
    @app.exception_handler(InterfaceError)
    @app.exception_handler(PoolTimeout)
    async def unavailable(request: Request, error: SQLAlchemyError) -> JSON:
        # One line, without the statement: its parameters are what was sent.
        reason = str(getattr(error, "orig", None) or type(error).__name__).partition("\n")[0]
        log.error("%s %s: database: %s", request.method, request.url.path, reason)
        if "full" in reason or "No space left" in reason:
            return JSON({"msg": "The server has no space left to store this. Nothing is lost"}, 503)
        return JSON({"msg": "The database is not available. Please try again"}, 503)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSON:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return JSON({"msg": "An unexpected error occurred on the server!"}, 500)
