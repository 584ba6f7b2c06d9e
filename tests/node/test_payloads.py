"""Large inputs and results stream between server and disk."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from vantage6.common.encryption import CryptorBase, DummyCryptor, RSACryptor

pytestmark = pytest.mark.anyio

TEXT = "x" * 700_000
LIMITED = {"blob_store_enabled": False, "inline_limit": 500_000}


async def echo(spec: Any, port: int) -> Any:
    """The scripted algorithm: gives back the text of its input."""
    return json.loads((spec.folder / "input").read_bytes())["kwargs"]["text"]


def submitted(server: Any, cryptor: CryptorBase | None = None) -> dict[str, Any]:
    """A task's values whose input is in the store."""
    cryptor = cryptor or DummyCryptor()
    plain = json.dumps({"method": "m", "args": [], "kwargs": {"text": TEXT}}).encode()
    key = cryptor.public_key_str if isinstance(cryptor, RSACryptor) else None
    name = str(uuid.uuid4())
    server.payloads[name] = b"".join(cryptor.encrypt_stream([plain], key))
    return {"input": name}


def stored(server: Any, run_id: int, cryptor: CryptorBase | None = None) -> Any:
    """The result of a run, which must be in the store."""
    body = server.payloads[server.runs[run_id]["result"]]
    return json.loads(b"".join((cryptor or DummyCryptor()).decrypt_stream([body])))


async def submit(server: Any, **values: Any) -> int:
    run_id = server.add_task(**values)
    server.runs[run_id]["blob_storage_used"] = True
    await server.emit("new_task", {"id": run_id, "parent_id": None})
    return int(run_id)


async def test_input_and_result_go_through_the_store(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    server.payload_status = LIMITED
    await start_agent(helpers.Runtime(echo))
    run_id = await submit(server, **submitted(server))
    await server.finished(run_id)
    assert server.history[run_id] == ["active", "completed"]
    assert stored(server, run_id) == TEXT


async def test_input_and_result_are_encrypted_on_the_way(
    server: Any, start_agent: Any, helpers: Any, private_keys: tuple[Path, Path]
) -> None:
    own, other = map(RSACryptor, private_keys)
    server.encrypted, server.payload_status = True, LIMITED
    server.public_keys[1] = other.public_key_str
    encryption = {"enabled": True, "private_key": str(private_keys[0])}
    await start_agent(helpers.Runtime(echo), encryption=encryption)
    run_id = await submit(server, **submitted(server, own))
    await server.finished(run_id)
    assert stored(server, run_id, other) == TEXT


async def test_a_result_below_the_limit_stays_in_the_report(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    server.payload_status = LIMITED | {"inline_limit": 2_000_000}
    await start_agent(helpers.Runtime(echo))
    run_id = await submit(server, **submitted(server))
    await server.finished(run_id)
    assert server.result(run_id) == TEXT


async def test_a_server_without_a_store_gets_large_results_in_the_report(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    server.payload_status = {"blob_store_enabled": False}
    await start_agent(helpers.Runtime(echo))
    text = base64.b64encode(json.dumps({"kwargs": {"text": TEXT}}).encode()).decode()
    run_id = await server.submit(input=text)
    await server.finished(run_id)
    assert server.result(run_id) == TEXT


async def test_a_server_that_wants_everything_apart_gets_small_results_so_too(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    server.payload_status = {"blob_store_enabled": True}  # as a 4.15 server says it
    await start_agent()
    run_id = await submit(server, **submitted(server))
    await server.finished(run_id)
    assert stored(server, run_id) == 42


@pytest.mark.parametrize(
    "faults",
    [
        [("GET", "/blobstream/", "drop before"), ("GET", "/blobstream/", 503)],
        [("POST", "/blobstream", "drop before"), ("POST", "/blobstream", "drop after")],
        [("POST", "/blobstream", 507), ("POST", "/blobstream", 500)],
        [("GET", "/blobstream/status", 503)],
    ],
)
async def test_what_breaks_off_is_sent_again(
    server: Any, start_agent: Any, helpers: Any, faults: list[Any]
) -> None:
    server.payload_status = LIMITED
    server.faults.extend(faults)
    await start_agent(helpers.Runtime(echo))
    run_id = await submit(server, **submitted(server))
    await server.finished(run_id)
    assert stored(server, run_id) == TEXT
    assert not server.faults


async def test_a_result_whose_upload_was_cleaned_up_is_uploaded_again(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    server.payload_status = LIMITED

    async def last_words(spec: Any, port: int) -> Any:
        server.faults.append(("PATCH", "/run", 400))
        return TEXT

    await start_agent(helpers.Runtime(last_words))
    run_id = await server.submit()
    await server.finished(run_id)
    assert stored(server, run_id) == TEXT
    assert server.count("POST", "/blobstream") == 2


async def test_a_large_result_outlives_the_node(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    server.payload_status = LIMITED
    server.faults.extend([("POST", "/blobstream", 503)] * 1000)
    runtime = helpers.Runtime(echo)
    agent = await start_agent(runtime)
    run_id = await submit(server, **submitted(server))
    await helpers.wait_until(lambda: server.count("POST", "/blobstream") > 2)
    await agent.stop()
    server.faults.clear()
    await start_agent(runtime)
    await server.finished(run_id)
    assert stored(server, run_id) == TEXT
    assert len(runtime.started) == 1


async def test_an_input_that_is_lost_or_not_for_us_ends_the_run(
    server: Any, start_agent: Any
) -> None:
    await start_agent()
    lost = await submit(server, input=str(uuid.uuid4()))
    name = str(uuid.uuid4())
    server.payloads[name] = b"no base64$"
    wrong = await submit(server, input=name)
    await server.finished(lost, wrong)
    for run_id, words in ((lost, "No such payload"), (wrong, "cannot be read")):
        assert server.runs[run_id]["status"] == "failed"
        assert words in server.runs[run_id]["log"]


async def test_a_payload_that_breaks_off_half_way_is_not_taken_for_whole(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    values = submitted(server)
    whole = server.payloads[values["input"]]
    times = 0

    async def half(request: web.Request) -> web.StreamResponse:
        nonlocal times
        times += 1
        if times > 1:
            return web.Response(body=whole, content_type="application/octet-stream")
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        response.content_length = len(whole)
        await response.prepare(request)
        await response.write(whole[: len(whole) // 2 // 4 * 4])
        await asyncio.sleep(0.1)
        assert request.transport is not None
        request.transport.abort()
        return response

    server.payload_answer = half
    await start_agent(helpers.Runtime(echo))
    run_id = await submit(server, **values)
    await server.finished(run_id)
    assert server.result(run_id) == TEXT
    assert times == 2
