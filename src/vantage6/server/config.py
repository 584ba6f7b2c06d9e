"""The server's configuration file."""

from __future__ import annotations

import logging
import os
import re
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from vantage6.common.configuration import ConfigurationError, Document
from vantage6.server.payloads.folder import FolderStore
from vantage6.server.payloads.settings import LargeResultStore
from vantage6.server.payloads.store import PayloadStore
from vantage6.web.parameters import as_bool

log = logging.getLogger(__name__)

Bool = Annotated[bool, BeforeValidator(as_bool)]


# Keys of the contract that the reference's starter, or another part of it, reads.
_OTHERS_KEYS = frozenset(
    {
        "algorithm_stores",
        "debug",
        "dev",
        "images",
        "large_result_store",
        "prometheus.start_with_server",
        "rabbitmq.start_with_server",
        "runs_data_cleanup_days",
        "runs_data_cleanup_include_input",
        "smtp",
        "ui",
        "vpn_server",
    }
)
_ENVIRONMENT = "V6_SERVER__"


class _Section(BaseModel):
    # Keys of later versions, or of the reference's starter, are ignored, with a warning.
    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class Logger(_Section):
    """Level of one named logger."""

    name: str
    level: str


class Logging(_Section):
    """Where the log goes, and how much."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    file: str | None = None
    use_console: Bool = True
    backup_count: Annotated[int, Field(gt=0)] = 5
    max_size: Annotated[int, Field(gt=16)] = 1024
    format: str = "%(asctime)s - %(name)-14s - %(levelname)-8s - %(message)s"
    datefmt: str = "%Y-%m-%d %H:%M:%S"
    loggers: list[Logger] = []
    #: One JSON object per line in place of `format`.
    as_json: Annotated[Bool, Field(alias="json")] = False


class PasswordPolicy(_Section):
    """Lock-out after failed logins."""

    max_failed_attempts: Annotated[int, Field(ge=1)] = 5
    inactivation_minutes: Annotated[float, Field(gt=0)] = 15
    between_user_emails_minutes: Annotated[float, Field(ge=0)] = 60


class RateLimits(_Section):
    """How many attempts at credentials may fail before an address or account has to wait."""

    window_minutes: Annotated[float, Field(gt=0)] = 10
    failures_per_address: Annotated[int, Field(ge=1)] = 300
    failures_per_account: Annotated[int, Field(ge=1)] = 30
    wrong_codes_per_account: Annotated[int, Field(ge=1)] = 10
    recoveries_per_account: Annotated[int, Field(ge=1)] = 10


class Smtp(_Section):
    """The mail server. The two upper-case keys are the contract's."""

    server: str = "localhost"
    port: Annotated[int, Field(ge=1, le=65535)] = 1025
    username: str = "support@vantage6.ai"
    # No password: no login.
    password: Annotated[str, Field(repr=False)] = ""
    use_tls: Annotated[Bool, Field(alias="MAIL_USE_TLS")] = True
    use_ssl: Annotated[Bool, Field(alias="MAIL_USE_SSL")] = False
    # Certificates to trust beside those of the system, PEM.
    ca_file: Path | None = None
    email_from: str = "noreply@vantage6.ai"
    email_token_validity_minutes: Annotated[float, Field(gt=0)] | None = None


class Development(_Section):
    """For servers that run on a developer's machine."""

    host_uri: str | None = None


class Directories(_Section):
    """Folders, when not the default ones."""

    log: Path | None = None
    data: Path | None = None


_SHORTEST_SECRET = 32
_FEWEST_CHARACTERS = 8
_ADVICE = (
    "Leave the key out, then the server makes one and keeps it in its database; or make one with: "
    "python -c 'import secrets; print(secrets.token_hex(32))'"
)


