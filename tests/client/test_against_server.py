"""The client and the real server, over a real socket; nodes are played by the test."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from server_threads import ServerThread, server_thread
from vantage6.client import AsyncClient, Client, UserClient
from vantage6.client.exceptions import AuthenticationException, RefusedError, WaitTimeoutError
from vantage6.common.encryption import RSACryptor
from vantage6.server.config import ServerConfig

PASSWORD = "Wachtw00rd!"
SECRET = "only for tests, and as long as it must be"


def server(uri: str, port: int = 0) -> ServerThread:
    return server_thread(ServerConfig(uri=uri, jwt_secret_key=SECRET), port)


def log_in(port: int, username: str, password: str, **options: Any) -> UserClient:
    client = Client("http://127.0.0.1", port, "/api", log_level="error", **options)
    client.authenticate(username, password)
    return client


@dataclass
class World:
    """Three organizations that compute together, a researcher, and one API key per node."""

    port: int
    root: UserClient
    researcher: UserClient
    organizations: list[int]
    collaboration: int
    nodes: list[dict[str, Any]]

    def task(self, **changes: Any) -> int:
        task = self.researcher.task.create(
            **{
                "collaboration": self.collaboration,
                "organizations": self.organizations,
                "name": "average",
                "image": "harbor2.vantage6.ai/demo/average",
                "description": "",
                "input_": {"method": "partial_average", "kwargs": {"column_name": "age"}},
                "databases": [{"label": "default"}],
                **changes,
            }
        )
        id_: int = task["id"]
        return id_

    def work(self, task: int, **ends: Any) -> None:
        """Let every node take and end its run of the task; `ends` changes the last word."""
        for number, node in enumerate(self.nodes):
            with httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api") as http:
                token = http.post("/token/node", json={"api_key": node["api_key"]}).json()
                http.headers["Authorization"] = f"Bearer {token['access_token']}"
                runs = http.get("/run", params={"task_id": task, "node_id": node["id"]}).json()
                if not runs["data"]:
                    continue
                run = f"/run/{runs['data'][0]['id']}"
                now = "2026-01-31T12:00:00.123456"
                result = base64.b64encode(json.dumps({"node": number}).encode()).decode()
                last = {"status": "completed", "result": result, "finished_at": now, "log": ""}
                for change in ({"started_at": now, "status": "active"}, {**last, **ends}):
                    answer = http.patch(run, json=change)
                    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("server")
    secret = folder / "root_password"
    secret.write_text(PASSWORD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("V6_INIT_SUPER_PASS_FILE", str(secret))
        thread = server(f"sqlite:///{folder / 'db.sqlite'}")
    with thread as port:
        yield port


@pytest.fixture(scope="module")
def make_world(port: int) -> Iterator[Callable[..., World]]:
    numbers, clients = count(1), []

    def make(**options: Any) -> World:
        number = next(numbers)
        root = log_in(port, "root", PASSWORD)
        organizations = [
            root.organization.create(f"{name} {number}", "s", "", "1", "NL", "x.nl")["id"]
            for name in ("Utrecht", "Leiden", "Delft")
        ]
        collaboration = root.collaboration.create(f"demo {number}", organizations, **options)["id"]
        nodes = [root.node.create(collaboration, id_) for id_ in organizations]
        root.user.create(
            f"researcher{number}",
            "Ada",
            "L",
            PASSWORD,
            f"ada{number}@example.org",
            organizations[0],
            roles=[role["id"] for role in root.role.list(name="Collaboration Admin", field="id")],
        )
        researcher = log_in(port, f"researcher{number}", PASSWORD)
        clients.extend([root, researcher])
        return World(port, root, researcher, organizations, collaboration, nodes)

    yield make
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def world(make_world: Callable[..., World]) -> World:
    return make_world()


def test_a_login_tells_who_one_is(world: World) -> None:
    assert world.researcher.whoami is not None
    assert world.researcher.whoami.name == "Ada"
    assert world.researcher.whoami.organization_name == "Utrecht 1"
    with pytest.raises(AuthenticationException, match="Failed to login"):
        log_in(world.port, "researcher1", "wrong")


def test_looking_around_as_in_the_lesson(world: World) -> None:
    client = world.researcher
    assert client.collaboration.list(fields=["id", "name"]) == [
        {"id": world.collaboration, "name": "demo 1"}
    ]
    members = client.organization.list(collaboration=world.collaboration, fields=["id", "name"])
    assert members == [
        {"id": id_, "name": f"{name} 1"}
        for id_, name in zip(world.organizations, ("Utrecht", "Leiden", "Delft"), strict=True)
    ]
    nodes = client.node.list(collaboration=world.collaboration, fields=["id", "status"])
    assert nodes == [{"id": node["id"], "status": "offline"} for node in world.nodes]
    assert client.node.list(collaboration=world.collaboration, is_online=True)["data"] == []
    both = client.organization.list(filter_=("name", "Leiden 1"), fields=["name"])
    assert both == [{"name": "Leiden 1"}]
    assert client.organization.get()["name"] == "Utrecht 1"
    assert client.rule.list(name="task", per_page=3, fields=["name"]) == [{"name": "task"}] * 3
    assert client.util.get_server_version() == {"version": "4.15.2"}
    assert client.util.get_server_health() == {"database": True}


def test_every_resource_can_be_made_changed_and_removed(world: World) -> None:
    root = world.root
    organization = root.organization.create("Breda", "street 1", "", "1234AB", "NL", "breda.nl")
    id_ = organization["id"]
    assert root.organization.update(id_, name="Breda!")["name"] == "Breda!"
    collaboration = root.collaboration.create("short", [id_], encrypted=True)["id"]
    assert root.collaboration.update(collaboration, name="shorter")["name"] == "shorter"
    members = root.collaboration.add_organization(world.organizations[0], collaboration)
    assert [one["id"] for one in members] == [world.organizations[0], id_]
    assert len(root.collaboration.remove_organization(world.organizations[0], collaboration)) == 1
    encrypted = root.collaboration.list("global", encrypted=True, fields=["id"])
    assert {"id": collaboration} in encrypted
    study = root.study.create("a study", [id_], collaboration)["id"]
    assert root.study.update(study, name="the study", fields=["name"]) == {"name": "the study"}
    rules = root.rule.list(name="node", operation="VIEW", fields=["id"])
    role = root.role.create("looker", "looks", [rule["id"] for rule in rules], id_)["id"]
    assert root.role.update(role, name="onlooker")["description"] == "looks"
    user = root.user.create("bob", "B", "O", PASSWORD, "bob@x.org", id_, roles=[role])["id"]
    assert root.user.update(user, lastname="Obb")["lastname"] == "Obb"
    assert root.user.list(role=role, field="username") == [{"username": "bob"}]
    node = root.node.create(collaboration, id_, "a node")
    assert node["api_key"]
    assert root.node.update(node["id"], name="the node")["name"] == "the node"

    root.node.delete(node["id"])
    root.user.delete(user)
    root.role.delete(role)
    root.study.delete(study)
    root.collaboration.delete(collaboration)
    root.organization.delete(id_)
    for gone in (root.node.get(node["id"]), root.user.get(user), root.organization.get(id_)):
        assert gone.status_code == 404
        assert gone["msg"]


def test_a_dependent_is_not_deleted_unless_asked_for(world: World) -> None:
    world.root.organization.delete(world.organizations[1])
    assert world.root.organization.get(world.organizations[1])["name"] == "Leiden 1"


def test_a_task_goes_out_and_its_results_come_back_in_order(world: World) -> None:
    task = world.task()
    helper = threading.Timer(0.3, world.work, [task])
    helper.start()
    results = world.researcher.wait_for_results(task, timeout=20)
    helper.join()
    assert [json.loads(one["result"]) for one in results["data"]] == [
        {"node": number} for number in range(3)
    ]
    runs = world.researcher.run.from_task(task)
    assert [run["organization"]["id"] for run in runs["data"]] == world.organizations
    assert json.loads(runs["data"][0]["input"])["method"] == "partial_average"
    assert world.researcher.result.get(runs["data"][1]["id"]) == '{"node": 1}'
    assert world.researcher.task.get(task, fields=["status"]) == {"status": "completed"}
    newest = world.researcher.task.list(name="average", per_page=1, fields=["id"])
    assert newest == [{"id": task}]


def test_twenty_tasks_are_made_and_waited_for_at_once(world: World) -> None:
    own = world.organizations[:1]

    async def main() -> list[str]:
        async with AsyncClient("http://127.0.0.1", world.port, log_level="error") as client:
            await client.authenticate("researcher1", PASSWORD)
            tasks = await asyncio.gather(
                *(
                    client.task.create(
                        *(own, f"at once {number}", "an/image", "", {"method": "m"}),
                        collaboration=world.collaboration,
                    )
                    for number in range(20)
                )
            )
            ids = [task["id"] for task in tasks]
            waiting = [
                asyncio.create_task(client.wait_for_results(id_, timeout=100)) for id_ in ids
            ]
            abandoned = asyncio.create_task(client.wait_for_results(world.task(), timeout=100))
            await asyncio.sleep(0.5)
            assert not any(one.done() for one in waiting)
            abandoned.cancel()
            for id_ in ids:
                await asyncio.to_thread(world.work, id_)
            found = await asyncio.gather(*waiting)
            assert abandoned.cancelled()
            named = client.task.iterate(name="at once%", per_page=6)
            assert sorted([task["id"] async for task in named]) == sorted(ids)
            return [one["data"][0]["result"] for one in found]

    assert asyncio.run(main()) == ['{"node": 0}'] * 20


def test_news_of_a_task_come_at_once(world: World) -> None:
    task = world.task(organizations=world.organizations[:1])
    ended: list[float] = []

    def work() -> None:
        world.work(task)
        ended.append(time.monotonic())

    helper = threading.Timer(1.0, work)
    helper.start()
    world.researcher.wait_for_results(task, timeout=20)
    noticed = time.monotonic()
    helper.join()
    assert noticed - ended[0] < 0.5


def test_what_changed_meanwhile_is_told_to_both_clients(world: World) -> None:
    cursor = world.researcher.event.list()["cursor"]
    tasks = [world.task() for _ in range(3)]
    world.work(tasks[0])

    async def told() -> list[dict[str, Any]]:
        async with AsyncClient("http://127.0.0.1", world.port, log_level="error") as client:
            await client.authenticate("researcher1", PASSWORD)
            return [changes async for changes in client.event.iterate(cursor, limit=2)]

    for answers in (list(world.researcher.event.iterate(cursor, limit=2)), asyncio.run(told())):
        assert len(answers) > 1
        found = {task["id"]: task for answer in answers for task in answer["tasks"]}
        assert set(tasks) <= set(found)
        assert found[tasks[0]]["status"] == "completed"
        assert [run["status"] for run in found[tasks[1]]["runs"]] == ["pending"] * 3
        assert int(answers[-1]["cursor"]) > int(cursor)
    with pytest.raises(RefusedError, match="since"):
        world.researcher.event.list("yesterday")


def test_a_failure_names_organization_and_cause(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    task = world.task(organizations=world.organizations[:1])
    world.work(task, status="crashed", result="", log="Column 'agee' does not exist")
    world.researcher.wait_for_results(task)
    said = capsys.readouterr().out
    assert f"Task {task} failed in 0 seconds." in said
    assert (
        f"organization Utrecht 1 (id={world.organizations[0]}): crashed: "
        "Column 'agee' does not exist" in said
    )


def test_an_offline_node_is_what_a_task_waits_for(world: World) -> None:
    task = world.task(organizations=world.organizations[1:2])
    with pytest.raises(WaitTimeoutError, match="Leiden 1: waiting: its node is offline"):
        world.researcher.wait_for_results(task, timeout=1)
    assert world.researcher.task.kill(task)["msg"]
    assert world.researcher.task.get(task)["status"] == "killed by user"
    world.researcher.task.delete(task)
    with pytest.raises(RefusedError):
        world.researcher.wait_for_results(task)


def test_a_deleted_tasks_runs_never_lend_their_ids_to_others(world: World) -> None:
    task = world.task()
    gone = world.researcher.run.from_task(task, fields=["id"])
    world.researcher.task.delete(task)
    new = world.researcher.run.from_task(world.task(), fields=["id"])
    assert min(run["id"] for run in new) > max(run["id"] for run in gone)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"collaboration": 999}, "(?i)collaboration"),
        ({"organizations": []}, "(?i)organization|incorrect"),
        ({"organizations": [1]}, "(?i)organization"),
        ({"databases": [{"label": "default", "nonsense": 1}]}, "(?i)incorrect"),
    ],
)
def test_a_refused_task_says_why(world: World, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(KeyError, match=words) as caught:
        world.task(**changes)
    assert isinstance(caught.value, RefusedError)


def test_ten_megabytes_go_there_and_back(world: World) -> None:
    big = "x" * 10_000_000
    task = world.task(
        organizations=world.organizations[:1], input_={"method": "m", "kwargs": {"text": big}}
    )
    run = world.researcher.run.from_task(task)["data"][0]
    assert json.loads(run["input"])["kwargs"]["text"] == big
    world.work(task, result=base64.b64encode(json.dumps(big).encode()).decode())
    assert json.loads(world.researcher.wait_for_results(task)["data"][0]["result"]) == big


def test_a_password_is_changed(world: World) -> None:
    root = world.root
    root.user.create("carol", "C", "A", PASSWORD, "carol@x.org", world.organizations[0])
    with log_in(world.port, "carol", PASSWORD) as carol:
        assert "msg" in carol.util.change_my_password("wrong", "N1euw!wachtwoord")
        assert carol.util.change_my_password(PASSWORD, "weak")["errors"]
        carol.util.change_my_password(PASSWORD, "N1euw!wachtwoord")
    log_in(world.port, "carol", "N1euw!wachtwoord").close()


def test_an_encrypted_collaboration_seals_what_passes_the_server(
    make_world: Callable[..., World], key_file: Path
) -> None:
    world = make_world(encrypted=True)
    own = world.organizations[:1]
    refused = world.researcher.task.create(
        own, "n", "i", "", {"method": "m"}, collaboration=world.collaboration
    )
    assert "encrypt" in refused["msg"]
    world.researcher.setup_encryption(key_file)
    cryptor = RSACryptor(key_file)
    assert world.researcher.organization.get()["public_key"] == cryptor.public_key_str
    task = world.task(organizations=own)
    with httpx.Client(base_url=f"http://127.0.0.1:{world.port}/api") as http:
        http.headers.update(world.researcher.headers)
        sealed = http.get("/run", params={"task_id": task}).json()["data"][0]["input"]
    assert sealed.count("$") == 2
    readable = world.researcher.run.from_task(task)["data"][0]["input"]
    assert json.loads(readable)["method"] == "partial_average"
    world.work(task, result=cryptor.encrypt_bytes_to_str(b'{"n": 1}', cryptor.public_key_str))
    assert world.researcher.wait_for_results(task)["data"][0]["result"] == '{"n": 1}'
    with pytest.raises(ValueError, match="Leiden 2"):
        world.task()


def test_waiting_outlives_a_restart_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "root_password"
    secret.write_text(PASSWORD)
    monkeypatch.setenv("V6_INIT_SUPER_PASS_FILE", str(secret))
    uri = f"sqlite:///{tmp_path / 'db.sqlite'}"
    with server(uri) as port, log_in(port, "root", PASSWORD) as root:
        organization = root.organization.get()["id"]
        collaboration = root.collaboration.create("c", [organization])["id"]
        node = root.node.create(collaboration)
        world = World(port, root, root, [organization], collaboration, [node])
        task = world.task()
        outcome: list[dict[str, Any]] = []
        waiting = threading.Thread(
            target=lambda: outcome.append(root.wait_for_results(task, timeout=60))
        )
        waiting.start()
        time.sleep(0.3)
    with server(uri, port):
        world.work(task)
        waiting.join(timeout=60)
    root.close()
    assert json.loads(outcome[0]["data"][0]["result"]) == {"node": 0}
