"""Instances as processes: which ones run, and ending one."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from vantage6.common.messages import error

_STOP_SECONDS = 30.0
_LOCK = "process.lock"


@contextmanager
def hold(folder: Path, what: str, *, shared: bool = False) -> Iterator[None]:
    """Be the one process that works with a data folder, which is made if absent.

    If the folder is to be `shared`, there may be further ones, which are not told of as running.

    Raises
    ------
    typer.Exit
        If another does already, or the folder cannot be written to.
    """
    path = folder / _LOCK
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        error(
            f"Cannot write in {folder}: {problem.strerror}. Name another folder in the "
            "configuration (directories: {data: …}), or use --user"
        )
        raise typer.Exit(1) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if shared:
                yield
                return
            error(f"{what} is already running")
            raise typer.Exit(1) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        yield
    finally:
        os.close(descriptor)


def process_of(folder: Path) -> int | None:
    """The id of the process that holds a data folder; None if none does."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 32).strip()
        return int(text) if text.isdigit() else None
    finally:
        os.close(descriptor)
    return None


def stop(folder: Path) -> bool:
    """End the process that holds a data folder, by SIGTERM; False if none does.

    Raises
    ------
    typer.Exit
        If it may not be ended, or does not end.
    """
    process = process_of(folder)
    if process is None:
        return False
    try:
        os.kill(process, signal.SIGTERM)
    except PermissionError:
        error(f"Process {process} belongs to another user: stop it as that user, or as root")
        raise typer.Exit(1) from None
    except ProcessLookupError:
        return True
    until = time.monotonic() + _STOP_SECONDS
    while process_of(folder) == process:
        if time.monotonic() > until:
            error(f"Process {process} does not end. To end it the hard way: kill -9 {process}")
            raise typer.Exit(1)
        time.sleep(0.05)
    return True
