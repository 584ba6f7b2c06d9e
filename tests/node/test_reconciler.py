"""Runtimes that misbehave: whatever they do, every run ends once and says why."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from vantage6.node.runtimes.base import Ended, RuntimeAway, StartFailed, UnknownImage

pytestmark = pytest.mark.anyio


async def until_ended(server: Any, start_agent: Any, runtime: Any, **values: Any) -> dict[str, Any]:
    await start_agent(runtime, **values)
    run_id = await server.submit()
    await server.finished(run_id)
    run: dict[str, Any] = server.runs[run_id]
    return run


async def test_slow_to_start(server: Any, start_agent: Any, helpers: Any) -> None:
    class Slow(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            await asyncio.sleep(0.5)
            return await super().start(spec)

    run = await until_ended(server, start_agent, Slow())
    assert run["status"] == "completed"


async def test_killed_while_slow_to_start(server: Any, start_agent: Any, helpers: Any) -> None:
    class NeverStarts(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            self.started.append(spec)
            await asyncio.Event().wait()

    runtime = NeverStarts()
    agent = await start_agent(runtime)
    run_id = await server.submit()
    await helpers.wait_until(lambda: runtime.started)
    event = {"node_id": helpers.node_id, "collaboration_id": helpers.collaboration_id}
    await server.emit("kill_containers", event)
    await server.finished(run_id)
    assert server.runs[run_id]["status"] == "killed by user"
    await agent.stop()


async def test_away_for_a_while(server: Any, start_agent: Any, helpers: Any) -> None:
    class ComesBack(helpers.Runtime):
        asked = 0

        async def start(self, spec: Any) -> Any:
            self.asked += 1
            if self.asked <= 2:
                raise RuntimeAway("the engine does not answer")
            return await super().start(spec)

    runtime = ComesBack()
    run = await until_ended(server, start_agent, runtime)
    assert run["status"] == "completed"
    assert len(runtime.started) == 1
    told = [event["log"] for event in server.lines if event["run_id"] == run["id"]]
    assert told == ["Organization 'Utrecht': it waits: the engine does not answer."]


async def test_away_for_good(server: Any, start_agent: Any, helpers: Any) -> None:
    class Away(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            raise RuntimeAway("the engine does not answer")

    started = await start_agent(Away())
    object.__setattr__(started.agent._reconciler._site, "engine_patience", 0.1)
    run_id = await server.submit()
    await server.finished(run_id)
    run = server.runs[run_id]
    assert run["status"] == "start failed"
    assert "could not be started: the engine does not answer" in run["log"]


async def test_is_slow_and_the_researcher_is_told(
    server: Any, start_agent: Any, helpers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()

    class Slow(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            await gate.wait()
            return await super().start(spec)

    monkeypatch.setattr("vantage6.node.execution._SLOW_START", 0.1)
    await start_agent(Slow())
    run_id = await server.submit()
    await helpers.wait_until(lambda: server.lines)
    assert "has not started it yet" in server.lines[0]["log"]
    gate.set()
    await server.finished(run_id)
    assert server.runs[run_id]["status"] == "completed"


async def test_fails_at_start_once(server: Any, start_agent: Any, helpers: Any) -> None:
    class FailsOnce(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            if not self.started:
                self.started.append(spec)
                raise StartFailed("the sandbox said no")
            return await super().start(spec)

    run = await until_ended(server, start_agent, FailsOnce())
    assert run["status"] == "completed"


async def test_always_fails_at_start(server: Any, start_agent: Any, helpers: Any) -> None:
    class Fails(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            self.started.append(spec)
            raise StartFailed("the sandbox said no")

    runtime = Fails()
    run = await until_ended(server, start_agent, runtime)
    assert run["status"] == "start failed"
    assert run["log"].startswith("Organization 'Utrecht': ")
    assert "the sandbox said no" in run["log"]
    assert len(runtime.started) == 2


async def test_breaks_at_start(server: Any, start_agent: Any, helpers: Any) -> None:
    class Breaks(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            raise ZeroDivisionError("/secret/path of the node")

    run = await until_ended(server, start_agent, Breaks())
    assert run["status"] == "start failed"
    assert "secret" not in run["log"]


async def test_knows_no_such_image(server: Any, start_agent: Any, helpers: Any) -> None:
    class Empty(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            self.started.append(spec)
            raise UnknownImage(f"there is no algorithm '{spec.image}' here")

    runtime = Empty()
    run = await until_ended(server, start_agent, runtime)
    assert run["status"] == "non-existing Docker image"
    assert "Organization 'Utrecht'" in run["log"]
    assert "'example.org/algorithm'" in run["log"]
    assert len(runtime.started) == 1


async def test_starts_something_else(server: Any, start_agent: Any, helpers: Any) -> None:
    class Mixes(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            execution = await super().start(spec)
            execution.run_id = 999
            return execution

    runtime = Mixes()
    run = await until_ended(server, start_agent, runtime)
    assert run["status"] == "start failed"
    assert all(execution.killed for execution in runtime.executions)


async def test_dies_while_waited_for(server: Any, start_agent: Any, helpers: Any) -> None:
    class Dies(helpers.Execution):
        async def wait(self) -> Ended:
            raise ConnectionResetError("engine gone")

    class Runtime(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            self.executions.append(Dies(self, spec))
            return self.executions[-1]

    async def forever(spec: Any, port: int) -> None:
        await asyncio.Event().wait()

    runtime = Runtime(forever)
    run = await until_ended(server, start_agent, runtime)
    assert run["status"] == "crashed"
    assert "the node lost sight of it" in run["log"]
    assert runtime.executions[0].killed


async def test_dies_after_the_algorithm_noted_its_end(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    class Dies(helpers.Execution):
        async def wait(self) -> Ended:
            await super().wait()
            raise ConnectionResetError("engine gone")

    class Runtime(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            self.executions.append(Dies(self, spec))
            return self.executions[-1]

    run = await until_ended(server, start_agent, Runtime())
    assert run["status"] == "completed"
    assert server.result(run["id"]) == 42


async def test_never_ends(
    server: Any, start_agent: Any, helpers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forever(spec: Any, port: int) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("vantage6.node.execution._WALL_TIME_GRACE", 0.0)
    runtime = helpers.Runtime(forever)
    run = await until_ended(server, start_agent, runtime, process={"limits": {"wall_time": 1}})
    assert run["status"] == "crashed"
    assert "it ran longer than 1 seconds" in run["log"]
    assert runtime.executions[0].killed


async def test_cannot_kill(
    server: Any, start_agent: Any, helpers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Immortal(helpers.Execution):
        async def kill(self, reason: str) -> None:
            self.killed.append(reason)
            if len(self.killed) < 2:
                await asyncio.Event().wait()
            await super().kill(reason)

    class Runtime(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            self.executions.append(Immortal(self, spec))
            return self.executions[-1]

    async def forever(spec: Any, port: int) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("vantage6.node.execution._KILL_PATIENCE", 0.1)
    runtime = Runtime(forever)
    await start_agent(runtime)
    run_id = await server.submit()
    await helpers.wait_until(lambda: runtime.executions)
    event = {"node_id": helpers.node_id, "collaboration_id": helpers.collaboration_id}
    await server.emit("kill_containers", event)
    await server.finished(run_id)
    assert server.runs[run_id]["status"] == "killed by user"


@pytest.mark.parametrize("lie", [None, "done", Ended(None)])
async def test_says_nothing_sensible_about_the_end(
    server: Any, start_agent: Any, helpers: Any, lie: Any
) -> None:
    class Lies(helpers.Execution):
        async def wait(self) -> Any:
            await super().wait()
            return lie

    class Runtime(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            self.executions.append(Lies(self, spec))
            return self.executions[-1]

    run = await until_ended(server, start_agent, Runtime())
    assert run["status"] == "unknown error"
    assert "Organization 'Utrecht'" in run["log"]


async def test_says_it_ended_well_without_any_output(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    async def vanish(spec: Any, port: int) -> Ended:
        (spec.folder / "output").unlink()
        return Ended(0)

    run = await until_ended(server, start_agent, helpers.Runtime(vanish))
    assert run["status"] == "crashed"
    assert "output cannot be read" in run["log"]


async def test_goes_on_after_it_said_it_had_ended(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    class Early(helpers.Execution):
        async def wait(self) -> Ended:
            (self.spec.folder / "output").write_text("1")
            return Ended(0)

    class Runtime(helpers.Runtime):
        async def start(self, spec: Any) -> Any:
            self.executions.append(Early(self, spec))
            return self.executions[-1]

    async def late(spec: Any, port: int) -> int:
        await asyncio.sleep(0.3)
        return 2

    run = await until_ended(server, start_agent, Runtime(late))
    await asyncio.sleep(0.5)
    assert server.result(run["id"]) == 1
    assert server.history[run["id"]] == ["active", "completed"]


async def test_crashes_are_told_with_what_the_algorithm_said_but_not_its_errors(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    async def crash(spec: Any, port: int) -> Ended:
        (spec.folder / "stdout").write_text("error > no such column\n")
        (spec.folder / "stderr").write_text("Traceback: patient 17\n")
        return Ended(1)

    run = await until_ended(server, start_agent, helpers.Runtime(crash))
    assert run["status"] == "crashed"
    assert run["log"] == (
        "Organization 'Utrecht': the algorithm crashed (exit code 1).\nerror > no such column\n"
    )
    assert run["result"] == ""


async def test_errors_are_told_where_the_owner_allows_it(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    async def crash(spec: Any, port: int) -> Ended:
        (spec.folder / "stderr").write_text("Traceback\n")
        return Ended(1)

    run = await until_ended(
        server, start_agent, helpers.Runtime(crash), share_algorithm_stderr=True
    )
    assert "Traceback" in run["log"]


async def test_nothing_an_algorithm_says_is_told_where_the_owner_forbids_it(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    async def crash(spec: Any, port: int) -> Ended:
        (spec.folder / "stdout").write_text("patient 17")
        return Ended(1)

    run = await until_ended(server, start_agent, helpers.Runtime(crash), share_algorithm_logs=False)
    assert run["log"].endswith("\nNode does not allow sharing algorithm logs")
    assert "patient" not in run["log"]


async def test_refusals_name_organization_and_cause(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    runtime = helpers.Runtime()
    await start_agent(
        runtime,
        policies={"allowed_algorithms": "example.org/algorithm"},
        databases=[{"label": "gone", "uri": "gone.csv", "type": "csv"}],
    )
    run_ids = [
        await server.submit(image="example.org/other"),
        await server.submit(databases=[{"label": "nope", "parameters": "{}"}]),
        await server.submit(databases=[{"label": "gone", "parameters": "{}"}]),
    ]
    await server.finished(*run_ids)
    runs = [server.runs[run_id] for run_id in run_ids]
    assert [run["status"] for run in runs] == ["not allowed", "failed", "failed"]
    assert all(run["log"].startswith("Organization 'Utrecht': ") for run in runs)
    assert "'example.org/other' is not one it allows" in runs[0]["log"]
    assert "no database 'nope' here; there are: 'gone'" in runs[1]["log"]
    assert "file of database 'gone' is missing" in runs[2]["log"]
    assert all(run["started_at"] for run in runs)
    assert runtime.started == []


async def test_parents_that_wait_for_subtasks_leave_room_for_them(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    """With one slot, two central functions each wait for a subtask at this very node."""
    from vantage6.common.transport import connect_async

    async def central(spec: Any, port: int) -> Any:
        if "parent" in json.loads((spec.folder / "input").read_bytes()):
            token = (spec.folder / "token").read_text()
            headers = {"Authorization": f"Bearer {token}"}
            async with connect_async(f"http://127.0.0.1:{port}") as http:
                body = {"organizations": [{"id": 2, "input": "e30="}]}
                child = (await http.post("/task", json=body, headers=headers)).json()["id"]
                done = False
                while not done:
                    await asyncio.sleep(0.02)
                    answer = await http.get(f"/task/{child}/status", headers=headers)
                    done = answer.json()["status"] == "completed"
            return "central"
        return "partial"

    await start_agent(helpers.Runtime(central), max_concurrent_runs=1)
    parent = "eyJwYXJlbnQiOiAxfQ=="
    first, second = await server.submit(input=parent), await server.submit(input=parent)
    await server.finished(first, second)
    assert server.result(first) == server.result(second) == "central"
    assert len(server.runs) == 4


async def test_a_result_that_the_server_refuses_is_replaced_by_saying_so(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    async def wait(spec: Any, port: int) -> int:
        server.faults.append(("PATCH", "/run/1", 413))
        return 1

    run = await until_ended(server, start_agent, helpers.Runtime(wait))
    assert run["status"] == "failed"
    assert "the server refuses the outcome" in run["log"]


@pytest.mark.parametrize("fault", [500, 503, "drop before", "drop after"])
async def test_an_outcome_is_delivered_however_the_server_behaves(
    server: Any, start_agent: Any, helpers: Any, fault: Any
) -> None:
    async def wait(spec: Any, port: int) -> int:
        server.faults.extend([("PATCH", "/run/1", fault)] * 3)
        return 1

    run = await until_ended(server, start_agent, helpers.Runtime(wait))
    assert run["status"] == "completed"
    assert server.history[run["id"]] == ["active", "completed"]


@pytest.mark.parametrize("fault", [500, 401, "drop before", "drop after"])
async def test_a_claim_is_made_however_the_server_behaves(
    server: Any, start_agent: Any, helpers: Any, fault: Any
) -> None:
    server.faults.append(("PATCH", "/run/1", fault))
    runtime = helpers.Runtime()
    run = await until_ended(server, start_agent, runtime)
    assert run["status"] == "completed"
    assert len(runtime.started) == 1


async def test_a_run_that_was_closed_before_it_was_claimed_is_left_alone(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    async def forever(spec: Any, port: int) -> None:
        await asyncio.Event().wait()

    runtime = helpers.Runtime(forever)
    await start_agent(runtime, max_concurrent_runs=1)
    first = await server.submit()
    await helpers.wait_until(lambda: runtime.executions)
    second = await server.submit()
    await asyncio.sleep(0.1)
    server.runs[second].update(status="killed by user", finished_at="2026-01-01T00:00:00")
    await server.kill(first)
    await asyncio.sleep(0.2)
    assert [spec.run_id for spec in runtime.started] == [first]


async def test_a_run_that_failed_without_being_closed_is_closed(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    run_id = server.add_task()
    server.runs[run_id]["status"] = "start failed"
    runtime = helpers.Runtime()
    await start_agent(runtime)
    await server.finished(run_id)
    assert server.runs[run_id]["status"] == "start failed"
    assert runtime.started == []


async def test_an_open_run_that_cannot_be_understood_does_not_hold_up_the_others(
    server: Any, start_agent: Any
) -> None:
    broken = server.add_task(job_id="x")
    run_id = server.add_task()
    await start_agent()
    await server.finished(run_id)
    assert server.runs[broken]["status"] == "pending"


@pytest.mark.parametrize(
    "values",
    [
        {"databases": 5},
        {"databases": [{"label": "x", "parameters": "[" * 200_000}]},
        {"job_id": 2**70},
        {"input": ["x"]},
    ],
)
async def test_a_hostile_list_of_runs_does_not_end_the_node(
    server: Any, start_agent: Any, values: dict[str, Any]
) -> None:
    broken = server.add_task(**values)
    run_id = server.add_task()
    await start_agent()
    await server.finished(run_id)
    assert server.runs[broken]["status"] == "pending"
