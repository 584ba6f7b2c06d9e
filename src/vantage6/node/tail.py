"""What an algorithm says, told while it still runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from vantage6.node.outcome import NotAFile, clean, open_plain

#: Seconds between two looks, and bytes told at once: a chatty algorithm must not fill the socket.
PERIOD, CHUNK = 1.0, 64 * 1024


async def follow(path: Path, tell: Callable[[str], None], *, period: float = PERIOD) -> NoReturn:
    """Tell the complete lines that a file gains, until cancelled.

    Parameters
    ----------
    path : pathlib.Path
        The file; an algorithm may have tampered with it.
    tell : callable
        Takes one or more lines.
    period : float
        Seconds between two looks.
    """
    told = 0
    while True:
        await asyncio.sleep(period)
        lines = _lines_after(path, told)
        if lines:
            told += len(lines)
            tell(clean(lines))


def _lines_after(path: Path, start: int) -> bytes:
    try:
        file = open_plain(path)
    except NotAFile:
        return b""
    with file:
        if os.fstat(file.fileno()).st_size <= start:
            return b""
        file.seek(start)
        piece = file.read(CHUNK)
    # A line longer than a chunk is told in pieces.
    end = piece.rfind(b"\n") + 1
    return piece[:end] if end or len(piece) < CHUNK else piece
