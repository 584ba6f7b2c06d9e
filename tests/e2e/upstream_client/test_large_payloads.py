"""Large inputs and results with the unmodified upstream client, beside our own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from demos import Demo, log_in, running_demo
from vantage6.common.exceptions import ServerUnreachableError

pytestmark = [pytest.mark.peer, pytest.mark.timeout(400)]

STEPS = Path(__file__).parent / "large_steps.py"
ALGORITHMS = Path(__file__).parents[1] / "algorithms"
LARGE, SMALL = 3_000_000, 1000


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "encrypted"])
def echoing(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Demo]:
    """A demo whose nodes know an algorithm that gives back what it is given."""
    flags = ["--encrypted"] if request.param else []
    with running_demo(tmp_path_factory.mktemp("large"), "--nodes", "2", *flags) as demo:
        for node in demo.ready["nodes"]:
            _change(
                Path(node["config"]),
                process={
                    "algorithms": {"example.org/echo": {"module": "echo", "path": str(ALGORITHMS)}}
                },
            )
        for node_id, pid in demo.ready["pids"]["nodes"].items():
            _restart(demo, pid, lambda id_=node_id: demo.ready["pids"]["nodes"][id_])
        yield demo


def _change(path: Path, **values: Any) -> None:
    config = yaml.safe_load(path.read_text())
    for key, value in values.items():
        config[key] = {**config.get(key, {}), **value}
    path.write_text(yaml.safe_dump(config))


def _restart(demo: Demo, pid: int, new_pid: Any) -> None:
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while new_pid() == pid:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    online = False
    while not online:
        assert time.monotonic() < deadline
        time.sleep(0.2)
        with contextlib.suppress(ServerUnreachableError):
            nodes = log_in(demo.ready).node.list()["data"]
            online = {node["status"] for node in nodes} == {"online"}


def _take_steps(python: Path | str, demo: Demo, size: int) -> dict[str, Any]:
    done = subprocess.run(
        [str(python), str(STEPS), str(demo.ready_file), str(size)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _apart(enabled: bool, input_: bool, result: bool) -> dict[str, Any]:
    return {
        "enabled": enabled,
        "input apart": [input_] * 2,
        "result apart": [result] * 2,
    }


def test_large_payloads_with_the_default_folder(echoing: Demo, upstream_python: Path) -> None:
    encrypted = bool(echoing.ready["organizations"][0].get("private_key"))
    # The upstream client sends inline; what is not encrypted the server puts apart itself.
    expected = _apart(False, not encrypted, True)
    assert _take_steps(upstream_python, echoing, LARGE) == expected
    assert _take_steps(sys.executable, echoing, LARGE) == _apart(False, True, True)
    for python in (upstream_python, sys.executable):
        assert _take_steps(python, echoing, SMALL) == _apart(False, False, False)


def test_payloads_with_a_store_that_is_configured(
    echoing: Demo, upstream_python: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    path = echoing.folder / "server.yaml"
    _change(path, large_result_store={"type": "folder", "path": str(store)})
    _restart(echoing, echoing.ready["pids"]["server"], lambda: echoing.ready["pids"]["server"])
    assert _take_steps(upstream_python, echoing, LARGE) == _apart(True, True, True)
    assert _take_steps(upstream_python, echoing, SMALL) == _apart(True, True, False)
    assert _take_steps(sys.executable, echoing, LARGE) == _apart(True, True, True)
    assert len([file for file in store.rglob("*") if file.is_file()]) >= 8
