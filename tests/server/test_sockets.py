"""The Socket.IO contract (``events.md``), with real connections to a server on loopback."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from listener import connected
from live import Live, running
from vantage6.server.auth.session import end_of_tokens
from vantage6.server.auth.tokens import Kind, Tokens
from vantage6.server.model.tables import (
    Node,
    User,
)

_USER: Any = User.__table__


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with running(tmp_path) as server:
        yield server


def status_of(live: Live, id_: int) -> tuple[str | None, Any]:
    with live.services.database.read() as db:
        node = db.get_one(Node, id_)
        return node.status, node.config


async def eventually(live: Live, node: int, expected: tuple[str, Any]) -> None:
    """Wait until a node's status and shared configuration are as expected."""
    async with asyncio.timeout(10):
        while status_of(live, node) != expected:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]])
def test_a_node_that_connects_is_online_and_told_to_sync(live: Live, transports: list[str]) -> None:
    async def scenario() -> None:
        async with connected(live.url, live.token(Kind.NODE, 11), transports=transports) as node:
            assert await node.until("sync") is None
            text = await node.until("message")
            assert text == "Node <node one> joined room <collaboration_1>"
            assert status_of(live, 11)[0] == "online"

    asyncio.run(scenario())


def test_a_second_node_with_the_same_key_is_told_and_so_is_the_first(live: Live) -> None:
    async def scenario() -> None:
        token = live.token(Kind.NODE, 11)
        async with connected(live.url, token) as first:
            await first.until("sync")
            async with connected(live.url, token) as second:
                assert await second.until("duplicate_node") is None
                assert (await first.until("node-online"))["id"] == 11
                assert "duplicate_node" not in [event for event, _ in first.heard]
        await eventually(live, 11, ("offline", []))
        async with connected(live.url, token) as again:
            await again.until("sync")
            with pytest.raises(TimeoutError):
                await again.until("duplicate_node", seconds=0.5)

    asyncio.run(scenario())


def test_a_node_that_leaves_is_offline_at_once(live: Live) -> None:
    async def scenario() -> None:
        token = live.token(Kind.NODE, 11)
        async with connected(live.url, token, transports=["websocket"]) as node:
            await node.until("sync")
        await eventually(live, 11, ("offline", []))

    asyncio.run(scenario())


def test_a_new_task_is_told_to_nodes_and_users_of_the_collaboration(live: Live) -> None:
    async def scenario() -> None:
        async with (
            connected(live.url, live.token(Kind.NODE, 11)) as one,
            connected(live.url, live.token(Kind.NODE, 12)) as two,
            connected(live.url, live.token(Kind.USER, 21)) as ada,
        ):
            await one.until("sync")
            await two.until("sync")
            await ada.until("message")
            task = await asyncio.to_thread(live.create_task)
            for listener in (one, two, ada):
                assert await listener.until("new_task") == {"id": task["id"], "parent_id": None}

    asyncio.run(scenario())


def test_a_node_is_sent_its_own_new_run_and_nobody_else_is(live: Live) -> None:
    async def scenario() -> None:
        async with (
            connected(live.url, live.token(Kind.NODE, 11)) as one,
            connected(live.url, live.token(Kind.NODE, 12)) as two,
            connected(live.url, live.token(Kind.USER, 21)) as ada,
        ):
            for listener in (one, two):
                await listener.until("sync")
            await ada.until("message")
            task = await asyncio.to_thread(live.create_task)
            for listener, node in ((one, 11), (two, 12)):
                offer = await listener.until("new_run")
                await listener.until("new_task")
                with live.http(Kind.NODE, node) as http:
                    parameters = {"task_id": task["id"], "node_id": node, "include": "task"}
                    (run,) = http.get("/run", params=parameters).json()["data"]
                for key in ("id", "status", "input", "blob_storage_used"):
                    assert offer[key] == run[key]
                assert offer["task"].items() >= run["task"].items()
                assert "new_run" not in [name for name, _ in listener.heard]  # once only
            await ada.until("new_task")
            assert "new_run" not in [name for name, _ in ada.heard]

    asyncio.run(scenario())


