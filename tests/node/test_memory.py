"""What a node holds in memory: only what it uses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import yaml

# Installed here, and of use to other roles, to other nodes or to algorithms.
UNUSED = {
    "aio_pika",
    "asyncssh",
    "docker",
    "duckdb",
    "pandas",
    "pyarrow",
    "pygments",
    "qrcode",
    "redis",
    "requests",
    "rich",
    "sqlalchemy",
    "vantage6.client",
    "vantage6.server",
}
START = """
import json, sys
from vantage6.cli.main import app
try:
    app(["node", "start", "--foreground", "-c", sys.argv[1]])
finally:
    print(json.dumps(sorted(sys.modules)))
"""


def test_a_node_imports_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    config = tmp_path / "node.yaml"
    content = {
        "api_key": "5c9e1c3e-0d0a-4a7a-9d53-2f3f1f0f7a11",
        "server_url": "http://127.0.0.1",
        "port": 1,  # nobody listens there
        "api_path": "/api",
        "databases": [],
        "encryption": {"enabled": False},
        "state_dir": str(tmp_path / "state"),
        "directories": {"log": str(tmp_path / "log")},
        "process": {"sandbox": "none"},
    }
    config.write_text(yaml.safe_dump(content))
    process = subprocess.Popen(
        [sys.executable, "-c", START, str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "ECONNREFUSED" in line or "Cannot connect" in line:
                break
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert not set(json.loads(output.splitlines()[-1])) & UNUSED
