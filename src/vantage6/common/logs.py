"""How a service writes its log: as text or as JSON, with the request's id, without secrets."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from vantage6.common.tracing import request_id

_TOKEN = re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*")
# user:password@ in the address of a database or broker.
_CREDENTIALS = re.compile(r"(?<=://)([^\s/:@]*):[^\s/@]+@")
# What a terminal would obey rather than show, and what no file takes. Algorithms and researchers
# have a say in what is logged.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
# What a record has anyway; anything else was given as `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request_id"}


class SecretiveFormatter(logging.Formatter):
    """Formats as configured, then takes out tokens and the service's own secrets.

    While a request is being worked on, its id ends the line. A record's further lines are
    indented, so that none can pass for another record; control characters are escaped.

    Parameters
    ----------
    pattern, datefmt : str
        As for :class:`logging.Formatter`.
    secrets : tuple of str
        Text that is replaced wherever it turns up.
    """

    def __init__(self, pattern: str, datefmt: str, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(pattern, datefmt)
        self._secrets = tuple(secret for secret in secrets if secret)

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, traceback included."""
        text = _UNSAFE.sub(_escaped, self.clean(super().format(record)))
        return text.replace("\n", "\n    ")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The line itself, before any traceback."""
        line = super().formatMessage(record)
        id_ = request_id.get()
        return f"{line} [{id_}]" if id_ else line

    def clean(self, text: str) -> str:
        """Text without secrets."""
        text = _TOKEN.sub("<token>", text)
        text = _CREDENTIALS.sub(r"\1:<secret>@", text)
        for secret in self._secrets:
            text = text.replace(secret, "<secret>")
        return text


class JSONFormatter(SecretiveFormatter):
    """One JSON object per line: ``time``, ``level``, ``logger``, ``message`` and what is known.

    Parameters
    ----------
    secrets : tuple of str
        Text that is replaced wherever it turns up.
    constant : dict
        Keys that every line has, such as the name of the service.
    """

    def __init__(
        self, secrets: tuple[str, ...] = (), constant: dict[str, Any] | None = None
    ) -> None:
        super().__init__("%(message)s", "", secrets)
        self._constant = constant or {}

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._constant,
        }
        if id_ := request_id.get():
            line["request_id"] = id_
        line.update({key: value for key, value in vars(record).items() if key not in _OWN})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        text = self.clean(json.dumps(line, default=str, ensure_ascii=False))
        return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