def test_a_node_asks_for_a_run_with_a_long_input(live: Live) -> None:
    async def scenario() -> None:
        async with connected(live.url, live.token(Kind.NODE, 11)) as node:
            await node.until("sync")
            long = base64.b64encode(b'{"method": "' + b"m" * 20_000 + b'"}').decode()
            await asyncio.to_thread(live.create_task, long)
            await node.until("new_task")
            assert "new_run" not in [name for name, _ in node.heard]

    asyncio.run(scenario())


def test_others_hear_that_a_node_came_and_went(live: Live) -> None:
    async def scenario() -> None:
        async with connected(live.url, live.token(Kind.USER, 21)) as ada:
            await ada.until("message")
            async with connected(live.url, live.token(Kind.NODE, 12)) as two:
                await two.until("sync")
                assert await ada.until("node-online") == {
                    "id": 12,
                    "name": "node two",
                    "org_id": 12,
                }
            assert (await ada.until("node-offline"))["id"] == 12

    asyncio.run(scenario())


def test_a_report_of_a_node_is_relayed_with_its_job(live: Live) -> None:
    async def scenario() -> None:
        task = await asyncio.to_thread(live.create_task)
        async with (
            connected(live.url, live.token(Kind.USER, 21)) as ada,
            connected(live.url, live.token(Kind.NODE, 11)) as one,
        ):
            await one.until("sync")
            with live.http(Kind.NODE, 11) as http:
                run = http.get("/run", params={"node_id": 11, "state": "open"}).json()["data"][0]
            report = {
                "status": "active",
                "run_id": run["id"],
                "task_id": task["id"],
                "collaboration_id": 1,
                "node_id": 11,
                "organization_id": 11,
                "parent_id": None,
            }
            await one.sio.emit("algorithm_status_change", report, namespace="/tasks")
            expected = {**report, "job_id": task["job_id"]}
            assert await ada.until("algorithm_status_change") == expected
            line = {"collaboration_id": 1, "run_id": run["id"], "task_id": task["id"], "log": "hi"}
            await one.sio.emit("algorithm_log", line, namespace="/tasks")
            await one.sio.emit("algorithm_log", {**line, "log": "there"}, namespace="/tasks")
            assert (await ada.until("algorithm_log"))["log"] == "hi"
            assert (await ada.until("algorithm_log"))["log"] == "there"
            with live.http(Kind.NODE, 11) as http:
                assert http.get(f"/run/{run['id']}").json()["log"] == "hi\nthere"

    asyncio.run(scenario())


def test_a_node_cannot_report_on_the_run_of_another(live: Live) -> None:
    async def scenario() -> None:
        await asyncio.to_thread(live.create_task)
        with live.http(Kind.NODE, 11) as http:
            run = http.get("/run", params={"node_id": 11}).json()["data"][0]
        async with (
            connected(live.url, live.token(Kind.USER, 21)) as ada,
            connected(live.url, live.token(Kind.NODE, 12)) as two,
        ):
            await two.until("sync")
            line = {"collaboration_id": 1, "run_id": run["id"], "task_id": 1, "log": "forged"}
            await two.sio.emit("algorithm_log", line, namespace="/tasks")
            await two.sio.emit("no_such_event", {"x": 1}, namespace="/tasks")
            await two.sio.emit("algorithm_log", {"nonsense": True}, namespace="/tasks")
            await two.sio.emit("ping", namespace="/tasks")
            with pytest.raises(TimeoutError):
                await ada.until("algorithm_log", seconds=0.5)
        with live.http(Kind.NODE, 11) as http:
            assert http.get(f"/run/{run['id']}").json()["log"] is None

    asyncio.run(scenario())


def test_what_a_node_shares_is_kept_while_it_is_connected(live: Live) -> None:
    async def scenario() -> None:
        token = live.token(Kind.NODE, 11)
        async with connected(live.url, token, transports=["websocket"]) as one:
            await one.until("sync")
            shared = {
                "allowed_algorithms": "all",
                "database_labels": ["default", "pg"],
                "database_types": {"db_type_default": "csv"},
                "database_columns": {"columns_default": ["age", "sex"]},
            }
            await one.sio.emit("node_info_update", shared, namespace="/tasks")
            expected = [
                ["allowed_algorithms", "all"],
                ["database_labels", "default"],
                ["database_labels", "pg"],
                ["db_type_default", "csv"],
                ["columns_default", "age"],
                ["columns_default", "sex"],
            ]
            await eventually(live, 11, ("online", expected))
        await eventually(live, 11, ("offline", []))

    asyncio.run(scenario())


