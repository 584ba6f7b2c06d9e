"""A small server that behaves like the contract's, and runtimes that behave as badly as told.

Fixtures: ``server`` (a :class:`FakeServer` that is listening), ``make_config`` (a node's
configuration for it), ``start_agent`` (starts agents and stops them at the end), ``dialler`` (a
node whose algorithm opens its connections itself, in each runtime).
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import socketio
import yaml
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engines import build_image, find_engine
from vantage6.common.task_status import TransitionError, task_status, transition
from vantage6.node.agent import Agent
from vantage6.node.config import NodeConfig
from vantage6.node.main import make_runtime
from vantage6.node.runtimes.base import Ended, RunSpec, killed

API_KEY = "5c9e1c3e-0d0a-4a7a-9d53-2f3f1f0f7a11"
SECRET = "a secret that is long enough for HS256"
NODE, ORGANIZATION, COLLABORATION = 7, 2, 1
FIELDS = {"started_at", "finished_at", "log", "result", "status"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class FakeServer:
    """State of the server, for tests to look at and to meddle with.

    ``faults`` is a queue of what to do with the next requests whose method and path match:
    ``(method, path, what)`` with `what` a status, "drop before" or "drop after".
    """

    container_tokens: bool = True
    encrypted: bool = False
    lifetime: float = 3600.0
    port: int = 0
    calls: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    runs: dict[int, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[int, dict[str, Any]] = field(default_factory=dict)
    history: dict[int, list[str]] = field(default_factory=dict)
    public_keys: dict[int, str] = field(default_factory=dict)
    #: For authenticated encryption; None for a server that has no such field.
    authenticated_keys: dict[int, str] | None = None
    #: URLs of algorithm stores.
    stores: dict[int, str] = field(default_factory=dict)
    faults: deque[tuple[str, str, Any]] = field(default_factory=deque)
    config_rows: list[Any] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)
    lines: list[Any] = field(default_factory=list)
    #: Tasks whose open runs were asked for one by one.
    asked_about: list[int] = field(default_factory=list)
    #: Answer of `/blobstream/status`; what was uploaded, by name.
    payload_status: dict[str, Any] = field(default_factory=dict)
    payloads: dict[str, bytes] = field(default_factory=dict)
    #: Answers in the place of a payload.
    payload_answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    api_key: str = API_KEY
    secret: str = SECRET
    down: bool = False
    #: Access tokens issued before this time are expired.
    expired_before: float = 0.0

    def __post_init__(self) -> None:
        self.sio = socketio.AsyncServer(async_mode="aiohttp", cors_allowed_origins="*")
        self.sio.on("connect", self._connect, namespace="/tasks")
        self.sio.on("node_info_update", self._info, namespace="/tasks")
        self.sio.on("algorithm_status_change", self._status, namespace="/tasks")
        self.sio.on("algorithm_log", self._log, namespace="/tasks")
        self.connected = asyncio.Event()
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def count(self, method: str, path: str) -> int:
        return sum(1 for call in self.calls if call == (method, path))

    def add_task(self, **values: Any) -> int:
        """A task with one run for the node; the ids of both are equal."""
        id_ = max(self.tasks, default=0) + 1
        input_ = values.pop("input", None)
        if input_ is None:
            text = json.dumps({"method": "m", "args": [], "kwargs": {}})
            input_ = base64.b64encode(text.encode()).decode()
        self.tasks[id_] = {
            "id": id_,
            "name": "t",
            "image": "example.org/algorithm",
            "job_id": id_,
            "parent": None,
            "databases": [],
            "init_org": {"id": 1},
            "init_user": {"id": 3},
            "algorithm_store": None,
        } | values
        self.runs[id_] = {
            "id": id_,
            "status": "pending",
            "input": input_,
            "started_at": None,
            "finished_at": None,
            "log": None,
            "result": None,
            "blob_storage_used": False,
        }
        self.history[id_] = []
        return id_

    async def submit(self, **values: Any) -> int:
        """Add a task and nudge the node."""
        id_ = self.add_task(**values)
        await self.emit("new_task", {"id": id_, "parent_id": None})
        return id_

    async def emit(self, event: str, *data: Any) -> None:
        await self.sio.emit(event, data or None, namespace="/tasks")

    async def kill(self, run_id: int) -> None:
        entry = {"task_id": run_id, "run_id": run_id, "organization_id": ORGANIZATION}
        payload = {"kill_list": [entry], "collaboration_id": COLLABORATION}
        await self.emit("kill_containers", payload)
        run = self.runs[run_id]
        if run["finished_at"] is None:
            run.update(status="killed by user", finished_at=now())

    def result(self, run_id: int) -> Any:
        return json.loads(base64.b64decode(self.runs[run_id]["result"]))

    async def finished(self, *run_ids: int, within: float = 30.0) -> None:
        """Wait until runs are closed."""
        await until(
            lambda: all(self.runs[id_]["finished_at"] for id_ in run_ids),
            within,
            lambda: {id_: self.runs[id_] for id_ in run_ids},
        )

    def token(self, sub: Any, kind: str = "access", lifetime: float | None = None) -> str:
        at = time.time()
        claims = {"sub": sub, "type": kind, "client_type": "node", "iat": at, "jti": str(at)}
        if lifetime is not None:
            claims["exp"] = at + lifetime
        return jwt.encode(claims, self.secret, algorithm="HS256")

    def _decode(self, token: str) -> dict[str, Any]:
        claims = jwt.decode(token, self.secret, ["HS256"], options={"verify_sub": False})
        if claims["type"] == "access" and claims["iat"] < self.expired_before:
            raise jwt.ExpiredSignatureError
        return claims

    async def _connect(self, sid: str, environ: dict[str, Any]) -> None:
        token = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        try:
            self._decode(token)
        except jwt.ExpiredSignatureError:
            return await self.sio.emit("expired_token", to=sid, namespace="/tasks")
        except jwt.InvalidSignatureError:
            return await self.sio.emit("invalid_token", to=sid, namespace="/tasks")
        except jwt.InvalidTokenError:
            return None
        self.connections += 1
        self.connected.set()
        return await self.sio.emit("sync", to=sid, namespace="/tasks")

    async def _info(self, _: str, info: Any) -> None:
        self.config_rows.append(info)

    async def _status(self, _: str, status: Any) -> None:
        self.told.append(status)

    async def _log(self, _: str, lines: Any) -> None:
        self.lines.append(lines)

    @web.middleware
    async def _faulty(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not request.path.startswith("/api"):
            return await handler(request)
        path = request.path.removeprefix("/api")
        self.calls.append((request.method, path))
        fault = next(
            (f for f in self.faults if f[0] == request.method and path.startswith(f[1])), None
        )
        if fault is not None:
            self.faults.remove(fault)
        what = fault[2] if fault else "drop before" if self.down else None
        if isinstance(what, int):
            return web.json_response({"msg": "as told"}, status=what)
        if what == "drop before":
            return hang_up(request)
        answer = await handler(request)
        return hang_up(request) if what == "drop after" else answer

    def _caller(self, request: web.Request) -> dict[str, Any]:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            return self._decode(given)
        except jwt.ExpiredSignatureError:
            raise refuse(401, "Token has expired") from None
        except jwt.InvalidTokenError:
            raise refuse(422, "Signature verification failed") from None

    def _login(self) -> web.Response:
        return web.json_response(
            {
                "access_token": self.token(NODE, lifetime=self.lifetime),
                "refresh_token": self.token(NODE, "refresh", lifetime=self.lifetime * 8),
                "refresh_url": "/api/token/refresh",
                "node_url": f"/api/node/{NODE}",
            }
        )

    async def login(self, request: web.Request) -> web.Response:
        if (await request.json())["api_key"] != self.api_key:
            raise refuse(401, "Api key is not recognized!")
        return self._login()

    async def refresh(self, request: web.Request) -> web.Response:
        if self._caller(request)["type"] != "refresh":
            raise refuse(422, "Only refresh tokens are allowed")
        return self._login()

    async def node(self, request: web.Request) -> web.Response:
        self._caller(request)
        own = {"organization": {"id": ORGANIZATION}, "collaboration": {"id": COLLABORATION}}
        return web.json_response({"id": NODE, "name": "Utrecht node"} | own)

    async def organization(self, request: web.Request) -> web.Response:
        self._caller(request)
        id_ = int(request.match_info["id"])
        if request.method == "PATCH":
            body = await request.json()
            if "authenticated_keys" in body:
                if self.authenticated_keys is None:
                    return web.json_response({"msg": "Unknown field."}, status=400)
                self.authenticated_keys[id_] = body["authenticated_keys"]
            else:
                self.public_keys[id_] = body["public_key"]
        return web.json_response(self._organization(id_))

    async def organizations(self, request: web.Request) -> web.Response:
        self._caller(request)
        assert request.query["collaboration_id"] == str(COLLABORATION)
        data = [self._organization(id_) for id_ in sorted(self.public_keys)]
        return web.json_response({"data": data, "links": {}})

    def _organization(self, id_: int) -> dict[str, Any]:
        name = "Utrecht" if id_ == ORGANIZATION else f"Organization {id_}"
        shown = {"id": id_, "name": name, "public_key": self.public_keys.get(id_, "")}
        if keys := (self.authenticated_keys or {}).get(id_):
            shown["authenticated_keys"] = keys
        return shown

    async def collaboration(self, request: web.Request) -> web.Response:
        self._caller(request)
        return web.json_response({"id": COLLABORATION, "encrypted": self.encrypted})

    async def store(self, request: web.Request) -> web.Response:
        self._caller(request)
        id_ = int(request.match_info["id"])
        return web.json_response({"id": id_, "url": self.stores[id_]})

    async def list_runs(self, request: web.Request) -> web.Response:
        self._caller(request)
        assert request.query["state"] == "open"
        assert request.query["node_id"] == str(NODE)
        chosen = [run for run in self.runs.values() if run["finished_at"] is None]
        if "task_id" in request.query:
            self.asked_about.append(int(request.query["task_id"]))
            chosen = [run for run in chosen if run["id"] == int(request.query["task_id"])]
        chosen.sort(key=lambda run: -run["id"])
        size, page = int(request.query.get("per_page", 10)), int(request.query.get("page", 1))
        part = chosen[(page - 1) * size : page * size]
        links = {"next": "…"} if page * size < len(chosen) else {}
        data = [run | {"task": self.tasks[run["id"]]} for run in part]
        return web.json_response({"data": data, "links": links})

    async def run(self, request: web.Request) -> web.Response:
        caller = self._caller(request)
        run = self.runs.get(int(request.match_info["id"]))
        if run is None:
            raise refuse(404, "Run not found")
        if request.method == "GET":
            return web.json_response(run)
        body = await request.json()
        self.bodies.append(body)
        assert caller["sub"] == NODE
        assert set(body) <= FIELDS, body
        for key in ("started_at", "finished_at"):
            if key in body:
                datetime.strptime(body[key], "%Y-%m-%dT%H:%M:%S.%f%z")
        try:
            proposed = body.get("status", run["status"])
            status = transition(run["status"], proposed, closed=run["finished_at"] is not None)
        except TransitionError as error:
            raise refuse(400, str(error)) from error
        run.update(status=status.value)
        run.update({key: body[key] for key in FIELDS - {"status"} if key in body})
        self.history[run["id"]].append(status.value)
        answer = dict(run)
        is_open = run["finished_at"] is None
        if self.container_tokens and request.query.get("container_token") and is_open:
            answer["container_token"] = self.container_token(run["id"])
        return web.json_response(answer)

    def container_token(self, task_id: int) -> str:
        return self.token({"client_type": "container", "task_id": task_id})

    async def ask_token(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert set(body) == {"task_id", "image"}
        return web.json_response({"container_token": self.container_token(body["task_id"])})

    async def create_task(self, request: web.Request) -> web.Response:
        body = await request.json()
        parent = self._caller(request)["sub"]["task_id"]
        id_ = self.add_task(
            parent={"id": parent},
            job_id=self.tasks[parent]["job_id"],
            init_org={"id": ORGANIZATION},
            input=body["organizations"][0]["input"],
        )
        await self.emit("new_task", {"id": id_, "parent_id": parent})
        return web.json_response(self.tasks[id_], status=201)

    async def list_tasks(self, request: web.Request) -> web.Response:
        self._caller(request)
        parent = int(request.query["parent_id"])
        found = [t for t in self.tasks.values() if t["parent"] and t["parent"]["id"] == parent]
        return web.json_response({"data": sorted(found, key=lambda t: -t["id"]), "links": {}})

    async def status(self, request: web.Request) -> web.Response:
        self._caller(request)
        return web.json_response({"status": task_status([self._run_of(request)["status"]])})

    async def result_of(self, request: web.Request) -> web.Response:
        self._caller(request)
        run = self._run_of(request)
        return web.json_response(self._result(run))

    @staticmethod
    def _result(run: dict[str, Any]) -> dict[str, Any]:
        is_blob = run.get("result_is_blob", False)
        return {"id": run["id"], "result": run["result"], "blob_storage_used": is_blob}

    async def results(self, request: web.Request) -> web.Response:
        self._caller(request)
        run = self.runs[int(request.query["task_id"])]
        return web.json_response({"data": [self._result(run)]})

    async def payload(self, request: web.Request) -> web.StreamResponse:
        self._caller(request)
        if request.method == "POST":
            assert request.headers["Content-Type"] == "application/octet-stream"
            assert request.headers["Transfer-Encoding"] == "chunked"
            name = str(uuid.uuid4())
            self.payloads[name] = await request.read()
            return web.json_response({"uuid": name}, status=201)
        name = request.match_info["name"]
        if name == "status":
            return web.json_response(self.payload_status)
        if self.payload_answer is not None:
            return await self.payload_answer(request)
        if name not in self.payloads:
            raise refuse(404, "No such payload")
        return web.Response(body=self.payloads[name], content_type="application/octet-stream")

    def _run_of(self, request: web.Request) -> dict[str, Any]:
        return self.runs[int(request.match_info["id"])]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[FakeServer]:
        app = web.Application(middlewares=[self._faulty], client_max_size=64 * 1024**2)
        app.add_routes(
            [
                web.post("/api/token/node", self.login),
                web.post("/api/token/refresh", self.refresh),
                web.post("/api/token/container", self.ask_token),
                web.get("/api/node/{id}", self.node),
                web.get("/api/organization", self.organizations),
                web.route("*", "/api/organization/{id}", self.organization),
                web.get("/api/collaboration/{id}", self.collaboration),
                web.get("/api/algorithmstore/{id}", self.store),
                web.get("/api/run", self.list_runs),
                web.route("*", "/api/run/{id}", self.run),
                web.post("/api/task", self.create_task),
                web.get("/api/task", self.list_tasks),
                web.get("/api/task/{id}/status", self.status),
                web.get("/api/result", self.results),
                web.post("/api/blobstream", self.payload),
                web.get("/api/blobstream/{name}", self.payload),
                web.get("/api/result/{id}", self.result_of),
            ]
        )
        self.sio.attach(app)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await self.sio.shutdown()
            await runner.cleanup()


class Script:
    """What an algorithm does, as a coroutine function of its run's spec and its proxy's port."""

    def __init__(self, play: Callable[[RunSpec, int], Awaitable[Any]]) -> None:
        self.play = play


class ScriptedExecution:
    """An algorithm that plays a script in the test's own process."""

    def __init__(self, runtime: ScriptedRuntime, spec: RunSpec) -> None:
        self.run_id = spec.run_id
        self.spec = spec
        self.killed: list[str] = []
        self.proxy_socket: socket.socket | None = socket.create_server(("127.0.0.1", 0))
        self.doors: Mapping[Any, socket.socket] = {}
        port = self.proxy_socket.getsockname()[1]
        self._task = asyncio.create_task(self._play(runtime.script, port))

    async def wait(self) -> Ended:
        return await asyncio.shield(self._task)

    async def kill(self, reason: str) -> None:
        self.killed.append(reason)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
            self._end(killed(reason))

    async def _play(self, script: Callable[[RunSpec, int], Awaitable[Any]], port: int) -> Ended:
        for name in ("output", "stdout", "stderr"):
            (self.spec.folder / name).touch()
        ended = await script(self.spec, port)
        if not isinstance(ended, Ended):
            (self.spec.folder / "output").write_text(json.dumps(ended))
            ended = Ended(0)
        self._end(ended)
        return ended

    def _end(self, ended: Ended) -> None:
        content = {"exit_code": ended.exit_code, "reason": ended.reason}
        if self.spec.folder.exists():
            (self.spec.folder / "exit.json").write_text(json.dumps(content))


