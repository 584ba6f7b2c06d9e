"""The schema that migrations make is the one that the models describe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, inspect, select, text

from vantage6.server.model import schema
from vantage6.server.model.database import Database
from vantage6.server.model.schema import migrate, revisions, upgrade
from vantage6.server.model.tables import Base, Organization, Role, Rule, User
from vantage6.server.start import prepare


@pytest.fixture
def database(databases: Any) -> Any:
    """An empty database."""
    uri = databases.empty()
    made = Database(uri.replace("postgresql://", "postgresql+psycopg://"))
    yield made
    made.close()
    databases.discard(uri)


def test_migrations_make_what_the_models_describe(database: Database) -> None:
    migrate(database)
    with database.engine.connect() as connection:
        options = {
            "compare_type": True,
            "compare_server_default": True,
            # Compared below: of keys of added columns, SQLAlchemy does not read all on SQLite.
            "include_object": lambda _, __, kind, *___: kind != "foreign_key_constraint",
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_foreign_keys_cascade_as_the_models_say(database: Database) -> None:
    migrate(database)
    for table in Base.metadata.sorted_tables:
        described = {
            (column.name, key.referred_table.name, key.ondelete or "NO ACTION")
            for key in table.foreign_key_constraints
            for column in key.columns
        }
        assert foreign_keys(database, table.name) == described, table.name


def foreign_keys(database: Database, table: str) -> set[tuple[str, str, str]]:
    """Column, referred table and what happens on a delete."""
    if database.dialect == "sqlite":
        with database.read() as db:
            rows = db.execute(text(f'PRAGMA foreign_key_list("{table}")'))
            return {(row[3], row[2], row[6]) for row in rows}
    return {
        (column, key["referred_table"], key["options"].get("ondelete", "NO ACTION"))
        for key in inspect(database.engine).get_foreign_keys(table)
        for column in key["constrained_columns"]
    }


def test_upgrading_keeps_what_is_there(database: Database) -> None:
    with database.restructure() as connection:
        upgrade(connection, "0001")
    with database.write() as db:
        db.execute(text("insert into organization (id, name) values (1, 'one')"))
        db.execute(text("insert into collaboration (id, name, encrypted) values (1, 'c', true)"))
        db.execute(
            text(
                "insert into task (id, name, description, image, collaboration_id, job_id, "
                "init_org_id, created_at, status, databases) values "
                "(1, '', '', 'i', 1, 1, 1, '2026-01-01 00:00:00', 'pending', '[]')"
            )
        )
        db.execute(
            text(
                "insert into run (id, task_id, organization_id, assigned_at, status, "
                "blob_storage_used) values (1, 1, 1, '2026-01-01 00:00:00', 'pending', false)"
            )
        )
    migrate(database)
    with database.read() as db:
        assert db.execute(text("select id, algorithm_store_id from task")).all() == [(1, None)]
        assert db.execute(text("select id from run")).all() == [(1,)]


def test_migrating_again_changes_nothing(database: Database) -> None:
    migrate(database)
    migrate(database)
    with database.engine.connect() as connection:
        assert connection.scalar(text("select count(*) from alembic_version")) == 1


def test_preparing_an_empty_database_makes_it_what_the_contract_says(database: Database) -> None:
    for _ in range(2):
        prepare(database)
        with database.read() as db:
            assert db.scalar(select(func.count()).select_from(Rule)) == 86
            assert db.scalar(select(func.count()).select_from(Role)) == 7
            assert db.scalars(select(Organization.name)).all() == ["root"]
            user = db.scalars(select(User)).one()
            assert (user.id, user.username, user.email) == (1, "root", "root@domain.ext")


def test_a_root_that_was_deleted_comes_back_into_its_organization(database: Database) -> None:
    prepare(database)
    with database.write() as db:
        db.execute(text("delete from authenticatable"))
    prepare(database)
    with database.read() as db:
        user = db.scalars(select(User)).one()
        assert user.username == "root"
        assert db.scalars(select(Organization.id)).all() == [user.organization_id]


def test_revisions_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parents[1] / "migrations"))
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())
    assert revisions() == tuple(script.revision for script in reversed(scripts))
