"""What an algorithm writes to its standard streams, kept up to a limit."""

from __future__ import annotations

import os

_CHUNK = 1024 * 1024


class KeptLog:
    """A file that keeps the first `limit` bytes, and says so when there was more."""

    def __init__(self, file: int, limit: int) -> None:
        self._file = file
        self._room = limit
        self._limit = limit
        self._truncated = False

    def keep(self, data: bytes) -> None:
        """Add what there is room for."""
        kept = data[: self._room]
        self._write(kept)
        self._room -= len(kept)
        if len(kept) < len(data) and not self._truncated:
            self._truncated = True
            self._write(f"\n[the log was cut here, after {self._limit} bytes]\n".encode())

    def _write(self, data: bytes) -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            # A full disk must not end the run: its result may still fit.
            self._truncated, self._room = True, 0


class BoundedLog:
    """Moves what arrives in a pipe to a file; beyond the limit it is read and dropped.

    The algorithm is never held up, and the disk never fills.
    """

    def __init__(self, pipe: int, file: int, limit: int) -> None:
        self.pipe = pipe
        self._kept = KeptLog(file, limit)
        os.set_blocking(pipe, False)

    def drain(self) -> bool:
        """Move what there is now; False when the writers are gone."""
        try:
            data = os.read(self.pipe, _CHUNK)
        except BlockingIOError:
            return True
        if not data:
            return False
        self._kept.keep(data)
        return True
