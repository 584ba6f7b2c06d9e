"""The proxy's endpoints as section 9 of the node's contract lists them, against an echo."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from aiohttp import web

from vantage6.common.encryption import CryptorBase, DummyCryptor, RSACryptor
from vantage6.common.transport import connect_async
from vantage6.node.connection import Connection, Identity
from vantage6.node.mail import Mail
from vantage6.node.organizations import Organizations
from vantage6.node.proxy import Caller, Proxy

pytestmark = pytest.mark.anyio


class Echo:
    """A server that says what it was asked; ``plan`` holds what it does first instead."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.plan: list[Any] = []
        self.answer: Any = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(f"{request.method} {request.path_qs}")
        deed = self.plan.pop(0) if self.plan else None
        if deed == "hang":
            await asyncio.sleep(60)
        if deed == "hang up":
            assert request.transport is not None
            request.transport.abort()
        if isinstance(deed, int):
            return web.json_response({"msg": "in the server's words"}, status=deed)
        said = self.answer or {
            "method": request.method,
            "path": request.path_qs,
            "headers": sorted(name.lower() for name in request.headers),
            "body": body.decode(),
            "authorization": request.headers.get("Authorization"),
        }
        return web.json_response(said, headers={"X-Own": "kept", "Set-Cookie": "a=b"})


@pytest.fixture
async def echo(anyio_backend: str) -> AsyncIterator[tuple[Echo, str]]:
    server = Echo()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield server, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def proxy_to(
    base: str, *, cryptor: CryptorBase | None = None, patience: float = 5.0, own: str = "own"
) -> AsyncIterator[httpx.AsyncClient]:
    async with Connection(base, f"{base}/api", "key", longest_pause=0.1) as connection:
        identity = Identity(7, "n", 2, "Utrecht", 1, cryptor is not None)
        organizations = Organizations(connection, identity, cryptor or DummyCryptor())
        mail = Mail(organizations, identity)
        proxy = Proxy(connection.http, organizations, mail, 2, patience=patience)
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with (
            proxy.serve(listener, Caller(1, 1, own)),
            connect_async(address) as client,
        ):
            client.headers["Authorization"] = f"Bearer {own}"
            yield client


@pytest.mark.parametrize(
    "path",
    [
        "organization?collaboration_id=1&page=2",
        "organization/2",
        "collaboration/1",
        "study/1",
        "study?collaboration_id=1&page=1",
        "task/1",
        "task/1/status",
        "run/1",
        "run?task_id=1&page=3",
        "result?task_id=1&page=2",
        "result/1",
        "blobstream/status",
    ],
)
async def test_what_algorithms_ask_arrives_and_so_does_the_answer(
    echo: tuple[Echo, str], path: str
) -> None:
    async with proxy_to(echo[1]) as client:
        answer = await client.get(f"/{path}", headers={"X-Mine": "dropped"})
    assert answer.status_code == 200
    said = answer.json()
    assert (said["method"], said["path"]) == ("GET", f"/api/{path}")
    assert said["authorization"] == "Bearer own"
    assert "x-mine" not in said["headers"]
    assert answer.headers["X-Own"] == "kept"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "PUT", "DELETE"])
async def test_every_method_passes_with_its_json_and_nothing_else(
    echo: tuple[Echo, str], method: str
) -> None:
    async with proxy_to(echo[1]) as client:
        said = (await client.request(method, "/port?a=b&a=c", json={"x": 1})).json()
        assert (said["method"], said["path"]) == (method, "/api/port?a=b&a=c")
        assert json.loads(said["body"]) == {"x": 1}
        other = await client.request(
            method, "/port", content=b"text", headers={"Content-Type": "a/b"}
        )
        assert other.json()["body"] == ""
        assert (await client.request("OPTIONS", "/port")).status_code == 405


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500])
async def test_the_servers_own_status_and_words_are_passed_on(
    echo: tuple[Echo, str], status: int
) -> None:
    server, base = echo
    organizations = [{"id": 1, "input": ""}]
    async with proxy_to(base) as client:
        for method, path, body in (
            ("GET", "/task/1", None),
            ("GET", "/result?task_id=1", None),
            ("GET", "/result/1", None),
            ("GET", "/blobstream/0b8d3a4e-5a5f-4a53-9d0c-6c6d0b3c6f11", None),
            ("PATCH", "/port", {}),
            ("DELETE", "/port", None),
            ("POST", "/task", {"organizations": organizations}),
        ):
            server.plan = [status]
            server.answer = {"data": []} if path == "/task" else None
            answer = await client.request(method, path, json=body)
            assert answer.status_code == status, path
            assert answer.json() == {"msg": "in the server's words"}
            assert server.plan == [] or path == "/task"


