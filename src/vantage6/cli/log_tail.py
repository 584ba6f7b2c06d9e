"""Showing log files as they grow."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from vantage6.common.messages import info

_PAUSE = 0.2


def follow(files: Iterable[Path], goes_on: Callable[[], bool], out: Callable[[str], None]) -> bool:
    """Show log files until what writes them ends, or until Ctrl-C.

    Parameters
    ----------
    files : iterable of pathlib.Path
        They need not exist yet, and may be rotated.
    goes_on : callable
        Whether what writes them still runs.
    out : callable
        Takes text as it comes.

    Returns
    -------
    bool
        Whether it ended by itself.
    """
    positions = [_Position(file) for file in files]
    try:
        while True:
            # Asked before reading: the last words are then not missed.
            ends = not goes_on()
            for position in positions:
                for text in position.read():
                    out(text)
            if ends:
                return True
            time.sleep(_PAUSE)
    except KeyboardInterrupt:
        info("Closing log file. Keyboard Interrupt.")
        return False


class _Position:
    """How far a log file has been read, through rotations."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode: int | None = None
        self._offset = 0

    def read(self) -> list[str]:
        """What is new."""
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_ino != self._inode or status.st_size < self._offset:
                    self._inode, self._offset = status.st_ino, 0
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(new)
        return [new.decode(errors="replace")] if new else []
