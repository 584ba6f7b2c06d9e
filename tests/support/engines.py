"""A container engine for tests, with an image made of this machine's own Python in it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import tempfile
from pathlib import Path

import docker

from vantage6.cli.demo.image import build

VARIABLE = "V6_TEST_ENGINE"


def find_engine() -> tuple[str, str]:
    """The engine's socket; and why there is none, or nothing.

    It is the one that the environment names in ``V6_TEST_ENGINE`` or ``DOCKER_HOST``, or the
    machine's.
    """
    host = os.environ.get(VARIABLE) or os.environ.get("DOCKER_HOST")
    host = host or "unix:///var/run/docker.sock"
    path = host.removeprefix("unix://")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            return (
                host,
                f"no container engine answers at {host} ({VARIABLE} names another): {error}",
            )
    return host, ""


def build_image(host: str, name: str, module: str, path: Path | None = None) -> str:
    """Build an image as an author would; an engine builds one at a time."""
    engine = hashlib.sha256(host.encode()).hexdigest()[:12]
    with (Path(tempfile.gettempdir()) / f"vantage6-test-image-{engine}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        client = docker.APIClient(base_url=host, version="auto", timeout=600)
        try:
            return build(client, name, module, path=path)
        finally:
            client.close()
