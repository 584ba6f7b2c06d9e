"""The only thing an algorithm can talk to."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
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
from vantage6.node.proxy import MAX_CONNECTIONS, Caller, Proxy

pytestmark = pytest.mark.anyio

Open = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def open_proxy(server: Any, helpers: Any) -> AsyncIterator[Open]:
    """Start a proxy for a run of task 1 and give a client that talks to it."""
    async with AsyncExitStack() as stack:

        async def start(
            cryptor: CryptorBase | None = None, *, patience: float = 5.0, **caller: Any
        ) -> httpx.AsyncClient:
            base = f"http://127.0.0.1:{server.port}"
            connection = await stack.enter_async_context(
                Connection(base, server.url, helpers.api_key, longest_pause=0.1)
            )
            await connection.login()
            identity = Identity(7, "n", helpers.organization_id, "Utrecht", 1, server.encrypted)
            organizations = Organizations(connection, identity, cryptor or DummyCryptor())
            proxy = Proxy(
                connection.http,
                organizations,
                Mail(organizations, identity),
                helpers.organization_id,
                patience=patience,
            )
            listener = socket.create_server(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            token = server.container_token(1)
            await stack.enter_async_context(proxy.serve(listener, Caller(1, 1, token, **caller)))
            client = await stack.enter_async_context(connect_async(f"http://127.0.0.1:{port}"))
            client.headers["Authorization"] = f"Bearer {token}"
            server.calls.clear()
            return client

        server.add_task()
        yield start


def subtask(input_: bytes = b"{}", organization: int = 2) -> dict[str, Any]:
    input_text = base64.b64encode(input_).decode()
    return {"name": "subtask", "organizations": [{"id": organization, "input": input_text}]}


async def test_answers_of_the_server_are_passed_on(open_proxy: Open, server: Any) -> None:
    client = await open_proxy()
    answer = await client.get("/organization/5?page=1")
    assert answer.status_code == 200
    assert answer.json()["name"] == "Organization 5"
    missing = await client.get("/run/99")
    assert (missing.status_code, missing.json()) == (404, {"msg": "Run not found"})


@pytest.mark.parametrize("given", [None, "Bearer x", "Bearer", "Basic x", "Bearer é"])
async def test_another_token_is_refused(open_proxy: Open, server: Any, given: str | None) -> None:
    client = await open_proxy()
    del client.headers["Authorization"]
    headers = {} if given is None else {"Authorization": given.encode("utf-8")}
    answer = await client.get("/organization/2", headers=headers)
    assert answer.status_code == 401
    assert "own token" in answer.json()["msg"]
    assert server.calls == []


async def test_another_runs_token_is_refused(open_proxy: Open, server: Any) -> None:
    client = await open_proxy()
    client.headers["Authorization"] = f"Bearer {server.container_token(2)}"
    assert (await client.get("/organization/2")).status_code == 401


async def test_the_nodes_own_token_never_leaves(
    open_proxy: Open, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []
    original = server._caller

    def spy(request: Any) -> Any:
        claims = original(request)
        seen.append((request.path, claims["sub"]))
        return claims

    monkeypatch.setattr(server, "_caller", spy)
    client = await open_proxy()
    seen.clear()
    await client.get("/organization/2")
    await client.post("/task", json=subtask())
    assert all(isinstance(sub, dict) for _, sub in seen)
    assert len(seen) == 2


@pytest.mark.parametrize(
    "path",
    ["/", "/run//1", "/..%2Fsocket.io", "/run/%2e%2e/%2e%2e/x", "/a%5Cb", "/./run"],
)
async def test_paths_that_lead_out_of_the_api_do_not_exist(
    open_proxy: Open, server: Any, path: str
) -> None:
    client = await open_proxy()
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    token = client.headers["Authorization"]
    request = f"GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: {token}\r\nConnection: close\r\n"
    writer.write(f"{request}\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 404")
    assert server.calls == []


@pytest.mark.parametrize(
    "path", ["/token/user", "/token/node", "/recover/lost", "/password/change"]
)
async def test_logging_in_is_nothing_for_algorithms(
    open_proxy: Open, server: Any, path: str
) -> None:
    client = await open_proxy()
    assert (await client.post(path, json={})).status_code == 403
    assert server.calls == []


async def test_a_subtask_is_made_and_noticed(open_proxy: Open, server: Any) -> None:
    noticed: list[None] = []
    client = await open_proxy(on_subtask=lambda: noticed.append(None))
    answer = await client.post("/task", json=subtask(b'{"method": "m"}'))
    assert answer.status_code == 201
    child = answer.json()["id"]
    assert server.tasks[child]["parent"] == {"id": 1}
    assert json.loads(base64.b64decode(server.runs[child]["input"])) == {"method": "m"}
    assert len(noticed) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "Organizations missing from input"),
        (b'{"organizations": []}', "Organizations missing from input"),
        (b'{"organizations": 5}', "Organizations missing from input"),
    ],
)
async def test_malformed_subtasks_are_refused(
    open_proxy: Open, server: Any, body: bytes, words: str
) -> None:
    client = await open_proxy()
    answer = await client.post("/task", content=body)
    assert answer.status_code == 400
    assert words in answer.json()["msg"]


@pytest.mark.parametrize("fault", ["drop before", "drop after", 502, 504])
async def test_a_subtask_is_made_once_whatever_happens_to_the_answer(
    open_proxy: Open, server: Any, fault: Any
) -> None:
    client = await open_proxy()
    first = (await client.post("/task", json=subtask())).json()["id"]
    server.faults.append(("POST", "/task", fault))
    answer = await client.post("/task", json=subtask())
    assert answer.status_code == 201
    assert answer.json()["id"] > first
    assert len(server.tasks) == 3


async def test_subtasks_of_an_earlier_attempt_are_not_mistaken_for_new_ones(
    open_proxy: Open, server: Any, helpers: Any
) -> None:
    own = {"id": helpers.organization_id}
    left = server.add_task(parent={"id": 1}, init_org=own)
    client = await open_proxy(started_anew=True)
    server.faults.append(("POST", "/task", "drop before"))
    answer = await client.post("/task", json=subtask())
    assert answer.json()["id"] > left


async def test_a_refused_subtask_is_not_tried_again(open_proxy: Open, server: Any) -> None:
    client = await open_proxy()
    for status in (400, 401, 500):
        server.faults.append(("POST", "/task", status))
        answer = await client.post("/task", json=subtask())
        assert answer.status_code == status
    assert server.count("POST", "/task") == 3


@pytest.mark.parametrize("fault", ["drop before", 502, 503])
async def test_reading_is_tried_until_the_server_is_back(
    open_proxy: Open, server: Any, fault: Any
) -> None:
    client = await open_proxy()
    server.faults.extend([("GET", "/organization", fault)] * 2)
    assert (await client.get("/organization/2")).status_code == 200


async def test_a_change_is_not_repeated_when_it_may_have_been_made(
    open_proxy: Open, server: Any
) -> None:
    client = await open_proxy()
    server.faults.append(("PATCH", "/organization", "drop after"))
    answer = await client.patch("/organization/2", json={"public_key": ""})
    assert answer.status_code == 502
    assert "No answer from the server" in answer.json()["msg"]
    assert server.count("PATCH", "/organization/2") == 1


async def test_a_server_that_stays_away_is_told_of_in_the_end(
    open_proxy: Open, server: Any
) -> None:
    client = await open_proxy(patience=0.3)
    server.down = True
    assert (await client.get("/organization/2")).status_code == 502
    assert (await client.post("/task", json=subtask())).status_code == 502


async def test_a_long_poll_is_waited_for(
    open_proxy: Open, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await open_proxy()

    async def slow(request: web.Request) -> web.Response:
        assert request.query["wait"] == "30"
        await asyncio.sleep(0.3)
        return web.json_response({"status": "completed", "seen": "x"})

    monkeypatch.setattr("vantage6.common.transport.READ_TIMEOUT", 0.1)
    server_app_status(server, monkeypatch, slow)
    answer = await client.get("/task/1/status?wait=30")
    assert answer.json() == {"status": "completed", "seen": "x"}


def server_app_status(server: Any, monkeypatch: pytest.MonkeyPatch, handler: Any) -> None:
    """Replace how the server answers one route; aiohttp keeps the bound method it was given."""

    async def faulty(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    original = web.UrlDispatcher.resolve

    async def resolve(self: Any, request: Any) -> Any:
        match = await original(self, request)
        if request.path.endswith("/status"):
            match._route._handler = faulty
        return match

    monkeypatch.setattr(web.UrlDispatcher, "resolve", resolve)


async def test_a_body_that_is_too_large_is_refused(open_proxy: Open, server: Any) -> None:
    client = await open_proxy()
    answer = await client.patch("/organization/2", json={"public_key": "x" * 2 * 1024**2})
    assert answer.status_code == 413


async def test_a_task_id_is_needed_for_results(open_proxy: Open, server: Any) -> None:
    answer = await (await open_proxy()).get("/result")
    assert (answer.status_code, answer.json()) == (
        400,
        {"msg": "No task id found in request from algorithm: add ?task_id="},
    )


async def test_results_are_passed_on_in_unencrypted_collaborations(
    open_proxy: Open, server: Any
) -> None:
    client = await open_proxy()
    server.runs[1]["result"] = "NDI="
    assert (await client.get("/result?task_id=1")).json()["data"][0]["result"] == "NDI="
    assert (await client.get("/result/1")).json()["result"] == "NDI="


async def test_encryption_on_the_way(
    open_proxy: Open,
    server: Any,
    private_keys: tuple[Path, Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.encrypted = True
    own, other = map(RSACryptor, private_keys)
    server.public_keys[5] = other.public_key_str
    client = await open_proxy(own)

    answer = await client.post("/task", json=subtask(b'{"method": "m"}', organization=5))
    child = answer.json()["id"]
    assert other.decrypt(server.runs[child]["input"]) == b'{"method": "m"}'

    unknown = await client.post("/task", json=subtask(organization=6))
    assert unknown.status_code == 400
    assert "'Organization 6' has no public key" in unknown.json()["msg"]
    broken = {"organizations": [{"id": 5, "input": "%"}, {"input": ""}]}
    assert (await client.post("/task", json=broken)).status_code == 400

    uuid = "0a0b0c0d-1111-4222-8333-444455556666"
    stored = {"organizations": [{"id": 5, "input": uuid}]}
    assert (await client.post("/task", json=stored)).status_code == 201
    assert server.runs[max(server.runs)]["input"] == uuid

    server.runs[1]["result"] = own.encrypt_bytes_to_str(b"[1]", own.public_key_str)
    expected = base64.b64encode(b"[1]").decode()
    assert (await client.get("/result?task_id=1")).json()["data"][0]["result"] == expected
    assert (await client.get("/result/1")).json()["result"] == expected
    server.runs[1]["result"] = "not for us"
    with caplog.at_level(logging.WARNING):
        assert (await client.get("/result/1")).json()["result"] == "not for us"
    server.runs[1]["result"] = None
    assert (await client.get("/result/1")).json()["result"] is None


BLOB = "0b8d3a4e-5a5f-4a53-9d0c-6c6d0b3c6f11"
LARGE = bytes(range(256)) * 8000


async def test_a_payload_is_opened_on_its_way_to_the_algorithm(
    open_proxy: Open, server: Any, private_keys: tuple[Path, Path]
) -> None:
    cryptor = RSACryptor(private_keys[0])
    server.payload_status = {"blob_store_enabled": True}
    for used in (DummyCryptor(), cryptor):
        server.payloads[BLOB] = b"".join(used.encrypt_stream([LARGE], cryptor.public_key_str))
        client = await open_proxy(used)
        answer = await client.get(f"/blobstream/{BLOB}")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.content == LARGE
        assert (await client.get("/blobstream/status")).json() == {"blob_store_enabled": True}


async def test_a_payload_is_sealed_on_its_way_to_the_server(
    open_proxy: Open, server: Any, private_keys: tuple[Path, Path]
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(LARGE), 100_000):
            yield LARGE[start : start + 100_000]

    other = RSACryptor(private_keys[1])
    for used, reader in ((DummyCryptor(), DummyCryptor()), (RSACryptor(private_keys[0]), other)):
        client = await open_proxy(used)
        headers = {"X-Public-Key": other.public_key_str}
        answer = await client.post("/blobstream", content=pieces(), headers=headers)
        assert answer.status_code == 201, answer.text
        body = server.payloads[answer.json()["uuid"]]
        assert b"".join(reader.decrypt_stream([body])) == LARGE
    for wrong in ({}, {"X-Public-Key": "nonsense"}):
        answer = await client.post("/blobstream", content=b"x", headers=wrong)
        assert answer.status_code == 400
        assert "ublic" in answer.json()["msg"]


async def test_a_payload_that_cannot_be_passed_on_is_an_error_and_not_a_shorter_payload(
    open_proxy: Open, server: Any, private_keys: tuple[Path, Path]
) -> None:
    client = await open_proxy(RSACryptor(private_keys[0]), patience=0.1)
    lost = await client.get(f"/blobstream/{BLOB}")
    assert (lost.status_code, lost.json()) == (404, {"msg": "No such payload"})
    server.payloads[BLOB] = b"not encrypted at all"
    assert (await client.get(f"/blobstream/{BLOB}")).status_code == 502

    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        await response.write(whole[: len(whole) // 2])
        await asyncio.sleep(0.2)
        assert request.transport is not None
        request.transport.abort()
        return response

    own = RSACryptor(private_keys[0])
    whole = b"".join(own.encrypt_stream([LARGE], own.public_key_str))
    server.payload_answer = half
    with pytest.raises(httpx.TransportError):
        await client.get(f"/blobstream/{BLOB}")


@pytest.mark.parametrize("status", [401, 403, 503, 507])
async def test_a_refused_upload_is_refused_in_the_servers_words(
    open_proxy: Open, server: Any, status: int
) -> None:
    client = await open_proxy()
    server.faults.append(("POST", "/blobstream", status))
    answer = await client.post("/blobstream", content=LARGE)
    assert (answer.status_code, answer.json()) == (status, {"msg": "as told"})
    assert server.count("POST", "/blobstream") == 1


async def raw(client: httpx.AsyncClient, method: str, path: str, token: bytes = b"") -> bytes:
    """Send a path as it is; the answer's first line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    given = token or client.headers["Authorization"].encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n".encode()
    body = b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    writer.write(head + b"Authorization: " + given + b"\r\n" + body)
    try:
        return (await reader.read()).partition(b"\r\n")[0]
    finally:
        writer.close()


