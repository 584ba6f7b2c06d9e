"""The node's log: where it goes, and what never gets into it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from vantage6.common.log_files import send_log
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
    send_log(settings, file, sys.stderr, formatter)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for logger in settings.loggers:
        logging.getLogger(logger.name).setLevel(logger.level)
