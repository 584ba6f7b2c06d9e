"""The demo with containers: server, nodes, proxies and algorithms on a real engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import docker
import pytest

from engines import find_engine


@pytest.mark.e2e
@pytest.mark.timeout(300)
@pytest.mark.parametrize("option", ["--unencrypted", "--encrypted"])
def test_the_lesson_has_the_same_answers_in_containers(
    lacking: Callable[[str], Any], option: str
) -> None:
    host, problem = find_engine()
    if problem:
        lacking(problem)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "vantage6.cli", "demo"),
            *("--runtime", "docker", "--exit", "--nodes", "2", option),
        ],
        env={**os.environ, "DOCKER_HOST": host},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "The answers agree" in done.stdout
    client = docker.APIClient(base_url=host, version="auto", timeout=60)
    names = [name for each in client.containers(all=True) for name in each["Names"]]
    client.close()
    # The demo's nodes are called node-1 and node-2; nothing of them may be left.
    assert [name for name in names if name.startswith("/vantage6-node-")] == []