@pytest.mark.parametrize("path", ["/%74oken/user", "/to%6Ben/node", "/%72ecover/lost"])
async def test_another_spelling_opens_no_closed_path(
    open_proxy: Open, server: Any, path: str
) -> None:
    assert b" 403 " in await raw(await open_proxy(), "POST", path)
    assert server.calls == []


async def test_a_subtask_is_one_however_its_path_is_spelt(open_proxy: Open, server: Any) -> None:
    # As such it has no organizations; passed on as anything else it would get to the server.
    assert b" 400 " in await raw(await open_proxy(), "POST", "/tas%6B")
    assert server.calls == []


async def test_a_token_that_is_no_text_is_another_token(open_proxy: Open, server: Any) -> None:
    assert b" 401 " in await raw(await open_proxy(), "GET", "/run/1", b"Bearer \xff\xfe")


@pytest.mark.parametrize(
    ("body", "status"), [(b"[" * 100_000, 400), (b'{"a":[' + b"0," * 300_000, 413)]
)
async def test_json_that_would_swell_is_refused(
    open_proxy: Open, server: Any, body: bytes, status: int
) -> None:
    client = await open_proxy()
    answer = await client.post("/task", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert server.calls == []


async def test_a_run_cannot_take_all_descriptors_of_its_node(open_proxy: Open) -> None:
    client = await open_proxy()
    place = ("127.0.0.1", client.base_url.port)
    before = len(os.listdir("/proc/self/fd"))
    held = [await asyncio.open_connection(*place) for _ in range(MAX_CONNECTIONS + 40)]
    await asyncio.sleep(0.3)
    # Both ends are in this process.
    taken = len(os.listdir("/proc/self/fd")) - before - len(held)
    assert taken <= MAX_CONNECTIONS
    for _, writer in held:
        writer.close()
    assert (await client.get("/organization/2")).status_code == 200
