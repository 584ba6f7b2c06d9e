"""The client for asyncio: the same calls, any number at once, and an end at any moment."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from recording import RecordingServer, access_token, login_answer
from vantage6.client import AsyncClient
from vantage6.client.bridge import run, wait_for
from vantage6.client.exceptions import (
    NotAuthenticatedError,
    RefusedError,
    ServerUnreachableError,
    WaitTimeoutError,
)

Answer = Callable[[httpx.Request], Awaitable[Any]]


class Slow:
    """A server that may take its time: an answer may be a coroutine function of the request."""

    def __init__(self) -> None:
        self.quick = RecordingServer()
        self.slow: dict[str, Answer] = {}
        self.under_way = self.most_at_once = self.cut_off = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        key = f"{request.method} {request.url.path}"
        if key not in self.slow:
            return self.quick(request)
        self.quick.requests.append(request)
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            return httpx.Response(200, json=await self.slow[key](request))
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        finally:
            self.under_way -= 1

    @property
    def lines(self) -> list[str]:
        return self.quick.lines


@pytest.fixture
def server() -> Slow:
    return Slow()


@asynccontextmanager
async def logged_in(server: Slow, **options: Any) -> AsyncIterator[AsyncClient]:
    transport = httpx.MockTransport(server)
    async with AsyncClient(
        "http://server", 5000, log_level="error", transport=transport, **options
    ) as client:
        await client.authenticate("ada", "secret")
        server.quick.forget()
        yield client


def test_calls_are_awaited_and_give_what_the_other_client_gives(server: Slow) -> None:
    async def main() -> None:
        async with logged_in(server) as client:
            assert client.whoami is not None
            assert client.whoami.name == client.name == "Ada"
            server.quick.on(
                "GET /api/node", {"data": [{"id": 1, "name": "a"}, {"id": 2}], "links": {}}
            )
            assert await client.node.list(fields=["id"]) == [{"id": 1}, {"id": 2}]
            server.quick.on("POST /api/study", (400, {"msg": "No"}))
            study = await client.study.create("", [1], 1)
            assert study == {"msg": "No"}
            with pytest.raises(RefusedError, match="No"):
                study["id"]
            server.quick.on("GET /api/algorithmstore/2", {"id": 2, "url": "http://store/api"})
            await client.store.set(2)
            assert client.store.url == "http://store/api"
            server.quick.on("GET /api/role", {"data": [], "links": {}})
            assert await client.store.role.list(field="id") == []

    asyncio.run(main())


def test_pages_are_gone_through_with_async_for(server: Slow) -> None:
    def page(request: httpx.Request) -> dict[str, Any]:
        number = int(request.url.params["page"])
        links = {"next": "/api/task?page=2"} if number == 1 else {}
        return {"data": [{"id": number}], "links": links}

    async def main() -> None:
        server.quick.on("GET /api/task", page)
        async with logged_in(server) as client:
            tasks = client.task.iterate()
            assert [task["id"] async for task in tasks] == [1, 2]

    asyncio.run(main())


def test_twenty_tasks_are_waited_for_at_once(server: Slow) -> None:
    all_asked = asyncio.Event()

    def slow_status(task: int) -> Answer:
        async def status(request: httpx.Request) -> Any:
            if server.under_way == 20:
                all_asked.set()
            # If one waited for another, this would never be.
            await asyncio.wait_for(all_asked.wait(), 30)
            return {"status": "completed", "seen": "x", "runs": []}

        return status

    def result(request: httpx.Request) -> dict[str, Any]:
        task = int(request.url.params["task_id"])
        text = "eyJuIjogMX0="
        return {"data": [{"id": task, "result": text}], "links": {}}

    for task in range(20):
        server.slow[f"GET /api/task/{task}/status"] = slow_status(task)
    server.quick.on("GET /api/result", result)

    async def main() -> None:
        async with logged_in(server) as client:
            found = await asyncio.gather(*(client.wait_for_results(task) for task in range(20)))
        assert [one["data"][0]["id"] for one in found] == list(range(20))
        assert [json.loads(one["data"][0]["result"]) for one in found] == [{"n": 1}] * 20

    asyncio.run(main())
    assert server.most_at_once == 20


def test_a_cancelled_wait_cuts_its_request_off_and_asks_no_more(server: Slow) -> None:
    async def main() -> None:
        asked = asyncio.Event()

        async def hold(request: httpx.Request) -> Any:
            asked.set()
            await asyncio.sleep(3600)

        server.slow["GET /api/task/1/status"] = hold
        server.quick.on("GET /api/version", {"version": "4.15.2"})
        async with logged_in(server) as client:
            waiting = asyncio.create_task(client.wait_for_results(1))
            await asyncio.wait_for(asked.wait(), 30)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert server.cut_off == 1
            assert server.under_way == 0
            # The client goes on.
            assert await client.util.get_server_version() == {"version": "4.15.2"}
        assert server.lines == [*server.lines[:1], "GET /api/version"]

    asyncio.run(main())


def test_a_task_whose_creation_is_cancelled_before_it_is_sent_is_never_sent(server: Slow) -> None:
    async def main() -> None:
        asked = asyncio.Event()

        async def hold(request: httpx.Request) -> Any:
            asked.set()
            await asyncio.sleep(3600)

        server.slow["GET /api/blobstream/status"] = hold
        async with logged_in(server) as client:
            creating = asyncio.create_task(
                client.task.create([1], "n", "i", "", {"method": "m"}, collaboration=1)
            )
            await asyncio.wait_for(asked.wait(), 30)
            creating.cancel()
            with pytest.raises(asyncio.CancelledError):
                await creating
            await asyncio.sleep(0.05)
        assert server.lines == ["GET /api/blobstream/status"]

    asyncio.run(main())


def test_a_time_limit_of_asyncio_ends_a_wait(server: Slow) -> None:
    async def main() -> None:
        server.quick.on("GET /api/task/1/status", {"status": "active"})
        async with logged_in(server) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await client.wait_for_results(1)
            with pytest.raises(WaitTimeoutError, match="status: active"):
                await client.wait_for_results(1, interval=0.01, timeout=0.1)

    asyncio.run(main())


def test_a_pause_leaves_the_loop_to_others(server: Slow) -> None:
    """While a call waits to try again, another one is answered."""

    async def main() -> None:
        server.quick.on("GET /api/version", httpx.ConnectError("refused"))
        server.quick.on("GET /api/health", {"database": True})
        async with logged_in(server, patience=30) as client:
            first = asyncio.create_task(client.util.get_server_version())
            while not server.lines:
                await asyncio.sleep(0)
            assert await client.util.get_server_health() == {"database": True}
            assert not first.done()
            server.quick.on("GET /api/version", {"version": "4.15.2"})
            assert await first == {"version": "4.15.2"}

    asyncio.run(main())


def test_calls_at_the_same_time_renew_an_expired_token_once(server: Slow) -> None:
    new = login_answer(issued=2_000_000)

    def rule(request: httpx.Request) -> Any:
        if request.headers["Authorization"] == f"Bearer {new['access_token']}":
            return {"id": 1}
        return 401, {"msg": "Token has expired"}

    async def refresh(request: httpx.Request) -> Any:
        await asyncio.sleep(0.05)
        return new

    async def main() -> None:
        server.quick.on("GET /api/rule/1", rule)
        server.slow["POST /api/token/refresh"] = refresh
        async with logged_in(server) as client:
            found = await asyncio.gather(*(client.rule.get(1) for _ in range(10)))
        assert found == [{"id": 1}] * 10

    assert access_token() != new["access_token"]
    asyncio.run(main())
    assert server.lines.count("POST /api/token/refresh") == 1


def test_a_large_input_goes_up_in_chunks(server: Slow) -> None:
    data = bytes(range(256)) * 10_000
    received: list[bytes] = []

    async def keep(request: httpx.Request) -> Any:
        received.append(request.content)
        assert request.headers["Transfer-Encoding"] == "chunked"
        return {"uuid": "an identifier"}

    async def main() -> None:
        server.slow["POST /api/blobstream"] = keep
        async with logged_in(server) as client:
            assert await run(client._sync._upload_run_data_to_server, data) == "an identifier"

    asyncio.run(main())
    assert received == [data]


def test_one_client_serves_several_loops_one_after_the_other(server: Slow) -> None:
    client = AsyncClient(
        "http://server", 5000, log_level="error", transport=httpx.MockTransport(server)
    )
    for _ in range(2):
        asyncio.run(client.authenticate("ada", "secret"))
    assert client.token


def test_own_questions_may_be_coroutines(server: Slow) -> None:
    answers = iter([{"status": "active"}, {"status": "completed"}])

    async def ask(endpoint: str) -> Any:
        assert endpoint == "task/3/status"
        await asyncio.sleep(0)
        return next(answers)

    async def main() -> None:
        async with logged_in(server) as client:
            await client.wait_for_task_completion(ask, 3, interval=0.01, log_animation=False)

    asyncio.run(main())
    assert next(answers, None) is None


def test_errors_are_those_of_the_other_client(server: Slow) -> None:
    async def main() -> None:
        async with AsyncClient(
            "http://server", 5000, log_level="critical", transport=httpx.MockTransport(server)
        ) as stranger:
            with pytest.raises(NotAuthenticatedError):
                await stranger.organization.get()
            server.quick.on("POST /api/token/user", httpx.ConnectError("refused"))
            with pytest.raises(ServerUnreachableError):
                await stranger.authenticate("ada", "secret")
            with pytest.raises(AttributeError, match="nonsense"):
                _ = stranger.nonsense

    asyncio.run(main())


def test_what_belongs_to_a_loop_says_so_outside_of_it() -> None:
    with pytest.raises(RuntimeError, match="AsyncClient"):
        wait_for(asyncio.sleep(0))


def test_a_large_result_goes_to_a_file_piece_by_piece(server: Slow, tmp_path: Path) -> None:
    identifier = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
    text = json.dumps(list(range(100_000)))
    server.quick.on("GET /api/result/4", {"id": 4, "result": identifier, "blob_storage_used": True})
    server.quick.on(
        f"GET /api/blobstream/{identifier}",
        lambda request: httpx.Response(200, content=base64.b64encode(text.encode())),
    )

    async def main() -> None:
        async with logged_in(server) as client:
            path = await client.result.download(4, tmp_path / "result.json")
        assert path.read_text() == text

    asyncio.run(main())
