"""A node that is killed at any step, and started again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from vantage6.node.execution import Executions
from vantage6.node.journal import Journal
from vantage6.node.steps import Steps
from vantage6.node.work import Step

pytestmark = pytest.mark.anyio

EXECUTED_AGAIN = {Step.START, Step.WATCH}


class Crash:
    """Stops the node dead before or after a step: nothing it would do at its end is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: Step, when: str) -> None:
        self.reached = asyncio.Event()
        self.monkeypatch = monkeypatch
        take = Steps.take

        async def crash(steps: Steps, work: Any, taken: Step) -> None:
            if taken is step and when == "before":
                await self._die()
            await take(steps, work, taken)
            if taken is step and when == "after":
                await self._die()

        async def nothing(*_: Any) -> None: ...

        monkeypatch.setattr(Steps, "take", crash)
        monkeypatch.setattr(Executions, "abandon", nothing)

    async def _die(self) -> None:
        self.reached.set()
        await asyncio.Event().wait()

    async def of(self, started: Any, runtime: Any) -> None:
        """Wait for the crash and clear the dead process away."""
        await asyncio.wait_for(self.reached.wait(), 10)
        for execution in runtime.executions:  # a sandbox dies with its node
            execution._task.cancel()
        runtime.executions.clear()
        await started.stop()
        self.monkeypatch.undo()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "step", [step for step in Step if step not in (Step.REST, Step.STOP)], ids=str
)
async def test_a_node_killed_at_any_step_ends_the_run_once(
    server: Any,
    start_agent: Any,
    helpers: Any,
    monkeypatch: pytest.MonkeyPatch,
    step: Step,
    when: str,
) -> None:
    crash = Crash(monkeypatch, step, when)
    first, second = helpers.Runtime(), helpers.Runtime()
    started = await start_agent(first)
    run_id = await server.submit()
    await crash.of(started, first)
    await start_agent(second)
    await server.finished(run_id)
    await asyncio.sleep(0.1)
    assert server.result(run_id) == 42
    assert server.runs[run_id]["status"] == "completed"
    assert server.history[run_id].count("completed") == 1
    # What was computed is never computed again.
    executed = len(first.started) + len(second.started)
    ended_before = step in (Step.CONCLUDE, Step.RECORD, Step.DELIVER, Step.FORGET)
    if ended_before or (step, when) == (Step.WATCH, "after"):
        assert executed == 1
    assert executed <= 2


async def test_a_run_killed_while_the_node_was_dead_is_forgotten(
    server: Any,
    start_agent: Any,
    helpers: Any,
    monkeypatch: pytest.MonkeyPatch,
    make_config: Any,
) -> None:
    crash = Crash(monkeypatch, Step.WATCH, "before")
    first, second = helpers.Runtime(), helpers.Runtime()
    started = await start_agent(first)
    run_id = await server.submit()
    await crash.reached.wait()
    first.executions[0]._task.cancel()
    (make_config().folder / "runs" / f"{run_id}.1" / "exit.json").unlink(missing_ok=True)
    await crash.of(started, first)
    server.runs[run_id].update(status="killed by user", finished_at="2026-01-01T00:00:00")
    again = await start_agent(second)
    await helpers.wait_until(lambda: not list((make_config().folder / "runs").iterdir()))
    assert second.started == []
    await again.stop()
    with Journal(make_config().folder / "journal.sqlite") as journal:
        assert journal.entries() == []


async def test_a_lost_run_is_claimed_anew_and_its_files_start_clean(
    server: Any, start_agent: Any, helpers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forever(spec: Any, port: int) -> None:
        (spec.folder / "stdout").write_text("first attempt")
        await asyncio.Event().wait()

    crash = Crash(monkeypatch, Step.WATCH, "before")
    first, second = helpers.Runtime(forever), helpers.Runtime()
    started = await start_agent(first)
    run_id = await server.submit()
    await crash.of(started, first)
    claimed_first = server.runs[run_id]["started_at"]
    await start_agent(second)
    await server.finished(run_id)
    assert server.history[run_id] == ["active", "active", "completed"]
    assert server.runs[run_id]["started_at"] > claimed_first
    assert "first attempt" not in server.runs[run_id]["log"]
    assert second.started[0].folder != first.started[0].folder


async def test_an_outcome_is_delivered_by_the_next_process_even_to_a_server_that_is_away(
    server: Any, start_agent: Any, helpers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = Crash(monkeypatch, Step.RECORD, "after")
    first, second = helpers.Runtime(), helpers.Runtime()
    started = await start_agent(first)
    run_id = await server.submit()
    await crash.of(started, first)
    server.down = True
    await start_agent(second, connected=False)
    await asyncio.sleep(0.2)
    server.down = False
    await server.finished(run_id)
    assert server.result(run_id) == 42
    assert second.started == []


async def test_an_end_noted_because_the_node_stopped_is_no_end(
    server: Any, start_agent: Any, helpers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL hits between the runtime's note and the node's clearing it away."""

    async def forever(spec: Any, port: int) -> None:
        await asyncio.Event().wait()

    runtime, second = helpers.Runtime(forever), helpers.Runtime()
    started = await start_agent(runtime)
    run_id = await server.submit()
    await helpers.wait_until(lambda: runtime.executions)

    async def half(executions: Executions, work: Any) -> None:
        await executions.kill(work, "the node was stopped")

    monkeypatch.setattr(Executions, "abandon", half)
    await started.stop()
    assert runtime.started[0].folder.joinpath("exit.json").exists()
    await start_agent(second)
    await server.finished(run_id)
    assert server.runs[run_id]["status"] == "completed"


async def test_an_end_that_came_as_the_node_stopped_is_not_computed_again(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    class Unnoticed(helpers.Execution):  # ends, but the node has not heard of it yet
        async def wait(self) -> Any:
            await asyncio.Event().wait()

    class Runtime(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            self.started.append(spec)
            self.executions.append(Unnoticed(self, spec))
            return self.executions[-1]

    first, second = Runtime(), helpers.Runtime()
    started = await start_agent(first)
    run_id = await server.submit()
    await helpers.wait_until(lambda: first.executions and first.executions[0]._task.done())
    await started.stop()
    assert server.runs[run_id]["status"] == "active"
    await start_agent(second)
    await server.finished(run_id)
    assert server.result(run_id) == 42
    assert second.started == []
