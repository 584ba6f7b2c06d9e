"""Databases larger than memory: read by column, by condition, and piece by piece.

``@data(1, lazy=True)`` gives a :class:`Table` where ``@data(1)`` gives a data frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol

from vantage6.algorithm.tools._tunnel import through_gateway
from vantage6.algorithm.tools.exceptions import AlgorithmError, UserInputError
from vantage6.common.sql import connect_to

# Heavy, and central functions often do without.
if TYPE_CHECKING:
    import duckdb
    import pandas as pd

#: Rows of a piece.
ROWS = 65_536
#: Memory that a question to a file may take before it goes to the run's temporary folder.
QUERY_MEMORY = "512MB"

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
Condition = tuple[str, Operator, Any]
_SQL = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class Source(Protocol):
    """What a table is read from."""

    def columns(self) -> list[str]:
        """Names of the columns."""
        ...

    def batches(self, columns: list[str] | None, rows: int) -> Iterator[pd.DataFrame]:
        """Pieces of at most so many rows, of some columns or all."""
        ...

    def show(self, db: duckdb.DuckDBPyConnection) -> None:
        """Let a query see it as ``data``."""
        ...


class Table:
    """A database that is read when asked, and only as far as asked.

    Parameters
    ----------
    source : Source
        What it is read from.
    explain : callable
        Makes an error of a library into one whose text quotes no data.
    temporary_folder : str, optional
        Where a query may put what does not fit into memory.
    """

    def __init__(
        self,
        source: Source,
        explain: Callable[[Exception], Exception] = lambda error: error,
        temporary_folder: str | None = None,
    ) -> None:
        self._source = source
        self._explain = explain
        self._temporary_folder = temporary_folder
        self._columns: list[str] | None = None

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Table:
        """A table of a data frame that is in memory anyway."""
        return cls(FrameSource(frame))

    @property
    def columns(self) -> list[str]:
        """Names of the columns; no row is read for them."""
        if self._columns is None:
            with self._reading():
                self._columns = self._source.columns()
        return self._columns

    def batches(
        self, columns: Sequence[str] | None = None, rows: int = ROWS
    ) -> Iterator[pd.DataFrame]:
        """Data frames of at most `rows` rows, one after another; only one is in memory.

        Parameters
        ----------
        columns : sequence of str, optional
            Those to read; all by default.
        rows : int
            Rows of a piece.

        Raises
        ------
        UserInputError
            If there is no such column.
        DataReadError
            If the database cannot be read.
        """
        wanted = self._known(columns)
        pieces = self._source.batches(wanted, rows)
        while True:
            with self._reading():
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def read(
        self, columns: Sequence[str] | None = None, where: Sequence[Condition] = ()
    ) -> pd.DataFrame:
        """One data frame of some columns, of the rows that meet all conditions.

        Parameters
        ----------
        columns : sequence of str, optional
            Those to read; all by default.
        where : sequence of (str, str, object)
            Column, one of ``== != < <= > >=``, and a value. Parts of a Parquet file in which no
            row can meet them are not read. Missing values meet none.

        Raises
        ------
        UserInputError
            If there is no such column or operator.
        DataReadError
            If the database cannot be read.
        """
        import pandas as pd

        wanted = self._known(columns)
        if not where:
            pieces = list(self.batches(wanted))
            if not pieces:
                return pd.DataFrame(columns=wanted or self.columns)
            return pieces[0] if len(pieces) == 1 else pd.concat(pieces, ignore_index=True)
        self._known([column for column, _, _ in where])
        for _, operator, _ in where:
            if operator not in _SQL:
                raise UserInputError(f"'{operator}' is none of {', '.join(_SQL)}")
        names = ", ".join(map(_quoted, wanted or self.columns))
        conditions = " AND ".join(f"{_quoted(name)} {_SQL[sign]} ?" for name, sign, _ in where)
        return self.query(
            f"SELECT {names} FROM data WHERE {conditions}",  # noqa: S608 (names are quoted)
            [value for _, _, value in where],
        )

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        """What an SQL query (DuckDB's) to ``data`` gives.

        A Parquet or CSV file is read only as far as the query needs it, in little memory:
        ``SELECT avg(age), avg(bmi) FROM data WHERE sex = 'F'``.

        Parameters
        ----------
        sql : str
            The query; never made of what a researcher gave, which goes into `parameters`.
        parameters : sequence
            Values for the question marks in it.

        Raises
        ------
        DataReadError
            If the database cannot be read, or the query is wrong.
        """
        import duckdb

        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": QUERY_MEMORY,
            "threads": 1,
        }
        if self._temporary_folder:
            settings["temp_directory"] = self._temporary_folder
        with self._reading(), closing(duckdb.connect(config=settings)) as db:
            self._source.show(db)
            return db.execute(sql, list(parameters)).df()

    def to_pandas(self) -> pd.DataFrame:
        """All of it."""
        return self.read()

    def _known(self, columns: Sequence[str] | None) -> list[str] | None:
        if columns is None:
            return None
        for column in columns:
            if column not in self.columns:
                raise UserInputError(
                    f"There is no column '{column}'. The columns are: {', '.join(self.columns)}"
                )
        return list(columns)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (AlgorithmError, MemoryError):
            raise
        except Exception as error:
            explained = self._explain(error)
            if explained is error:
                raise
            raise explained from error


class FrameSource:
    """A data frame in memory."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def columns(self) -> list[str]:
        """Names of the columns."""
        return [str(column) for column in self._frame.columns]

    def batches(self, columns: list[str] | None, rows: int) -> Iterator[pd.DataFrame]:
        """The frame itself, as one piece: it is in memory anyway."""
        del rows
        yield self._frame if columns is None else self._frame[columns]

    def show(self, db: duckdb.DuckDBPyConnection) -> None:
        """Let a query see it as ``data``."""
        db.register("data", self._frame)


class ParquetSource:
    """A Parquet file: only the columns and parts that are asked for are read."""

    def __init__(self, path: str) -> None:
        self._path = path

    def columns(self) -> list[str]:
        """Names of the columns."""
        from pyarrow import parquet

        schema = parquet.read_schema(self._path)
        return [str(name) for name in schema.empty_table().to_pandas().columns]

    def batches(self, columns: list[str] | None, rows: int) -> Iterator[pd.DataFrame]:
        """Pieces as they are read."""
        import pyarrow
        from pyarrow import parquet

        with parquet.ParquetFile(self._path, pre_buffer=False) as file:
            wanted = columns if columns is not None else self.columns()
            for batch in file.iter_batches(batch_size=rows, columns=wanted, use_threads=False):
                yield batch.to_pandas()
                del batch
            pyarrow.default_memory_pool().release_unused()

    def show(self, db: duckdb.DuckDBPyConnection) -> None:
        """Let a query see it as ``data``."""
        db.read_parquet(self._path).create_view("data")


class CsvSource:
    """A CSV file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def columns(self) -> list[str]:
        """Names of the columns."""
        import pandas as pd

        return [str(column) for column in pd.read_csv(self._path, nrows=0).columns]

    def batches(self, columns: list[str] | None, rows: int) -> Iterator[pd.DataFrame]:
        """Pieces as they are read; a column's type is that of its values in the piece."""
        import pandas as pd

        with pd.read_csv(self._path, usecols=columns, chunksize=rows) as reader:
            for piece in reader:
                yield piece if columns is None else piece[columns]

    def show(self, db: duckdb.DuckDBPyConnection) -> None:
        """Let a query see it as ``data``."""
        db.read_csv(self._path).create_view("data")


class SqlSource:
    """What a query to an SQL database selects; the database sends it piece by piece."""

    def __init__(self, uri: str, query: str) -> None:
        self._uri = uri
        self._query = query

    def columns(self) -> list[str]:
        """Names of the columns."""
        return [str(column) for column in next(self.batches(None, 1)).columns]

    def batches(self, columns: list[str] | None, rows: int) -> Iterator[pd.DataFrame]:
        """Pieces as the database sends them."""
        import pandas as pd

        # Without parameters a driver leaves "%" in the query alone.
        options = {"stream_results": True, "no_parameters": True, "yield_per": rows}
        with (
            connect_to(through_gateway(self._uri))
            .connect()
            .execution_options(**options) as connection,
            connection.exec_driver_sql(self._query) as result,
        ):
            names, none = list(result.keys()), True
            for part in result.partitions(rows):
                none = False
                piece = pd.DataFrame.from_records(part, columns=names, coerce_float=True)
                yield piece if columns is None else piece[columns]
            if none:
                yield pd.DataFrame(columns=columns or names)

    def show(self, db: duckdb.DuckDBPyConnection) -> None:
        """Let a query see it as ``data``."""
        import pandas as pd

        db.register("data", pd.concat(self.batches(None, ROWS), ignore_index=True))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
