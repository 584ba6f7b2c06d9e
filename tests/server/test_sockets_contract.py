"""Transport, rooms and the rarer events of the Socket.IO contract (``events.md``)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import socketio
from sqlalchemy import insert, select

from listener import connected
from live import Live, running
from vantage6.server.auth.tokens import Kind
from vantage6.server.model.tables import (
    Collaboration,
    Node,
    Organization,
    Rule,
    User,
    member,
    user_rule,
)

SEPARATOR = "\x1e"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    prometheus = {"enabled": True, "exporter_port": 0}
    with running(tmp_path, prometheus=prometheus) as server:
        yield server


def follower(live: Live, id_: int, scope: str, organization: int = 12) -> str:
    """Token of a new user who may receive events in this scope."""
    with live.services.database.write() as db:
        db.add(User(id=id_, username=f"user{id_}", password="x", organization_id=organization))
        db.flush()
        rule = db.scalar(
            select(Rule.id).where(
                Rule.name == "event", Rule.operation == "RECEIVE", Rule.scope == scope
            )
        )
        assert rule is not None
        db.execute(insert(user_rule).values(user_id=id_, rule_id=rule))
    return live.token(Kind.USER, id_)


def elsewhere(live: Live) -> None:
    """Another collaboration, of organization 13, with a node."""
    with live.services.database.write() as db:
        db.add(Collaboration(id=2, name="elsewhere", encrypted=False))
        db.add(Organization(id=13, name="three"))
        db.flush()
        db.execute(insert(member).values(collaboration_id=2, organization_id=13))
        node = {"collaboration_id": 2, "organization_id": 13, "config": []}
        db.add(Node(id=13, name="node three", api_key_hash="three", **node))


def test_long_polling_on_the_wire_is_as_the_contract_shows_it(live: Live) -> None:
    with httpx.Client(base_url=live.url, timeout=30) as http:
        path = "/socket.io/?transport=polling&EIO=4"
        bearer = {"Authorization": f"Bearer {live.token(Kind.NODE, 11)}"}
        opened = http.get(path, headers=bearer)
        assert opened.text[0] == "0"
        hello = json.loads(opened.text[1:])
        sid = hello.pop("sid")
        assert hello == {
            "upgrades": ["websocket"],
            "pingTimeout": 60000,
            "pingInterval": 25000,
            "maxPayload": 1000000,
        }
        assert http.post(f"{path}&sid={sid}", content="40/tasks,").text in ("OK", "ok")
        packets: list[str] = []
        deadline = time.monotonic() + 20
        while '42/tasks,["sync"]' not in packets and time.monotonic() < deadline:
            packets += http.get(f"{path}&sid={sid}").text.split(SEPARATOR)
        # The acknowledgement comes first, whoever it is.
        assert packets[0].startswith('40/tasks,{"sid":')
        assert '42/tasks,["sync"]' in packets
        assert http.post(f"{path}&sid={sid}", content='42/tasks,["ping"]').text in ("OK", "ok")


def test_an_older_protocol_is_refused_in_words(live: Live) -> None:
    answer = httpx.get(f"{live.url}/socket.io/?transport=polling&EIO=3")
    assert answer.status_code == 400
    assert "unsupported version of the Socket.IO or Engine.IO" in answer.json()


def test_only_two_namespaces_are_there(live: Live) -> None:
    async def scenario() -> None:
        headers = {"Authorization": f"Bearer {live.token(Kind.NODE, 11)}"}
        root = socketio.AsyncClient(reconnection=False)
        await root.connect(live.url, headers=headers, namespaces=["/"])
        await root.disconnect()
        for name in ("/admin", "/nonsense"):
            client = socketio.AsyncClient(reconnection=False)
            refused: list[Any] = []
            client.on("connect_error", lambda *data, to=refused: to.append(data), namespace=name)
            with pytest.raises(socketio.exceptions.ConnectionError):
                await client.connect(live.url, headers=headers, namespaces=[name], wait_timeout=3)
            assert "Unable to connect" in str(refused)
            await client.disconnect()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("scope", "rooms"),
    [
        ("GLOBAL", {"collaboration_1", "collaboration_2"}),
        ("COLLABORATION", {"collaboration_1"}),
        ("ORGANIZATION", {"collaboration_1_organization_12"}),
    ],
)
def test_users_join_rooms_by_their_widest_rule(live: Live, scope: str, rooms: set[str]) -> None:
    elsewhere(live)
    token = follower(live, 31, scope)

    async def scenario() -> None:
        async with connected(live.url, token) as user:
            texts = {await user.until("message") for _ in rooms}
            assert texts == {f"User <user31> joined room <{room}>" for room in rooms}
            async with connected(live.url, live.token(Kind.NODE, 12)) as two:
                await two.until("sync")
                online = await user.until("node-online")
                assert online == {"id": 12, "name": "node two", "org_id": 12}
            assert (await user.until("node-offline")) == online
            left = [await user.until("message") for _ in range(4)]
            assert any(text.startswith("node two left room collaboration_1") for text in left)

    asyncio.run(scenario())


def test_who_may_receive_nothing_and_other_collaborations_hear_nothing(live: Live) -> None:
    elsewhere(live)
    with live.services.database.write() as db:
        db.add(User(id=32, username="deaf", password="x", organization_id=12))

    async def scenario() -> None:
        claims = {"node_id": 11, "organization_id": 11, "collaboration_id": 1, "task_id": 1}
        container = live.services.tokens.issue_container(claims)
        async with (
            connected(live.url, live.token(Kind.USER, 32)) as deaf,
            connected(live.url, live.token(Kind.NODE, 999)) as unknown,
            connected(live.url, container) as algorithm,
            connected(live.url, live.token(Kind.NODE, 13)) as three,
        ):
            await three.until("sync")
            three.heard.clear()
            async with connected(live.url, live.token(Kind.NODE, 11)) as one:
                await one.until("sync")
                await asyncio.to_thread(live.create_task)
                await one.until("new_task")
            await asyncio.sleep(0.3)
            for listener in (deaf, unknown, algorithm, three):
                assert listener.heard == []

    asyncio.run(scenario())


def test_an_update_of_a_run_is_told(live: Live) -> None:
    async def scenario() -> None:
        task = await asyncio.to_thread(live.create_task)
        async with connected(live.url, live.token(Kind.USER, 21)) as ada:
            await ada.until("message")
            with live.http(Kind.NODE, 11) as http:
                run = http.get("/run", params={"task_id": task["id"], "node_id": 11}).json()
                id_ = run["data"][0]["id"]
                http.patch(f"/run/{id_}", json={"status": "active"})
            assert await ada.until("status_update") == {"run_id": id_}

    asyncio.run(scenario())


def test_all_of_a_node_is_killed_without_a_list(live: Live) -> None:
    async def scenario() -> None:
        async with connected(live.url, live.token(Kind.NODE, 11)) as one:
            await one.until("sync")
            with live.http(Kind.USER, 21) as http:
                answer = http.post("/kill/node/tasks", json={"id": 11})
            assert answer.status_code == 200, answer.text
            assert await one.until("kill_containers") == {"node_id": 11, "collaboration_id": 1}

    asyncio.run(scenario())


def test_a_ping_is_noted_also_of_a_user(live: Live) -> None:
    async def scenario() -> None:
        async with connected(live.url, live.token(Kind.USER, 21)) as ada:
            await ada.until("message")
            await ada.sio.emit("ping", namespace="/tasks")
            async with asyncio.timeout(15):
                while True:
                    with live.services.database.read() as db:
                        user = db.get_one(User, 21)
                    if user.status == "online" and user.last_seen is not None:
                        return
                    await asyncio.sleep(0.05)

    asyncio.run(scenario())


def test_what_a_node_measures_is_shown_while_it_is_connected(live: Live) -> None:
    def shown() -> str:
        port = live.services.metrics.port
        return httpx.get(f"http://127.0.0.1:{port}/metrics").text

    async def scenario() -> None:
        measured = {
            "os": "Linux",
            "platform": "x86",
            "cpu_percent": 12.5,
            "memory_total": 1024,
            "gpu_count": 1,
            "gpu_load": [0.5, 0.25],
            "made_up": 3,
            "cpu_count": "many",
        }
        async with connected(live.url, live.token(Kind.NODE, 11)) as one:
            await one.until("sync")
            await one.sio.emit("node_metrics_update", ["no object"], namespace="/tasks")
            await one.sio.emit("node_metrics_update", measured, namespace="/tasks")
            labels = 'node_id="11",os="Linux",platform="x86"'
            async with asyncio.timeout(15):
                while f"cpu_percent{{{labels}}} 12.5" not in (
                    text := await asyncio.to_thread(shown)
                ):
                    await asyncio.sleep(0.05)
            assert f"memory_total{{{labels}}} 1024.0" in text
            assert f'gpu_load{{gpu_id="1",{labels}}} 0.25' in text
            assert "made_up" not in text
            assert 'vantage6_connected_sockets{kind="node"} 1.0' in text
        async with asyncio.timeout(15):
            while 'node_id="11"' in await asyncio.to_thread(shown):
                await asyncio.sleep(0.05)

    asyncio.run(scenario())
