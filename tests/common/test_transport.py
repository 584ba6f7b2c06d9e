from __future__ import annotations

import json
import logging
from http.server import BaseHTTPRequestHandler
from itertools import islice
from pathlib import Path

import httpx2 as httpx
import pytest

from vantage6.common import __version__
from vantage6.common.transport import _CA_VARIABLES, NoAnswer, backoff, connect, ssl_context
from web import make_certificate, web_service


def test_pauses_grow_to_their_ceiling_and_spread() -> None:
    pauses = list(islice(backoff(first=1, ceiling=10, factor=2), 50))
    assert 0.75 <= pauses[0] <= 1.25
    assert 1.5 <= pauses[1] <= 2.5
    assert all(7.5 <= pause <= 12.5 for pause in pauses[5:])
    assert len(set(pauses)) > 40


def test_a_pool_says_who_it_is_and_takes_a_transport() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={})

    with connect("http://server/api/", transport=httpx.MockTransport(answer)) as pool:
        pool.get("version")
    assert str(asked[0].url) == "http://server/api/version"
    assert asked[0].headers["User-Agent"] == f"vantage6/{__version__}"


def test_the_http_libraries_never_log_headers_which_hold_tokens() -> None:
    for name in ("httpx2", "httpcore2", "httpcore2.http11", "httpcore2.connection"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)


class Hello(BaseHTTPRequestHandler):
    """Says which address it was asked for."""

    def do_GET(self) -> None:
        body = json.dumps({"asked": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep standard error for what matters."""


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", *_CA_VARIABLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


def test_an_own_authority_is_trusted_when_it_is_named(
    tmp_path: Path, plain_environment: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    with web_service(Hello, certificate) as port:
        url = f"https://127.0.0.1:{port}"
        with connect(url) as pool, pytest.raises(NoAnswer, match=r"(?i)certificate"):
            pool.get("/x")
        with connect(url, ca_file=certificate) as pool:
            assert pool.get("/x").json() == {"asked": "/x"}
        for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            with plain_environment.context() as patch:
                patch.setenv(variable, str(certificate))
                with connect(url) as pool:
                    assert pool.get("/x").status_code == 200


@pytest.mark.parametrize("content", [None, "this is no certificate"])
def test_a_file_without_certificates_is_told_as_such(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=r"No certificates can be read from .*ca\.pem"):
        connect(ca_file=path)


def test_requests_go_through_the_proxy_that_is_named(
    plain_environment: pytest.MonkeyPatch,
) -> None:
    with web_service(Hello) as port:
        proxy = f"http://127.0.0.1:{port}"
        with connect("http://server.invalid", proxy=proxy) as pool:
            assert pool.get("/x").json() == {"asked": "http://server.invalid/x"}
        plain_environment.setenv("HTTP_PROXY", proxy)
        with connect("http://server.invalid") as pool:
            assert pool.get("/y").json() == {"asked": "http://server.invalid/y"}


def test_pools_share_one_context_as_long_as_the_environment_stays(
    tmp_path: Path, plain_environment: pytest.MonkeyPatch
) -> None:
    assert ssl_context() is ssl_context()
    first = ssl_context()
    plain_environment.setenv("SSL_CERT_FILE", str(make_certificate(tmp_path)))
    assert ssl_context() is not first
