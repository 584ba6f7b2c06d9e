"""Where a web service's log goes."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path
from typing import Protocol

from vantage6.common.logs import JSONFormatter, SecretiveFormatter

# Their ordinary lines drown the service's, or quote what was sent.
_QUIET = ("socketio", "engineio", "alembic", "uvicorn.access", "redis")
# What they say, with tracebacks, of a broker that is away: the bus says it once.
_SILENT = ("aio_pika", "aiormq", "socketio.server")


class Settings(Protocol):
    """What the section `logging` of a configuration says."""

    @property
    def level(self) -> str:
        """Name of a level."""

    @property
    def use_console(self) -> bool:
        """Whether lines go to standard output."""

    @property
    def backup_count(self) -> int:
        """Old files to keep."""

    @property
    def max_size(self) -> int:
        """Size of a file, kB."""

    @property
    def format(self) -> str:
        """As :mod:`logging` has it."""

    @property
    def datefmt(self) -> str:
        """As :mod:`time` has it."""

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
    handlers: list[logging.Handler] = []
    if settings.use_console or file is None:
        handlers.append(logging.StreamHandler(sys.stdout))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=True)
        handlers.append(
            logging.handlers.RotatingFileHandler(
                file,
                maxBytes=settings.max_size * 1024,
                backupCount=settings.backup_count,
                encoding="utf-8",
            )
        )
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=settings.level, handlers=handlers, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