def _strong(secret: str | None) -> str | None:
    """A secret for signing that nobody can guess, as far as one can tell by looking at it."""
    if not secret:
        return None
    if len(secret) < _SHORTEST_SECRET:
        raise ValueError(f"it has fewer than {_SHORTEST_SECRET} characters. {_ADVICE}")
    if len(set(secret)) < _FEWEST_CHARACTERS:
        raise ValueError(f"it has too few different characters. {_ADVICE}")
    try:
        version = uuid.UUID(secret).version
    except ValueError:
        return secret
    if version in _GUESSABLE_UUIDS:
        raise ValueError(
            f"it is a UUID of version {version}, which is made of a date and a machine's address "
            f"and can be guessed: whoever does can log in as anybody. {_ADVICE}"
        )
    return secret


# Made of time and network address, the reference's generator among them.
_GUESSABLE_UUIDS = {1, 2, 6}


def _of_scheme(*schemes: str) -> Any:
    def check(uri: str) -> str:
        if urlsplit(uri).scheme not in schemes:
            raise ValueError(f"must begin with {' or '.join(scheme + '://' for scheme in schemes)}")
        return uri

    return AfterValidator(check)


class Redis(_Section):
    """The bus between server processes, when it is Redis."""

    uri: Annotated[str, _of_scheme("redis", "rediss", "unix")]


class RabbitMQ(_Section):
    """The bus between server processes, when it is RabbitMQ."""

    uri: Annotated[str, _of_scheme("amqp", "amqps")] | None = None


class Prometheus(_Section):
    """The exporter of metrics."""

    enabled: Bool = False
    exporter_port: Annotated[int, Field(ge=0, le=65535)] | None = None


class RateLimit(_Section):
    """How many requests one address may send."""

    requests_per_second: Annotated[float, Field(gt=0)]
    burst: Annotated[int, Field(ge=1)] = 100


class OpenTelemetry(_Section):
    """Where traces go, by OTLP over HTTP."""

    endpoint: Annotated[str, _of_scheme("http", "https")]


def _origin(text: str) -> str:
    if text != "*":
        try:
            re.compile(f"(?:{text})")
        except re.error as error:
            raise ValueError(
                f"neither an origin nor a regular expression of origins: {error}"
            ) from None
    return text


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _none_if_empty(value: Any) -> Any:
    return value or None


