"""Several server processes on one PostgreSQL: what happens at one reaches the others."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psycopg
import pytest
from sqlalchemy import insert, select

from listener import connected
from relay import Relay
from servers import SECRET, Process, start
from vantage6.server.auth.passwords import hash_api_key
from vantage6.server.auth.tokens import Kind, Tokens
from vantage6.server.model.database import Database
from vantage6.server.model.tables import (
    Collaboration,
    Node,
    Organization,
    Role,
    User,
    member,
    user_role,
)

POSTGRESQL = os.environ.get("V6_TEST_POSTGRESQL", "postgresql://root@127.0.0.1:5432/root")
BROKERS = {"redis": ("127.0.0.1", 6379), "rabbitmq": ("127.0.0.1", 5672)}
TOKENS = Tokens(SECRET)
NODE, USER = 11, 21

pytestmark = pytest.mark.timeout(240)


@dataclass
class Shared:
    """A database for several processes, with one node (11) and one user (21)."""

    folder: Path
    uri: str

    def start(self, **keys: Any) -> Process:
        return start(self.folder, self.uri, **keys)

    def populate(self) -> None:
        database = Database(self.uri.replace("postgresql://", "postgresql+psycopg://"))
        with database.write() as db:
            db.add(Collaboration(id=1, name="together", encrypted=False))
            db.add(Organization(id=11, name="one"))
            db.flush()
            db.execute(insert(member).values(collaboration_id=1, organization_id=11))
            key = hash_api_key("one")
            node = {"collaboration_id": 1, "organization_id": 11, "config": []}
            db.add(Node(id=NODE, name="node one", api_key_hash=key, **node))
            db.add(User(id=USER, username="ada", password="x", organization_id=11))
            db.flush()
            role = db.scalar(select(Role.id).where(Role.name == "Collaboration Admin"))
            db.execute(insert(user_role).values(user_id=USER, role_id=role))
        database.close()

    def status(self) -> str | None:
        with psycopg.connect(self.uri) as connection:
            row = connection.execute("select status from authenticatable where id=%s", (NODE,))
            found = row.fetchone()
        assert found is not None
        status: str | None = found[0]
        return status

    async def until_status(self, wanted: str, seconds: float) -> float:
        """Wait until the node's status is as wanted; gives the seconds it took."""
        began = time.monotonic()
        while await asyncio.to_thread(self.status) != wanted:
            assert time.monotonic() - began < seconds, f"not {wanted} after {seconds} s"
            await asyncio.sleep(0.1)
        return time.monotonic() - began


def token(kind: Kind, id_: int) -> str:
    return TOKENS.issue(kind, id_)[0]


def call(process: Process, method: str, path: str, **options: Any) -> httpx.Response:
    kind, id_ = (Kind.NODE, NODE) if method == "PATCH" else (Kind.USER, USER)
    headers = {"Authorization": f"Bearer {token(kind, id_)}"}
    return httpx.request(method, f"{process.url}/api{path}", headers=headers, timeout=60, **options)


def create_task(process: Process) -> dict[str, Any]:
    body = {
        "collaboration_id": 1,
        "image": "img",
        "organizations": [{"id": 11, "input": "e30="}],
    }
    answer = call(process, "POST", "/task", json=body)
    assert answer.status_code == 201, answer.text
    task: dict[str, Any] = answer.json()
    return task


@pytest.fixture
def shared(tmp_path: Path, lacking: Callable[[str], Any]) -> Iterator[Shared]:
    base = POSTGRESQL.rpartition("/")[0]
    name = f"v6_processes_{os.getpid()}_{time.monotonic_ns()}"
    try:
        connection = psycopg.connect(POSTGRESQL, autocommit=True)
    except psycopg.OperationalError:
        lacking("there is no PostgreSQL for several processes")
    connection.execute(f"create database {name}")
    yield Shared(tmp_path, f"{base}/{name}")
    connection.execute(f"drop database if exists {name} with (force)")
    connection.close()


@pytest.fixture(params=["redis", "rabbitmq", "nothing"])
def bus(request: pytest.FixtureRequest, lacking: Callable[[str], Any]) -> Iterator[Any]:
    """Keys of a bus, and the wire to it."""
    if request.param == "nothing":
        yield {}, None
        return
    host, port = BROKERS[request.param]
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        lacking(f"nothing answers at {host}:{port} ({request.param})")
    with Relay(host, port) as relay:
        if request.param == "redis":
            uri = f"redis://127.0.0.1:{relay.port}/0"
        else:
            uri = f"amqp://guest:guest@127.0.0.1:{relay.port}//"
        yield {request.param: {"uri": uri}}, relay


def bus_state(process: Process) -> Any:
    return process.get("/health/ready").json()["bus"]


async def until_bus(process: Process, wanted: bool, seconds: float = 60) -> None:
    began = time.monotonic()
    while await asyncio.to_thread(bus_state, process) is not wanted:
        assert time.monotonic() - began < seconds, f"the bus is not {wanted}:\n{process.log}"
        await asyncio.sleep(0.2)


def waiting_for(process: Process, task: dict[str, Any]) -> tuple[threading.Thread, dict[str, Any]]:
    """Wait for a task at a process, in a thread; the answer comes into the dictionary."""
    found: dict[str, Any] = {}

    def ask() -> None:
        began = time.monotonic()
        path = f"/task/{task['id']}/status"
        found["answer"] = call(
            process, "GET", path, params={"wait": 25, "until": "finished"}
        ).json()
        found["seconds"] = time.monotonic() - began

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, found


