from __future__ import annotations

import importlib
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vantage6.client
from vantage6.client import Client, UserClient
from vantage6.common.client.client_base import ClientBase

CONTRACT = [
    ("vantage6.client", "Client UserClient __version__"),
    (
        "vantage6.client.filter",
        "post_filtering filter_dicts_from_results filter_keys_from_result filter_keys_from_results"
        " filter_dicts_on_values filter_dicts_by_values filter_dicts_keys filter_dict_keys",
    ),
    ("vantage6.client.utils", "LogLevel"),
    ("vantage6.client.exceptions", "DeserializationException"),
    ("vantage6.client.encryption", "RSACryptor"),
    ("vantage6.client.subclients.study", "StudySubClient"),
    ("vantage6.client.subclients.store.algorithm_store", "AlgorithmStoreSubClient"),
    ("vantage6.client.subclients.store.algorithm", "AlgorithmSubClient"),
    ("vantage6.client.subclients.store.role", "StoreRoleSubClient"),
    ("vantage6.client.subclients.store.rule", "StoreRuleSubClient"),
    ("vantage6.client.subclients.store.user", "StoreUserSubClient"),
    ("vantage6.client.subclients.store.review", "ReviewSubClient"),
    ("vantage6.client.subclients.store.policy", "PolicySubClient"),
    ("vantage6.common.client.client_base", "ClientBase"),
    (
        "vantage6.common.encryption",
        "CryptorBase DummyCryptor RSACryptor SEPARATOR SHARED_ENCRYPT_KEY_LENGTH IV_LENGTH",
    ),
    ("vantage6.common.exceptions", "AuthenticationException"),
    ("vantage6.common.serialization", "serialize"),
    ("vantage6.common.client.deserialization", "deserialize"),
    (
        "vantage6.common",
        "info warning error debug echo ClickLogger bytes_to_base64s base64s_to_bytes WhoAmI"
        " Singleton logger_name generate_apikey get_database_config is_ip_address"
        " split_rabbitmq_uri",
    ),
]


@pytest.mark.parametrize(("module", "names"), CONTRACT, ids=[module for module, _ in CONTRACT])
def test_what_the_contract_names_can_be_imported(module: str, names: str) -> None:
    for name in names.split():
        assert hasattr(importlib.import_module(module), name)


def test_the_groups_of_calls_are_classes_of_the_client() -> None:
    assert Client is UserClient
    groups = "Util Collaboration Organization User Run Result Task Role Node Rule"
    for name in groups.split():
        assert issubclass(getattr(UserClient, name), ClientBase.SubClient)
    assert UserClient.Task._parse_arg_databases("default") == [{"label": "default"}]
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", vantage6.client.__version__)


@pytest.mark.parametrize(
    ("host", "port", "path", "url"),
    [
        ("https://s.example", 443, "/api", "https://s.example:443/api"),
        ("https://s.example", None, "/api", "https://s.example/api"),
        ("https://s.example", 0, "", "https://s.example"),
        ("http://s.example/", 80, "/api/", "http://s.example:80/api"),
    ],
)
def test_the_address_is_host_port_and_path(
    host: str, port: int | None, path: str, url: str
) -> None:
    with Client(host, port, path, log_level="critical") as client:
        assert client.base_path == url
        assert (client.host, client.port, client.path) == (host, port, path)
        assert client.generate_path_to("/kill/task") == f"{url}/kill/task"


def test_making_a_client_asks_nothing(stranger: UserClient, server: Any) -> None:
    assert server.lines == []
    assert stranger.token is None
    assert stranger.headers == {}
    assert stranger.whoami is None
    assert stranger.store.role.parent is stranger


def test_the_banner_is_shown_at_info_exactly_as_ever(
    make_client: Callable[..., UserClient], capsys: pytest.CaptureFixture[str]
) -> None:
    make_client()
    banner = capsys.readouterr().out
    lesson = (Path(__file__).parent / "banner.txt").read_text()
    assert banner == lesson


def test_the_banner_is_silent_above_info(
    make_client: Callable[..., UserClient], capsys: pytest.CaptureFixture[str]
) -> None:
    make_client(log_level="ERROR")
    assert capsys.readouterr().out == ""


def test_an_unknown_log_level_is_told_and_means_debug(
    make_client: Callable[..., UserClient], capsys: pytest.CaptureFixture[str]
) -> None:
    client = make_client(log_level="warning")
    assert capsys.readouterr().out.startswith(
        "You set unknown log level warning. Available levels are: DEBUG, INFO, WARN, ERROR, "
        "CRITICAL. \nLog level now set to DEBUG.\n"
    )
    assert client.log.level == logging.DEBUG


def test_each_line_appears_once_however_many_clients_there_are_and_others_logging_stays(
    make_client: Callable[..., UserClient], capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    make_client()
    client = make_client()
    capsys.readouterr()
    client.log.info("once")
    assert capsys.readouterr().out == "once\n"
    assert (list(root.handlers), root.level) == before


def test_debug_shows_requests_but_no_secrets(
    make_client: Callable[..., UserClient],
    server: Any,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    client = make_client(log_level="debug")
    client.authenticate("ada", "a-secret-password", "654321")
    server.on("PATCH /api/password/change", {"msg": "done"})
    client.util.change_my_password("a-secret-password", "another-secret")
    shown = capsys.readouterr().out
    assert "Authenticating user ada..." in shown
    assert "Making request: GET | http://server:5000/api/user/7 | None" in shown
    for secret in ("a-secret-password", "another-secret", "654321", client.token or "", "renew-me"):
        assert secret not in shown


def test_importing_the_client_loads_no_other_room_and_nothing_heavy() -> None:
    code = (
        "import sys, vantage6.client; print(*[m for m in sys.modules "
        "if m.split('.')[0] in ('rich','qrcode','pandas','fastapi','sqlalchemy','socketio') or "
        "m.startswith('vantage6.') and m.split('.')[1] not in ('client','common')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
