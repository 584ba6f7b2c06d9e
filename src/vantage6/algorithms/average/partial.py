"""What each data station computes: its share of the average."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from vantage6.algorithm.tools.decorators import data
from vantage6.algorithm.tools.exceptions import (
    DataError,
    DataTypeError,
    PrivacyThresholdViolation,
)
from vantage6.algorithm.tools.table import Table
from vantage6.algorithm.tools.util import check_envvar_value_positive, get_env_var, info

DEFAULT_MINIMUM_ROWS = 5


@data(1, lazy=True)
def partial_average(table: Table, column_name: str) -> dict[str, Any]:
    """Sum and count a column; missing values are left out.

    Parameters
    ----------
    table : Table
        The data station's table, of which one column is read, piece by piece.
    column_name : str
        A numeric column.

    Returns
    -------
    dict
        ``{"sum": float, "count": int}``.

    Raises
    ------
    UserInputError
        If there is no such column.
    DataError
        If the table is empty, or the column is not numeric or its sum is infinite.
    PrivacyThresholdViolation
        If there are fewer values than the data station's ``AVERAGE_MINIMUM_ROWS``.
    """
    info(f"Computing sum and count of column '{column_name}'")
    total, count = _sum_and_count(table, column_name)

    # A sum over a handful of people comes too close to telling about each of them.
    minimum = get_env_var("AVERAGE_MINIMUM_ROWS", DEFAULT_MINIMUM_ROWS, as_type="int")
    check_envvar_value_positive("AVERAGE_MINIMUM_ROWS", minimum)
    if count < minimum:
        raise PrivacyThresholdViolation(
            f"Column '{column_name}' has fewer than {minimum} values, the minimum that this "
            "data station allows"
        )
    if not math.isfinite(total):
        raise DataError(f"Column '{column_name}' has values that are infinite or too large")
    return {"sum": total, "count": count}


def _sum_and_count(table: Table, column_name: str) -> tuple[float, int]:
    """Sum and number of the column's values that are not missing."""
    sums, count, rows = [], 0, 0
    for frame in table.batches([column_name]):
        rows += len(frame)
        values = _numbers(frame[column_name])
        count += len(values)
        with np.errstate(over="ignore"):
            sums.append(float(values.sum()))
    if rows == 0:
        raise DataError("The table has no rows")
    try:
        return math.fsum(sums), count
    except (OverflowError, ValueError):  # too large, or infinities of both signs
        return math.inf, count


def _numbers(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The column's values that are not missing."""
    column = column.dropna()
    # A column without any value has no type of its own.
    if len(column) and not pd.api.types.is_numeric_dtype(column):
        raise DataTypeError(f"Column '{column.name}' is not numeric, so that it has no average")
    return column.to_numpy(dtype=np.float64)
