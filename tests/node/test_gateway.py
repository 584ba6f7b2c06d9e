"""What an algorithm can reach besides its server: what the owner lists, by exact host and port."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from postgresql import POSTGRESQL, table_of_patients
from vantage6.common.addresses import server_of
from vantage6.node.config import Whitelist
from vantage6.node.decisions import entries
from vantage6.node.exits import Exits
from vantage6.node.gateway import Gateway, Reach
from vantage6.node.main import make_runtime

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def website() -> AsyncIterator[int]:
    """A server that says which path it was asked for, and with which headers."""

    async def answer(request: web.Request) -> web.Response:
        headers = sorted(name.lower() for name in request.headers)
        body = await request.text()
        return web.json_response({"path": request.path_qs, "headers": headers, "body": body})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def through(proxy: int, method: str, url: str, **options: Any) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, url, proxy=f"http://127.0.0.1:{proxy}", **options) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def say(port: int, text: bytes) -> bytes:
    """Send bytes as they are, and read the answer's head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    try:
        async with asyncio.timeout(10):
            return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    finally:
        writer.close()


async def test_an_algorithm_reaches_what_is_listed_and_nothing_else(
    server: Any, start_agent: Any, helpers: Any, tmp_path: Path
) -> None:
    seen: dict[str, Any] = {}

    async with website() as port, website() as other:

        async def surf(spec: Any, proxy: int) -> int:
            seen["environment"] = dict(spec.environment)
            base = f"http://127.0.0.1:{port}"
            headers = {"Proxy-Authorization": "x"}
            seen["post"] = await through(
                proxy, "POST", f"{base}/a?b=c", data="abc", headers=headers
            )
            for name, address in {
                "port": f"http://127.0.0.1:{other}/",
                "host": f"http://localhost:{port}/",
            }.items():
                seen[name] = await through(proxy, "GET", address)
            for name, target in {
                "tunnel": f"127.0.0.1:{port}",
                "refused": f"127.0.0.1:{other}",
                "user": f"x@127.0.0.1:{port}",
                "nonsense": "nowhere",
            }.items():
                request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"
                seen[name] = await say(proxy, request.encode())
            seen["api"] = await say(proxy, b"GET /organization HTTP/1.1\r\nHost: x\r\n\r\n")
            return 42

        started = await start_agent(
            helpers.Runtime(surf), whitelist={"ips": ["127.0.0.1"], "ports": [port]}
        )
        await server.finished(run_id := await server.submit())
        assert server.runs[run_id]["status"] == "completed", server.runs[run_id]["log"]
        await started.stop()

    status, said = seen["post"]
    assert (status, said["path"], said["body"]) == (200, "/a?b=c", "abc")
    assert "proxy-authorization" not in said["headers"]
    assert seen["port"] == (
        403,
        {"msg": f"This node does not let algorithms reach 127.0.0.1:{other} (whitelist)"},
    )
    assert seen["host"][0] == 403
    assert seen["tunnel"].startswith(b"HTTP/1.1 200 ")
    assert seen["refused"].startswith(b"HTTP/1.1 403 ")
    assert seen["user"].startswith(b"HTTP/1.1 400 ")
    assert seen["nonsense"].startswith(b"HTTP/1.1 400 ")
    assert seen["api"].startswith(b"HTTP/1.1 401 ")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        assert seen["environment"][name] == "http://127.0.0.1:8080"
    assert seen["environment"]["NO_PROXY"] == "localhost, 127.0.0.1, proxyserver"
    ended = [e for e in entries(tmp_path / "state" / "decisions") if e["event"] == "ended"]
    assert ended[0]["request_bytes"] > len("POST /a?b=c abc")


