"""Every public method: our client at the upstream server, the upstream client at ours.

Which methods there are is found out by looking at the client, so that none is forgotten; a method
works if at least one of its calls does. What does not is listed here, with the reason.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import httpx2 as httpx
import pytest
import socketio

from mail_sink import mail_sink
from peers import PeerUnavailable, Service, peer_python, upstream_server, upstream_store
from server_threads import server_thread
from vantage6.client import Client
from vantage6.server.config import ServerConfig
from web import Registry, make_certificate, web_service

# Making the environments counts as part of the first test.
pytestmark = [pytest.mark.peer, pytest.mark.timeout(900)]

CALLS = Path(__file__).parent / "calls.py"

#: What the upstream services of 4.15.2 from PyPI cannot do for any client, and what they say.
UPSTREAM_CANNOT = {
    "util.reset_two_factor_auth": 500,  # the distribution lacks the templates of its mails
    "event.list": 404,  # it has no such route, and the client says so
    "event.iterate": 404,  # likewise
    "node.kill_tasks": 400,  # there is no node online; with one it would be 500 (a rule is missing)
}
#: No node runs the task, so there is no result.
NOT_CALLED = {"result.download"}
#: What the upstream client itself gets wrong, in the contract's words.
UPSTREAM_CLIENT_CANNOT = {
    "util.reset_two_factor_auth": 400,  # sends a key that its own server does not know
}


class Outcome:
    """What the calls of one client gave."""

    def __init__(self, document: dict[str, Any], printed: str) -> None:
        self.methods: list[str] = document["methods"]
        self.printed = printed
        self.values: dict[str, Any] = {}
        self.failures: dict[str, Any] = {}
        for call in document["calls"]:
            if call["raised"] or call["refused"]:
                self.failures.setdefault(call["method"], (call["raised"], call["refused"]))
            elif call["method"] not in self.values:
                self.values[call["method"]] = call["value"]

    @property
    def not_working(self) -> set[str]:
        """Methods of which no call worked."""
        return set(self.methods) - set(self.values)

    def refusal(self, method: str) -> list[int]:
        refused: list[int] = self.failures[method][1]
        return refused


def call_everything(python: str, world: dict[str, Any]) -> Outcome:
    folder = Path(world["folder"])
    world_file, outcome_file = folder / "world.json", folder / "outcome.json"
    world_file.write_text(json.dumps(world))
    done = subprocess.run(
        [python, str(CALLS), str(world_file), str(outcome_file)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return Outcome(json.loads(outcome_file.read_text()), done.stdout)


def at_the_upstream_pair(python: str, folder: Path) -> Outcome:
    certificate = make_certificate(folder)
    with (
        mail_sink(folder / "mails") as mail_port,
        web_service(Registry, certificate) as registry,
        upstream_server(folder, mail_port) as server,
        upstream_store(folder, server.url, certificate) as store,
    ):
        world = {"password": "root", "secret": server.secret}
        return call_everything(python, world | surroundings(folder, server.port, store, registry))


def surroundings(folder: Path, port: int, store: Service, registry: int) -> dict[str, Any]:
    return {
        "url": "http://127.0.0.1",
        "port": port,
        "folder": str(folder),
        "mails": str(folder / "mails"),
        "store": store.url,
        "registry": f"127.0.0.1:{registry}",
    }


@pytest.fixture(scope="module")
def upstream_python(lacking: Callable[[str], NoReturn]) -> str:
    try:
        return str(peer_python("vantage6-client==4.15.2"))
    except PeerUnavailable as error:
        lacking(f"the upstream client cannot be installed: {error}")


@pytest.fixture(scope="module")
def ours_at_upstream(
    tmp_path_factory: pytest.TempPathFactory, lacking: Callable[[str], NoReturn]
) -> Outcome:
    try:
        return at_the_upstream_pair(sys.executable, tmp_path_factory.mktemp("ours"))
    except PeerUnavailable as error:
        lacking(f"the upstream services cannot be had: {error}")


@pytest.fixture(scope="module")
def upstream_at_upstream(
    upstream_python: str,
    tmp_path_factory: pytest.TempPathFactory,
    lacking: Callable[[str], NoReturn],
) -> Outcome:
    try:
        return at_the_upstream_pair(upstream_python, tmp_path_factory.mktemp("upstream"))
    except PeerUnavailable as error:
        lacking(f"the upstream services cannot be had: {error}")


@pytest.fixture(scope="module")
def upstream_at_ours(
    upstream_python: str,
    tmp_path_factory: pytest.TempPathFactory,
    lacking: Callable[[str], NoReturn],
) -> Outcome:
    try:
        return at_our_server(upstream_python, tmp_path_factory.mktemp("at_ours"))
    except PeerUnavailable as error:
        lacking(f"the upstream store cannot be had: {error}")


def at_our_server(python: str, folder: Path) -> Outcome:
    """Our server, with the upstream store linked to it."""
    password = "Root-password-1"
    (folder / "root").write_text(password)
    certificate = make_certificate(folder)
    with (
        mail_sink(folder / "mails") as mail_port,
        web_service(Registry, certificate) as registry,
        pytest.MonkeyPatch.context() as patch,
    ):
        configuration = {
            "uri": f"sqlite:///{folder / 'db.sqlite'}",
            "jwt_secret_key": "a secret of sufficient length for a test",
            "dev": {"host_uri": "127.0.0.1"},
            "smtp": {
                "server": "127.0.0.1",
                "port": mail_port,
                "username": "",
                "password": "",
                "MAIL_USE_TLS": False,
                "MAIL_USE_SSL": False,
            },
        }
        file = folder / "server.yaml"
        file.write_text(json.dumps(configuration))
        patch.setenv("V6_INIT_SUPER_PASS_FILE", str(folder / "root"))
        with (
            server_thread(ServerConfig.load(file)) as port,
            upstream_store(folder, f"http://127.0.0.1:{port}/api", certificate) as store,
            online_node(port, password) as node,
        ):
            world = {"password": password, "online_node": node}
            return call_everything(python, world | surroundings(folder, port, store, registry))


@contextmanager
def online_node(port: int, password: str) -> Iterator[int]:
    """A node that is connected, and yields its id."""
    with Client("http://127.0.0.1", port, log_level="error") as root:
        root.authenticate("root", password)
        own = root.organization.get()["id"]
        node = root.node.create(root.collaboration.create("with a node", [own])["id"], own)
    url = f"http://127.0.0.1:{port}"
    token = httpx.post(f"{url}/api/token/node", json={"api_key": node["api_key"]}).json()
    connected, leave = threading.Event(), threading.Event()

    async def stay() -> None:
        client = socketio.AsyncClient()
        await client.connect(
            url,
            headers={"Authorization": f"Bearer {token['access_token']}"},
            namespaces=["/tasks"],
            transports=["websocket"],
            socketio_path="/socket.io",
        )
        connected.set()
        while not leave.is_set():
            await asyncio.sleep(0.05)
        await client.disconnect()

    thread = threading.Thread(target=asyncio.run, args=(stay(),))
    thread.start()
    try:
        assert connected.wait(30)
        yield node["id"]
    finally:
        leave.set()
        thread.join(timeout=30)


def shape(value: Any) -> Any:
    """Keys and types of a value: ids and times differ from one run of the calls to the next."""
    if isinstance(value, dict):
        # Our server notes in bundles who was seen when, so right after the first login it is null.
        return {
            key: "a moment" if key == "last_seen" else shape(inner)
            for key, inner in sorted(value.items())
        }
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def test_our_client_works_at_the_upstream_server(ours_at_upstream: Outcome) -> None:
    not_working = ours_at_upstream.not_working - NOT_CALLED
    assert not_working == set(UPSTREAM_CANNOT), ours_at_upstream.failures
    for method, status in UPSTREAM_CANNOT.items():
        assert ours_at_upstream.refusal(method) == [status]
    assert "Traceback" not in ours_at_upstream.printed


def test_our_client_returns_there_what_the_upstream_client_does(
    ours_at_upstream: Outcome, upstream_at_upstream: Outcome
) -> None:
    cannot = (UPSTREAM_CANNOT | UPSTREAM_CLIENT_CANNOT).keys() & set(upstream_at_upstream.methods)
    assert upstream_at_upstream.not_working == cannot, upstream_at_upstream.failures
    assert set(upstream_at_upstream.methods) <= set(ours_at_upstream.methods)
    different = {
        method: (value, ours_at_upstream.values[method])
        for method, value in upstream_at_upstream.values.items()
        if shape(value) != shape(ours_at_upstream.values[method])
    }
    # Killing returns what the server said, as it is declared to; upstream's returns nothing.
    assert different.keys() == {"task.kill"}
    assert different["task.kill"][0] is None


def test_the_upstream_client_works_at_our_server(upstream_at_ours: Outcome) -> None:
    missing = upstream_at_ours.not_working
    assert missing == set(), {method: upstream_at_ours.failures.get(method) for method in missing}
    assert "error code: 5" not in upstream_at_ours.printed
    assert "Traceback" not in upstream_at_ours.printed


def test_the_upstream_client_gets_from_our_server_what_it_gets_from_its_own(
    upstream_at_ours: Outcome, upstream_at_upstream: Outcome
) -> None:
    different = {
        method: (shape(upstream_at_upstream.values[method]), shape(value))
        for method, value in upstream_at_ours.values.items()
        if method in upstream_at_upstream.values
        and shape(value) != shape(upstream_at_upstream.values[method])
    }
    assert different == {}, json.dumps(different, indent=1)
