"""Loading databases of every type into data frames."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn

from vantage6.algorithm.tools._tunnel import through_gateway
from vantage6.algorithm.tools.table import CsvSource, FrameSource, ParquetSource, Source, SqlSource
from vantage6.algorithm.tools.util import ExplainedExit, error, fail, info
from vantage6.common.addresses import server_of
from vantage6.common.sql import connect_to

# pandas is imported where it is used: central functions often do without.
if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Connection


_HERE = ("localhost", "127.0.0.1", "::1")


class DatabaseType(StrEnum):
    """Types of database that can be loaded."""

    CSV = "csv"
    SQL = "sql"
    EXCEL = "excel"
    SPARQL = "sparql"
    PARQUET = "parquet"


def load_data(
    database_uri: str,
    db_type: str | None = None,
    query: str | None = None,
    sheet_name: str | None = None,
) -> pd.DataFrame:
    """Load a database.

    Parameters
    ----------
    database_uri : str
        Path or address.
    db_type : str
        One of the values of :class:`DatabaseType`.
    query : str, optional
        Required for SQL and SPARQL.
    sheet_name : str, optional
        For Excel; the first sheet by default.

    Raises
    ------
    SystemExit
        If the type is unknown or the query is missing, after a message.
    """
    frame: pd.DataFrame
    match db_type:
        case DatabaseType.CSV.value:
            frame = load_csv_data(database_uri)
        case DatabaseType.EXCEL.value:
            frame = load_excel_data(database_uri, sheet_name)
        case DatabaseType.PARQUET.value:
            frame = load_parquet_data(database_uri)
        case DatabaseType.SQL.value:
            frame = load_sql_data(database_uri, _required(query, db_type))
        case DatabaseType.SPARQL.value:
            frame = load_sparql_data(database_uri, _required(query, db_type))
        case _:
            _unknown_type(db_type)
    return frame


def open_data(
    database_uri: str,
    db_type: str | None = None,
    query: str | None = None,
    sheet_name: str | None = None,
) -> Source:
    """What to read a database from piece by piece; the types that cannot are loaded.

    Parameters and errors are those of :func:`load_data`.
    """
    match db_type:
        case DatabaseType.CSV.value:
            return CsvSource(database_uri)
        case DatabaseType.PARQUET.value:
            return ParquetSource(database_uri)
        case DatabaseType.SQL.value:
            return SqlSource(database_uri, _required(query, db_type))
        case _:
            return FrameSource(load_data(database_uri, db_type, query, sheet_name))


def get_column_names(
    database_uri: str,
    db_type: str | None = None,
    query: str | None = None,
    sheet_name: str | None = None,
) -> list[str]:
    """Names of a database's columns, read without its rows where the type allows it.

    Parameters and errors are those of :func:`load_data`.
    """
    import pandas as pd

    columns: pd.Index
    match db_type:
        case DatabaseType.CSV.value:
            columns = pd.read_csv(database_uri, nrows=0).columns
        case DatabaseType.EXCEL.value:
            columns = pd.read_excel(database_uri, sheet_name=sheet_name or 0, nrows=0).columns
        case DatabaseType.PARQUET.value:
            import pyarrow.parquet

            schema = pyarrow.parquet.read_schema(database_uri)
            columns = schema.empty_table().to_pandas().columns
        case DatabaseType.SQL.value:
            statement = _required(query, db_type)
            with _connection(database_uri) as connection:
                columns = next(pd.read_sql_query(statement, connection, chunksize=1)).columns
        case _:
            columns = load_data(database_uri, db_type, query, sheet_name).columns
    return [str(column) for column in columns]


def load_csv_data(database_uri: str) -> pd.DataFrame:
    """Load a CSV file."""
    import pandas as pd

    return pd.read_csv(database_uri)


def load_parquet_data(database_uri: str) -> pd.DataFrame:
    """Load a Parquet file."""
    import pandas as pd

    return pd.read_parquet(database_uri)


def load_excel_data(database_uri: str, sheet_name: str | None = None) -> pd.DataFrame:
    """Load one sheet of an Excel file, the first by default.

    Raises
    ------
    ValueError
        If there is no such sheet.
    """
    import pandas as pd

    if sheet_name:
        info(f"Reading sheet '{sheet_name}' from excel file")
    return pd.read_excel(database_uri, sheet_name=sheet_name or 0)


def load_sql_data(database_uri: str, query: str) -> pd.DataFrame:
    """Load what an SQL query selects.

    Parameters
    ----------
    database_uri : str
        SQLAlchemy address, or absolute path of a file ending in ``.sqlite``.
    query : str
        Given to the database as it is.
    """
    import pandas as pd

    with _connection(database_uri) as connection:
        return pd.read_sql_query(query, connection)


def load_sparql_data(database_uri: str, query: str) -> pd.DataFrame:
    """Load what a SPARQL query selects."""
    import pandas as pd
    import SPARQLWrapper

    if database_uri.startswith("http://") and (server_of(database_uri) or ("",))[0] in _HERE:
        # At the data station, while in a sandbox it is the algorithm itself.
        database_uri = through_gateway(database_uri)
    endpoint = SPARQLWrapper.SPARQLWrapper(database_uri, returnFormat=SPARQLWrapper.CSV)
    endpoint.setQuery(query)
    answer = endpoint.query().convert()
    if not isinstance(answer, bytes):
        raise TypeError("The endpoint does not answer in CSV; is the query a SELECT?")
    return pd.read_csv(io.BytesIO(answer))


@contextmanager
def _connection(database_uri: str) -> Iterator[Connection]:
    engine = connect_to(through_gateway(database_uri))
    # Without parameters a driver leaves "%" in the query alone.
    with engine.connect().execution_options(no_parameters=True) as connection:
        yield connection


def _required(query: str | None, db_type: str) -> str:
    if not query:
        fail(f"Query is required for database type '{db_type}'")
    return query


def _unknown_type(db_type: str | None) -> NoReturn:
    error(f"Unknown database type '{db_type}'. Please check the node configuration.")
    info(f"Available database types: {', '.join(kind.value for kind in DatabaseType)}")
    raise ExplainedExit(1)
