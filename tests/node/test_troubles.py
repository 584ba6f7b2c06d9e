"""Clocks that jump, disks that fill up, engines that hang, networks that are gone for long."""

from __future__ import annotations

import asyncio
import errno
import logging
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from vantage6.node import connection, times
from vantage6.node.decisions import entries, verify
from vantage6.node.site import Site

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400)])
async def test_a_clock_that_jumps_during_a_run(
    server: Any,
    start_agent: Any,
    helpers: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    jump: timedelta,
) -> None:
    class Clock(datetime):
        by = timedelta()

        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + cls.by

    async def jumps(spec: Any, port: int) -> int:
        Clock.by = jump
        return 42

    monkeypatch.setattr("vantage6.node.times.datetime", Clock)
    monkeypatch.setattr("vantage6.node.decisions.datetime", Clock)
    started = await start_agent(helpers.Runtime(jumps))
    first = await server.submit()
    await server.finished(first)
    second = await server.submit()
    await server.finished(second)
    assert [server.runs[run]["status"] for run in (first, second)] == ["completed"] * 2
    await started.stop()
    folder = tmp_path / "state" / "decisions"
    assert not verify(folder).flaws
    assert all(entry["seconds"] >= 0 for entry in entries(folder) if entry["event"] == "ended")


async def test_tokens_are_renewed_by_a_clock_that_cannot_jump(
    server: Any, start_agent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=time.monotonic))
    await start_agent()
    await server.finished(run_id := await server.submit())
    assert server.runs[run_id]["status"] == "completed"
    assert server.count("POST", "/token/refresh") == 0


@pytest.fixture
def small_disk(tmp_path: Path, lacking: Callable[[str], NoReturn]) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        made = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        lacking("there is no mount command")
    if made.returncode != 0:
        lacking(f"no file system can be mounted here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_result_waits_until_there_is_room_for_it(
    server: Any, start_agent: Any, helpers: Any, small_disk: Path, caplog: Any
) -> None:
    async def speak(spec: Any, port: int) -> str:
        with (small_disk / "hog").open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096) == 4096:
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            # Room for the output, but none for the journal's copy of it.
            file.truncate(file.seek(0, 2) - 64 * 1024)
        return "y" * 40_000

    started = await start_agent(helpers.Runtime(speak), state_dir=str(small_disk / "state"))
    run_id = await server.submit()
    await helpers.wait_until(lambda: "the disk is full" in caplog.text)
    assert server.runs[run_id]["finished_at"] is None
    (small_disk / "hog").unlink()
    await server.finished(run_id)
    assert server.runs[run_id]["status"] == "completed"
    assert server.result(run_id) == "y" * 40_000
    await started.stop()
    assert not verify(small_disk / "state" / "decisions").flaws


async def test_an_engine_that_never_answers_is_given_up(
    server: Any, start_agent: Any, helpers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hangs(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            self.started.append(spec)
            await asyncio.Event().wait()

    monkeypatch.setattr("vantage6.node.execution._START_PAUSE", 0.0)
    runtime = Hangs()
    started = await start_agent(runtime)
    object.__setattr__(site_of(started), "start_patience", 0.2)
    await server.finished(run_id := await server.submit())
    run = server.runs[run_id]
    assert run["status"] == "start failed"
    assert "the node's runtime did not answer" in run["log"]
    assert len(runtime.started) == 2


async def test_an_engine_that_hangs_while_killing_holds_up_no_other_run(
    server: Any, start_agent: Any, helpers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Execution(helpers.Execution):
        async def kill(self, reason: str) -> None:
            self.killed.append(reason)
            await asyncio.Event().wait()

    class Hangs(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            self.started.append(spec)
            execution = Execution(self, spec)
            self.executions.append(execution)
            return execution

        async def close(self) -> None:
            for execution in self.executions:
                execution._task.cancel()

    async def first_waits(spec: Any, port: int) -> int:
        if spec.run_id == 1:
            await asyncio.Event().wait()
        return 42

    monkeypatch.setattr("vantage6.node.execution._KILL_PATIENCE", 0.5)
    runtime = Hangs(first_waits)
    await start_agent(runtime)
    first = await server.submit()
    await helpers.wait_until(lambda: runtime.started)
    await server.kill(first)
    await helpers.wait_until(lambda: runtime.executions[0].killed)
    await server.finished(second := await server.submit())
    assert server.runs[second]["status"] == "completed"


def site_of(started: Any) -> Site:
    reconciler = started.agent._reconciler
    assert reconciler is not None
    site: Site = reconciler._site
    return site


async def test_a_second_node_with_the_same_key_says_so(
    server: Any, start_agent: Any, helpers: Any, caplog: Any
) -> None:
    await start_agent()
    await server.emit("node-online", {"id": helpers.node_id + 1, "name": "x", "org_id": 9})
    await server.finished(await server.submit())
    assert "this node's API key" not in caplog.text
    await server.emit("duplicate_node")
    await helpers.wait_until(lambda: caplog.text.count("this node's API key") == 1)
    await server.emit("node-online", {"id": helpers.node_id, "name": "x", "org_id": 9})
    await helpers.wait_until(lambda: caplog.text.count("this node's API key") == 2)
    assert any(record.levelno == logging.CRITICAL for record in caplog.records)


async def test_a_run_that_another_node_has_begun_takes_no_place_while_it_waits(
    server: Any, start_agent: Any, helpers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await start_agent(max_concurrent_runs=1)
    await server.emit("duplicate_node")
    await helpers.wait_until(lambda: "Another node is connected" in caplog.text)
    server.faults.append(("PATCH", "/run/", 409))
    taken = await server.submit()
    await helpers.wait_until(lambda: "it is left to that one" in caplog.text)
    await server.finished(await server.submit())
    assert server.runs[taken]["finished_at"] is None
    # The other one is gone, and did not end it.
    await server.emit("duplicate_gone")
    await server.finished(taken)
    assert server.history[taken].count("active") == 1


async def test_a_network_that_is_gone_for_long_with_every_token_expired(
    server: Any, start_agent: Any, helpers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()

    async def wait(spec: Any, port: int) -> int:
        await gate.wait()
        return 42

    server.lifetime = 1.0
    runtime = helpers.Runtime(wait)
    await start_agent(runtime)
    run_id = await server.submit()
    await helpers.wait_until(lambda: runtime.started)
    logins = server.count("POST", "/token/node")
    server.down = True
    gate.set()
    # Neither token is worth anything when it is back, as after a weekend.
    await asyncio.sleep(2.0)
    server.secret = "another secret that is just as long as the first"
    server.lifetime = 3600.0
    server.down = False
    await server.finished(run_id)
    assert server.runs[run_id]["status"] == "completed"
    assert server.result(run_id) == 42
    assert server.history[run_id].count("completed") == 1
    assert server.count("POST", "/token/node") > logins
    await server.finished(await server.submit())


def test_times_are_utc_and_never_negative() -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert times.seconds_since(later) == 0.0
    assert times.seconds_since(None) == 0.0
