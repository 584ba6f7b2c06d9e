"""What every request passes first: ids, limits, headers, the log, metrics, traces."""

from __future__ import annotations

import http.server
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from starlette.testclient import TestClient

from servers import PASSWORD, SECRET, Process, free_port, start
from vantage6.server.app import Application
from vantage6.server.auth.tokens import Kind
from vantage6.server.config import ServerConfig


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'server.sqlite'}"


def log_in(process: Process) -> str:
    body = {"username": "root", "password": PASSWORD}
    token: str = httpx.post(f"{process.url}/api/token/user", json=body).json()["access_token"]
    return token


def test_an_id_of_a_request_is_taken_or_made_and_given_back(shared_server: Any) -> None:
    http = shared_server.http
    given = http.get("/api/version", headers={"X-Request-ID": "abc-1.2_3"})
    assert given.headers["X-Request-ID"] == "abc-1.2_3"
    made = [http.get("/api/version").headers["X-Request-ID"] for _ in range(2)]
    assert made[0] != made[1]
    for bad in ("x" * 65, "a b", "a\tb", "a;b"):
        answer = http.get("/api/version", headers={"X-Request-ID": bad})
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-ID"])


def test_browsers_are_told_to_be_careful(shared_server: Any) -> None:
    headers = shared_server.http.get("/api/version").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Strict-Transport-Security" not in headers
    assert "Access-Control-Allow-Origin" not in headers


@contextmanager
def application(databases: Any, **keys: Any) -> Iterator[TestClient]:
    """A server in this process, with these keys in its configuration."""
    uri = databases.prepared()
    config = ServerConfig.model_validate({"uri": uri, "jwt_secret_key": SECRET, **keys})
    with TestClient(Application(config), raise_server_exceptions=False) as http:
        yield http
    databases.discard(uri)


def test_other_origins_are_let_in_only_if_configured(databases: Any) -> None:
    origin = {"Origin": "https://ui.example.org"}
    path = "/socket.io/?transport=polling&EIO=4"
    with application(databases) as closed:
        assert closed.get(path).status_code == 200
        assert closed.get(path, headers=origin).status_code == 400
        answer = closed.get("/api/version", headers=origin)
        assert "access-control-allow-origin" not in answer.headers
    allowed = "https://ui.example.org"
    with application(databases, cors_allowed_origins=allowed) as opened:
        answer = opened.get(path, headers=origin)
        assert answer.headers["access-control-allow-origin"] == allowed
        assert answer.headers["access-control-allow-credentials"] == "true"
        answer = opened.get("/api/version", headers=origin)
        assert answer.headers["access-control-allow-origin"] == allowed
        other = {"Origin": "https://evil.example.org"}
        answer = opened.get("/api/version", headers=other)
        assert "access-control-allow-origin" not in answer.headers


def test_bodies_have_a_limit(databases: Any) -> None:
    with application(databases, max_body_mb=0.125) as http:
        token = http.app.services.tokens.issue(Kind.USER, 1)[0]
        headers = {"Authorization": f"Bearer {token}"}
        large = json.dumps({"name": "x" * 200_000}).encode()

        def in_parts() -> Iterator[bytes]:
            for first in range(0, len(large), 10_000):
                yield large[first : first + 10_000]

        for content in (large, in_parts()):
            answer = http.post("/api/organization", headers=headers, content=content)
            assert answer.status_code == 413
            assert "0.125 MiB" in answer.json()["msg"]
        streamed = http.post("/api/blobstream", headers=headers, content=large)
        assert streamed.status_code != 413


