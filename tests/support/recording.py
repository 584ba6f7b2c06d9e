"""A server that answers what it was told and writes down what it was asked; a clock to turn."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_plus

import httpx2 as httpx
import jwt

Answer = Any


def access_token(*, lifetime: int = 21600, issued: int = 1_000_000, **claims: Any) -> str:
    return jwt.encode(
        {"sub": 7, "iat": issued, "exp": issued + lifetime, **claims},
        "a secret that is long enough for sha256",
        algorithm="HS256",
    )


def login_answer(**claims: Any) -> dict[str, Any]:
    return {
        "access_token": access_token(**claims),
        "refresh_token": "renew-me",
        "refresh_url": "/api/token/refresh",
        "user_url": "/api/user/7",
    }


class TurnableClock:
    """Sleeping takes no time but moves the hands."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.sleeps: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.time += seconds


class RecordingServer:
    """Answers by method and path; an answer may be JSON, (status, JSON), an exception or a list.

    A list is used up item by item, its last item stays. A callable gets the request.
    """

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: dict[str, Answer] = {
            "POST /api/token/user": login_answer(),
            "GET /api/user/7": {"id": 7, "firstname": "Ada", "organization": {"id": 3}},
            "GET /api/organization/3": {"id": 3, "name": "Utrecht", "public_key": ""},
            "GET /api/blobstream/status": {"blob_store_enabled": False},
        }

    def on(self, request: str, *answers: Answer) -> None:
        self.answers[request] = list(answers) if len(answers) > 1 else answers[0]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        key = f"{request.method} {request.url.path}"
        answer = self.answers.get(key, (404, {"msg": f"nothing at {key}"}))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, json=body)

    @property
    def lines(self) -> list[str]:
        """``METHOD path?query`` of each request."""
        return [f"{one.method} {unquote_plus(one.url.raw_path.decode())}" for one in self.requests]

    @property
    def last_body(self) -> Any:
        content = self.requests[-1].read()
        return json.loads(content) if content else None

    def forget(self) -> None:
        self.requests.clear()
