"""A run's folder on the host, as containers use it.

Its files are opened to whoever the algorithm is inside its container, and only there: the folder
above them is the node's alone, and none but these files is mounted.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from vantage6.node.runtimes.base import Ended, StartFailed
from vantage6.node.runtimes.sandbox.folder import EXIT, OUTPUT, STDERR, STDOUT, RunFolder
from vantage6.node.runtimes.sandbox.logs import KeptLog
from vantage6.node.runtimes.sandbox.request import SandboxError

GIVEN = ("input", "token")
#: What a container sees as ``/etc/hosts``, while there is one.
HOSTS = "hosts"
_OWN, _READABLE, _WRITABLE = 0o600, 0o644, 0o666
#: Numbers of the two streams, as Docker has them.
_STREAMS = {1: STDOUT, 2: STDERR}


def prepare(path: Path) -> list[str]:
    """Make output and logs anew and open the files to the algorithm.

    Returns
    -------
    list of str
        Names of the files the algorithm may read; it may write ``output``.

    Raises
    ------
    StartFailed
        If the folder cannot be used.
    """
    try:
        with _opened(path) as folder:
            for descriptor in folder.prepare():
                os.close(descriptor)
            given = folder.given()
        for name in given:
            (path / name).chmod(_READABLE)
        (path / OUTPUT).chmod(_WRITABLE)
    except SandboxError as error:
        raise StartFailed(str(error)) from error
    return given


def take_back(path: Path) -> None:
    """Close the files to all but the node, and remove those that it made for the container."""
    (path / HOSTS).unlink(missing_ok=True)
    for name in (*GIVEN, OUTPUT):
        with contextlib.suppress(FileNotFoundError):
            (path / name).chmod(_OWN)


def write_hosts(path: Path, text: str) -> None:
    """Write what the algorithm is to see as ``/etc/hosts``.

    Raises
    ------
    StartFailed
        If it cannot be written.
    """
    try:
        (path / HOSTS).write_text(text)
        (path / HOSTS).chmod(_READABLE)
    except OSError as error:
        raise StartFailed(f"The run's folder cannot be written to: {error.strerror}") from error


def written(path: Path) -> int:
    """Bytes of output so far."""
    return (path / OUTPUT).stat().st_size


def drop_output(path: Path) -> None:
    """Empty an output nobody will read, so that it does not take up the disk."""
    os.truncate(path / OUTPUT, 0)


def write_exit(path: Path, ended: Ended) -> None:
    """Write how the run ended, all at once."""
    with _opened(path) as folder:
        folder.write_exit(ended.exit_code, ended.reason)


def read_exit(path: Path) -> Ended | None:
    """Read how a run ended from its folder; None if that was never (completely) written."""
    try:
        record = json.loads((path / EXIT).read_bytes())
        return Ended(record["exit_code"], record["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Logs:
    """The algorithm's two streams, each kept up to a limit of bytes."""

    def __init__(self, path: Path, limit: int) -> None:
        self._files: list[int] = []
        self._kept: dict[int, KeptLog] = {}
        for number, name in _STREAMS.items():
            # Another file, not the same one emptied: an earlier reader may not have noticed yet
            # that it was replaced.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path / name)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(path / name, flags, _OWN)
            self._files.append(file)
            self._kept[number] = KeptLog(file, limit)

    def keep(self, stream: int, data: bytes) -> None:
        """Add to a stream."""
        if stream in self._kept:
            self._kept[stream].keep(data)

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.pop())


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[RunFolder]:
    folder = RunFolder(str(path))
    try:
        yield folder
    finally:
        folder.close()
