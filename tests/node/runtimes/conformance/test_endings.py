"""How runs end, what is on record then, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vantage6.node.runtimes.base import Ended, Mount, StartFailed

pytestmark = pytest.mark.anyio


def processes_called(name: str) -> list[int]:
    """Processes of this machine by the name that an algorithm gave itself and its children."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and (entry / "comm").read_text().strip() == name:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("method", "args", "ended"),
    [
        ("nothing", (), Ended(0)),
        ("leave", (7,), Ended(7)),
        ("no_such_method", (), Ended(1)),
        ("crash", (), Ended(139, "crashed with signal SIGSEGV")),
    ],
)
async def test_the_record_says_how_a_run_ended(
    run: Any, method: str, args: Any, ended: Ended, helpers: Any
) -> None:
    outcome = await run(method, *args)
    assert outcome.ended == ended, outcome
    assert helpers.recorded(outcome.folder) == ended


async def test_the_record_of_a_limit_says_which(run: Any, helpers: Any) -> None:
    outcome = await run("sleep", 60, limits=replace(helpers.limits, wall_time=1))
    assert helpers.recorded(outcome.folder) == Ended(None, "ran longer than 1 second")


async def test_output_written_before_a_crash_is_kept(run: Any) -> None:
    outcome = await run("leave", 3)
    assert (outcome.folder / "output").read_bytes() == b""
    assert "leaving" in outcome.stdout


async def test_a_kill_gives_its_reason_and_may_be_repeated(start: Any, helpers: Any) -> None:
    execution, spec = await start("sleep", 60)
    await asyncio.gather(execution.kill("the user asked for it"), execution.kill("again"))
    assert await execution.wait() == Ended(None, "killed: the user asked for it")
    assert helpers.recorded(spec.folder).reason == "killed: the user asked for it"
    await execution.kill("once more")
    assert await execution.wait() == Ended(None, "killed: the user asked for it")


async def test_a_kill_after_the_end_changes_nothing(start: Any, helpers: Any) -> None:
    execution, spec = await start("nothing")
    assert await execution.wait() == Ended(0)
    await execution.kill("too late")
    assert await execution.wait() == helpers.recorded(spec.folder) == Ended(0)


async def test_waiting_can_be_given_up_and_taken_up(start: Any) -> None:
    execution, _ = await start("sleep", 0.5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(execution.wait(), 0.05)
    assert await execution.wait() == Ended(0)


async def test_an_earlier_attempt_leaves_nothing_to_a_later_one(
    runtime: Any, helpers: Any, tmp_path: Path
) -> None:
    spec = helpers.make_spec(tmp_path, "nothing")
    for name in ("output", "stdout", "stderr", "exit.json"):
        (spec.folder / name).write_text("from before")
    execution = await runtime.start(spec)
    outcome = helpers.outcome_of(spec, await execution.wait())
    execution.proxy_socket.close()
    assert outcome.ended == helpers.recorded(spec.folder) == Ended(0)
    assert "from before" not in outcome.stdout + outcome.stderr + json.dumps(outcome.result)


async def test_a_start_that_is_given_up_executes_nothing(
    runtime: Any, helpers: Any, tmp_path: Path
) -> None:
    for delay in (0, 0.002, 0.005, 0.01):
        spec = helpers.make_spec(tmp_path, "sleep", 60)
        task = asyncio.create_task(runtime.start(spec))
        await asyncio.sleep(delay)
        task.cancel()
        try:
            execution = await task
        except asyncio.CancelledError:
            assert await helpers.until(lambda: not runtime._executions)
            stdout = spec.folder / "stdout"
            assert not stdout.exists() or stdout.read_text() == ""
        else:
            await execution.kill("it was faster")
            execution.proxy_socket.close()


async def test_a_missing_database_is_named(start: Any, tmp_path: Path) -> None:
    missing = tmp_path / "patients.csv"
    with pytest.raises(StartFailed, match=r"patients\.csv is missing"):
        await start("nothing", mounts=[Mount(missing, "/mnt/default.csv")])


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "/mnt/tmp/x", "/mnt", "/mnt/../etc/x", "relative", "/mnt/data"]
)
async def test_a_database_cannot_cover_what_it_must_not(
    start: Any, tmp_path: Path, target: str
) -> None:
    database = tmp_path / "patients.csv"
    database.write_text("x")
    with pytest.raises(StartFailed, match="cannot be shown at"):
        await start("nothing", mounts=[Mount(database, target)])


async def test_two_databases_cannot_have_one_place(start: Any, tmp_path: Path) -> None:
    folder, database = tmp_path / "folder", tmp_path / "patients.csv"
    folder.mkdir()
    database.write_text("x")
    mounts = [Mount(folder, "/mnt/scans"), Mount(database, "/mnt/scans/patients.csv")]
    with pytest.raises(StartFailed, match="lie within each other"):
        await start("nothing", mounts=mounts)


async def test_many_runs_at_once_all_end_well(run: Any) -> None:
    outcomes = await asyncio.gather(*(run("nothing") for _ in range(20)))
    assert all(outcome.ended == Ended(0) for outcome in outcomes)


async def test_a_kill_leaves_no_process(start: Any, helpers: Any) -> None:
    name = uuid.uuid4().hex[:12]
    execution, spec = await start("daemon_and_wait", name)
    assert await helpers.said(spec, "waiting")
    assert len(processes_called(name)) == 2
    await execution.kill("enough")
    assert processes_called(name) == []


async def test_a_daemon_does_not_outlive_its_algorithm(run: Any) -> None:
    name = uuid.uuid4().hex[:12]
    outcome = await run("start_daemon", name)
    assert outcome.ended == Ended(0), outcome
    assert outcome.result == 2
    assert processes_called(name) == []


async def test_a_fork_bomb_can_be_killed(start: Any, helpers: Any) -> None:
    name = uuid.uuid4().hex[:12]
    limits = replace(helpers.limits, processes=20)
    execution, _ = await start("spin_in_many", 30, name, limits=limits)
    assert await helpers.until(lambda: len(processes_called(name)) > 10, 30)
    await execution.kill("enough")
    assert processes_called(name) == []


async def test_garbage_is_handed_over_as_it_is(run: Any) -> None:
    outcome = await run("garbage", 100_000)
    assert outcome.ended == Ended(0), outcome
    written = (outcome.folder / "output").read_bytes()
    assert len(written) == 100_000
    assert set(written) == set(range(256))
