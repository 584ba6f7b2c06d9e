"""The node's log: where it goes, and what never gets into it."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path

from vantage6.common.logs import SecretiveFormatter
from vantage6.node.config import Logging

# Each request at INFO would drown what the node has to say.
_QUIET = ("aiohttp.access",)


def configure(settings: Logging, file: Path | None, secrets: tuple[str, ...] = ()) -> None:
    """Send the log of this process where the configuration says.

    Parameters
    ----------
    settings : Logging
        Level, format, size and number of files.
    file : pathlib.Path, optional
        The file; without one there is only the console.
    secrets : tuple of str
        Text that must not get into the log.
    """
    formatter = SecretiveFormatter(settings.format, settings.datefmt, secrets)
    handlers: list[logging.Handler] = []
    if settings.use_console or file is None:
        handlers.append(logging.StreamHandler(sys.stderr))
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
    for logger in settings.loggers:
        logging.getLogger(logger.name).setLevel(logger.level)
