"""Where a service's log goes: console and a file that is kept from growing."""

from __future__ import annotations

import logging
import logging.handlers
import os
from io import TextIOWrapper
from pathlib import Path
from typing import Protocol, TextIO


class LogSettings(Protocol):
    """What the section `logging` of a configuration says."""

    @property
    def level(self) -> str:
        """Name of a level."""

    @property
    def use_console(self) -> bool:
        """Whether lines go to the console."""

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


def send_log(
    settings: LogSettings, file: Path | None, console: TextIO, formatter: logging.Formatter
) -> None:
    """Send the log of this process where the configuration says, and nowhere else.

    Parameters
    ----------
    settings : LogSettings
        Level, size and number of files.
    file : pathlib.Path, optional
        The file, readable by its owner only; without one there is only the console.
    console : text file
        The console.
    formatter : logging.Formatter
        Writes the lines.
    """
    handlers: list[logging.Handler] = []
    if settings.use_console or file is None:
        handlers.append(logging.StreamHandler(console))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=True)
        handlers.append(
            _PrivateFileHandler(
                file,
                maxBytes=settings.max_size * 1024,
                backupCount=settings.backup_count,
                encoding="utf-8",
            )
        )
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=settings.level, handlers=handlers, force=True)


class _PrivateFileHandler(logging.handlers.RotatingFileHandler):
    """Begins each file with the permissions of the one before, and never with more."""

    def doRollover(self) -> None:  # noqa: N802 (logging's name)
        mode = os.stat(self.baseFilename).st_mode & 0o7777
        super().doRollover()
        os.chmod(self.baseFilename, mode)

    def _open(self) -> TextIOWrapper:
        def private(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return open(self.baseFilename, "a", encoding=self.encoding, opener=private)
