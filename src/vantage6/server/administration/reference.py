"""Taking over the database of a reference server (vantage6 4.15): ids, passwords and keys are kept.

Its layout is laid down in the contract, section 9.4.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from vantage6.server.administration import rows
from vantage6.server.administration.backup import Report, make_room
from vantage6.server.administration.takeover import SourceUnusable, Takeover
from vantage6.server.config import ServerConfig
from vantage6.server.model.database import Database
from vantage6.server.model.schema import upgrade
from vantage6.server.start import prepare


def import_database(database: Database, source_uri: str, *, replace: bool) -> Report:
    """Fill a database with what the database of a reference server holds: all of it, or nothing.

    Stop that server first. It is only read.

    Parameters
    ----------
    source_uri
        SQLAlchemy URL of the reference server's database, SQLite or PostgreSQL.
    replace
        Whether what ``database`` holds now may be deleted.

    Raises
    ------
    SourceUnusable
        If the source cannot be read, or holds what has no place here.
    NotEmpty
        If the target holds something, and ``replace`` is false.
    """
    with _open(source_uri) as source:
        takeover = Takeover(source)
        with database.restructure() as connection:
            make_room(connection, replace=replace)
            upgrade(connection, "head")
            replaced = rows.load(connection, takeover.content())
            rows.set_given_ids(connection, takeover.targets.values(), takeover.given_ids())
    for name, number in replaced.items():
        takeover.report.notes.append(f"{number} texts of '{name}' held NUL, which is now U+FFFD")
    prepare(database)
    return takeover.report


@contextlib.contextmanager
def _open(uri: str) -> Iterator[Connection]:
    try:
        url = make_url(ServerConfig(uri=uri).database_uri)
    except ArgumentError as error:
        raise SourceUnusable("This is not a database URL") from error
    kind = url.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        raise SourceUnusable(f"Databases of type '{kind}' cannot be taken over")
    if kind == "sqlite":
        path = Path(url.database or "")
        if not path.is_file():
            raise SourceUnusable(f"There is no file {path.absolute()}")
        url = url.set(database=f"file:{path.absolute()}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            if kind == "postgresql":
                connection = connection.execution_options(  # noqa: PLW2901
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            yield connection
    except OperationalError as error:
        raise SourceUnusable(f"The database cannot be read: {error.orig}") from error
    finally:
        engine.dispose()