async def answer_42(spec: RunSpec, port: int) -> Any:
    return 42


class ScriptedRuntime:
    """A well-behaved runtime whose algorithms play a script; tests override what misbehaves."""

    name = "scripted"

    def __init__(self, script: Callable[[RunSpec, int], Awaitable[Any]] = answer_42) -> None:
        self.script = script
        self.started: list[RunSpec] = []
        self.executions: list[ScriptedExecution] = []

    async def open(self) -> None: ...

    async def close(self) -> None:
        for execution in self.executions:
            await execution.kill("closed")

    def proxy_address(self, spec: RunSpec) -> tuple[str, int]:
        return "http://127.0.0.1", 8080

    async def start(self, spec: RunSpec) -> ScriptedExecution:
        self.started.append(spec)
        execution = ScriptedExecution(self, spec)
        self.executions.append(execution)
        return execution

    async def running(self) -> AsyncIterator[ScriptedExecution]:
        for execution in ():
            yield execution


def hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def refuse(status: int, message: str) -> web.HTTPException:
    kinds = {400: web.HTTPBadRequest, 401: web.HTTPUnauthorized, 404: web.HTTPNotFound}
    kind = kinds.get(status, web.HTTPUnprocessableEntity)
    return kind(text=json.dumps({"msg": message}), content_type="application/json")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


