"""Reading answers; and what a client returns when the server says no."""

from __future__ import annotations

from json import JSONDecodeError
from typing import Any, NoReturn

import httpx2 as httpx

from vantage6.common.exceptions import RefusedError, UnexpectedAnswerError


class Refusal(dict[str, Any]):
    """The server's error answer: the dictionary ``{"msg": ..., "errors"?: ...}``.

    Scripts look at ``answer["msg"]`` as ever. Asking it for what only a success would hold
    (``task["id"]``) raises :class:`RefusedError` with what the server said, instead of a
    ``KeyError`` far from the cause.

    Attributes
    ----------
    status_code : int
        HTTP status.
    request : str
        Method and endpoint that were refused.
    from_server : bool
        Whether the message is the server's own; otherwise something before it answered.
    """

    def __init__(
        self, answer: dict[str, Any], status_code: int, request: str, *, from_server: bool = True
    ) -> None:
        super().__init__(answer)
        self.status_code = status_code
        self.request = request
        self.from_server = from_server

    def explain(self) -> str:
        """One sentence: what was asked, what the server said."""
        errors = f" ({self['errors']})" if self.get("errors") else ""
        return f"{self['msg']}{errors} [{self.status_code} to {self.request}]"

    def fail(self) -> NoReturn:
        """Raise :class:`RefusedError` with the server's words."""
        raise RefusedError(self.explain(), self.status_code)

    def __missing__(self, key: str) -> NoReturn:
        raise RefusedError(
            f"There is no '{key}': the server refused the request: {self.explain()}",
            self.status_code,
        )


def require(answer: Any) -> Any:
    """Return the answer unless it is a refusal.

    Raises
    ------
    RefusedError
        With what the server said.
    """
    if isinstance(answer, Refusal):
        answer.fail()
    return answer


def decode_json(response: httpx.Response) -> Any:
    """JSON of an answer.

    Raises
    ------
    UnexpectedAnswerError
        If it is not JSON.
    """
    try:
        return response.json()
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise UnexpectedAnswerError(
            f"The answer from {response.url} (status {response.status_code}) is not JSON. "
            "Are host, port and API path those of a vantage6 server?"
        ) from error


def read_refusal(response: httpx.Response, request: str) -> Refusal:
    """Make an error answer into a refusal, whatever its body is."""
    try:
        answer = decode_json(response)
    except UnexpectedAnswerError:
        answer = None
    if not isinstance(answer, dict):
        answer = {}
    said = answer.get("msg") or answer.get("message")
    from_server = bool(said)
    if not from_server:
        said = f"The server answered {response.status_code} {response.reason_phrase} and no message"
    answer["msg"] = said if isinstance(said, str) else str(said)
    return Refusal(answer, response.status_code, request, from_server=from_server)
