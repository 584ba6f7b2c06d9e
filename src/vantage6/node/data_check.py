"""Looks at a node's databases as an algorithm would: are they reachable, and what is in them?"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vantage6.common.sql import connect_to
from vantage6.node.config import FILE_TYPES, Database

_TIMEOUT = 10
#: Tables of a database that are listed.
_MANY = 50
_OMOP_KEYS = ("DBMS", "USER", "PASSWORD", "CDM_DATABASE", "CDM_SCHEMA", "RESULTS_SCHEMA")
_WRITES = ("INSERT", "UPDATE", "DELETE", "ALL PRIVILEGES", "CREATE", "DROP")


@dataclass
class Found:
    """What is known of a database.

    ``problem`` says why algorithms cannot use it, and what to do; ``columns`` are lines such as
    ``age: int64``, of a table or of each table.
    """

    label: str
    type: str
    problem: str = ""
    columns: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check(database: Database, folder: Path) -> Found:
    """Look at one database; nothing is written to it, and no row of it is told.

    Parameters
    ----------
    folder : pathlib.Path
        Where relative paths start.
    """
    found = Found(database.label, database.type)
    kind = database.type.lower()
    path = folder / Path(database.uri).expanduser()
    if kind in FILE_TYPES and "://" not in database.uri:
        found.problem = _unreadable(path, is_folder=kind == "folder")
        if found.problem:
            return found
    try:
        _LOOKS.get(kind, _other)(database, path, found)
    except ImportError as error:
        found.problem = f"what reads databases of type '{kind}' is not installed: {error}"
    except Exception as error:  # whatever a driver raises, the owner is to read it
        found.problem = f"{type(error).__name__}: {_short(str(error), database)}"
    return found


def _unreadable(path: Path, *, is_folder: bool) -> str:
    if not path.exists():
        return f"there is no {path}: correct uri in the configuration, or put it there"
    if path.is_dir() is not is_folder:
        return f"{path} is {'no' if is_folder else 'a'} folder: correct type or uri"
    needed = os.R_OK | (os.X_OK if is_folder else 0)
    if not os.access(path, needed):
        return f"the node's account cannot read {path}: chmod or chown it"
    return ""


def _csv(_: Database, path: Path, found: Found) -> None:
    import duckdb

    with closing(duckdb.connect()) as db:
        rows = db.execute("DESCRIBE SELECT * FROM read_csv(?)", [str(path)]).fetchall()
    found.columns = [f"{row[0]}: {row[1].lower()}" for row in rows]


def _parquet(_: Database, path: Path, found: Found) -> None:
    from pyarrow import parquet

    found.columns = [f"{each.name}: {each.type}" for each in parquet.read_schema(path)]


def _excel(_: Database, path: Path, found: Found) -> None:
    import pandas as pd

    with pd.ExcelFile(path) as book:
        for sheet in book.sheet_names:
            frame = book.parse(sheet, nrows=100)
            found.columns += [f"{sheet}.{name}: {kind}" for name, kind in frame.dtypes.items()]


def _sql(database: Database, path: Path, found: Found) -> None:
    from sqlalchemy import inspect

    uri = database.uri
    if uri.endswith(".sqlite") and "://" not in uri:
        found.problem = _unreadable(path, is_folder=False)
        if found.problem:
            return
        uri = str(path.absolute())
    engine = connect_to(uri, connect_timeout=_TIMEOUT)
    with engine.connect() as connection:
        look = inspect(connection)
        tables = [*look.get_table_names(), *look.get_view_names()]
        for table in tables[:_MANY]:
            columns = look.get_columns(table)
            found.columns += [f"{table}.{each['name']}: {each['type']}" for each in columns]
        if len(tables) > _MANY:
            found.warnings.append(f"{len(tables)} tables; the first {_MANY} are listed")
        if not tables:
            found.warnings.append("the account sees no table: grant SELECT on those to be used")
        may = _WRITERS.get(engine.dialect.name)
        if may is not None and may(connection):
            found.warnings.append(
                "the account can change data: give the node one that can only SELECT"
            )


def _may_write_postgresql(connection: object) -> bool:
    from sqlalchemy import Connection, text

    assert isinstance(connection, Connection)  # noqa: S101 (narrows a type)
    statement = text(
        "SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        " AND has_schema_privilege(n.oid, 'USAGE')"
        " AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))"
    )
    return bool(connection.execute(statement).scalar())


def _may_write_mysql(connection: object) -> bool:
    from sqlalchemy import Connection, text

    assert isinstance(connection, Connection)  # noqa: S101 (narrows a type)
    # Those of everybody are among them, for a database "test" for instance.
    places = ("*.*", f"`{connection.engine.url.database}`.")
    for (grant,) in connection.execute(text("SHOW GRANTS")):
        what, _, where = str(grant).partition(" ON ")
        if where.startswith(places) and any(word in what.upper() for word in _WRITES):
            return True
    return False


_WRITERS: dict[str, Callable[[object], bool]] = {
    "postgresql": _may_write_postgresql,
    "mysql": _may_write_mysql,
    "mariadb": _may_write_mysql,
}


def _sparql(database: Database, _: Path, found: Found) -> None:
    from SPARQLWrapper import JSON, SPARQLWrapper

    endpoint = SPARQLWrapper(database.uri, returnFormat=JSON)
    endpoint.setTimeout(_TIMEOUT)
    endpoint.setQuery("SELECT DISTINCT ?p WHERE { ?s ?p ?o } LIMIT 50")
    answer: Any = endpoint.query().convert()
    rows = answer["results"]["bindings"]
    found.columns = [f"<{row['p']['value']}>" for row in rows]
    if not rows:
        found.warnings.append("the endpoint holds no triples, or shows none without a graph")


def _omop(database: Database, _: Path, found: Found) -> None:
    given = {str(key).upper() for key in database.env}
    missing = [key for key in _OMOP_KEYS if key not in given]
    if missing:
        found.problem = f"env lacks {', '.join(missing)}: OMOP algorithms need them"
        return
    url = urlsplit(database.uri.removeprefix("jdbc:"))
    if url.hostname is None or url.port is None:
        found.warnings.append("the address names no host and port: it was not tried")
        return
    with socket.create_connection((url.hostname, url.port), timeout=_TIMEOUT):
        pass


def _folder(_: Database, path: Path, found: Found) -> None:
    with os.scandir(path) as entries:
        if next(entries, None) is None:
            found.warnings.append("the folder is empty")


def _other(database: Database, path: Path, found: Found) -> None:
    if "://" not in database.uri and len(database.uri) < 4096 and path.exists():
        found.problem = _unreadable(path, is_folder=path.is_dir())
    else:
        found.warnings.append(f"type '{database.type}' is handed to algorithms as it is, untried")


_LOOKS: dict[str, Callable[[Database, Path, Found], None]] = {
    "csv": _csv,
    "parquet": _parquet,
    "excel": _excel,
    "sql": _sql,
    "sparql": _sparql,
    "omop": _omop,
    "folder": _folder,
}


def _short(text: str, database: Database) -> str:
    """The first line of an error, without the address and the password in it."""
    line = text.strip().partition("\n")[0]
    return line.replace(database.uri, database.shown_uri)[:300]