async def until(
    condition: Callable[[], Any], within: float = 20.0, state: Callable[[], Any] = lambda: ""
) -> None:
    """Wait until a condition holds, or fail with what there is instead."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s: {state()}"
        await asyncio.sleep(0.005)


@pytest.fixture
async def server(anyio_backend: str) -> AsyncIterator[FakeServer]:
    async with FakeServer().listening() as listening:
        yield listening


@pytest.fixture
def make_config(tmp_path: Path, server: FakeServer) -> Callable[..., NodeConfig]:
    def make(name: str = "node", **values: Any) -> NodeConfig:
        content = {
            "api_key": API_KEY,
            "server_url": "http://127.0.0.1",
            "port": server.port,
            "api_path": "/api",
            "databases": [],
            "encryption": {"enabled": server.encrypted},
            "state_dir": str(tmp_path / "state"),
            "directories": {"log": str(tmp_path / "log")},
        } | values
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content))
        config = NodeConfig.load(path)
        config.folder.mkdir(exist_ok=True)
        return config

    return make


class Started:
    """An agent that runs in the background."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.task = asyncio.ensure_future(agent.run())

    async def stop(self) -> None:
        self.agent.stop()
        await asyncio.wait_for(self.task, 10)


@pytest.fixture
async def start_agent(
    server: FakeServer, make_config: Callable[..., NodeConfig]
) -> AsyncIterator[Callable[..., Awaitable[Started]]]:
    agents: list[Started] = []

    async def start(runtime: Any = None, *, connected: bool = True, **values: Any) -> Started:
        server.connected.clear()
        started = Started(
            Agent(make_config(**values), runtime or ScriptedRuntime(), longest_pause=0.2)
        )
        agents.append(started)
        if connected:
            waiting = asyncio.ensure_future(server.connected.wait())
            await asyncio.wait((waiting, started.task), timeout=5, return_when="FIRST_COMPLETED")
            waiting.cancel()
        return started

    yield start
    for started in agents:
        if not started.task.done():
            await started.stop()


