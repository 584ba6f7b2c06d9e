"""The preprocessing steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vantage6.algorithm.tools.exceptions import UserInputError

if TYPE_CHECKING:
    import pandas as pd


def filter_range(
    df: pd.DataFrame,
    column: str,
    min_: float | None = None,
    max_: float | None = None,
    include_min: bool = False,
    include_max: bool = False,
) -> pd.DataFrame:
    """Keep the rows whose value lies in a range.

    Parameters
    ----------
    df : pandas.DataFrame
        The data.
    column : str
        Column to look at.
    min_, max_ : float, optional
        Bounds; None is no bound.
    include_min, include_max : bool
        Whether a value equal to the bound is kept.

    Raises
    ------
    UserInputError
        If there is no such column, or its values cannot be compared with the bounds.
    """
    if column not in df.columns:
        names = ", ".join(str(name) for name in df.columns)
        raise UserInputError(
            f"Preprocessing step 'filter_range': no column '{column}'. Columns are: {names}"
        )
    values: pd.Series[Any] = df[column]
    try:
        if min_ is not None:
            df = df[values >= min_ if include_min else values > min_]
            values = df[column]
        if max_ is not None:
            df = df[values <= max_ if include_max else values < max_]
    except TypeError:
        raise UserInputError(
            f"Preprocessing step 'filter_range': the values of column '{column}' cannot be "
            "compared with the bounds"
        ) from None
    return df


def dummy_preprocess(df: pd.DataFrame) -> pd.DataFrame:
    """Return the data as they are."""
    return df
