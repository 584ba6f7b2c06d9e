"""Payloads in a folder of this machine, or one that several machines share."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import anyio.to_thread

from vantage6.server.payloads.store import PIECE, NoSuchPayload, StoreError, StoreFull

T = TypeVar("T")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: A slow disk shall not use up the threads in which requests are answered.
_THREADS = 8


class FolderStore:
    """Payloads as files.

    A payload is written beside its place and moved there when it is complete and on the disk.

    Parameters
    ----------
    root : pathlib.Path
        Made when the first payload comes, readable by its owner only.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._limiter = anyio.CapacityLimiter(_THREADS)

    async def put(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Keep what arrives; see :class:`.store.PayloadStore`."""
        path = self._path(name)
        part = path.with_suffix(".part")
        try:
            with _explained():
                file = await self._call(_create, part)
            with file:
                async for piece in pieces:
                    with _explained():
                        await self._call(file.write, piece)
                with _explained():
                    await self._call(_complete, file, part, path)
        except BaseException:
            # Also when the caller gives up: at once, since nothing may be awaited any more.
            part.unlink(missing_ok=True)
            raise

    async def open(self, name: str) -> AsyncIterator[bytes]:
        """Hand out a payload; see :class:`.store.PayloadStore`."""
        with _explained():
            file = await self._call(_open, self._path(name))
        return self._pieces(file)

    async def delete(self, name: str) -> None:
        """Delete a payload, or what came of it; see :class:`.store.PayloadStore`."""
        path = self._path(name)
        with _explained():
            await self._call(path.unlink, True)
            await self._call(path.with_suffix(".part").unlink, True)

    async def _pieces(self, file: BinaryIO) -> AsyncIterator[bytes]:
        with file:
            while True:
                with _explained():
                    piece = await self._call(file.read, PIECE)
                if not piece:
                    return
                yield piece

    def _path(self, name: str) -> Path:
        # A folder with millions of files is slow to list and to back up.
        return self._root / name[:2] / name

    async def _call(self, action: Callable[..., T], *arguments: Any) -> T:
        return await anyio.to_thread.run_sync(action, *arguments, limiter=self._limiter)


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _complete(file: BinaryIO, part: Path, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    part.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NoSuchPayload("The payload's file is gone") from error
    except OSError as error:
        kind = StoreFull if error.errno in _FULL else StoreError
        raise kind(f"The folder of payloads: {error.strerror}") from error