def test_an_old_connection_that_closes_late_does_not_take_the_node_offline(live: Live) -> None:
    async def scenario() -> None:
        token = live.token(Kind.NODE, 11)
        async with connected(live.url, token) as old:
            await old.until("sync")
            async with connected(live.url, token) as new:
                await new.until("sync")
                await old.sio.disconnect()
                await asyncio.sleep(0.3)
                assert status_of(live, 11)[0] == "online"

    asyncio.run(scenario())


def test_killing_a_task_tells_the_nodes_which_runs(live: Live) -> None:
    async def scenario() -> None:
        task = await asyncio.to_thread(live.create_task)
        async with connected(live.url, live.token(Kind.NODE, 11)) as one:
            await one.until("sync")
            with live.http(Kind.USER, 21) as http:
                assert http.post("/kill/task", json={"id": task["id"]}).status_code == 200
            told = await one.until("kill_containers")
            assert told["collaboration_id"] == 1
            assert {entry["organization_id"] for entry in told["kill_list"]} == {11, 12}
            assert {entry["task_id"] for entry in told["kill_list"]} == {task["id"]}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("token", "event"),
    [
        (Tokens("another secret that is long enough").issue(Kind.NODE, 11)[0], "invalid_token"),
        ("nonsense", None),
    ],
)
def test_a_bad_token_is_told_and_joins_nothing(live: Live, token: str, event: str | None) -> None:
    async def scenario() -> None:
        async with connected(live.url, token) as stranger:
            if event:
                assert await stranger.until(event) is None
            await asyncio.to_thread(live.create_task)
            await stranger.sio.emit("node_info_update", {"a": 1}, namespace="/tasks")
            with pytest.raises(TimeoutError):
                await stranger.until("new_task", seconds=0.4)
            assert stranger.heard == []

    asyncio.run(scenario())


def test_an_expired_token_is_told_and_joins_nothing(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live.services.tokens, "_access", -live.services.tokens._access)
    token = live.token(Kind.NODE, 11)

    async def scenario() -> None:
        async with connected(live.url, token) as node:
            assert await node.until("expired_token") is None
            assert node.heard == []

    asyncio.run(scenario())


def test_waiting_for_a_task_ends_when_a_run_changes(live: Live) -> None:
    task = live.create_task()
    with live.http(Kind.USER, 21) as ada, live.http(Kind.NODE, 11) as node:
        path = f"/task/{task['id']}/status"
        assert ada.get(path).json() == {"status": "pending"}
        first = ada.get(path, params={"wait": 10}).json()
        assert [run["organization"]["name"] for run in first["runs"]] == ["one", "two"]
        run_id = first["runs"][0]["id"]
        change = threading.Timer(
            0.2, lambda: node.patch(f"/run/{run_id}", json={"status": "active"})
        )
        change.start()
        started = time.monotonic()
        second = ada.get(path, params={"wait": 10, "seen": first["seen"]}).json()
        assert 0.1 < time.monotonic() - started < 3
        assert second["status"] == "active"
        assert [run["status"] for run in second["runs"]] == ["active", "pending"]
        change.join()
        started = time.monotonic()
        third = ada.get(path, params={"wait": 0.3, "seen": second["seen"]}).json()
        assert time.monotonic() - started >= 0.3
        assert third == second


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server looks every moment for what else it looks for once a minute."""
    monkeypatch.setattr("vantage6.server.app._SWEEP_SECONDS", 0.1)


def test_connections_end_with_the_tokens_they_were_made_with(soon: None, live: Live) -> None:
    def forget(condition: Any) -> None:
        with live.services.database.write() as db:
            db.execute(update(_USER).where(condition).values(**end_of_tokens()))

    async def scenario() -> None:
        async with (
            connected(live.url, live.token(Kind.USER, 21)) as ada,
            connected(live.url, live.token(Kind.NODE, 11)) as node,
        ):
            await ada.until("message")
            await node.until("sync")
            await asyncio.sleep(0.5)
            assert ada.sio.connected
            await asyncio.to_thread(forget, _USER.c.id == 21)
            await ada.until("expired_token")
            async with asyncio.timeout(10):
                while "/tasks" in ada.sio.namespaces:
                    await asyncio.sleep(0.02)
            assert "/tasks" in node.sio.namespaces

    asyncio.run(scenario())