async def test_without_a_list_there_is_no_way_out(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    seen: dict[str, Any] = {}

    async def surf(spec: Any, proxy: int) -> int:
        seen["environment"] = dict(spec.environment)
        seen["tunnel"] = await say(proxy, b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n\r\n")
        return 42

    await start_agent(helpers.Runtime(surf))
    await server.finished(await server.submit())
    assert b" 200 " not in seen["tunnel"]
    assert "HTTP_PROXY" not in seen["environment"]


@pytest.fixture
def site_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The site's name service: the node's machine finds whatever ends in ``.site.test`` here."""
    real = socket.getaddrinfo

    def find(host: Any, *args: Any, **options: Any) -> Any:
        here = isinstance(host, str) and host.endswith(".site.test")
        return real("127.0.0.1" if here else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", find)


@pytest.mark.usefixtures("site_names")
async def test_what_is_listed_is_reached_by_what_the_environment_says_and_no_other_way(
    dialler: Any,
) -> None:
    """From within a real sandbox and a real container."""
    async with website() as port, website() as other:
        await dialler.start(whitelist={"domains": ["packages.site.test"], "ports": [port]})
        targets = (
            f"packages.site.test:{port}",
            f"packages.site.test:{other}",
            f"other.site.test:{port}",
            f"sub.packages.site.test:{port}",
            f"127.0.0.1:{other}",
        )
        proxies = ("http://127.0.0.1:8080", "http://squid:3128")
        variables, pages, by_address, by_name, directly = await dialler.run(
            "several",
            ["variables"],
            ["fetch", *(f"http://{target}/a" for target in targets)],
            *(["tunnel", proxy, *targets] for proxy in proxies),
            ["connect", ("packages.site.test", port), ("127.0.0.1", port), ("squid", 80)],
        )
    assert variables.pop("NO_PROXY") == variables.pop("no_proxy")
    names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")
    assert variables == dict.fromkeys(names, proxies[0])
    assert json.loads(pages[0])["path"] == "/a"
    # By NO_PROXY the last is asked for directly, where nobody is.
    refused = "ConnectionRefusedError"
    assert pages[1:] == [403, 403, 403, refused]
    for answers in (by_address, by_name):
        assert [answer.split()[1] for answer in answers] == ["200", "403", "403", "403", "403"]
    assert directly == ["gaierror", refused, refused]


async def test_without_a_list_an_algorithm_finds_no_proxy(dialler: Any) -> None:
    await dialler.start()
    targets = [("squid", 3128), ("proxyserver", 8080)]
    variables, reached = await dialler.run("several", ["variables"], ["connect", *targets])
    assert variables == {}
    assert reached == ["gaierror", "ok"]


async def test_who_comes_to_a_door_is_led_on_only_while_the_run_may_go_there() -> None:
    """The door of a run that outlived a change of the configuration is there, and leads nowhere."""
    told: list[str] = []
    async with website() as port:
        target = ("127.0.0.1", port)
        for databases in ({target}, set()):
            gateway = Gateway(1, Reach(databases, on_door=told.append), Exits())
            loop = asyncio.get_running_loop()
            door = await loop.create_server(partial(gateway.at_door, target), "127.0.0.1", 0)
            place = door.sockets[0].getsockname()[1]
            async with gateway.open():
                if databases:
                    answer = await say(place, b"GET / HTTP/1.0\r\n\r\n")
                    assert answer.startswith(b"HTTP/1.0 200")
                else:
                    with pytest.raises(ConnectionResetError):
                        await say(place, b"GET / HTTP/1.0\r\n\r\n")
            door.close()
    assert told == ["", "this node no longer lets the run through"]


async def test_a_run_reaches_the_servers_of_its_own_databases_only(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    seen: dict[str, Any] = {}

    async with website() as mine, website() as others:

        async def surf(spec: Any, proxy: int) -> int:
            seen["environment"] = dict(spec.environment)
            for port in (mine, others):
                request = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n"
                seen[port] = await say(proxy, request.encode())
            return 42

        databases = [
            {"label": label, "uri": f"postgresql://u:p@127.0.0.1:{port}/x", "type": "sql"}
            for label, port in (("mine", mine), ("others", others))
        ]
        await start_agent(helpers.Runtime(surf), databases=databases)
        await server.finished(
            await server.submit(databases=[{"label": "mine", "parameters": "{}"}])
        )
        assert seen[mine].startswith(b"HTTP/1.1 200 ")
        assert seen[others].startswith(b"HTTP/1.1 403 ")
        assert seen["environment"]["DATABASE_GATEWAY"] == "http://127.0.0.1:8080"


@given(
    st.sampled_from(["a.org", "b.a.org", "xa.org", "a.org.evil", "10.0.0.7", "10.0.1.7", "::1"]),
    st.sampled_from([80, 443, 444]),
)
def test_only_exact_hosts_at_listed_ports_are_reached(host: str, port: int) -> None:
    listed = Whitelist(domains=["a.org"], ips=["10.0.0.0/24"], ports=[443])
    assert Reach(whitelist=listed).allows(host, port) is (
        port == 443 and host in ("a.org", "10.0.0.7")
    )
    assert not Reach().allows(host, port)
    assert not Reach()


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("postgresql://u:p@db.example.org/x", ("db.example.org", 5432)),
        ("mysql+pymysql://db:3307/x", ("db", 3307)),
        ("jdbc:postgresql://db:5433/x", ("db", 5433)),
        ("https://kg.example.org/sparql", ("kg.example.org", 443)),
        ("/data/x.sqlite", None),
        ("sqlite:////data/x.db", None),
        ("postgresql://db:many/x", None),
    ],
)
def test_the_server_of_a_database(uri: str, target: Any) -> None:
    assert server_of(uri) == target


@pytest.fixture
def patients(lacking: Callable[[str], NoReturn]) -> Iterator[str]:
    """The name of a table in PostgreSQL."""
    with table_of_patients(lacking) as name:
        yield name


async def test_a_sandboxed_algorithm_reads_from_a_database_server(
    server: Any, start_agent: Any, make_config: Any, patients: str
) -> None:
    databases = [{"label": "default", "uri": POSTGRESQL, "type": "sql"}]
    runtime = make_runtime(make_config(databases=databases))
    await start_agent(runtime, databases=databases)
    query = f"SELECT age FROM {patients}"  # noqa: S608
    task = json.dumps({"method": "partial_average", "args": [], "kwargs": {"column_name": "age"}})
    run_id = await server.submit(
        image="harbor2.vantage6.ai/demo/average",
        input=base64.b64encode(task.encode()).decode(),
        databases=[
            {
                "label": "default",
                "parameters": json.dumps({"query": query}),
            }
        ],
    )
    await server.finished(run_id, within=60)
    assert server.runs[run_id]["status"] == "completed", server.runs[run_id]["log"]
    assert server.result(run_id) == {"sum": float(sum(range(20, 40))), "count": 20}
