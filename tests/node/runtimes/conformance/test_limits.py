"""An algorithm takes more than it may."""

from __future__ import annotations

import ast
import os
import time
from dataclasses import replace
from typing import Any

import pytest

pytestmark = pytest.mark.anyio

MIB = 1024**2


def podman(runtime: Any) -> bool:
    return runtime.name == "docker" and runtime._engine.podman


def out_of_memory(runtime: Any, limit: int) -> set[str]:
    """What is said of an algorithm whose first process the kernel killed for its memory."""
    words = {f"ran out of memory (limit {limit} MiB)"}
    if podman(runtime):
        # It tells of the signal only, and nothing is left to be asked.
        words.add("was killed by the system, probably because its memory ran out")
    return words


async def test_a_fork_bomb_stays_small_and_ends(start: Any, helpers: Any) -> None:
    limits = replace(helpers.limits, processes=20)
    execution, spec = await start("fork_bomb", 200, limits=limits)
    ended = await execution.wait()
    assert ended.exit_code == 0
    result = helpers.outcome_of(spec, ended).result
    assert result["started"] < 20
    assert result["refused"] > 100


async def test_many_runs_bounds_are_separate(run: Any, start: Any, helpers: Any) -> None:
    """A run that has used up its processes leaves those of others."""
    limits = replace(helpers.limits, processes=16)
    bomb, _ = await start("spin_in_many", 6, limits=limits)
    assert (await run("use_pool", limits=limits)).result == [1, 2, 3, 4, 5]
    await bomb.kill("enough")


async def test_scratch_space_is_bounded_in_all_places_together(run: Any, helpers: Any) -> None:
    outcome = await run("fill_everywhere", 2)
    assert 7 * MIB <= outcome.result <= helpers.limits.scratch_size


async def test_the_number_of_files_is_bounded(run: Any, runtime: Any, helpers: Any) -> None:
    if podman(runtime):
        # It knows no bound for them, but what the kernel keeps of each counts as memory.
        limits = replace(helpers.limits, memory=64 * MIB)
        outcome = await run("many_files", 1_000_000, limits=limits)
        assert outcome.ended.reason in out_of_memory(runtime, 64)
        return
    assert 1000 < (await run("many_files", 100_000)).result < 70_000


async def test_too_large_a_result_ends_the_run_and_leaves_the_disk(run: Any, helpers: Any) -> None:
    outcome = await run("fill_output", 100)
    assert outcome.ended.exit_code is None
    assert outcome.ended.reason == "wrote more than 4 MiB of output"
    assert (outcome.folder / "output").stat().st_size == 0


async def test_too_large_a_result_is_noticed_even_when_the_run_ends_at_once(
    run: Any, helpers: Any
) -> None:
    limits = replace(helpers.limits, output_size=1000, scratch_size=1 * MIB)
    outcome = await run("big_result", 2000, limits=limits)
    assert outcome.ended.reason == "wrote more than 1000 bytes of output"
    fits = await run("big_result", 998, limits=limits)
    assert (fits.ended.exit_code, len(fits.result)) == (0, 998)


async def test_logs_are_cut_and_do_not_hold_up_the_algorithm(run: Any, helpers: Any) -> None:
    began = time.monotonic()
    outcome = await run("chatter", 50)
    assert time.monotonic() - began < 30
    assert outcome.result == "said it all"
    for text in (outcome.stdout, outcome.stderr):
        assert text.endswith("[the log was cut here, after 65536 bytes]\n")
        assert len(text) < 66_000


async def test_several_processes_cannot_use_more_than_the_limit(run: Any, helpers: Any) -> None:
    limits = replace(helpers.limits, memory=128 * MIB)
    outcome = await run("allocate_in_many", 4, 60, limits=limits)
    assert outcome.ended.exit_code is None
    assert outcome.ended.reason == "ran out of memory (limit 128 MiB)"


async def test_shared_memory_counts(run: Any, runtime: Any, helpers: Any) -> None:
    limits = replace(helpers.limits, memory=128 * MIB)
    outcome = await run("allocate_shared", 200, limits=limits)
    assert outcome.ended.reason in out_of_memory(runtime, 128)


async def test_cpu_time_is_bounded(run: Any, helpers: Any) -> None:
    outcome = await run("spin", limits=replace(helpers.limits, cpu_time=1))
    assert outcome.ended.exit_code is None
    assert outcome.ended.reason == "used more CPU time than 1 second"


async def test_cpu_time_is_bounded_over_all_processes(run: Any, helpers: Any) -> None:
    began = time.process_time()
    outcome = await run("spin_in_many", 4, limits=replace(helpers.limits, cpu_time=2))
    assert outcome.ended.reason == "used more CPU time than 2 seconds"
    assert time.process_time() - began < 2


async def test_wall_time_is_bounded(run: Any, helpers: Any) -> None:
    began = time.monotonic()
    outcome = await run("sleep", 60, limits=replace(helpers.limits, wall_time=1))
    assert 1 <= time.monotonic() - began < 10
    assert outcome.ended.exit_code is None
    assert outcome.ended.reason == "ran longer than 1 second"


async def test_open_files_are_bounded(run: Any, helpers: Any) -> None:
    limits = replace(helpers.limits, open_files=50)
    assert 40 < (await run("open_many", 1000, limits=limits)).result < 50


async def test_there_are_no_core_dumps(run: Any) -> None:
    outcome = await run("crash")
    assert outcome.ended.exit_code == 128 + 11
    assert sorted(os.listdir(outcome.folder)) == [
        "exit.json",
        "input",
        "output",
        "stderr",
        "stdout",
        "token",
    ]


async def test_a_crash_hands_nothing_to_the_machines_core_handler(run: Any) -> None:
    # 0 forbids a file only: a kernel that pipes cores to a program does so all the same; not at 1.
    assert (await run("core_limit")).result == [1, 1]


async def test_the_disk_cannot_be_taken_up_behind_the_end_of_the_output(run: Any) -> None:
    outcome = await run("reserve_and_leave", 256)
    assert outcome.ended.exit_code == 0, outcome
    answers = ast.literal_eval(outcome.stdout.strip().splitlines()[-1])
    assert answers.pop("plain").startswith("ok")
    assert {"ENOTSUP", "ENOSYS", "EPERM"}.issuperset(answers.values()), answers
    assert (outcome.folder / "output").stat().st_blocks * 512 < 1024**2
