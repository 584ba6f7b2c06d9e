"""What a runtime offers honest algorithms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vantage6.node.runtimes.base import Mount

pytestmark = pytest.mark.anyio


async def test_processes_threads_and_temporary_files_work(run: Any) -> None:
    outcome = await run("use_pool")
    assert outcome.result == [1, 2, 3, 4, 5], outcome


async def test_what_programs_ordinarily_ask_of_the_system_works(run: Any) -> None:
    outcome = await run("use_the_system")
    assert outcome.result == {
        "shell": "42",
        "spawned": 3,
        "piped": "one",
        "pool": [1, 2],
        "alarms": 1,
        "sql": 42,
        "mapped": "abc",
        "served": "hello",
        # The C library then does without.
        "clone3": "ENOSYS",
    }, outcome


async def test_pandas_and_arrow_work(run: Any, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("g,n\n" + "".join(f"{i % 2},{i}\n" for i in range(1000)))
    outcome = await run("frame_sum", "/mnt/t.csv", mounts=[Mount(table, "/mnt/t.csv")])
    assert outcome.result == {"sum": 499500, "groups": {"0": 249500, "1": 250000}}, outcome


async def test_threads_and_exit_handlers_come_to_their_end(run: Any) -> None:
    outcome = await run("late_output")
    assert outcome.result == "returned"
    assert outcome.stdout.endswith("thread done\nat exit\n")