class Dialler:
    """A node whose algorithm opens its connections itself, in one of the runtimes."""

    image = "example.org/dialler"

    def __init__(
        self,
        server: FakeServer,
        start_agent: Callable[..., Awaitable[Started]],
        make_config: Callable[..., NodeConfig],
        engine: str,
    ) -> None:
        self._server = server
        self._start_agent = start_agent
        self._make_config = make_config
        folder = Path(__file__).parent / "algorithms"
        #: Of the container engine; nothing in the process runtime.
        self.engine = engine
        #: No other node of the engine bears it.
        self.name = f"dialler-{uuid.uuid4().hex[:8]}"
        self._settings: dict[str, Any] = {
            "process": {"algorithms": {self.image: {"module": "dialler", "path": str(folder)}}}
        }
        if engine:
            build_image(engine, f"{self.image}:latest", "dialler", folder)
            self._settings = {
                "runtime": "docker",
                "docker": {"host": engine, "pull": "missing"},
                "policies": {"require_algorithm_pull": False},
            }

    async def start(self, **values: Any) -> Started:
        """Start the node, with these values in its configuration."""
        config = self._make_config(**values, **self._settings, name=self.name)
        return await self._start_agent(make_runtime(config), **values)

    async def submit(self, method: str, *args: Any, **order: Any) -> int:
        """Ask for a run of one of the methods; gives its id."""
        task = json.dumps({"method": method, "args": args, "kwargs": {}})
        given = base64.b64encode(task.encode()).decode()
        return await self._server.submit(**{"image": self.image, "input": given} | order)

    async def run(self, method: str, *args: Any, **order: Any) -> Any:
        """Have a method run; gives its result."""
        run_id = await self.submit(method, *args, **order)
        await self._server.finished(run_id, within=120)
        run = self._server.runs[run_id]
        assert run["status"] == "completed", run["log"]
        return self._server.result(run_id)


