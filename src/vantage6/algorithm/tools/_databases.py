"""The databases a task asked for, as the node announces them in the environment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vantage6.algorithm.tools._environment import read_variable
from vantage6.algorithm.tools.exceptions import DataReadError
from vantage6.algorithm.tools.preprocessing import preprocess_data
from vantage6.algorithm.tools.table import Table
from vantage6.algorithm.tools.util import ExplainedExit, fail, info, warn
from vantage6.algorithm.tools.wrappers import load_data, open_data

if TYPE_CHECKING:
    import pandas as pd


def requested_labels(needed: int, thing: str = "databases") -> list[str]:
    """The labels the task names, cut to the number needed; ends the algorithm if too few."""
    text = read_variable("USER_REQUESTED_DATABASE_LABELS") or ""
    labels = [label for label in text.split(",") if label]
    if len(labels) < needed:
        hint = "" if labels else " Name them in the task: databases=[{'label': ...}]."
        fail(
            f"Algorithm requires {needed} {thing} but only {len(labels)} were provided.{hint} "
            "Exiting..."
        )
    if len(labels) > needed:
        warn(
            f"Algorithm requires only {needed} {thing}, but {len(labels)} were provided. "
            f"Using the first {needed} {thing}."
        )
    return labels[:needed]


def database_uri(label: str) -> str:
    """Where a database is; ends the algorithm if this data station has none of that label."""
    uri = setting(label, "DATABASE_URI")
    if not uri:
        known = ", ".join(f"'{each}'" for each in (read_variable("DB_LABELS") or "").split(","))
        fail(f"Database '{label}' does not exist at this data station. It has: {known}. Exiting...")
    return uri


def setting(label: str, key: str) -> str | None:
    """A database's variable ``<LABEL>_<KEY>``."""
    return read_variable(f"{label.upper()}_{key}")


def read_database(label: str) -> pd.DataFrame:
    """Load and preprocess one database.

    Raises
    ------
    DataReadError
        If it cannot be read. The text names the label, never path, address or content.
    """
    kind, uri, wishes = _announced(label)
    try:
        frame = load_data(uri, kind, **wishes)
    except ExplainedExit:
        raise
    except Exception as problem:
        raise _explained(problem, label, kind, uri, wishes) from problem
    return _preprocessed(frame, label)


def open_database(label: str) -> Table:
    """A database to be read as far as needed; one that the task wants preprocessed is loaded.

    Raises
    ------
    DataReadError
        If it cannot be read; also later, when it is.
    """
    if _preprocessing_steps(label):
        return Table.of(read_database(label))
    kind, uri, wishes = _announced(label)

    def explain(problem: Exception) -> Exception:
        return _explained(problem, label, kind, uri, wishes)

    try:
        source = open_data(uri, kind, **wishes)
    except ExplainedExit:
        raise
    except Exception as problem:
        raise explain(problem) from problem
    return Table(source, explain, read_variable("TEMPORARY_FOLDER"))


def _announced(label: str) -> tuple[str, str, dict[str, str | None]]:
    """Type and address of a database, and what the task wants of it."""
    # Neither path nor address: an SQL address carries a password.
    info(f"Reading data from database '{label}'")
    uri = database_uri(label)
    kind = (setting(label, "DATABASE_TYPE") or "csv").lower()
    wishes = {"query": setting(label, "QUERY"), "sheet_name": setting(label, "SHEET_NAME")}
    return kind, uri, wishes


def _explained(
    problem: Exception, label: str, kind: str, uri: str, wishes: dict[str, str | None]
) -> DataReadError:
    cause = _cause(problem, kind, uri, wishes["sheet_name"])
    return DataReadError(f"Database '{label}' cannot be read: {cause}")


def _preprocessed(frame: pd.DataFrame, label: str) -> pd.DataFrame:
    steps = _preprocessing_steps(label)
    if steps:
        info(f"Applying preprocessing for database '{label}'")
        frame = preprocess_data(frame, steps)
    return frame


def _preprocessing_steps(label: str) -> Sequence[dict[str, Any]]:
    text = setting(label, "PREPROCESSING")
    if not text:
        return []
    try:
        steps = json.loads(text)
    except ValueError:
        steps = None
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        fail(f"The preprocessing of database '{label}' must be a list of steps. Exiting...")
    return steps


def _cause(problem: Exception, kind: str, uri: str, sheet_name: str | None) -> str:
    """Why a database cannot be read, in words that quote nothing of it."""
    name = type(problem).__name__
    cause = f"it is not valid {kind} ({name}; details are in the log of the data station)"
    if isinstance(problem, FileNotFoundError):
        cause = "its file does not exist at the data station"
    elif isinstance(problem, PermissionError):
        cause = "the data station does not let algorithms read its file"
    elif isinstance(problem, ImportError):
        cause = f"the algorithm's image lacks what reads databases of type '{kind}'"
    elif name == "EmptyDataError":
        cause = "its file is empty, even of column names"
    elif kind in ("sql", "sparql"):
        cause = f"the query failed ({name}; details are in the log of the data station)"
    elif kind == "excel" and sheet_name:
        sheets = _sheet_names(uri)
        if sheets is not None and sheet_name not in sheets:
            cause = f"it has no sheet '{sheet_name}'. Its sheets are: {', '.join(sheets)}"
    return cause


def _sheet_names(uri: str) -> list[str] | None:
    import pandas as pd

    try:
        with pd.ExcelFile(uri) as file:
            return [str(name) for name in file.sheet_names]
    except Exception:  # it was to explain another failure, which is reported instead
        return None
