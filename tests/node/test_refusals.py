"""Policies, as the researcher meets them: the status and the log of a run that was refused."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from vantage6.node.decisions import entries
from vantage6.node.folders import RunFolders
from vantage6.node.journal import Journal, Ticket
from vantage6.node.runtimes.base import RunSpec

pytestmark = pytest.mark.anyio


async def refusal(server: Any, run_id: int) -> str:
    """The log of a run that the node must refuse."""
    await server.finished(run_id)
    run = server.runs[run_id]
    assert run["status"] == "not allowed", run
    assert not run["result"]
    assert "'Utrecht'" in run["log"] or "Utrecht" in run["log"]
    return str(run["log"])


def task_input(method: Any) -> str:
    text = json.dumps({"method": method, "args": [], "kwargs": {"secret": 1}})
    return base64.b64encode(text.encode()).decode()


def closed_now() -> dict[str, Any]:
    """Working hours that are over, or have not begun."""
    now = datetime.now().astimezone()
    return {
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "from": f"{now + timedelta(hours=2):%H:%M}",
        "to": f"{now + timedelta(hours=3):%H:%M}",
    }


@pytest.mark.parametrize(
    ("policies", "task", "words"),
    [
        (
            {"allowed_algorithms": ["example.org/algorithm:latest"]},
            {"image": "example.org/algorithm:latest-anything"},
            ["image 'example.org/algorithm:latest-anything'", "allowed_algorithms"],
        ),
        (
            {"allowed_algorithms": ["example.org/algorithm@sha256:aa"]},
            {"image": "example.org/algorithm@sha256:bb"},
            ["image 'example.org/algorithm@sha256:bb'", "allowed_algorithms"],
        ),
        (
            {"allowed_algorithms": [r"^example\.org/other"]},
            {},
            ["image 'example.org/algorithm'", "allowed_algorithms"],
        ),
        ({"allowed_users": [4]}, {}, ["user 3", "allowed_users"]),
        ({"allowed_organizations": [9, "Leiden"]}, {}, ["organization 1", "allowed_organizations"]),
        (
            {"allow_basics_algorithm": False},
            {"image": "ghcr.io/vantage6/algorithm-basics:latest"},
            ["basic algorithm", "allow_basics_algorithm"],
        ),
        (
            {"allowed_functions": {"example.org/algorithm": ["partial", "central"]}},
            {"input": task_input("other")},
            ["function 'other'", "only: central, partial", "allowed_functions"],
        ),
        (
            {"allowed_functions": {"example.org/algorithm": "partial"}},
            {"input": task_input(7)},
            ["function ''", "allowed_functions"],
        ),
        ({"require_encryption": True}, {}, ["encrypted collaborations only", "require_encryption"]),
        (
            {"allowed_algorithm_stores": ["https://store.example.org"]},
            {},
            ["does not say which algorithm store", "allowed_algorithm_stores"],
        ),
    ],
)
async def test_a_refusal_says_which_rule_and_why(
    server: Any, start_agent: Any, helpers: Any, policies: Any, task: Any, words: list[str]
) -> None:
    runtime = helpers.Runtime()
    strict = await start_agent(runtime, policies=policies)
    log = await refusal(server, await server.submit(**task))
    for word in words:
        assert word in log
    assert not runtime.started
    # The policy was what refused it: without it the very same task runs.
    await strict.stop()
    await start_agent(runtime)
    allowed = await server.submit(**task)
    await server.finished(allowed)
    assert server.runs[allowed]["status"] == "completed"


async def test_outside_working_hours_nothing_runs(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    runtime = helpers.Runtime()
    await start_agent(runtime, policies={"working_hours": closed_now()})
    log = await refusal(server, await server.submit())
    assert "working hours only: mon" in log
    assert "(working_hours)" in log
    assert not runtime.started


async def test_a_user_has_so_many_tasks_at_once_and_subtasks_are_none(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    import asyncio

    gate = asyncio.Event()

    async def wait(spec: Any, port: int) -> int:
        await gate.wait()
        return 42

    runtime = helpers.Runtime(wait)
    await start_agent(runtime, policies={"max_runs_per_user": 1}, max_concurrent_runs=8)
    first = await server.submit()
    await helpers.wait_until(lambda: len(runtime.started) == 1)
    assert "at most 1 at a time" in await refusal(server, await server.submit())
    subtask = await server.submit(job_id=first, parent={"id": first})
    other_user = await server.submit(init_user={"id": 4})
    await helpers.wait_until(lambda: len(runtime.started) == 3)
    gate.set()
    await server.finished(first, subtask, other_user)
    await server.finished(again := await server.submit())
    assert server.runs[again]["status"] == "completed"


async def test_what_outlived_a_crash_counts_among_its_users_tasks_and_keeps_its_databases(
    server: Any, start_agent: Any, make_config: Any, helpers: Any
) -> None:
    import asyncio

    gate = asyncio.Event()
    seen: list[bytes] = []
    first = server.add_task(databases=[{"label": "db", "parameters": "{}"}])
    server.runs[first]["status"] = "active"
    async with await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0) as database:
        port = database.sockets[0].getsockname()[1]

        async def knock(_: Any, proxy: int) -> int:
            await gate.wait()
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
            writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
            seen.append(await reader.read(12))
            writer.close()
            return 42

        values = {
            "policies": {"max_runs_per_user": 1},
            "databases": [
                {"label": "db", "uri": f"postgresql://u@127.0.0.1:{port}/x", "type": "sql"}
            ],
        }
        folder = make_config(**values).folder
        with Journal(folder / "journal.sqlite") as journal:
            journal.belongs_to(server.url, helpers.node_id)
            journal.accept(Ticket(first, first, first, 1, None, 3, ("db",)))
            journal.start(first)
        place = RunFolders(folder).make(first, 1, b"")
        RunFolders(folder).write_token(place, "token")

        class Outlived(helpers.Runtime):
            async def running(self) -> Any:
                yield await self.start(RunSpec(first, first, "i", place))

        await start_agent(Outlived(knock), **values)
        assert "at most 1 at a time" in await refusal(server, await server.submit())
        gate.set()
        await server.finished(first)
    assert server.runs[first]["status"] == "completed", server.runs[first]["log"]
    assert seen == [b"HTTP/1.1 200"]


async def test_what_a_researcher_wrote_cannot_forge_lines_of_the_log(
    server: Any, start_agent: Any, helpers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await start_agent(helpers.Runtime())
    label = "x\n2026-01-01 run 1: completed"
    await server.finished(await server.submit(databases=[{"label": label, "parameters": "{}"}]))
    assert not any("\n" in record.getMessage() for record in caplog.records)
    assert "x\\n2026-01-01 run 1: completed" in caplog.text


async def test_functions_that_are_listed_run(server: Any, start_agent: Any) -> None:
    policies = {"allowed_functions": {"example.org/algorithm": ["partial"]}}
    await start_agent(policies=policies)
    run_id = await server.submit(input=task_input("partial"))
    await server.finished(run_id)
    assert server.runs[run_id]["status"] == "completed"


class Store:
    """An algorithm store with one image, that remembers who asked."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.url = ""

    async def algorithms(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        has = request.query["image"] == "example.org/algorithm"
        return web.json_response({"data": [{"id": 1}] if has else []})

    @asynccontextmanager
    async def listening(self, server: Any) -> AsyncIterator[Store]:
        app = web.Application()
        app.add_routes([web.get("/api/algorithm", self.algorithms)])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api"
        server.stores[5] = self.url
        try:
            yield self
        finally:
            await runner.cleanup()


@pytest.fixture
async def store(server: Any) -> AsyncIterator[Store]:
    async with Store().listening(server) as listening:
        yield listening


async def test_an_allowed_store_is_asked_for_the_image(
    server: Any, start_agent: Any, store: Store
) -> None:
    await start_agent(policies={"allowed_algorithm_stores": [store.url]})
    known = await server.submit(algorithm_store={"id": 5})
    await server.finished(known)
    assert server.runs[known]["status"] == "completed"
    headers = store.asked[0].headers
    assert headers["Client-Type"] == "node"
    assert headers["Server-Url"] == server.url
    assert headers["Authorization"].startswith("Bearer ey")
    unknown = await server.submit(algorithm_store={"id": 5}, image="example.org/unknown")
    assert "has no approved image 'example.org/unknown'" in await refusal(server, unknown)


async def test_a_store_that_is_not_allowed_never_gets_the_nodes_token(
    server: Any, start_agent: Any, store: Store
) -> None:
    await start_agent(policies={"allowed_algorithm_stores": ["https://store.example.org"]})
    run_id = await server.submit(algorithm_store={"id": 5})
    assert f"{store.url} is not one it allows" in await refusal(server, run_id)
    assert not store.asked


async def test_a_store_that_does_not_answer_vouches_for_nothing(
    server: Any, start_agent: Any
) -> None:
    server.stores[5] = "http://127.0.0.1:1/api"
    await start_agent(policies={"allowed_algorithm_stores": [server.stores[5]]})
    log = await refusal(server, await server.submit(algorithm_store={"id": 5}))
    assert "gives no answer" in log


async def test_every_decision_is_in_the_log_of_decisions(
    server: Any, start_agent: Any, helpers: Any, tmp_path: Path
) -> None:
    async def speak(spec: Any, port: int) -> dict[str, int]:
        (spec.folder / "stdout").write_text("four")
        return {"average": 7}

    policies = {"allowed_algorithms": ["example.org/algorithm"]}
    started = await start_agent(helpers.Runtime(speak), policies=policies)
    good = await server.submit(input=task_input("partial"))
    bad = await server.submit(image="example.org/evil")
    nowhere = await server.submit(databases=[{"label": "nowhere", "parameters": "{}"}])
    await server.finished(good, bad, nowhere)
    await started.stop()
    lines = list(entries(tmp_path / "state" / "decisions"))
    asked = {line["run"]: line for line in lines if line["event"] == "asked"}
    ended = {line["run"]: line for line in lines if line["event"] == "ended"}
    assert asked[good]["verdict"] == "allowed"
    assert asked[good]["function"] == "partial"
    assert len(asked[good]["input_sha256"]) == 64
    assert (asked[bad]["verdict"], asked[bad]["rule"]) == ("refused", "allowed_algorithms")
    assert (asked[nowhere]["verdict"], asked[nowhere]["rule"]) == ("refused", "databases")
    assert ended[good]["status"] == "completed"
    assert ended[good]["result_bytes"] == len('{"average": 7}')
    assert ended[good]["log_bytes"] == 4
    assert ended[bad]["status"] == "not allowed"
    text = (tmp_path / "state" / "decisions").rglob("*.jsonl")
    assert all("secret" not in path.read_text() for path in text)


@pytest.mark.parametrize("method", ["\ud800", "a\0b", "x" * 100_000])
async def test_a_function_of_any_name_is_refused_in_words(
    server: Any, start_agent: Any, method: str
) -> None:
    await start_agent(policies={"allowed_functions": {"example.org/algorithm": ["m"]}})
    log = await refusal(server, await server.submit(input=task_input(method)))
    assert "\0" not in log


async def test_an_input_that_is_nested_too_deeply_is_noted(
    server: Any, start_agent: Any, tmp_path: Path
) -> None:
    await start_agent()
    text = base64.b64encode(b"[" * 200_000).decode()
    await server.finished(run_id := await server.submit(input=text))
    noted = [e for e in entries(tmp_path / "state" / "decisions") if e["event"] == "asked"]
    assert [entry["run"] for entry in noted] == [run_id]
