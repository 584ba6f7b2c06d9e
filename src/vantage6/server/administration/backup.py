"""Backing up a server into one file, and restoring it, also into the other kind of database."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table

from vantage6.common import __version__
from vantage6.server.administration import rows
from vantage6.server.administration.archive import (
    ArchiveReader,
    ArchiveUnusable,
    ArchiveWriter,
    read_archive,
    write_archive,
)
from vantage6.server.model.database import Database
from vantage6.server.model.schema import (
    drop_everything,
    is_known,
    refuse_others,
    revision_of,
    upgrade,
)
from vantage6.web.responses import utc_now

_CHUNK = 1024 * 1024

Folders = Mapping[str, Path]


class NotEmpty(Exception):
    """Something is there already, and nobody said that it may go."""


class NothingThere(Exception):
    """There is nothing to back up."""


@dataclass
class Report:
    """What was backed up or restored.

    ``notes`` are sentences about what is not quite as it was.
    """

    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    notes: list[str] = field(default_factory=list)


def backup(database: Database, folders: Folders, target: Path) -> Report:
    """Write everything a server knows into one file, while it may be running.

    Parameters
    ----------
    folders
        Folders beside the database by the name they have in the archive; absent ones are skipped.
    target : pathlib.Path
        The file; it holds password hashes and keys, so only its owner may read it.

    Raises
    ------
    NothingThere
        If the database has none of our tables.
    DatabaseDamaged
        If the database is not sound: an older backup may be the better one to keep.
    """
    database.check()
    report = Report()
    with database.snapshot() as connection, write_archive(target) as archive:
        revision = revision_of(connection)
        if revision is None:
            raise NothingThere(
                "The database has no tables of a vantage6 server: nothing to back up"
            )
        tables = rows.reflect(connection)
        described = [_write_table(archive, connection, table, report) for table in tables]
        # After the database: what its rows refer to is there by now.
        present = {name: folder for name, folder in folders.items() if folder.is_dir()}
        for name, folder in present.items():
            _write_folder(archive, name, folder, report)
        archive.finish(
            made_by=__version__,
            made_at=utc_now().isoformat(),
            database=database.dialect,
            revision=revision,
            tables=described,
            given_ids=rows.given_ids(connection, tables),
            folders=sorted(present),
        )
    return report


def _write_table(
    archive: ArchiveWriter, connection: Connection, table: Table, report: Report
) -> dict[str, Any]:
    encode = rows.encoder(table)
    report.rows[table.name] = 0

    def lines() -> Iterator[bytes]:
        for row in rows.read_rows(connection, table):
            report.rows[table.name] += 1
            yield json.dumps(encode(row), separators=(",", ":")).encode("ascii") + b"\n"

    archive.add(_member(table.name), lines())
    columns = [[column.name, rows.kind_of(column)] for column in table.columns]
    return {"name": table.name, "columns": columns, "rows": report.rows[table.name]}


def _member(table: str) -> str:
    return f"tables/{table}.jsonl"


def _write_folder(archive: ArchiveWriter, name: str, folder: Path, report: Report) -> None:
    for path in sorted(folder.rglob("*")):
        # What begins with a dot is somebody's temporary file.
        if path.is_symlink() or not path.is_file() or path.name.startswith("."):
            continue
        relative = path.relative_to(folder).as_posix()
        try:
            file = path.open("rb")
        except FileNotFoundError:
            report.notes.append(f"{name}/{relative} was deleted while the backup was made")
            continue
        with file:
            archive.add(f"folders/{name}/{relative}", _chunks(file))
        report.files += 1


def _chunks(file: Any) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def restore(database: Database, folders: Folders, source: Path, *, replace: bool) -> Report:
    """Bring a server back to what a backup holds: all of it, or nothing.

    A backup of an earlier version is loaded into the tables of then, which are upgraded after.

    Parameters
    ----------
    folders
        Where the folders of the archive go, by name.
    replace
        Whether what is there now may be deleted.

    Raises
    ------
    ArchiveUnusable
        If the file is damaged, or was made by a later version.
    NotEmpty
        If there is something already, and ``replace`` is false.
    DatabaseDamaged
        If rows of the backup contradict each other.
    """
    with read_archive(source) as archive:
        revision = archive.manifest["revision"]
        if not is_known(revision):
            raise ArchiveUnusable(
                f"{source} was made by version {archive.manifest['made_by']}, with schema "
                f"{revision}: this version {__version__} is older and cannot read it"
            )
        unknown = set(archive.folders) - set(folders)
        if unknown:
            raise ArchiveUnusable(
                f"{source} has folders that this server has no place for: {', '.join(unknown)}"
            )
        report = Report(files=sum(len(archive.folder(name)) for name in archive.folders))
        with _Staged(archive, folders, replace=replace) as staged:
            with database.restructure() as connection:
                make_room(connection, replace=replace)
                upgrade(connection, revision)
                _load(connection, archive, report)
                upgrade(connection, "head")
                staged.swap_in()
            staged.keep()
    return report


def make_room(connection: Connection, *, replace: bool) -> None:
    """Have an empty database, without tables.

    Raises
    ------
    NotEmpty
        If it is not empty and may not be emptied.
    SchemaUnknown
        If its tables are not ours.
    """
    refuse_others(connection)
    tables = rows.reflect(connection)
    if not replace and not rows.is_empty(connection, tables):
        raise NotEmpty("The database is not empty. To delete what it holds, add --replace")
    drop_everything(connection)


def _load(connection: Connection, archive: ArchiveReader, report: Report) -> None:
    tables = {table.name: table for table in rows.reflect(connection)}
    described = {item["name"]: item for item in archive.manifest["tables"]}
    if set(described) - set(tables):
        odd = ", ".join(sorted(set(described) - set(tables)))
        raise ArchiveUnusable(f"The backup holds tables that its schema does not have: {odd}")

    def content() -> Iterator[tuple[Table, Iterable[rows.Row]]]:
        for name, table in tables.items():
            if name in described:
                yield table, _read_table(archive, described[name], report)

    for name, number in rows.load(connection, content()).items():
        report.notes.append(
            f"{number} texts of '{name}' held the character NUL, which PostgreSQL cannot hold: it "
            "is now U+FFFD"
        )
    rows.set_given_ids(connection, tables.values(), archive.manifest["given_ids"])


def _read_table(
    archive: ArchiveReader, described: Mapping[str, Any], report: Report
) -> Iterator[rows.Row]:
    decode = rows.decoder(described["columns"])
    name = described["name"]
    report.rows[name] = 0
    for line in archive.lines(_member(name)):
        report.rows[name] += 1
        yield decode(json.loads(line))


class _Staged:
    """The folders of an archive, written beside their places and then swapped in.

    Unless they are kept, the end of the context brings back what was there before.
    """

    def __init__(self, archive: ArchiveReader, folders: Folders, *, replace: bool) -> None:
        self._archive = archive
        self._places = [(name, folders[name]) for name in archive.folders]
        self._replace = replace
        self._kept = False
        self._swapped: list[Path] = []

    def __enter__(self) -> _Staged:
        for _, place in self._places:
            if not self._replace and place.is_dir() and any(place.iterdir()):
                raise NotEmpty(f"{place} is not empty. To delete what it holds, add --replace")
        for name, place in self._places:
            coming = _beside(place, "restoring")
            coming.mkdir(mode=0o700, parents=True)
            self._archive.extract(name, coming)
        return self

    def swap_in(self) -> None:
        for _, place in self._places:
            self._swapped.append(place)
            if place.exists():
                place.rename(_beside(place, "replaced"))
            _beside(place, "restoring").rename(place)

    def keep(self) -> None:
        self._kept = True

    def __exit__(self, *exception: object) -> None:
        if not self._kept:
            for place in self._swapped:
                if not _beside(place, "restoring").exists():
                    place.rename(_beside(place, "restoring"))
                if _beside(place, "replaced").exists():
                    _beside(place, "replaced").rename(place)
        for _, place in self._places:
            for left in (_beside(place, "restoring"), _beside(place, "replaced")):
                if left.exists():
                    shutil.rmtree(left)


def _beside(place: Path, what: str) -> Path:
    return place.with_name(f".{place.name}-{what}-{os.getpid()}")