async def test_a_token_that_the_server_no_longer_takes_is_the_algorithms_to_hear_of(
    echo: tuple[Echo, str],
) -> None:
    server, base = echo
    async with proxy_to(base) as client:
        server.plan = [401]
        answer = await client.get("/organization/2")
    assert (answer.status_code, answer.json()["msg"]) == (401, "in the server's words")
    # Not asked again with another token: the node's own is none of the algorithm's business.
    assert server.asked == ["GET /api/organization/2"]


async def test_one_runs_token_is_worth_nothing_at_anothers_proxy_nor_after_its_end(
    echo: tuple[Echo, str],
) -> None:
    server, base = echo
    async with proxy_to(base) as one, proxy_to(base, own="other") as other:
        for mine, theirs in ((one, other), (other, one)):
            answer = await mine.get(
                "/organization/2", headers={"Authorization": theirs.headers["Authorization"]}
            )
            assert answer.status_code == 401
            assert "that run's own token" in answer.json()["msg"]
        for path in ("/task", "/blobstream"):
            bare = await one.post(path, json={}, headers={"Authorization": ""})
            assert bare.status_code == 401
        assert server.asked == []
        left = one.base_url
    async with connect_async(str(left)) as late:
        with pytest.raises(httpx.ConnectError):
            await late.get("/organization/2", headers={"Authorization": "Bearer own"})


async def test_a_server_that_hangs_is_given_up_and_asked_again(
    echo: tuple[Echo, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, base = echo
    monkeypatch.setattr("vantage6.node.proxy._READ_TIMEOUT", 0.2)
    async with proxy_to(base) as client:
        server.plan = ["hang", "hang up", 503]
        assert (await client.get("/task/1")).status_code == 200
        assert len(server.asked) == 4
        # What may have been carried out is not asked for again.
        server.plan = ["hang"]
        answer = await client.patch("/port", json={})
        assert answer.status_code == 502
        assert "No answer from the server" in answer.json()["msg"]
    async with proxy_to(base, patience=0.2) as client:
        server.plan = ["hang up"] * 20
        answer = await client.get("/task/1")
        assert answer.status_code == 502
        assert "No answer from the server" in answer.json()["msg"]


async def test_pages_of_encrypted_results_keep_their_links(
    echo: tuple[Echo, str], private_keys: tuple[Path, Path]
) -> None:
    server, base = echo
    own = RSACryptor(private_keys[0])
    links = {"first": "/api/result?page=1", "next": "/api/result?page=3"}
    sealed = own.encrypt_bytes_to_str(b"[1]", own.public_key_str)
    stored = {"id": 2, "result": "0b8d3a4e-5a5f-4a53-9d0c-6c6d0b3c6f11", "blob_storage_used": True}
    async with proxy_to(base, cryptor=own) as client:
        server.answer = {"data": [{"id": 1, "result": sealed}, stored], "links": links}
        answer = (await client.get("/result?task_id=1&page=2")).json()
        assert answer["links"] == links
        assert base64.b64decode(answer["data"][0]["result"]) == b"[1]"
        assert answer["data"][1] == stored
        # Runs are as the server keeps them.
        assert (await client.get("/run?task_id=1")).json() == server.answer


async def test_addresses_of_other_algorithms_are_refused_in_plain_words(
    echo: tuple[Echo, str],
) -> None:
    server, base = echo
    async with proxy_to(base) as client:
        answer = await client.get("/vpn/algorithm/addresses?only_siblings=1")
    assert answer.status_code == 501
    assert "This node has no VPN" in answer.json()["msg"]
    assert server.asked == []
