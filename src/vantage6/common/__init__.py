"""What at least two rooms need: versions, identities, encodings, messages."""

from __future__ import annotations

import base64
import ipaddress
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple
from urllib.parse import unquote, urlsplit

from vantage6.common._version import __version__
from vantage6.common.messages import ClickLogger, debug, echo, error, info, warning

__all__ = [
    "ClickLogger",
    "Singleton",
    "WhoAmI",
    "__version__",
    "base64s_to_bytes",
    "bytes_to_base64s",
    "debug",
    "echo",
    "error",
    "generate_apikey",
    "get_database_config",
    "info",
    "is_ip_address",
    "logger_name",
    "split_rabbitmq_uri",
    "warning",
]

_LONGEST_LOGGER_NAME = 14


class WhoAmI(NamedTuple):
    """The identity a client works under."""

    type_: str
    id_: int
    name: str
    organization_name: str
    organization_id: int

    def __repr__(self) -> str:
        return (
            f"<WhoAmI name={self.name}, type={self.type_}, "
            f"organization={self.organization_name}, (id={self.organization_id})>"
        )


class Singleton(type):
    """Metaclass of classes with one instance each."""

    _instances: ClassVar[dict[type, Any]] = {}

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the instance, made at the first call."""
        if cls not in Singleton._instances:
            Singleton._instances[cls] = super().__call__(*args, **kwargs)
        return Singleton._instances[cls]


def bytes_to_base64s(bytes_: bytes) -> str:
    """Encode bytes as standard base64 text with padding."""
    return base64.b64encode(bytes_).decode("ascii")


def base64s_to_bytes(bytes_string: str) -> bytes:
    """Decode standard base64 text.

    Raises
    ------
    binascii.Error
        If the text is not base64.
    """
    return base64.b64decode(bytes_string.encode("utf-8"))


def logger_name(special__name__: str) -> str:
    """Last part of a module's name, cut to fit a column of a log."""
    name = special__name__.rpartition(".")[2]
    return name if len(name) <= _LONGEST_LOGGER_NAME else f"{name[:11]}.."


def generate_apikey() -> str:
    """Make a new API key."""
    return str(uuid.uuid4())


def is_ip_address(ip: str) -> bool:
    """Whether a text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(ip)
    except ValueError:
        return False
    return True


def get_database_config(
    databases: Iterable[Mapping[str, Any]], label: str
) -> Mapping[str, Any] | None:
    """Find the entry of a node's ``databases`` that has a label; None if there is none."""
    return next((entry for entry in databases if entry.get("label") == label), None)


def split_rabbitmq_uri(uri: str) -> dict[str, str | int | None]:
    """Take ``amqp://user:password@host:port/vhost`` apart.

    Returns
    -------
    dict
        ``user``, ``password``, ``host``, ``port`` and ``vhost``.

    Raises
    ------
    ValueError
        If it is not such a URI.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
        raise ValueError("Not a RabbitMQ URI: expected amqp://user:password@host:port/vhost")
    return {
        "user": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "host": parts.hostname,
        "port": parts.port or 5672,
        "vhost": unquote(parts.path.removeprefix("/")),
    }