@pytest.fixture(params=["process", "docker"])
def dialler(
    request: pytest.FixtureRequest,
    server: FakeServer,
    start_agent: Callable[..., Awaitable[Started]],
    make_config: Callable[..., NodeConfig],
    lacking: Callable[[str], Any],
) -> Dialler:
    """In each runtime; the container engine's is the one that :func:`find_engine` finds."""
    host, problem = find_engine() if request.param == "docker" else ("", "")
    if problem:
        lacking(problem)
    return Dialler(server, start_agent, make_config, host)


@pytest.fixture(scope="session")
def private_keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two private keys, shorter than real ones, which take seconds to make."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("own", "other"):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        (folder / name).write_bytes(pem)
    return folder / "own", folder / "other"


@pytest.fixture
def site_certificate(tmp_path: Path) -> Path:
    """A certificate for localhost that no machine trusts, with its key in the same file."""

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    at = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "ca.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path


@pytest.fixture
def helpers() -> Any:
    """What tests need of this module, which importlib mode keeps them from importing."""

    class Helpers:
        Runtime = ScriptedRuntime
        Execution = ScriptedExecution
        wait_until = staticmethod(until)
        node_id, organization_id, collaboration_id = NODE, ORGANIZATION, COLLABORATION
        api_key = API_KEY

    return Helpers
