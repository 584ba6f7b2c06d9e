"""An algorithm that reads whatever databases its task names, and tells what it found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

from vantage6.algorithm.client import AlgorithmClient
from vantage6.algorithm.tools.decorators import algorithm_client, data, database_connection
from vantage6.algorithm.tools.util import get_env_var


def _told(frame: pd.DataFrame) -> dict[str, Any]:
    return {
        "columns": [str(name) for name in frame.columns],
        "ages": sorted(map(int, frame["age"])),
    }


@data(7)
def frames(*given: pd.DataFrame) -> Any:
    """What each data frame holds, in the order in which they came."""
    return [_told(frame) for frame in given]


@data(1)
def frame(given: pd.DataFrame) -> Any:
    """What one data frame holds."""
    return _told(given)


def files(*labels: str) -> Any:
    """What lies in folders and files, and whether it can be changed."""
    found = {}
    for label in labels:
        path = Path(get_env_var(f"{label.upper()}_DATABASE_URI") or "")
        texts = sorted(path.iterdir()) if path.is_dir() else [path]
        found[label] = {
            "texts": [each.read_text() for each in texts],
            "writable": os.access(path, os.W_OK),
            "type": get_env_var(f"{label.upper()}_DATABASE_TYPE"),
        }
    return found


@algorithm_client
def siblings(client: AlgorithmClient) -> Any:
    """Addresses of the other runs of this task, for those who need them."""
    return [each["ip"] for each in client.vpn.get_sibling_addresses()]


@database_connection(types=["OMOP"], include_metadata=True)
def persons(connection: Any, meta: Any) -> Any:
    """How many persons a Common Data Model has, and whether results can be written beside it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {meta.cdm_schema}.person")  # noqa: S608
        count = cursor.fetchone()[0]
        cursor.execute(f"CREATE TABLE {meta.results_schema}.cohort (id int)")
    connection.rollback()
    return {"persons": count, "dbms": meta.dbms, "database": meta.database}
