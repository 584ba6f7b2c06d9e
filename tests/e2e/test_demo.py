"""``v6 demo`` itself: what it says, what it survives, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from demos import StartDemo, log_in
from vantage6.client import Client


def v6_demo(
    *options: str, folder: Path, inside: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a demo that ends by itself, its temporary folder below `folder`."""
    return subprocess.run(
        [*inside, sys.executable, "-m", "vantage6.cli", "demo", *options],
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def average_age(demo: dict[str, Any], client: Client) -> float:
    organizations = [each["id"] for each in demo["organizations"]]
    task = client.task.create(
        collaboration=demo["collaboration"]["id"],
        organizations=organizations[:1],
        name="average",
        image="harbor2.vantage6.ai/demo/average",
        description="",
        input_={"method": "central_average", "kwargs": {"column_name": "age"}},
        databases=[{"label": "default"}],
    )
    result = client.wait_for_results(task["id"])["data"][0]["result"]
    return float(json.loads(result)["average"])


def pooled_age(demo: dict[str, Any]) -> float:
    tables = [pd.read_csv(path)["age"] for path in demo["databases"].values()]
    return float(pd.concat(tables).mean())


def test_exit_ends_after_the_lesson_and_leaves_neither_files_nor_processes(
    tmp_path: Path,
) -> None:
    ready_file = tmp_path / "ready.json"
    folder = tmp_path / "temporary"
    folder.mkdir()
    ended = v6_demo("--nodes", "1", "--exit", "--ready-file", str(ready_file), folder=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "The answers agree." in ended.stdout
    assert list(folder.iterdir()) == []
    pids = json.loads(ready_file.read_text())["pids"]
    for pid in (pids["server"], *pids["nodes"].values()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_server_and_a_node_that_are_killed_come_back_and_go_on(start_demo: StartDemo) -> None:
    with start_demo("--nodes", "2") as demo:
        before = demo.ready
        client = log_in(before)
        for pid in (before["pids"]["server"], next(iter(before["pids"]["nodes"].values()))):
            os.kill(pid, signal.SIGKILL)

        def all_are_new() -> bool:
            now = demo.ready["pids"]
            (first, second), (was_first, was_second) = (
                pids["nodes"].values() for pids in (now, before["pids"])
            )
            return now["server"] != before["pids"]["server"] and (
                first != was_first and second == was_second
            )

        eventually(all_are_new)
        assert average_age(before, client) == pytest.approx(pooled_age(before), rel=1e-9)
        assert demo.stop() == 0
        assert "Everything is stopped." in demo.output.read_text()
        assert demo.left_behind() == []


def test_a_folder_is_taken_up_again_with_the_same_keys_and_people(
    start_demo: StartDemo,
) -> None:
    with start_demo("--nodes", "2") as demo:
        before = demo.ready
        task = average_age(before, log_in(before))
    with start_demo() as demo:
        after = demo.ready
        changing = {"pids", "server"}
        assert {k: v for k, v in after.items() if k not in changing} == {
            k: v for k, v in before.items() if k not in changing
        }
        client = log_in(after)
        assert average_age(after, client) == task
        # One by hand in each life: what was before is still there.
        tasks = client.task.list(fields=["name"], per_page=100)
        assert [each["name"] for each in tasks].count("average") == 2


def test_a_demo_that_is_killed_leaves_no_process_and_its_folder_to_its_like_only(
    start_demo: StartDemo, tmp_path: Path
) -> None:
    with start_demo("--nodes", "1") as demo:
        folder = str(demo.folder)
        busy = v6_demo("--data-dir", folder, folder=tmp_path)
        assert busy.returncode == 1
        assert "Another demo uses" in busy.stdout
        assert demo.left_behind() != []
        demo.stop(signal.SIGKILL)
        eventually(lambda: demo.left_behind() == [])
    refused = v6_demo("--data-dir", folder, "--nodes", "5", folder=tmp_path)
    assert refused.returncode == 1
    assert "made with 1 nodes, unencrypted. Leave --nodes out" in refused.stdout


def test_without_a_sandbox_the_demo_goes_on_and_says_so_plainly(tmp_path: Path) -> None:
    # A user namespace without capabilities, in which no further one can be made.
    shut = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    shut.append(
        "echo 0 > /proc/sys/user/max_user_namespaces;"
        ' exec setpriv --bounding-set=-all --inh-caps=-all "$@"'
    )
    if subprocess.run([*shut, "sh", "true"], capture_output=True, check=False).returncode != 0:
        # This machine allows no namespaces to begin with: the plain demo is without a sandbox.
        shut = ["sh", "-c", 'exec "$@"']
    ended = v6_demo("--nodes", "1", "--exit", folder=tmp_path, inside=[*shut, "sh"])
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "NOTHING IS SANDBOXED" in ended.stdout
    assert "The answers agree." in ended.stdout


def test_a_port_that_is_in_use_is_refused_when_asked_for(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = v6_demo("--port", str(port), "--exit", folder=tmp_path)
    assert refused.returncode == 1
    assert f"Port {port} is in use" in refused.stdout
