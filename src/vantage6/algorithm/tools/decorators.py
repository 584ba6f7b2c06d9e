"""Decorators that give a function its data, its client and what it may know of its task.

Each puts its values in front of the arguments it receives, so the lowest one comes first:
``@data(1)`` above ``@algorithm_client`` calls ``f(client, df, ...)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from vantage6.algorithm.client import AlgorithmClient
from vantage6.algorithm.client.token import read_token
from vantage6.algorithm.tools._databases import open_database, read_database, requested_labels
from vantage6.algorithm.tools._environment import read_variable
from vantage6.algorithm.tools._signature import count_injected
from vantage6.algorithm.tools.exceptions import EnvironmentVariableNotFoundError
from vantage6.algorithm.tools.mock_client import MockAlgorithmClient
from vantage6.algorithm.tools.ohdsi import (
    OHDSI_AVAILABLE,
    OHDSIMetaData,
    database_connection,
    get_ohdsi_metadata,
)
from vantage6.algorithm.tools.preprocessing import preprocess_data
from vantage6.algorithm.tools.table import Table
from vantage6.algorithm.tools.util import error, info, warn
from vantage6.algorithm.tools.wrappers import load_data

__all__ = [
    "OHDSI_AVAILABLE",
    "AlgorithmClient",
    "MockAlgorithmClient",
    "OHDSIMetaData",
    "RunMetaData",
    "Table",
    "algorithm_client",
    "data",
    "database_connection",
    "error",
    "get_ohdsi_metadata",
    "info",
    "load_data",
    "metadata",
    "preprocess_data",
    "warn",
]


@dataclass
class RunMetaData:
    """What a run may know of its task and its files."""

    task_id: int | None
    node_id: int | None
    collaboration_id: int | None
    organization_id: int | None
    temporary_directory: Path | None
    output_file: Path | None
    input_file: Path | None
    token_file: Path | None


class _NotInEnvironment(EnvironmentVariableNotFoundError, KeyError):
    """What ``os.environ[name]`` raises, with a text for the researcher."""

    __str__ = Exception.__str__


def algorithm_client(func: Callable[..., Any]) -> Callable[..., Any]:
    """Give the function an :class:`AlgorithmClient` to talk to the server with.

    Tests give their own as keyword ``mock_client``.
    """

    @wraps(func)
    def decorator(*args: Any, mock_client: MockAlgorithmClient | None = None, **kwargs: Any) -> Any:
        if mock_client is not None:
            return func(mock_client, *args, **kwargs)
        client = AlgorithmClient(
            token=_read_token_file(),
            host=_variable("HOST"),
            port=int(_variable("PORT")),
            path=_variable("API_PATH"),
        )
        return func(client, *args, **kwargs)

    count_injected(decorator, func, 1)
    decorator.wrapped_in_algorithm_client_decorator = True  # type: ignore[attr-defined]
    return decorator


def data(
    number_of_databases: int = 1, *, lazy: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give the function the databases the task names, as data frames, in the task's order.

    Tests give their own as keyword ``mock_data``, a list of data frames.

    Parameters
    ----------
    number_of_databases : int
        How many; further ones are left out.
    lazy : bool
        Give a :class:`~vantage6.algorithm.tools.table.Table` each in place of a data frame: it
        reads only the columns and rows that are asked for, so that the database may be larger
        than memory.

    Raises
    ------
    SystemExit
        If the task names too few, or one that the data station lacks, after a message.
    DataReadError
        If one cannot be read.
    """
    if not isinstance(number_of_databases, int):
        raise TypeError("Write @data(1), with the number of databases, instead of @data")

    def protection_decorator(func: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(func)
        def decorator(*args: Any, mock_data: list[Any] | None = None, **kwargs: Any) -> Any:
            if mock_data is not None:
                given = [Table.of(frame) for frame in mock_data] if lazy else mock_data
                return func(*given, *args, **kwargs)
            read = open_database if lazy else read_database
            databases = [read(label) for label in requested_labels(number_of_databases)]
            return func(*databases, *args, **kwargs)

        count_injected(decorator, func, number_of_databases)
        decorator.wrapped_in_data_decorator = True  # type: ignore[attr-defined]
        return decorator

    return protection_decorator


def metadata(func: Callable[..., Any]) -> Callable[..., Any]:
    """Give the function a :class:`RunMetaData`."""

    @wraps(func)
    def decorator(*args: Any, **kwargs: Any) -> Any:
        token = _read_token_file()
        info("Extracting payload from token")
        claims = read_token(token)
        known = RunMetaData(
            task_id=claims.get("task_id"),
            node_id=claims.get("node_id"),
            collaboration_id=claims.get("collaboration_id"),
            organization_id=claims.get("organization_id"),
            temporary_directory=Path(_variable("TEMPORARY_FOLDER")),
            output_file=Path(_variable("OUTPUT_FILE")),
            input_file=Path(_variable("INPUT_FILE")),
            token_file=Path(_variable("TOKEN_FILE")),
        )
        return func(known, *args, **kwargs)

    return count_injected(decorator, func, 1)


def _read_token_file() -> str:
    info("Reading token")
    return Path(_variable("TOKEN_FILE")).read_text(encoding="ascii").strip()


def _variable(name: str) -> str:
    value = read_variable(name)
    if value is None:
        raise _NotInEnvironment(
            f"Environment variable '{name}' is not set; the node should have set it"
        )
    return value
