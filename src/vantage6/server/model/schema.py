"""The schema: which revision a database has, and bringing it to another.

Alembic, 8 MiB with what it imports, is loaded only by a process that really changes a schema.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, MetaData, inspect, text

from vantage6.common.lean_imports import without
from vantage6.server.model.database import Database

_MIGRATIONS = Path(__file__).parent.parent / "migrations"


class SchemaUnknown(ValueError):
    """The database has a schema that this version does not know; the message says what to do."""


@cache
def revisions() -> tuple[str, ...]:
    """All that this version knows, oldest first: the name of a migration's file begins with its."""
    files = (_MIGRATIONS / "versions").glob("[0-9]*_*.py")
    return tuple(sorted(file.name.partition("_")[0] for file in files))


def newest_revision() -> str:
    """The revision that this version works with."""
    return revisions()[-1]


def revision_of(connection: Connection) -> str | None:
    """The revision of a database; None if it has none of our tables.

    Raises
    ------
    SchemaUnknown
        If a newer version has been at work here, or something else.
    """
    if not refuse_others(connection):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if revision is not None and not is_known(revision):
        raise SchemaUnknown(
            f"The database has schema {revision}, which this version does not know (it knows up to"
            f" {newest_revision()}): a newer version has upgraded it. Install that version again,"
            " or restore a backup that was made before the upgrade"
        )
    return revision


def refuse_others(connection: Connection) -> bool:
    """Keep away from what is not ours; whether there are tables of ours.

    Raises
    ------
    SchemaUnknown
        If there are tables of something else.
    """
    tables = inspect(connection).get_table_names()
    if tables and "alembic_version" not in tables:
        raise SchemaUnknown(
            f"The database holds tables of something else ({', '.join(sorted(tables)[:5])}, …) and"
            " is left alone. Give the server a database of its own; one of a vantage6 4 server is "
            "taken over with `v6 server import-database`"
        )
    return bool(tables)


def is_known(revision: str) -> bool:
    """Whether this version can upgrade from a revision."""
    return revision in revisions()


def upgrade(connection: Connection, revision: str) -> None:
    """Bring the schema to a revision, within :meth:`Database.restructure`."""
    # Of its template engine's error pages; another 5 MiB.
    with without("pygments"):
        from alembic import command
        from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def migrate(database: Database) -> None:
    """Upgrade the schema to the newest revision.

    Raises
    ------
    SchemaUnknown
        If a newer version has been at work here.
    """
    with database.engine.connect() as connection:
        if revision_of(connection) == newest_revision():
            return
    with database.restructure() as connection:
        revision_of(connection)
        upgrade(connection, "head")


def drop_everything(connection: Connection) -> None:
    """Drop all tables there are, within :meth:`Database.restructure`."""
    there = MetaData()
    there.reflect(connection)
    there.drop_all(connection)
