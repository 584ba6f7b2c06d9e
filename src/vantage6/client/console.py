"""What a user sees when a client starts: the banner, and log lines on standard output.

Lines go through the logger ``vantage6.client``, which has one handler of its own and passes
nothing on, so that each line appears once, exactly as written, whatever logging the surrounding
program has set up, and that set-up stays as it is.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from vantage6.client.utils import LogLevel

BANNER = (
    " Welcome to",
    "                  _                     __  ",
    "                 | |                   / /  ",
    "__   ____ _ _ __ | |_ __ _  __ _  ___ / /_  ",
    "\\ \\ / / _` | '_ \\| __/ _` |/ _` |/ _ \\ '_ \\ ",
    " \\ V / (_| | | | | || (_| | (_| |  __/ (_) |",
    "  \\_/ \\__,_|_| |_|\\__\\__,_|\\__, |\\___|\\___/ ",
    "                            __/ |           ",
    "                           |___/            ",
    "",
    " --> Join us on Discord! https://discord.gg/rwRvwyK",
    " --> Docs: https://docs.vantage6.ai",
    " --> Blog: https://vantage6.ai",
    "------------------------------------------------------------",
    "Cite us!",
    "If you publish your findings obtained using vantage6, ",
    "please cite the proper sources as mentioned in:",
    "https://vantage6.ai/vantage6/references",
    "------------------------------------------------------------",
)


class _StandardOutput(logging.StreamHandler[TextIO]):
    """Writes to whatever standard output is at that moment: notebooks replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        """Current standard output."""
        return sys.stdout

    @stream.setter
    def stream(self, _: TextIO) -> None:
        """Ignore attempts to fix the stream."""


def set_up_logging(logger: logging.Logger, level: str) -> None:
    """Let a logger write plain messages to standard output.

    Parameters
    ----------
    logger : logging.Logger
    level : str
        Name of a :class:`LogLevel`, in any case. An unknown one means debug, with a warning.
    """
    for handler in list(logger.handlers):
        if isinstance(handler, _StandardOutput):
            logger.removeHandler(handler)
    logger.addHandler(_StandardOutput())
    logger.propagate = False
    known = level.upper() in LogLevel.__members__
    logger.setLevel(level.upper() if known else LogLevel.DEBUG.value)
    if not known:
        names = ", ".join(LogLevel.__members__)
        logger.warning("You set unknown log level %s. Available levels are: %s. ", level, names)
        logger.warning("Log level now set to %s.", LogLevel.DEBUG.value)


def show_banner(logger: logging.Logger) -> None:
    """Log the welcome, line by line."""
    for line in BANNER:
        logger.info(line)