def finish(process: Process, task: dict[str, Any]) -> None:
    run = call(process, "GET", "/run", params={"task_id": task["id"]}).json()["data"][0]["id"]
    body = {
        "status": "completed",
        "result": "e30=",
        "started_at": "2026-01-01T00:00:00",
        "finished_at": "2026-01-01T00:00:01",
    }
    assert call(process, "PATCH", f"/run/{run}", json=body).status_code == 200


def test_what_happens_at_one_process_reaches_the_other(shared: Shared, bus: Any) -> None:
    keys, relay = bus
    # Both at once on an empty database: they must not trip over each other.
    first, second = shared.start(**keys), shared.start(**keys)

    async def told_across(seconds: float) -> None:
        async with connected(first.url, token(Kind.NODE, NODE)) as node:
            await node.until("sync", 20)
            task = await asyncio.to_thread(create_task, second)
            assert await node.until("new_task", seconds) == {"id": task["id"], "parent_id": None}
            thread, found = waiting_for(first, task)
            await asyncio.sleep(1)
            await asyncio.to_thread(finish, second, task)
            await asyncio.to_thread(thread.join)
            assert found["answer"]["status"] == "completed"
            assert found["seconds"] < 1 + seconds
            doomed = await asyncio.to_thread(create_task, second)
            await asyncio.to_thread(call, second, "POST", "/kill/task", json={"id": doomed["id"]})
            async with asyncio.timeout(seconds):
                # A mended bus may deliver what was sent before once more: nodes take it twice.
                killed: list[int] = []
                while doomed["id"] not in killed:
                    kill = await node.until("kill_containers", seconds)
                    killed += [entry["task_id"] for entry in kill["kill_list"]]

    async def scenario() -> None:
        if relay is None:
            await asyncio.sleep(4)  # until each knows of the other
            await told_across(12)
            return
        for process in (first, second):
            await until_bus(process, True)
        await told_across(3)
        relay.cut()
        for process in (first, second):
            await until_bus(process, False)
        # Without a bus what others did is found in the database.
        await told_across(12)
        relay.mend()
        for process in (first, second):
            await until_bus(process, True)
        await told_across(3)

    with first, second:
        shared.populate()
        asyncio.run(scenario())
        assert "Traceback" not in first.log + second.log


def test_a_node_that_moves_to_another_process_stays_online(shared: Shared) -> None:
    with shared.start() as first, shared.start() as second:
        shared.populate()

        async def scenario() -> None:
            async with connected(first.url, token(Kind.NODE, NODE)) as old:
                await old.until("sync", 20)
                async with connected(second.url, token(Kind.NODE, NODE)) as new:
                    await new.until("sync", 20)
                    await old.sio.disconnect()
                    await asyncio.sleep(1)
                    assert shared.status() == "online"
                await shared.until_status("offline", 20)

        asyncio.run(scenario())


def test_nodes_of_a_process_that_was_killed_are_soon_offline(shared: Shared) -> None:
    with shared.start() as first, shared.start() as second:
        shared.populate()

        async def scenario() -> None:
            async with (
                connected(first.url, token(Kind.NODE, NODE)) as node,
                connected(second.url, token(Kind.USER, USER)) as ada,
            ):
                await node.until("sync", 20)
                await shared.until_status("online", 10)
                first.end(signal.SIGKILL)
                assert (await ada.until("node-offline", 30))["id"] == NODE
                await shared.until_status("offline", 5)

        asyncio.run(scenario())


def test_after_a_crash_of_the_only_process_statuses_are_right(shared: Shared) -> None:
    with shared.start() as only:
        shared.populate()

        async def connect_and_crash() -> None:
            async with connected(only.url, token(Kind.NODE, NODE)) as node:
                await node.until("sync", 20)
                await shared.until_status("online", 10)
                only.end(signal.SIGKILL)

        asyncio.run(connect_and_crash())
        assert shared.status() == "online"  # nobody is there to correct it
    with shared.start(port=only.port):
        asyncio.run(shared.until_status("offline", 30))


def test_a_stopping_process_sends_everybody_elsewhere_at_once(shared: Shared) -> None:
    with shared.start() as first, shared.start() as second:
        shared.populate()
        task = create_task(first)

        async def scenario(transport: str) -> float:
            async with connected(first.url, token(Kind.NODE, NODE), transports=[transport]) as node:
                await node.until("sync", 20)
                thread, found = waiting_for(first, task)
                await asyncio.sleep(0.5)
                began = time.monotonic()
                assert await asyncio.to_thread(first.end) in (0, -signal.SIGTERM)
                took = time.monotonic() - began
                await asyncio.to_thread(thread.join)
                assert found["answer"]["status"] == "pending"
                assert found["seconds"] < 10
                await asyncio.wait_for(node.sio.wait(), 20)  # closed, not left hanging
                await shared.until_status("offline", 5)
            async with connected(second.url, token(Kind.NODE, NODE)) as again:
                await again.until("sync", 20)
                await shared.until_status("online", 5)
            return took

        assert asyncio.run(scenario("websocket")) < 10
        first.process = shared.start(port=first.port).until_ready().process
        assert asyncio.run(scenario("polling")) < 10
        assert second.get("/health").json() == {"database": True}
