"""Where a web service's log goes."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Protocol

from vantage6.common.log_files import LogSettings, send_log
from vantage6.common.logs import JSONFormatter, SecretiveFormatter

# Their ordinary lines drown the service's, or quote what was sent.
_QUIET = ("socketio", "engineio", "alembic", "uvicorn.access", "redis")
# What they say, with tracebacks, of a broker that is away: the bus says it once.
_SILENT = ("aio_pika", "aiormq", "socketio.server")


class Settings(LogSettings, Protocol):
    """What the section `logging` of a web service's configuration says."""

    @property
    def as_json(self) -> bool:
        """Whether each line is a JSON object."""


def set_up(settings: Settings, file: Path | None, secrets: tuple[str, ...], service: str) -> None:
    """Send the log of this process where the configuration says.

    Parameters
    ----------
    settings : Settings
        Level, format, size and number of files.
    file : pathlib.Path, optional
        The file; without one there is only the console.
    secrets : tuple of str
        Text that must not get into the log.
    service : str
        Its name in JSON lines.
    """
    formatter: logging.Formatter
    if settings.as_json:
        formatter = JSONFormatter(secrets, {"service": service})
    else:
        formatter = SecretiveFormatter(settings.format, settings.datefmt, secrets)
    send_log(settings, file, sys.stdout, formatter)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
