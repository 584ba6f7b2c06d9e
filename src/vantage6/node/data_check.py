"""Looks at a node's databases as an algorithm would: are they reachable, and what is in them?"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vantage6.common.addresses import moved, server_of
from vantage6.common.sql import connect_to
from vantage6.node.config import FILE_TYPES, Database, NodeConfig
from vantage6.node.tunnels import TunnelDown, Tunnels

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TIMEOUT = 10
#: Rows of a CSV file that are read.
_ROWS = 10_000
_SQL_ADDRESS = (
    "uri must be an address such as postgresql://reader:password@host:5432/database, or the path "
    "of a file ending in .sqlite"
)
#: Tables of a database that are listed.
_MANY = 50
_OMOP_KEYS = ("DBMS", "USER", "PASSWORD", "CDM_DATABASE", "CDM_SCHEMA", "RESULTS_SCHEMA")
#: DBMS as OHDSI calls it, and what this node reaches it with.
_DBMS = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mariadb"}
#: Tables that every OMOP Common Data Model has.
_CDM_TABLES = ("person", "observation_period", "concept")
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


async def check_all(config: NodeConfig) -> AsyncIterator[tuple[Database, Found]]:
    """Look at each database of a node, through its tunnels."""
    folder = config.beside(".")
    tunnels = Tunnels(config.ssh_tunnels, folder)
    for database in config.databases:
        target = server_of(database.uri)
        tunnel = tunnels.get(target) if target else None
        if tunnel is None:
            yield database, await asyncio.to_thread(check, database, folder)
            continue
        try:
            async with tunnel.on_loopback() as port:
                near = database.model_copy(update={"uri": moved(database.uri, "127.0.0.1", port)})
                yield database, await asyncio.to_thread(check, near, folder)
        except TunnelDown as down:
            problem = f"{down}; {down.remedy}"
            yield database, Found(database.label, database.type, problem)


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
    if "@" in database.uri.partition("://")[2].partition("/")[0].rpartition("@")[0]:
        found.problem = "uri holds a second '@': in a user name or password it is written %40"
        return found
    try:
        _LOOKS.get(kind, _other)(database, path, found)
    except ImportError as error:
        found.problem = f"what reads databases of type '{kind}' is not installed: {error}"
        plain, driver, _ = database.uri.partition("://")[0].partition("+")
        if driver and plain in _DBMS:
            found.problem += f"; the address may begin with {plain}://, without a driver"
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
    import pandas as pd
    from pandas.errors import EmptyDataError, ParserError

    try:
        frame = pd.read_csv(path, nrows=_ROWS)
    except EmptyDataError:
        found.problem = "the file is empty, even of column names"
        return
    except UnicodeDecodeError:
        found.problem = "the file is not text in UTF-8: save it as CSV in UTF-8"
        return
    except ParserError as error:
        found.problem = f"lines of the file differ in their number of columns: {error}".strip()
        return
    names = [str(name) for name in frame.columns]
    types = _csv_types(path)
    if list(types) != names:
        types = {name: str(kind) for name, kind in zip(names, frame.dtypes, strict=True)}
    found.columns = [f"{name}: {types[name]}" for name in names]
    if len(names) == 1 and (mark := next((each for each in ";\t|" if each in names[0]), None)):
        found.warnings.append(
            f"one column, with {mark!r} in its name: algorithms expect commas between columns"
        )
    if frame.empty:
        found.warnings.append("the file has column names and no rows")


def _csv_types(path: Path) -> dict[str, str]:
    """Types by column, as far as they can be told from more rows than are read otherwise."""
    import duckdb

    try:
        with closing(duckdb.connect()) as db:
            relation = "DESCRIBE SELECT * FROM read_csv(?, delim = ',', header = true)"
            return {row[0]: row[1].lower() for row in db.execute(relation, [str(path)]).fetchall()}
    except duckdb.Error:
        return {}  # what pandas can read is what counts


def _parquet(_: Database, path: Path, found: Found) -> None:
    from pyarrow import parquet

    found.columns = [f"{each.name}: {each.type}" for each in parquet.read_schema(path)]


def _excel(_: Database, path: Path, found: Found) -> None:
    import pandas as pd

    try:
        opened = pd.ExcelFile(path)
    except ValueError:
        found.problem = f"{path} is not an Excel file"
        return
    with opened as book:
        for sheet, frame in pd.read_excel(book, sheet_name=None, nrows=100).items():
            found.columns += [f"{sheet}.{name}: {kind}" for name, kind in frame.dtypes.items()]


def _sql(database: Database, path: Path, found: Found) -> None:
    from sqlalchemy.exc import ArgumentError

    uri = database.uri
    _, is_url, file = uri.partition("sqlite:///")
    if is_url or (uri.endswith(".sqlite") and "://" not in uri):
        # Asked first: a file that is absent would be made.
        found.problem = _unreadable(Path(file) if is_url else path, is_folder=False)
        if found.problem:
            return
        if is_url:
            found.warnings.append(
                "algorithms in a sandbox or container do not see this file: give its path as uri, "
                "ending in .sqlite and without sqlite://"
            )
        else:
            uri = str(path.absolute())
    try:
        engine = connect_to(uri, connect_timeout=_TIMEOUT)
    except ArgumentError:
        found.problem = _SQL_ADDRESS
        return
    dialect = engine.dialect.name
    if dialect in _DBMS.values() and dialect != "postgresql" and not engine.url.database:
        found.problem = "the address names no database: end it with '/' and its name"
        return
    with engine.connect() as connection:
        if not _list_tables(connection, None, found):
            found.warnings.append(
                "there is no table in it"
                if dialect == "sqlite"
                else "the account sees no table: grant SELECT on those to be used"
            )
        may = _WRITERS.get(connection.dialect.name)
        if may is not None and may(connection):
            found.warnings.append(
                "the account can change data: give the node one that can only SELECT"
            )


def _list_tables(connection: Connection, schema: str | None, found: Found) -> list[str]:
    """Note columns of tables and views; the names of these."""
    from sqlalchemy import inspect

    look = inspect(connection)
    tables = [*look.get_table_names(schema), *look.get_view_names(schema)]
    for table in tables[:_MANY]:
        columns = look.get_columns(table, schema)
        found.columns += [f"{table}.{each['name']}: {each['type']}" for each in columns]
    if len(tables) > _MANY:
        found.warnings.append(f"{len(tables)} tables; the first {_MANY} are listed")
    return tables


def _may_write_postgresql(connection: Connection) -> bool:
    from sqlalchemy import text

    statement = text(
        "SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        " AND has_schema_privilege(n.oid, 'USAGE')"
        " AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))"
    )
    return bool(connection.execute(statement).scalar())


def _may_write_mysql(connection: Connection) -> bool:
    from sqlalchemy import text

    # Those of everybody are among them, for a database "test" for instance.
    database = connection.engine.url.database or ""
    for (grant,) in connection.execute(text("SHOW GRANTS")):
        what, _, where = str(grant).partition(" ON ")
        if _covers(where, database) and any(word in what.upper() for word in _WRITES):
            return True
    return False


def _covers(where: str, database: str) -> bool:
    """Whether a grant on ``*.*`` or on a pattern of names, such as ``clin%``, is one on this."""
    if where.startswith("*.*"):
        return True
    found = re.match(r"`((?:[^`]|``)+)`\.", where)
    if found is None:
        return False
    parts = re.findall(r"\\.|.", found[1].replace("``", "`"))
    wild = {"%": ".*", "_": "."}
    pattern = "".join(wild.get(each) or re.escape(each.removeprefix("\\")) for each in parts)
    return re.fullmatch(pattern, database, re.IGNORECASE) is not None


_WRITERS: dict[str, Callable[[Connection], bool]] = {
    "postgresql": _may_write_postgresql,
    "mysql": _may_write_mysql,
    "mariadb": _may_write_mysql,
}


def _sparql(database: Database, _: Path, found: Found) -> None:
    from SPARQLWrapper import JSON, SPARQLWrapper

    if not database.uri.startswith(("http://", "https://")):
        found.problem = "uri must be the address of the endpoint, with http:// or https://"
        return
    endpoint = SPARQLWrapper(database.uri, returnFormat=JSON)
    endpoint.setTimeout(_TIMEOUT)
    endpoint.setQuery("SELECT DISTINCT ?p WHERE { ?s ?p ?o } LIMIT 50")
    answer: Any = endpoint.query().convert()
    rows = answer["results"]["bindings"]
    found.columns = [f"<{row['p']['value']}>" for row in rows]
    if not rows:
        found.warnings.append("the endpoint holds no triples, or shows none without a graph")


def _omop(database: Database, _: Path, found: Found) -> None:
    given = {str(key).upper(): str(value) for key, value in database.env.items()}
    missing = [key for key in _OMOP_KEYS if key not in given]
    if missing:
        found.problem = f"env lacks {', '.join(missing)}: OMOP algorithms need them"
        return
    target = server_of(database.uri)
    if target is None:
        found.warnings.append("the address names no host and port: it was not tried")
        return
    scheme = _DBMS.get(given["DBMS"].lower())
    if scheme is None:
        with socket.create_connection(target, timeout=_TIMEOUT):
            found.warnings.append(
                f"the server answers; whether it lets '{given['USER']}' in was not tried: this "
                f"node speaks no '{given['DBMS']}'"
            )
        return
    from sqlalchemy import URL

    path = urlsplit(database.uri.removeprefix("jdbc:")).path.strip("/")
    place = URL.create(
        scheme, given["USER"], given["PASSWORD"], *target, path or given["CDM_DATABASE"]
    ).render_as_string(hide_password=False)
    with connect_to(place, connect_timeout=_TIMEOUT).connect() as connection:
        _look_at_cdm(connection, given, found)


def _look_at_cdm(connection: Connection, given: dict[str, str], found: Found) -> None:
    """Are the two schemas there, and which tables of the Common Data Model are in the first?"""
    from sqlalchemy import inspect

    schemas = {name.lower(): name for name in inspect(connection).get_schema_names()}
    for key in ("CDM_SCHEMA", "RESULTS_SCHEMA"):
        if given[key].lower() not in schemas:
            found.problem = f"there is no schema '{given[key]}' ({key}), or the account sees none"
            return
    cdm = given["CDM_SCHEMA"]
    tables = {each.lower() for each in _list_tables(connection, schemas[cdm.lower()], found)}
    absent = [each for each in _CDM_TABLES if each not in tables]
    if absent:
        found.warnings.append(f"schema '{cdm}' has no table {', '.join(absent)}")


def _folder(_: Database, path: Path, found: Found) -> None:
    with os.scandir(path) as entries:
        if next(entries, None) is None:
            found.warnings.append("the folder is empty")


def _other(database: Database, path: Path, found: Found) -> None:
    if "://" not in database.uri and len(database.uri) < 4096 and path.exists():
        found.problem = _unreadable(path, is_folder=path.is_dir())
        return
    if database.uri.startswith(("/", "./", "~")):
        found.warnings.append(f"there is no {path}")
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
    for key, value in database.env.items():
        if str(key).upper() == "PASSWORD" and value:
            line = line.replace(str(value), "***")
    return line.replace(database.uri, database.shown_uri)[:300]
