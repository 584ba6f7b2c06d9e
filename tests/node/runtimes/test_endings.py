"""How runs end, what is on record then, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vantage6.node.runtimes.base import Ended

pytestmark = pytest.mark.anyio

PROGRAM = Path(__file__).parent / "node_with_a_run.py"


def processes_with(marker: str) -> list[int]:
    """Processes whose command line holds a text, as all forks of one warm parent have it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and marker.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


async def test_a_kill_leaves_no_process(start: Any, helpers: Any) -> None:
    marker = f"marker_{uuid.uuid4().hex}"
    runtime = helpers.make_runtime(preload=(marker,))
    await runtime.open()
    try:
        (warm_parent,) = processes_with(marker)
        execution, spec = await start("daemon_and_wait", runtime=runtime)
        assert await helpers.said(spec, "waiting")
        # The supervisor, the algorithm and its daemon.
        assert len(processes_with(marker)) == 4
        await execution.kill("enough")
        assert await helpers.until(lambda: processes_with(marker) == [warm_parent])
    finally:
        await runtime.close()
    assert processes_with(marker) == []


async def test_a_daemon_does_not_outlive_its_algorithm(run: Any, helpers: Any) -> None:
    marker = f"marker_{uuid.uuid4().hex}"
    runtime = helpers.make_runtime(preload=(marker,))
    await runtime.open()
    try:
        outcome = await run("start_daemon", runtime=runtime)
        assert outcome.result == 2
        assert outcome.ended == Ended(0)
        assert await helpers.until(lambda: len(processes_with(marker)) == 1)
    finally:
        await runtime.close()


async def test_a_fork_bomb_can_be_killed(start: Any, helpers: Any) -> None:
    marker = f"marker_{uuid.uuid4().hex}"
    runtime = helpers.make_runtime(preload=(marker,))
    await runtime.open()
    try:
        limits = replace(helpers.limits, processes=20)
        execution, _ = await start("spin_in_many", 30, runtime=runtime, limits=limits)
        await asyncio.sleep(0.3)
        await execution.kill("enough")
        assert await helpers.until(lambda: len(processes_with(marker)) == 1)
    finally:
        await runtime.close()


async def test_closing_ends_all_runs_without_a_record_so_that_they_run_anew(
    start: Any, helpers: Any
) -> None:
    marker = f"marker_{uuid.uuid4().hex}"
    runtime = helpers.make_runtime(preload=(marker,))
    await runtime.open()
    started = [await start("daemon_and_wait", runtime=runtime) for _ in range(3)]
    assert all([await helpers.said(spec, "waiting") for _, spec in started])
    await runtime.close()
    assert processes_with(marker) == []
    for execution, spec in started:
        assert (await execution.wait()).exit_code is None
        assert not (spec.folder / "exit.json").exists()


async def test_a_node_that_is_killed_leaves_no_process(tmp_path: Path, helpers: Any) -> None:
    marker = f"marker_{uuid.uuid4().hex}"
    node = start_node(marker, tmp_path)
    try:
        assert node.stdout is not None
        assert await asyncio.to_thread(node.stdout.readline) == b"running\n"
        # Node, warm parent, and for each of two runs supervisor, algorithm and daemon.
        assert await helpers.until(lambda: len(processes_with(marker)) == 8)
        os.kill(node.pid, signal.SIGKILL)
        node.wait()
        assert await helpers.until(lambda: processes_with(marker) == [])
    finally:
        node.kill()
        node.communicate()
    # Neither has an end on record: a node that comes back runs them anew.
    assert not any("exit.json" in names for _, _, names in os.walk(tmp_path))


def start_node(marker: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), marker, str(folder)], stdout=subprocess.PIPE
    )


async def test_a_run_survives_the_death_of_the_warm_parent_which_comes_back(
    start: Any, run: Any, helpers: Any
) -> None:
    marker = f"marker_{uuid.uuid4().hex}"
    runtime = helpers.make_runtime(preload=(marker,))
    await runtime.open()
    try:
        (warm_parent,) = processes_with(marker)
        execution, spec = await start("sleep", 1, runtime=runtime)
        os.kill(warm_parent, signal.SIGKILL)
        assert (await run("nothing", runtime=runtime)).ended == Ended(0)
        assert await execution.wait() == Ended(0)
        assert helpers.outcome_of(spec, Ended(0)).result == "woke up"
    finally:
        await runtime.close()
    assert processes_with(marker) == []


async def test_the_death_of_a_supervisor_ends_its_run(start: Any, helpers: Any) -> None:
    marker = f"marker_{uuid.uuid4().hex}"
    runtime = helpers.make_runtime(preload=(marker,))
    await runtime.open()
    try:
        (warm_parent,) = processes_with(marker)
        execution, spec = await start("daemon_and_wait", runtime=runtime)
        assert await helpers.said(spec, "waiting")
        supervisor = next(pid for pid in processes_with(marker) if parent_of(pid) == warm_parent)
        os.kill(supervisor, signal.SIGKILL)
        ended = await execution.wait()
        assert ended == Ended(None, "killed with its supervisor")
        assert await helpers.until(lambda: processes_with(marker) == [warm_parent])
    finally:
        await runtime.close()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
