"""The file of a backup: a zip archive whose manifest holds a hash of everything in it.

``manifest.json`` says which format and schema it is; ``tables/<table>.jsonl`` has a line per row,
``folders/<name>/…`` the files of a folder. The hashes tell damage, not forgery.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

FORMAT = 1
_MANIFEST = "manifest.json"
_KIND = "vantage6 server backup"
_CHUNK = 1024 * 1024


class ArchiveUnusable(Exception):
    """The file is no backup, is damaged, or of a format of later; the message says which."""


class ArchiveWriter:
    """Writes members one after the other, and remembers their hashes."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._zip = file
        self._members: dict[str, dict[str, Any]] = {}

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        """Add a member, streamed."""
        digest, size = hashlib.sha256(), 0
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = (stat.S_IFREG | 0o600) << 16
        with self._zip.open(info, "w", force_zip64=True) as member:
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                member.write(chunk)
        self._members[name] = {"sha256": digest.hexdigest(), "size": size}

    def finish(self, **facts: Any) -> None:
        """Write the manifest, with these facts in it."""
        manifest = {"kind": _KIND, "format": FORMAT, **facts, "members": self._members}
        self._zip.writestr(_MANIFEST, json.dumps(manifest, indent=1))


@contextlib.contextmanager
def write_archive(path: Path) -> Iterator[ArchiveWriter]:
    """Make an archive that only its owner may read; it appears when it is complete, or not at all.

    Parameters
    ----------
    path : pathlib.Path
        Replaced if it exists.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(descriptor, "wb") as file:
            with zipfile.ZipFile(file, "w", compresslevel=1) as archive:
                yield ArchiveWriter(archive)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


class ArchiveReader:
    """Reads an archive whose every member was found as the manifest says."""

    def __init__(self, file: zipfile.ZipFile, manifest: dict[str, Any]) -> None:
        self._zip = file
        self.manifest = manifest

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a member."""
        with self._zip.open(name) as member:
            yield from member

    def folder(self, name: str) -> list[str]:
        """The members of a folder."""
        prefix = f"folders/{name}/"
        return [member for member in self.manifest["members"] if member.startswith(prefix)]

    @property
    def folders(self) -> list[str]:
        """The names of the folders that were included, also of the empty ones."""
        names: list[str] = self.manifest["folders"]
        return names

    def extract(self, name: str, target: Path) -> None:
        """Write a folder's files below another folder."""
        for member in self.folder(name):
            path = target.joinpath(*PurePosixPath(member).parts[2:])
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with self._zip.open(member) as source, open(descriptor, "wb") as file:
                while chunk := source.read(_CHUNK):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())

    def verify(self) -> None:
        """Read everything once.

        Raises
        ------
        ArchiveUnusable
            If a member is missing, damaged, or not in the manifest.
        """
        named = set(self.manifest["members"])
        there = set(self._zip.namelist()) - {_MANIFEST}
        if named != there:
            odd = ", ".join(sorted(named ^ there)[:3])
            raise ArchiveUnusable(f"The backup does not hold what its manifest says: {odd}")
        for name, wanted in self.manifest["members"].items():
            if ".." in PurePosixPath(name).parts or name.startswith("/"):
                raise ArchiveUnusable(f"The backup names a file outside of itself: {name}")
            digest, size = hashlib.sha256(), 0
            with self._zip.open(name) as member:
                while chunk := member.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
            if {"sha256": digest.hexdigest(), "size": size} != wanted:
                raise ArchiveUnusable(f"The backup is damaged: {name} is not what was written")


@contextlib.contextmanager
def read_archive(path: Path) -> Iterator[ArchiveReader]:
    """Open an archive and verify it.

    Raises
    ------
    ArchiveUnusable
        If it is no backup, damaged, or made by a later version.
    """
    try:
        with zipfile.ZipFile(path) as file:
            reader = ArchiveReader(file, _manifest(path, file))
            reader.verify()
            yield reader
    except (zipfile.BadZipFile, EOFError) as error:
        raise ArchiveUnusable(
            f"{path} is not a backup, or is damaged or cut short: {error}"
        ) from error
    except OSError as error:
        if error.filename is not None and Path(error.filename) == path:
            raise ArchiveUnusable(f"Cannot read {path}: {error.strerror}") from error
        raise


def _manifest(path: Path, file: zipfile.ZipFile) -> dict[str, Any]:
    try:
        manifest = json.loads(file.read(_MANIFEST))
    except (KeyError, ValueError) as error:
        raise ArchiveUnusable(f"{path} is a zip file, but not a backup of a server") from error
    if not isinstance(manifest, dict) or manifest.get("kind") != _KIND:
        raise ArchiveUnusable(f"{path} is a zip file, but not a backup of a server")
    if manifest["format"] != FORMAT:
        raise ArchiveUnusable(
            f"{path} has format {manifest['format']}, this version reads format {FORMAT}: use the "
            f"version that made it ({manifest.get('made_by')}) or a later one"
        )
    return manifest