class ServerConfig(_Section):
    """All keys that this server reads."""

    description: str = ""
    ip: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 7601
    api_path: str = "/api"
    uri: str = "sqlite:///default.sqlite"
    allow_drop_all: Bool = False
    logging: Logging = Logging()
    directories: Directories = Directories()
    server_name: str = "cotopaxi"
    server_url: str | None = None
    jwt_secret_key: Annotated[str | None, AfterValidator(_strong), Field(repr=False)] = None
    token_expires_hours: Any = 6
    refresh_token_expires_hours: Any = 48
    two_factor_auth: Bool = False
    password_policy: PasswordPolicy = PasswordPolicy()
    rate_limits: RateLimits = RateLimits()
    # Without this section no mail is sent at all.
    smtp: Smtp | None = None
    # The documentation of the contract has it here, its table in the section above.
    email_token_validity_minutes: Annotated[float, Field(gt=0)] = 60
    vpn_server: Any = None
    dev: Development = Development()
    support_email: str = "support@vantage6.ai"
    cors_allowed_origins: Annotated[
        list[Annotated[str, AfterValidator(_origin)]], BeforeValidator(_as_list)
    ] = []
    large_result_store: Annotated[LargeResultStore | None, BeforeValidator(_none_if_empty)] = None
    #: Bytes of an encoded input or result that the database takes; larger ones go to the store.
    inline_payload_limit: Annotated[int, Field(ge=1024)] = 1024**2
    runs_data_cleanup_days: Annotated[int, Field(ge=1)] | None = None
    runs_data_cleanup_include_input: Bool = False
    redis: Redis | None = None
    rabbitmq: RabbitMQ = RabbitMQ()
    prometheus: Prometheus = Prometheus()
    prometheus_port: Annotated[int, Field(ge=0, le=65535)] = 7603
    opentelemetry: OpenTelemetry | None = None
    #: Addresses or networks whose X-Forwarded headers are believed.
    trusted_proxies: Annotated[list[str], BeforeValidator(_as_list)] = []
    #: Largest body of a request, MiB; what is streamed to a payload store does not count.
    max_body_mb: Annotated[float, Field(gt=0)] = 256
    rate_limit: RateLimit | None = None

    _name: str = PrivateAttr(default="server")
    _unknown: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _one_bus(self) -> ServerConfig:
        if self.redis is not None and self.rabbitmq.uri is not None:
            raise ValueError("redis and rabbitmq are two ways to do one thing: leave one out")
        return self

    @property
    def name(self) -> str:
        """The name of this instance: that of its file, or VANTAGE6_CONFIG_NAME."""
        return self._name

    @property
    def metrics_port(self) -> int:
        """The port of the exporter of metrics."""
        port = self.prometheus.exporter_port
        return self.prometheus_port if port is None else port

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be in a log."""
        addresses = (self.uri, self.redis.uri if self.redis else "", self.rabbitmq.uri or "")
        passwords = [_password(address) for address in addresses]
        passwords.append(self.smtp.password if self.smtp else None)
        return tuple(secret for secret in (self.jwt_secret_key, *passwords) if secret)

    @property
    def reset_token_validity(self) -> timedelta:
        """How long a token that was mailed can be used."""
        minutes = self.smtp.email_token_validity_minutes if self.smtp else None
        return timedelta(minutes=minutes or self.email_token_validity_minutes)

    @property
    def database_uri(self) -> str:
        """The SQLAlchemy URL: a relative SQLite path lies below the data folder."""
        uri = self.uri
        for scheme in ("postgresql://", "postgres://", "postgresql+psycopg2://"):
            if uri.startswith(scheme):
                return "postgresql+psycopg://" + uri.removeprefix(scheme)
        prefix = "sqlite:///"
        if uri.startswith(prefix) and not uri.startswith(prefix + "/") and self.directories.data:
            return f"{prefix}{self.directories.data / uri.removeprefix(prefix)}"
        return uri

    def open_payload_store(self) -> PayloadStore:
        """The store of large payloads; a folder beside the other data unless one is named.

        Raises
        ------
        ConfigurationError
            If a package is missing for it.
        """
        if self.large_result_store is None:
            return FolderStore(self.data_folder / "payloads")
        try:
            return self.large_result_store.open()
        except ImportError as error:
            raise ConfigurationError(
                f"large_result_store of type '{self.large_result_store.type}' needs a package "
                f"that is not installed ({error.name}): pip install 'vantage6[cloud]'"
            ) from None

    @property
    def data_folder(self) -> Path:
        """Where files beside the database lie: by default in the folder of an SQLite file."""
        if self.directories.data:
            return self.directories.data
        uri = self.database_uri
        prefix = "sqlite:///"
        return Path(uri.removeprefix(prefix)).parent if uri.startswith(prefix) else Path()

    @classmethod
    def load(cls, path: Path) -> ServerConfig:
        """Read a YAML file; variables ``V6_SERVER__SECTION__KEY`` win over it.

        Raises
        ------
        ConfigurationError
            If the file is missing, is not a YAML mapping, or a value is out of range.
        """
        document = Document(path)
        if uri := os.environ.get("VANTAGE6_DB_URI"):
            document.overlay(("uri",), uri, "variable VANTAGE6_DB_URI")
        document.overlay_environment(_ENVIRONMENT, os.environ)
        try:
            config = cls.model_validate(document.content)
        except ValidationError as error:
            raise document.explain(error) from None
        config._name = os.environ.get("VANTAGE6_CONFIG_NAME") or path.stem
        config._unknown = tuple(document.unknown_keys(cls, known_elsewhere=_OTHERS_KEYS))
        return config

    def warn(self) -> None:
        """Say which keys nothing reads; once the log is set up."""
        for sentence in self._unknown:
            log.warning("Configuration: %s", sentence)


def _password(address: str) -> str | None:
    try:
        return urlsplit(address).password
    except ValueError:
        return None
