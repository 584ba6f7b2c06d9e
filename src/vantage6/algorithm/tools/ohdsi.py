"""Connections to OMOP databases through the OHDSI packages, which only some images have."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from vantage6.algorithm.tools._databases import requested_labels
from vantage6.algorithm.tools._environment import read_variable
from vantage6.algorithm.tools._signature import count_injected
from vantage6.algorithm.tools._tunnel import through_gateway
from vantage6.algorithm.tools.util import error, fail, info

_CONNECTOR = "ohdsi.database_connector"


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec(_CONNECTOR) is not None
    except ModuleNotFoundError:
        return False


OHDSI_AVAILABLE = _is_installed()


@dataclass
class OHDSIMetaData:
    """Where an OMOP database keeps what, and where tools for it may write."""

    database: str
    cdm_schema: str
    results_schema: str
    incremental_folder: Path
    cohort_statistics_folder: Path
    export_folder: Path
    dbms: str


def database_connection(
    types: Sequence[str], include_metadata: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give the function a connection per database the task names.

    Parameters
    ----------
    types : list of str
        Type of each connection; only ``"OMOP"`` exists.
    include_metadata : bool
        Whether an :class:`OHDSIMetaData` follows each connection.

    Raises
    ------
    SystemExit
        If a connection cannot be made, after a message.
    """

    def connection_decorator(func: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(func)
        def decorator(*args: Any, **kwargs: Any) -> Any:
            labels = requested_labels(len(types), "database connections")
            given: list[Any] = []
            for kind, label in zip(types, labels, strict=True):
                if kind.upper() != "OMOP":
                    fail(f"Unknown type '{kind}' of database connection. Known is: OMOP")
                info(f"Creating OMOP database connection for database '{label}'")
                given.append(_connect(label))
                if include_metadata:
                    given.append(get_ohdsi_metadata(label))
            return func(*given, *args, **kwargs)

        return count_injected(decorator, func, len(types) * (2 if include_metadata else 1))

    return connection_decorator


def get_ohdsi_metadata(label: str) -> OHDSIMetaData:
    """Read what the data station says of an OMOP database.

    Raises
    ------
    SystemExit
        If a variable is missing, after a message that names it.
    """
    folder = Path(_required("TEMPORARY_FOLDER"))
    return OHDSIMetaData(
        database=_parameter(label, "CDM_DATABASE"),
        cdm_schema=_parameter(label, "CDM_SCHEMA"),
        results_schema=_parameter(label, "RESULTS_SCHEMA"),
        incremental_folder=folder / "incremental",
        cohort_statistics_folder=folder / "cohort_statistics",
        export_folder=folder / "export",
        dbms=_parameter(label, "DBMS"),
    )


def _connect(label: str) -> Any:
    try:
        connector = importlib.import_module(_CONNECTOR)
    except ImportError:
        error(f"The package '{_CONNECTOR}' is not installed in the algorithm's image.")
        fail("Build the algorithm from the OHDSI base image. Exiting...")
    return connector.connect(
        dbms=_parameter(label, "DBMS"),
        connection_string=through_gateway(_required(f"{label.upper()}_DATABASE_URI")),
        password=_parameter(label, "PASSWORD"),
        user=_parameter(label, "USER"),
    )


def _parameter(label: str, key: str) -> str:
    return _required(f"{label.upper()}_DB_PARAM_{key}")


def _required(name: str) -> str:
    value = read_variable(name)
    if value is None:
        fail(f"Environment variable '{name}' is not set. Exiting...")
    return value
