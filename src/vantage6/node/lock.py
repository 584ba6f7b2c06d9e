"""One process per state folder: two would each execute the same runs.

The lock also tells others that the node runs, and as which process; it ends with its holder,
however that ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vantage6.common import __version__

_NAME = "lock"
_READY = b"ready\n"
# Somebody who only looks holds the lock for an instant.
_ATTEMPTS, _PAUSE = 5, 0.05


class FolderInUse(Exception):
    """Another process works with the folder; the message names both."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a folder.

    ``namespace`` is the namespace that the process id is valid in; None if it was not told.
    ``ready`` is whether it has found out that it can work.
    """

    pid: int | None
    namespace: int | None = None
    version: str | None = None
    ready: bool = field(default=False, compare=False)

    @property
    def can_be_signalled(self) -> bool:
        """Whether the process id means the same here as where the node runs."""
        return self.pid is not None and self.namespace in (None, _namespace())


@contextmanager
def exclusive(folder: Path) -> Iterator[Callable[[], None]]:
    """Hold a folder, which is made if absent; let go at the end, however the process ends.

    Yields what is to be called once the process knows that it can work.

    Raises
    ------
    FolderInUse
        If another process holds it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / _NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for left in reversed(range(_ATTEMPTS)):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if left:
                    time.sleep(_PAUSE)
                    continue
                holder = _read(descriptor).pid or "unknown"
                raise FolderInUse(
                    f"Another node (process {holder}) works with {folder}. Stop it, or give this "
                    "one a folder of its own with state_dir"
                ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n{_namespace()}\n{__version__}\n".encode("ascii"))
        told = False

        def ready() -> None:
            nonlocal told
            if not told:
                told = True
                os.write(descriptor, _READY)

        yield ready
    finally:
        os.close(descriptor)


def holder_of(folder: Path) -> Holder | None:
    """Who holds a folder now; None if nobody does.

    Raises
    ------
    PermissionError
        If it belongs to another user.
    """
    try:
        descriptor = os.open(folder / _NAME, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    finally:
        os.close(descriptor)
    return None


def _read(descriptor: int) -> Holder:
    lines = os.pread(descriptor, 128, 0).decode("ascii", "replace").split("\n")
    pid, namespace, version, state = (*lines, "", "", "", "")[:4]
    return Holder(
        int(pid) if pid.isdecimal() else None,
        int(namespace) if namespace.isdecimal() else None,
        version or None,
        ready=f"{state}\n".encode() == _READY,
    )


def _namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino
