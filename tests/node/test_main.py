"""The node as a process."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from vantage6.common.logs import SecretiveFormatter
from vantage6.node.lock import FolderInUse, exclusive

SERVE = "import sys; from pathlib import Path; from vantage6.node.main import serve; "
SERVE += "serve(Path(sys.argv[1]))"


def write_config(folder: Path, **values: Any) -> Path:
    path = folder / "node.yaml"
    content = {
        "api_key": "5c9e1c3e-0d0a-4a7a-9d53-2f3f1f0f7a11",
        "server_url": "http://127.0.0.1",
        "port": 1,  # nobody listens there
        "api_path": "/api",
        "databases": [],
        "encryption": {"enabled": False},
        "state_dir": str(folder / "state"),
        "directories": {"log": str(folder / "log")},
        # What is tried here needs no sandbox, nor anything imported ahead.
        "process": {"sandbox": "none", "preload": []},
    } | values
    path.write_text(yaml.safe_dump(content))
    return path


def start(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SERVE, str(path)], stderr=subprocess.PIPE, text=True
    )


def log_of(node: subprocess.Popen[str], folder: Path, words: str, within: float = 60.0) -> str:
    deadline = time.monotonic() + within
    path = folder / "log" / "node_user.log"
    while not path.exists() or words not in path.read_text():
        assert node.poll() is None, node.communicate()[1]
        assert time.monotonic() < deadline, path.read_text() if path.exists() else "no log"
        time.sleep(0.05)
    return path.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_node_while_it_waits_for_its_server(
    tmp_path: Path, number: signal.Signals
) -> None:
    node = start(write_config(tmp_path))
    text = log_of(node, tmp_path, "cannot be used yet")
    node.send_signal(number)
    _, errors = node.communicate(timeout=30)
    assert node.returncode == 0, errors
    assert "5c9e1c3e-0d0a-4a7a-9d53-2f3f1f0f7a11" not in text + errors


def test_a_second_node_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    node = start(path)
    try:
        log_of(node, tmp_path, "vantage6 node")
        second = start(path)
        _, errors = second.communicate(timeout=60)
        assert second.returncode == 1
        assert f"process {node.pid}" in errors
        assert "state_dir" in errors
    finally:
        node.kill()
        node.communicate()


def test_a_bad_configuration_is_told_of_and_nothing_starts(tmp_path: Path) -> None:
    node = start(write_config(tmp_path, port="many", polices={}))
    _, errors = node.communicate(timeout=60)
    assert node.returncode == 1
    assert "port (line" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "state").exists()


def test_a_folder_is_free_again_after_its_holder(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "state"),
        pytest.raises(FolderInUse, match=f"process {os.getpid()}"),
        exclusive(tmp_path / "state"),
    ):
        pass
    with exclusive(tmp_path / "state"):
        pass


def test_tokens_and_secrets_are_taken_out_of_the_log() -> None:
    import logging

    formatter = SecretiveFormatter("%(message)s", "", ("hunter2",))
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOjF9.c2lnbmF0dXJl"
    try:
        raise ValueError(f"key hunter2, Bearer {token}")
    except ValueError:
        record = logging.LogRecord("n", logging.ERROR, "p", 1, "said %s", (token,), sys.exc_info())
    text = formatter.format(record)
    assert "hunter2" not in text
    assert "c2lnbmF0dXJl" not in text
    assert "said <token>" in text


@pytest.fixture
def https(site_certificate: Path) -> Iterator[int]:
    """A server with that certificate; it knows no API key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(site_certificate)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(401)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_server_with_the_sites_own_certificate_is_trusted_when_configured(
    tmp_path: Path, https: int, site_certificate: Path
) -> None:
    where = {"server_url": "https://localhost", "port": https}
    node = start(write_config(tmp_path, **where))
    text = log_of(node, tmp_path, "cannot be used yet")
    assert "certificate" in text.lower()
    node.terminate()
    node.communicate(timeout=30)
    trusting = start(write_config(tmp_path, **where, ca_file=site_certificate.name))
    _, errors = trusting.communicate(timeout=60)
    assert trusting.returncode == 1
    assert "does not accept this node's API key" in errors
    wrong = start(write_config(tmp_path, **where, ca_file="node.yaml"))
    _, errors = wrong.communicate(timeout=60)
    assert "ca_file:" in errors
    assert "holds no certificates" in errors


def test_the_server_is_reached_through_the_sites_proxy_when_configured(tmp_path: Path) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(401)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        node = start(
            write_config(
                tmp_path,
                server_url="http://v6.example.org",
                port=80,
                outgoing_proxy=f"http://127.0.0.1:{proxy.server_port}",
            )
        )
        node.communicate(timeout=60)
        proxy.shutdown()
        thread.join()
    assert asked == ["http://v6.example.org/api/token/node"]
    assert node.returncode == 1
