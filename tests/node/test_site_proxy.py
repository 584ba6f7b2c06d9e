"""A site whose only way out is its own proxy: for requests, socket, and algorithms.

The proxy is a process of its own; host names of these tests mean something to it alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from forward_proxy import ForwardProxy, forward_proxy
from vantage6.node.exits import Exits
from vantage6.node.main import set_up_network
from vantage6.node.tunnels import Tunnels

pytestmark = pytest.mark.anyio
PASSWORD = "s3cret:p@ss"
CREDENTIALS = "node:s3cret%3Ap%40ss@"


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """The environment as it was, and without any proxy."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[ForwardProxy]:
    with forward_proxy(tmp_path, f"node:{PASSWORD}") as running:
        yield running


async def start_website() -> web.AppRunner:
    async def answer(request: web.Request) -> web.Response:
        names = sorted(name.lower() for name in request.headers)
        return web.json_response({"path": request.path_qs, "headers": names})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


async def test_everything_of_a_node_goes_through_the_sites_proxy_with_its_credentials(
    server: Any,
    start_agent: Any,
    make_config: Any,
    helpers: Any,
    proxy: ForwardProxy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    website = await start_website()
    port = website.addresses[0][1]
    seen: dict[str, Any] = {}

    async def surf(_: Any, gateway: int) -> int:
        way = f"http://127.0.0.1:{gateway}"
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://site.invalid:{port}/a?b=c", proxy=way) as answer:
                seen["plain"] = answer.status, await answer.json()
            async with http.get(f"http://other.invalid:{port}/", proxy=way) as answer:
                seen["other"] = answer.status
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway)
        writer.write(f"CONNECT site.invalid:{port} HTTP/1.1\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"GET /in-a-tunnel HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        seen["tunnel"] = await reader.read()
        writer.close()
        return 42

    values = {
        "server_url": "http://v6.invalid",
        "outgoing_proxy": f"http://{CREDENTIALS}127.0.0.1:{proxy.port}",
        "whitelist": {"domains": ["site.invalid"], "ports": [port]},
    }
    set_up_network(make_config(**values))
    await start_agent(helpers.Runtime(surf), **values)
    await server.finished(run_id := await server.submit())
    assert server.runs[run_id]["status"] == "completed", server.runs[run_id]["log"]
    assert seen["plain"][0] == 200
    assert seen["plain"][1]["path"] == "/a?b=c"
    assert "proxy-authorization" not in seen["plain"][1]["headers"]
    assert seen["other"] == 403
    assert b"/in-a-tunnel" in seen["tunnel"]

    base = f"http://v6.invalid:{server.port}"
    asked = proxy.asked
    assert all(line.startswith("ok ") for line in asked), asked
    for expected in (
        f"ok POST {base}/api/token/node",
        f"ok PATCH {base}/api/run/{run_id}",
        f"ok GET http://site.invalid:{port}/a?b=c",
        f"ok CONNECT site.invalid:{port}",
    ):
        assert any(line.startswith(expected) for line in asked), (expected, asked)
    # The socket: asked for, and then a connection of its own.
    assert any(f"{base}/socket.io/" in line and "polling" in line for line in asked)
    assert any(
        "websocket" in line or line == f"ok CONNECT v6.invalid:{server.port}" for line in asked
    )
    for secret in (PASSWORD, "s3cret", CREDENTIALS):
        assert secret not in caplog.text
    await website.cleanup()


async def test_a_proxy_that_refuses_is_told_of_without_its_credentials(
    make_config: Any, proxy: ForwardProxy, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = f"http://node:wr0ng@127.0.0.1:{proxy.port}"
    set_up_network(make_config(outgoing_proxy=wrong))
    exits = Exits.of_this_machine(Tunnels())
    with pytest.raises(Exception, match="wants other credentials") as caught:
        await exits.connect(("site.invalid", 443), leaves=True, plain=False)
    assert "wr0ng" not in str(caught.value)
    os.environ["https_proxy"] = "http://127.0.0.1:1"
    with pytest.raises(Exception, match=r"proxy 127\.0\.0\.1:1 does not answer: Connection ref"):
        await Exits.of_this_machine(Tunnels()).connect(
            ("site.invalid", 443), leaves=True, plain=False
        )


async def test_what_is_at_the_site_is_reached_without_its_proxy(
    make_config: Any, proxy: ForwardProxy
) -> None:
    website = await start_website()
    port = website.addresses[0][1]
    set_up_network(make_config(outgoing_proxy=f"http://{CREDENTIALS}127.0.0.1:{proxy.port}"))
    target = ("127.0.0.1", port)
    for leaves, no_proxy in ((False, ""), (True, "127.0.0.1")):
        os.environ["no_proxy"] = no_proxy
        way = await Exits.of_this_machine(Tunnels()).connect(target, leaves=leaves, plain=False)
        way.writer.close()
    assert proxy.asked == []
    await website.cleanup()


async def test_certificates_of_the_site_are_trusted_besides_the_machines(
    make_config: Any, site_certificate: Path
) -> None:
    from vantage6.node.http import Http, tls

    machines = len(tls().get_ca_certs())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(site_certificate)
    website = await start_website()
    site = web.TCPSite(website, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = website.addresses[1][1]
    set_up_network(make_config(ca_file=str(site_certificate)))
    assert len(tls().get_ca_certs()) == machines + 1
    http = Http(f"https://localhost:{port}")
    assert (await http.request("GET", "/x")).status == 200
    await http.close()
    await website.cleanup()