def test_an_address_has_a_limit_if_configured(databases: Any) -> None:
    limit = {"requests_per_second": 5, "burst": 10}
    with application(databases, rate_limit=limit) as http:
        answers = [http.get("/api/version") for _ in range(100)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert "Too many" in refused[0].json()["msg"]
        time.sleep(float(refused[-1].headers["Retry-After"]) + 1)
        assert http.get("/api/version").status_code == 200


def test_forwarded_addresses_are_believed_from_trusted_proxies_only(tmp_path: Path) -> None:
    limit = {"rate_limit": {"requests_per_second": 0.01, "burst": 20}}

    def refused(server: Process) -> int:
        answers = [
            server.get("/version", headers={"X-Forwarded-For": f"10.0.0.{number}"})
            for number in range(40)
        ]
        return sum(answer.status_code == 429 for answer in answers)

    with start(tmp_path, sqlite(tmp_path), **limit) as server:
        assert refused(server) >= 20
    with start(tmp_path, sqlite(tmp_path), trusted_proxies=["127.0.0.1"], **limit) as server:
        assert refused(server) == 0


def test_metrics_tell_of_requests_runs_sockets_and_the_process(tmp_path: Path) -> None:
    port = free_port()
    prometheus = {"enabled": True, "exporter_port": port}
    with start(tmp_path, sqlite(tmp_path), prometheus=prometheus) as server:
        token = log_in(server)
        server.get("/organization/1", headers={"Authorization": f"Bearer {token}"})
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    labels = 'method="GET",route="/organization/{id_:int}",status="200"'
    assert f"vantage6_http_requests_total{{{labels}}} 1.0" in text
    for name in (
        "vantage6_http_request_seconds_bucket",
        "vantage6_connected_sockets",
        "vantage6_runs",
        "process_resident_memory_bytes",
    ):
        assert name in text


def test_a_metrics_port_in_use_is_told_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        prometheus = {"enabled": True, "exporter_port": port}
        server = start(tmp_path, sqlite(tmp_path), prometheus=prometheus)
        assert server.process.wait(timeout=90) == 1
    assert f"Metrics cannot be offered at 127.0.0.1:{port}: Address already in use" in server.log
    assert "'prometheus.exporter_port'" in server.log
    assert "Traceback" not in server.log


def test_log_lines_as_json_carry_the_request(tmp_path: Path) -> None:
    logging = {"level": "INFO", "use_console": True, "json": True}
    with start(tmp_path, sqlite(tmp_path), logging=logging) as server:
        token = log_in(server)
        headers = {"Authorization": f"Bearer {token}", "X-Request-ID": "follow-me"}
        body = {"name": "one"}
        httpx.post(f"{server.url}/api/organization", headers=headers, json=body)
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    mine = [line for line in lines if line.get("request_id") == "follow-me"]
    assert [line["message"].split(" in ")[0] for line in mine] == ["POST /api/organization: 201"]
    assert {"time", "level", "logger", "service"} <= mine[0].keys()


def test_no_secret_gets_into_the_log_of_a_busy_session(tmp_path: Path) -> None:
    logging = {"level": "DEBUG", "use_console": True}
    debug = [{"name": name, "level": "DEBUG"} for name in ("socketio", "engineio", "sqlalchemy")]
    with start(tmp_path, sqlite(tmp_path), logging={**logging, "loggers": debug}) as server:
        url = f"{server.url}/api"
        login = httpx.post(
            f"{url}/token/user", json={"username": "root", "password": PASSWORD}
        ).json()
        headers = {"Authorization": f"Bearer {login['access_token']}"}

        def post(path: str, **body: Any) -> Any:
            answer = httpx.post(f"{url}{path}", headers=headers, json=body)
            assert answer.status_code < 300, answer.text
            return answer.json()

        organization = post("/organization", name="one")["id"]
        collaboration = post(
            "/collaboration", name="c", organization_ids=[organization], encrypted=False
        )["id"]
        node = post("/node", collaboration_id=collaboration, organization_id=organization)
        api_key = node["api_key"]
        as_node = httpx.post(f"{url}/token/node", json={"api_key": api_key}).json()
        wrong = {"username": "root", "password": "Wrong-secret-7!"}
        httpx.post(f"{url}/token/user", json=wrong)
        httpx.get(f"{url}/version?token={login['access_token']}")
        httpx.get(f"{url}/node", headers={"Authorization": "Bearer " + as_node["access_token"]})
        httpx.get(
            f"{server.url}/socket.io/?transport=polling&EIO=4",
            headers={"Authorization": "Bearer " + as_node["access_token"]},
        )
        httpx.post(login["refresh_url"].replace("/api", url), headers=headers)
        httpx.patch(f"{url}/user/1", headers=headers, json={"password": "New-Secret-8!"})
        httpx.post(f"{url}/user", headers=headers, json={"password": "New-Secret-9!"})
    secrets = {
        "password": PASSWORD,
        "wrong password": "Wrong-secret-7!",
        "refused password": "New-Secret-8!",
        "password of an incorrect body": "New-Secret-9!",
        "API key": api_key,
        "signing key": SECRET,
        **{f"user's {key}": login[key] for key in ("access_token", "refresh_token")},
        **{f"node's {key}": as_node[key] for key in ("access_token", "refresh_token")},
    }
    assert len(server.log) > 1000
    assert [name for name, secret in secrets.items() if secret in server.log] == []


@pytest.fixture
def collector() -> Iterator[tuple[str, Callable[[], list[bytes]]]]:
    """A collector of traces: its address, and what it was sent."""
    received: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", lambda: received
        server.shutdown()
        thread.join()


def test_traces_go_where_the_configuration_says(
    tmp_path: Path, collector: tuple[str, Callable[[], list[bytes]]]
) -> None:
    endpoint, received = collector
    with start(tmp_path, sqlite(tmp_path), opentelemetry={"endpoint": endpoint}) as server:
        assert server.get("/version").status_code == 200
    sent = b"".join(received())
    assert b"/api/version" in sent
    assert b"vantage6-server" in sent
