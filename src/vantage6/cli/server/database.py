"""`v6 server import`, `import-database`, `backup`, `restore`: what fills and keeps a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vantage6.cli.server.configuration import Config, File, Name, System, open_server
from vantage6.cli.service import process_of
from vantage6.common.messages import error, info, warning

if TYPE_CHECKING:
    from vantage6.server.administration.backup import Report
    from vantage6.server.config import ServerConfig
    from vantage6.server.model.database import Database

Replace = Annotated[
    bool, typer.Option("--replace", help="Delete what the database holds now.", show_default=False)
]


@contextmanager
def working_on(config: ServerConfig) -> Iterator[Database]:
    """The database; what goes wrong is said, and ends the command with status 1."""
    from sqlalchemy.exc import DBAPIError

    from vantage6.server.administration.archive import ArchiveUnusable
    from vantage6.server.administration.backup import NotEmpty, NothingThere
    from vantage6.server.administration.document import DocumentError
    from vantage6.server.administration.takeover import SourceUnusable
    from vantage6.server.model.database import Database, DatabaseDamaged
    from vantage6.server.model.schema import SchemaUnknown

    known = (
        ArchiveUnusable,
        DatabaseDamaged,
        DocumentError,
        NotEmpty,
        NothingThere,
        OSError,
        SchemaUnknown,
        SourceUnusable,
        ValueError,
    )
    try:
        if config.database_uri.startswith("sqlite:"):
            config.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = Database(config.database_uri)
        try:
            yield database
        finally:
            database.close()
    except known as problem:
        error(problem)
        raise typer.Exit(1) from None
    except DBAPIError as problem:
        error(f"The database does not work: {problem.orig}")
        raise typer.Exit(1) from None


def _refuse_if_running(config: ServerConfig) -> None:
    if (process := process_of(config.data_folder)) is not None:
        error(f"The server is running (process {process}). Stop it first: v6 server stop")
        raise typer.Exit(1)


@contextmanager
def _stopped_server(
    name: str | None, config: Path | None, *, system: bool
) -> Iterator[tuple[ServerConfig, Database]]:
    """Configuration and database of a server that must not be running."""
    _, settings = open_server(name, config, system=system)
    _refuse_if_running(settings)
    with working_on(settings) as database:
        yield settings, database


def _tell(report: Report) -> None:
    for note in report.notes:
        warning(note)
    counted = {name: number for name, number in report.rows.items() if number}
    info(", ".join(f"{number} {name}" for name, number in sorted(counted.items())))


def import_file(
    file: File,
    name: Name = None,
    config: Config = None,
    system: System = True,
    drop_all: Annotated[
        bool, typer.Option("--drop-all", help="Delete everything in the database first.")
    ] = False,
    image: Annotated[str | None, typer.Option("-i", "--image", hidden=True)] = None,
    mount_src: Annotated[str | None, typer.Option(hidden=True)] = None,
    keep: Annotated[bool, typer.Option("--keep/--auto-remove", hidden=True)] = False,
    wait: Annotated[str, typer.Option(hidden=True)] = "true",
) -> None:
    """Import organizations, users, collaborations and nodes from a YAML file."""
    _, settings = open_server(name, config, system=system)
    from vantage6.server.administration.batch import import_batch

    if image or mount_src or keep:
        warning("--image, --mount-src and --keep do nothing: the import needs no container")
    with working_on(settings) as database:
        info("Reading yaml file.")
        text = file.read_text(encoding="utf-8")
        if drop_all and not settings.allow_drop_all:
            error(
                "--drop-all is not allowed by the configuration (allow_drop_all: false): the "
                "import goes on without it"
            )
            drop_all = False
        if drop_all:
            _refuse_if_running(settings)
        info("Adding entities to database.")
        done = import_batch(database, text, drop_all=drop_all)
    info(
        f"Imported {done.organizations} organizations, {done.users} users, {done.collaborations} "
        f"collaborations, {done.nodes} nodes, {done.tasks} tasks"
    )


def backup(
    file: File,
    name: Name = None,
    config: Config = None,
    system: System = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it exists.")
    ] = False,
) -> None:
    """Write everything the server knows into one file; it may be running meanwhile."""
    _, settings = open_server(name, config, system=system)
    from vantage6.server.administration.backup import backup as make
    from vantage6.server.administration.folders import kept_folders

    if file.exists() and not overwrite:
        error(f"{file} exists already. To replace it, add --overwrite")
        raise typer.Exit(1)
    with working_on(settings) as database:
        report = make(database, kept_folders(settings), file)
    _tell(report)
    info(f"Backup written: {file}. It holds password hashes and keys: keep it safe")


def restore(
    file: File,
    name: Name = None,
    config: Config = None,
    system: System = True,
    replace: Replace = False,
) -> None:
    """Bring the server back to what a backup holds."""
    with _stopped_server(name, config, system=system) as (settings, database):
        from vantage6.server.administration.backup import restore as bring_back
        from vantage6.server.administration.folders import kept_folders

        _tell(bring_back(database, kept_folders(settings), file, replace=replace))
    info(f"Restored: {file}")


def import_database(
    uri: Annotated[
        str, typer.Argument(help="Database of a vantage6 4 server: a URL as its `uri`.")
    ],
    name: Name = None,
    config: Config = None,
    system: System = True,
    replace: Replace = False,
) -> None:
    """Take over the database of a reference server, version 4: logins and API keys stay valid."""
    with _stopped_server(name, config, system=system) as (_, database):
        from vantage6.server.administration.reference import import_database as take_over

        _tell(take_over(database, uri, replace=replace))
    info("The database was taken over. Start the server, then the nodes")
