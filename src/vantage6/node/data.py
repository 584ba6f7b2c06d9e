"""Databases: which a run gets, and how an algorithm sees them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vantage6.common.addresses import Target, server_of
from vantage6.node.config import FILE_TYPES, RESERVED_LABELS, Database
from vantage6.node.offer import DatabaseRequest
from vantage6.node.runtimes.base import Mount


class DataRefusal(Exception):
    """A run cannot get the data it asks for; the message is for the researcher."""


@dataclass(frozen=True)
class View:
    """What a run sees of this site's data: what it asked for, and the labels of the rest.

    ``needed`` are host and port of the databases that are servers; ``targets`` these, and the
    tunnels that are for every run.
    """

    labels: Sequence[str] = ()
    all_labels: Sequence[str] = ()
    mounts: Sequence[Mount] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    targets: frozenset[Target] = frozenset()
    needed: frozenset[Target] = frozenset()


class Databases:
    """The databases of a node.

    Parameters
    ----------
    settings : Iterable of Database
        As configured.
    folder : pathlib.Path
        Where relative paths start.
    tunnels : Iterable of (str, int)
        Host and port of tunnels. One that a database names is for runs that ask for that
        database; the others are for every run.
    """

    def __init__(
        self, settings: Iterable[Database], folder: Path, tunnels: Iterable[Target] = ()
    ) -> None:
        self._settings = {database.label: database for database in settings}
        self._folder = folder
        named = {server_of(database.uri) for database in self._settings.values()}
        self._for_all = frozenset(tunnels) - named

    @property
    def labels(self) -> list[str]:
        """All labels, in the order of the configuration."""
        return list(self._settings)

    def view(self, requests: Sequence[DatabaseRequest]) -> View:
        """What a run that makes these requests sees.

        Raises
        ------
        DataRefusal
            If a label is unknown here or its file is missing.
        """
        labels: list[str] = []
        mounts: dict[str, Mount] = {}
        environment: dict[str, str] = {}
        needed = set()
        for request in requests:
            database = self._find(request.label)
            labels.append(request.label)
            name = database.label.upper()
            mount = self._mount(database)
            if mount is not None:
                mounts[mount.target] = mount
            environment[f"{name}_DATABASE_URI"] = mount.target if mount else database.uri
            environment[f"{name}_DATABASE_TYPE"] = database.type
            target = None if mount else server_of(database.uri)
            if target is not None:
                needed.add(target)
            for key, value in database.env.items():
                environment[f"{name}_DB_PARAM_{str(key).upper()}"] = str(value)
            environment.update(_wishes(name, request))
        return View(
            tuple(labels),
            tuple(self.labels),
            tuple(mounts.values()),
            environment,
            self._for_all | needed,
            frozenset(needed),
        )

    def missing(self) -> list[str]:
        """Complaints about databases that no run could use now; for the node's own log."""
        complaints = []
        for database in self._settings.values():
            try:
                self._mount(database)
            except DataRefusal as refusal:
                complaints.append(f"{refusal} (looked for {self._path(database)})")
        return complaints

    def types(self) -> dict[str, str]:
        """Type of each database, keyed as the contract shares it."""
        return {f"db_type_{label}": entry.type for label, entry in self._settings.items()}

    def columns(self) -> dict[str, list[str]]:
        """Column names of csv and parquet files, keyed as the contract shares them.

        A file that cannot be read gives no names: :meth:`missing` tells the owner.
        """
        found = {}
        for label, database in self._settings.items():
            if database.type.lower() in ("csv", "parquet"):
                found[f"columns_{label}"] = _columns(database.type.lower(), self._path(database))
        return found

    def _find(self, label: str) -> Database:
        try:
            return self._settings[label]
        except KeyError:
            has = ", ".join(f"'{name}'" for name in self._settings) or "none"
            raise DataRefusal(f"there is no database '{label}' here; there are: {has}") from None

    def _path(self, database: Database) -> Path:
        return self._folder / Path(database.uri).expanduser()

    def _mount(self, database: Database) -> Mount | None:
        path = self._path(database)
        # An overlong URI is no path, and asking the file system about it raises.
        is_path = "://" not in database.uri and len(database.uri) < 4096
        if is_path and path.exists():
            target = f"/mnt/{database.label}{'' if path.is_dir() else path.suffix}"
            if target.removeprefix("/mnt/") in RESERVED_LABELS:
                raise DataRefusal(f"database label '{database.label}' is reserved")
            return Mount(source=path.resolve(), target=target)
        if database.type.lower() in FILE_TYPES and is_path:
            raise DataRefusal(f"the file of database '{database.label}' is missing there")
        return None


def _wishes(name: str, request: DatabaseRequest) -> dict[str, str]:
    """Query, sheet name and preprocessing, as the contract hands them to the algorithm."""
    wishes = {}
    parameters = request.parameters
    for key in ("query", "sheet_name"):
        if parameters.get(key) is not None:
            wishes[f"{name}_{key.upper()}"] = str(parameters[key])
    if parameters.get("preprocessing") is not None:
        wishes[f"{name}_PREPROCESSING"] = json.dumps(parameters["preprocessing"])
    return wishes


def _columns(kind: str, path: Path) -> list[str]:
    try:
        if kind == "parquet":
            # Heavy, and needed by few nodes.
            from pyarrow import parquet

            names = parquet.read_schema(path).names
            return [name for name in names if not name.startswith("__index_level_")]
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), [])
    except (OSError, ValueError, csv.Error):  # pyarrow's errors are ValueErrors
        return []
    # Nameless columns are called as pandas, which reads the file for algorithms, calls them.
    return [name or f"Unnamed: {index}" for index, name in enumerate(header)]
