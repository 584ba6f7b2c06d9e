"""Start server processes as an administrator would, look at them, end them in every way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx2 as httpx
import pytest
import yaml

SECRET = "a secret of sufficient length for a test"
PASSWORD = "Root-password-1!"
_LOGGING = {"level": "INFO", "use_console": True, "file": "unused"}


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Process:
    """A server process; also a context manager that ends it."""

    config: Path
    port: int
    output: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return self.output.read_text()

    def get(self, path: str, **options: Any) -> httpx.Response:
        """``GET`` below the API's path."""
        return httpx.get(f"{self.url}/api{path}", timeout=30, **options)

    def until_ready(self, seconds: float = 60) -> Self:
        """Wait until requests may be sent to it."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if self.get("/health/ready").status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server did not start:\n{self.log}", pytrace=False)
            time.sleep(0.05)

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 40) -> int:
        """Send a signal and wait; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=seconds)

    def __enter__(self) -> Self:
        return self.until_ready()

    def __exit__(self, *_: object) -> None:
        try:
            self.end(seconds=30)
        except subprocess.TimeoutExpired:
            self.end(signal.SIGKILL)
            raise


def start(
    folder: Path, uri: str, *, environment: dict[str, str] | None = None, **keys: Any
) -> Process:
    """Start a server on a free port (or ``port=``); does not wait until it is ready."""
    port = keys.pop("port", None) or free_port()
    password = folder / "password"
    password.write_text(PASSWORD)
    config = folder / f"server{port}.yaml"
    document = {
        "description": "",
        "ip": "127.0.0.1",
        "port": port,
        "api_path": "/api",
        "uri": uri,
        "allow_drop_all": False,
        "logging": _LOGGING,
        "jwt_secret_key": SECRET,
        **keys,
    }
    config.write_text(yaml.safe_dump(document))
    output = folder / f"server{port}.txt"
    with output.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "vantage6.cli", "server", "start", "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "V6_INIT_SUPER_PASS_FILE": str(password), **(environment or {})},
        )
    return Process(config, port, output, process)
