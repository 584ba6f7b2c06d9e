"""The small helpers of `vantage6.common` that users of the client meet."""

from __future__ import annotations

import io
import sys
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantage6.common import (
    ClickLogger,
    Singleton,
    WhoAmI,
    base64s_to_bytes,
    bytes_to_base64s,
    debug,
    echo,
    error,
    generate_apikey,
    get_database_config,
    info,
    is_ip_address,
    logger_name,
    split_rabbitmq_uri,
    warning,
)


@given(st.binary())
def test_base64_text_gives_its_bytes_back(data: bytes) -> None:
    assert base64s_to_bytes(bytes_to_base64s(data)) == data


@given(st.text(max_size=40))
def test_a_logger_name_fits_its_column(name: str) -> None:
    short = logger_name(name)
    assert len(short) <= 14
    last = name.rpartition(".")[2]
    assert short == last if len(last) <= 14 else short == last[:11] + ".."


@pytest.mark.parametrize(
    ("say", "tag"),
    [
        (info, "info "),
        (warning, "warn "),
        (error, "error"),
        (debug, "debug"),
        (echo, "info "),
        (ClickLogger.info, "info "),
        (ClickLogger.warn, "warn "),
        (ClickLogger.error, "error"),
        (ClickLogger.debug, "debug"),
    ],
)
def test_a_message_shows_its_level(
    say: object, tag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(say)
    say("hello")
    assert capsys.readouterr().out == f"[{tag}] - hello\n"


def test_only_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    echo("careful", "warning")
    assert terminal.getvalue() == "[\x1b[33mwarn \x1b[0m] - careful\n"


def test_a_singleton_has_one_instance_per_class() -> None:
    class One(metaclass=Singleton):
        pass

    class Other(metaclass=Singleton):
        pass

    assert One() is One()
    assert One() is not Other()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10.0.0.1", True), ("::1", True), ("10.0.0", False), ("example.org", False), ("", False)],
)
def test_an_ip_address_is_told_from_a_name(text: str, expected: bool) -> None:
    assert is_ip_address(text) is expected


def test_the_rest() -> None:
    assert uuid.UUID(generate_apikey()).version == 4
    databases = [{"label": "default", "uri": "a"}, {"label": "other", "uri": "b"}]
    assert get_database_config(databases, "other") == {"label": "other", "uri": "b"}
    assert get_database_config(databases, "none") is None
    who = WhoAmI("user", 7, "Ada", "Utrecht", 3)
    assert repr(who) == "<WhoAmI name=Ada, type=user, organization=Utrecht, (id=3)>"


def test_a_rabbitmq_uri_is_taken_apart() -> None:
    assert split_rabbitmq_uri("amqp://user:p%40ss@host:1234/v%2Fhost") == {
        "user": "user",
        "password": "p@ss",
        "host": "host",
        "port": 1234,
        "vhost": "v/host",
    }
    assert split_rabbitmq_uri("amqp://host")["port"] == 5672
    with pytest.raises(ValueError, match="Not a RabbitMQ URI"):
        split_rabbitmq_uri("http://user:secret@host")
