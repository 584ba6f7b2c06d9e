"""The server's configuration: file, environment, and what is said of mistakes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from vantage6.common.configuration import ConfigurationError
from vantage6.server.config import ServerConfig

MINIMAL = """\
description: ours
ip: 127.0.0.1
port: 7601
api_path: /api
uri: sqlite:///one.sqlite
allow_drop_all: false
logging:
  level: INFO
"""


def load(folder: Path, text: str = MINIMAL) -> ServerConfig:
    path = folder / "hospital.yaml"
    path.write_text(text)
    return ServerConfig.load(path)


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(tmp_path).name == "hospital"
    for name, value in {
        "VANTAGE6_CONFIG_NAME": "clinic",
        "VANTAGE6_DB_URI": "sqlite:////two.sqlite",
        "V6_SERVER__PORT": "7602",
        "V6_SERVER__LOGGING__LEVEL": "DEBUG",
        "V6_SERVER__PASSWORD_POLICY__MAX_FAILED_ATTEMPTS": "3",
        "V6_SERVER__PROMETHEUS__ENABLED": "yes",
        "V6_SERVER__CORS_ALLOWED_ORIGINS": "[https://a.example, https://b.example]",
        "V6_SERVER__JWT_SECRET_KEY": "0123456789abcdef" * 3,
    }.items():
        monkeypatch.setenv(name, value)
    config = load(tmp_path)
    assert (config.name, config.port, config.uri) == ("clinic", 7602, "sqlite:////two.sqlite")
    assert config.logging.level == "DEBUG"
    assert config.password_policy.max_failed_attempts == 3
    assert config.prometheus.enabled is True
    assert config.cors_allowed_origins == ["https://a.example", "https://b.example"]
    assert config.jwt_secret_key == "0123456789abcdef" * 3


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("port: many", "port (line 9): Input should be a valid integer"),
        ("password_policy: {max_failed_attempts: 0}", "greater than or equal to 1"),
        ("redis: {uri: http://x}", "redis.uri (line 9): must begin with redis://"),
        ("rabbitmq: {uri: redis://x}", "must begin with amqp:// or amqps://"),
        ("max_body_mb: -1", "max_body_mb (line 9)"),
        (
            "cors_allowed_origins: ['https://a.example', 'https://[a-z.example']",
            "cors_allowed_origins.1 (line 9): neither an origin nor a regular expression",
        ),
        ("cors_allowed_origins: 'https://(.example'", "cors_allowed_origins.0 (line 9): neither"),
        ("cors_allowed_origins: ['(?i)https://a[0-9]']", "(line 9): neither an origin"),
        ("rate_limit: {burst: 3}", "rate_limit.requests_per_second (line 9): is required"),
        ("jwt_secret_key: short", "fewer than 32"),
        ("redis: {uri: redis://x}\nrabbitmq: {uri: amqp://x}", "two ways to do one thing"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_is_allowed(
    tmp_path: Path, line: str, told: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path, f"{MINIMAL}{line}\n")
    assert told in str(error.value)
    assert "short" not in str(error.value).replace(str(tmp_path), "")


@pytest.mark.parametrize("origin", ["*", "https://a.example", r"https://[a-z]+\.example\.org"])
def test_origins_may_be_all_one_or_an_expression(tmp_path: Path, origin: str) -> None:
    assert load(tmp_path, f"{MINIMAL}cors_allowed_origins: '{origin}'\n").cors_allowed_origins == [
        origin
    ]


def test_a_mistake_in_the_environment_is_told_with_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("V6_SERVER__LOGGING__LEVEL", "LOUD")
    with pytest.raises(ConfigurationError, match=r"variable V6_SERVER__LOGGING__LEVEL.*'DEBUG'"):
        load(tmp_path)


def test_unknown_keys_are_told_with_a_hint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("V6_SERVER__PROMETHEUS__ENABELD", "true")
    more = "cors_alowed_origins: []\nsmtp: {server: x}\nprometheus: {start_with_server: true}\n"
    text = MINIMAL.replace("  level", "  bakcup_count: 3\n  level") + more
    with caplog.at_level(logging.WARNING):
        load(tmp_path, text).warn()
    told = "\n".join(record.message for record in caplog.records)
    assert "'cors_alowed_origins' (line 10)" in told
    assert "did you mean 'cors_allowed_origins'?" in told
    assert "'logging.bakcup_count' (line 8)" in told
    assert "did you mean 'backup_count'?" in told
    assert "'prometheus.enabeld' (variable V6_SERVER__PROMETHEUS__ENABELD)" in told
    assert "smtp" not in told
    assert "start_with_server" not in told


@pytest.mark.parametrize("content", ["- a list\n", "a: [b\n", ""])
def test_a_file_without_keys_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigurationError, match=r"hospital\.yaml"):
        load(tmp_path, content)


def test_passwords_in_addresses_are_secrets(tmp_path: Path) -> None:
    more = "redis: {uri: 'redis://:hush@localhost'}\n"
    uri = "postgresql://u:quiet@localhost/x"
    config = load(tmp_path, MINIMAL.replace("sqlite:///one.sqlite", uri) + more)
    found: Any = config.secrets
    assert set(found) == {"hush", "quiet"}
