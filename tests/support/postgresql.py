"""A table in a real PostgreSQL."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import sqlalchemy

from vantage6.common.sql import connect_to

POSTGRESQL = os.environ.get("V6_TEST_POSTGRESQL", "postgresql://root@127.0.0.1:5432/root")


@contextmanager
def table_of_patients(lacking: Callable[[str], NoReturn]) -> Iterator[str]:
    """Make a table of twenty patients, aged 20 to 39; yields its name."""
    name = f"v6_{uuid.uuid4().hex[:10]}"
    engine = connect_to(POSTGRESQL, connect_timeout=5)
    try:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(f"CREATE TABLE {name} (age int)"))
            fill = f"INSERT INTO {name} SELECT generate_series(20, 39)"
            connection.execute(sqlalchemy.text(fill))
    except sqlalchemy.exc.OperationalError as error:
        lacking(f"no PostgreSQL at {POSTGRESQL}: {error}")
    yield name
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"DROP TABLE {name}"))
