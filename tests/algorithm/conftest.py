"""Fixtures: run an algorithm as a node does; a clock; a proxy made of a list of answers."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest


def node_encoded(text: str) -> str:
    """Encode an environment value as the contract says a node does."""
    return base64.b32encode(text.encode()).decode().replace("=", "!")


def container_token(**claims: Any) -> str:
    """A container's token, unsigned."""
    subject = {
        "client_type": "container",
        "node_id": 4,
        "organization_id": 5,
        "collaboration_id": 6,
        "study_id": None,
        "store_id": None,
        "task_id": 7,
        "image": "example/image",
        "databases": [{"label": "default"}],
        **claims,
    }
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256"}, {"sub": subject})]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + ".x"


@dataclass
class Outcome:
    """What is left of a run."""

    code: int
    stdout: str
    stderr: str
    output: bytes

    @property
    def result(self) -> Any:
        return json.loads(self.output)


@dataclass
class Station:
    """A data station that runs algorithms in processes of their own."""

    folder: Path
    databases: dict[str, tuple[str, str]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def token(**claims: Any) -> str:
        """A container's token."""
        return container_token(**claims)

    def write_package(self, **modules: str) -> None:
        """Write the package `my-algo`, its name as hyphenated as that of published ones."""
        package = self.folder / "packages" / "my-algo"
        package.mkdir(parents=True)
        for name, source in {"__init__": "", **modules}.items():
            (package / f"{name}.py").write_text(textwrap.dedent(source))

    def add_csv(self, label: str, text: str) -> None:
        path = self.folder / f"{label}.csv"
        path.write_text(text)
        self.databases[label] = (str(path), "csv")

    def run(
        self,
        task_input: Any,
        *,
        databases: list[str] | None = None,
        package: str | None = "my-algo",
        plain: Mapping[str, str] | None = None,
        call: str = "wrap_algorithm()",
    ) -> Outcome:
        run = self.folder / "run"
        run.mkdir(exist_ok=True)
        raw = task_input if isinstance(task_input, bytes) else json.dumps(task_input).encode()
        (run / "input").write_bytes(raw)
        (run / "output").write_bytes(b"")
        (run / "token").write_text(container_token())
        requested = list(self.databases) if databases is None else databases
        environment = {
            "INPUT_FILE": str(run / "input"),
            "OUTPUT_FILE": str(run / "output"),
            "TOKEN_FILE": str(run / "token"),
            "TEMPORARY_FOLDER": str(run),
            "HOST": "http://127.0.0.1",
            "PORT": "1",
            "API_PATH": "",
            "USER_REQUESTED_DATABASE_LABELS": ",".join(requested),
            "DB_LABELS": ",".join(self.databases),
            **self.settings,
        }
        for label, (uri, kind) in self.databases.items():
            environment[f"{label.upper()}_DATABASE_URI"] = uri
            environment[f"{label.upper()}_DATABASE_TYPE"] = kind
        ended = subprocess.run(
            [
                sys.executable,
                "-c",
                f"from vantage6.algorithm.tools.wrap import wrap_algorithm\n{call}",
            ],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(self.folder / "packages"),
                "PYTHONDONTWRITEBYTECODE": "1",
                **({"PKG_NAME": package} if package else {}),
                **{name: node_encoded(value) for name, value in environment.items()},
                **(plain or {}),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert sorted(path.name for path in run.iterdir()) == ["input", "output", "token"]
        return Outcome(ended.returncode, ended.stdout, ended.stderr, (run / "output").read_bytes())


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return Station(tmp_path)


class TestClock:
    """A clock that runs only while somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.pauses: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds


class Proxy:
    """A node's proxy: answers are made by functions per method and path, requests are kept."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Callable[[httpx.Request], httpx.Response]] = {}
        self.requests: list[httpx.Request] = []

    def on(self, method: str, path: str, *answers: Any) -> None:
        """Answer in turn with each (JSON, a response, an exception); the last one stays."""
        queue = list(answers)

        def answer(_request: httpx.Request) -> httpx.Response:
            given = queue.pop(0) if len(queue) > 1 else queue[0]
            if isinstance(given, Exception):
                raise given
            return given if isinstance(given, httpx.Response) else httpx.Response(200, json=given)

        self.routes[method, path] = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        route = self.routes.get((request.method, request.url.path))
        if route is None:
            return httpx.Response(404, json={"msg": f"No {request.url.path}"})
        return route(request)

    @property
    def calls(self) -> list[str]:
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.requests]


@pytest.fixture
def proxy() -> Proxy:
    return Proxy()


@pytest.fixture
def clock() -> TestClock:
    return TestClock()
