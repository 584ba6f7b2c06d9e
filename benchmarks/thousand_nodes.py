"""A thousand nodes connected to one server process: what they cost, and how fast it reaches them.

The nodes are sockets with the node's requests, not whole nodes: they connect, share their
configuration, list their open runs on ``sync`` and ask about each ``new_task``, as nodes do. All
run in one other process on the same machine, whose processor they share with the server.

Prints figures beside the bars of the design: a task for all told to the last node in 10 s, all
connected again 30 s after a restart.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

import aiohttp
import socketio
from sqlalchemy import insert, select

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

TOKENS = Tokens(SECRET)
FIRST = 1000
USER = 900
INFO = {"allowed_algorithms": "all", "database_labels": ["default"]}
TOLD_BAR, BACK_BAR = 10.0, 30.0


def populate(uri: str, count: int) -> None:
    """One collaboration of that many organizations, each with a node."""
    database = Database(uri.replace("postgresql://", "postgresql+psycopg://"))
    ids = range(FIRST, FIRST + count)
    with database.write() as db:
        db.add(Collaboration(id=1, name="all", encrypted=False))
        db.add_all(Organization(id=id_, name=f"organization {id_}") for id_ in ids)
        db.flush()
        rows = [{"collaboration_id": 1, "organization_id": id_} for id_ in ids]
        db.execute(insert(member), rows)
        db.add_all(
            Node(
                id=id_,
                name=f"node {id_}",
                api_key_hash=hash_api_key(str(id_)),
                collaboration_id=1,
                organization_id=id_,
                config=[],
            )
            for id_ in ids
        )
        db.add(User(id=USER, username="ada", password="x", organization_id=FIRST))
        db.flush()
        role = db.scalar(select(Role.id).where(Role.name == "Collaboration Admin"))
        db.execute(insert(user_role).values(user_id=USER, role_id=role))
    database.close()


class Nodes:
    """All the nodes, on one event loop."""

    def __init__(self, url: str, count: int) -> None:
        self.url = url
        self.ids = range(FIRST, FIRST + count)
        self.told: dict[int, float] = {}
        self.answered: dict[int, float] = {}
        self.synced: dict[int, float] = {}
        self.stopped = False

    async def run(self) -> None:
        """Keep every node connected until stopped."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as http:
            await asyncio.gather(*(self._node(id_, http) for id_ in self.ids))

    async def _node(self, id_: int, http: aiohttp.ClientSession) -> None:
        headers = {"Authorization": f"Bearer {TOKENS.issue(Kind.NODE, id_)[0]}"}
        await asyncio.sleep(random.uniform(0, 2))  # noqa: S311 (spreads the load)

        async def open_runs(**more: int) -> None:
            params = {"state": "open", "node_id": id_, "include": "task", **more}
            async with http.get(f"{self.url}/api/run", params=params, headers=headers) as answer:
                await answer.read()

        pause = 0.5
        while not self.stopped:
            client = socketio.AsyncClient(reconnection=False, http_session=http)
            ended = asyncio.Event()

            async def sync(client: Any = client) -> None:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    await open_runs()
                await client.emit("node_info_update", INFO, namespace="/tasks")
                self.synced[id_] = time.monotonic()

            async def new_task(data: dict[str, Any]) -> None:
                self.told[id_] = time.monotonic()
                await open_runs(task_id=data["id"])
                self.answered[id_] = time.monotonic()

            async def disconnected(*_: Any, ended: asyncio.Event = ended) -> None:
                ended.set()

            client.on("sync", sync, namespace="/tasks")
            client.on("new_task", new_task, namespace="/tasks")
            client.on("disconnect", disconnected, namespace="/tasks")
            try:
                await client.connect(
                    self.url, headers=headers, namespaces=["/tasks"], wait_timeout=20
                )
                pause = 0.5
                await ended.wait()
            except (socketio.exceptions.SocketIOError, aiohttp.ClientError, OSError):
                pause = min(pause * 2, 15.0)
            # As a node does: back-off with jitter, so that crowds spread out.
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311


def resident_mb(process: Process) -> float:
    """Resident memory of a server."""
    for line in Path(f"/proc/{process.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def cpu_seconds(process: Process) -> float:
    """Processor time a server has taken."""
    fields = Path(f"/proc/{process.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def all_in(seen: dict[int, float], count: int, since: float, limit: float = 180) -> float:
    """Seconds from `since` until every node is in `seen`."""
    while len(seen) < count:
        if time.monotonic() - since > limit:
            raise TimeoutError(f"only {len(seen)} of {count} nodes after {limit} s")
        await asyncio.sleep(0.02)
    return max(seen.values()) - since


async def measure(folder: Path, uri: str, count: int, idle: float) -> None:
    """Go through the life of a server with all the nodes."""
    server = start(folder, uri).until_ready()
    await asyncio.to_thread(populate, uri, count)
    print(f"without nodes: {resident_mb(server):.0f} MB resident")
    nodes = Nodes(server.url, count)
    began = time.monotonic()
    running = asyncio.ensure_future(nodes.run())
    took = await all_in(nodes.synced, count, began)
    print(f"{count} nodes connected and in step after {took:.1f} s")
    await asyncio.sleep(3)
    before = cpu_seconds(server)
    await asyncio.sleep(idle)
    share = (cpu_seconds(server) - before) / idle
    print(f"idle: {resident_mb(server):.0f} MB resident, {share:.1%} of a processor")
    organizations = [{"id": id_, "input": "e30="} for id_ in nodes.ids]
    body = {"collaboration_id": 1, "image": "image", "organizations": organizations}
    headers = {"Authorization": f"Bearer {TOKENS.issue(Kind.USER, USER)[0]}"}
    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            nodes.told.clear()
            nodes.answered.clear()
            began = time.monotonic()
            async with http.post(f"{server.url}/api/task", json=body, headers=headers) as answer:
                assert answer.status == 201, await answer.text()
            posted = time.monotonic() - began
            told = await all_in(nodes.told, count, began)
            answered = await all_in(nodes.answered, count, began)
            print(
                f"task for all: created in {posted:.2f} s, last node told after {told:.2f} s"
                f" ({told / TOLD_BAR:.2f} of its bar), last node has its run after {answered:.2f} s"
            )
    for how in (signal.SIGTERM, signal.SIGKILL):
        nodes.synced.clear()
        began = time.monotonic()
        await asyncio.to_thread(server.end, how)
        nodes.synced.clear()
        server = start(folder, uri, port=server.port)
        back = await all_in(nodes.synced, count, began)
        print(
            f"{how.name} and restart: all in step {back:.1f} s later"
            f" ({back / BACK_BAR:.2f} of its bar)"
        )
    print(f"after all: {resident_mb(server):.0f} MB resident")
    nodes.stopped = True
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await asyncio.to_thread(server.end)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument(
        "--idle", type=float, default=20.0, help="seconds to look at an idle server"
    )
    parser.add_argument("--uri", help="an empty PostgreSQL database in place of SQLite")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    with tempfile.TemporaryDirectory() as folder:
        uri = arguments.uri or f"sqlite:///{folder}/server.sqlite"
        asyncio.run(measure(Path(folder), uri, arguments.nodes, arguments.idle))


if __name__ == "__main__":
    main()
