"""Results as one pandas frame; pandas is needed for this only, so it is imported late."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

ORGANIZATION = "organization"


def import_pandas() -> Any:
    """Return pandas.

    Raises
    ------
    ImportError
        If it is not installed; with what to do.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "A frame needs pandas, which is not installed: pip install pandas. Without it, "
            "client.result.from_task(...) gives the results as JSON text"
        ) from error
    return pandas


def make_frame(results: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Put results below each other.

    Parameters
    ----------
    results : iterable of (str, str)
        Name of an organization, its result as JSON text.

    Raises
    ------
    ValueError
        If a result is no table, dictionary or single value.
    """
    pandas = import_pandas()
    parts = []
    for organization, text in results:
        try:
            part = _read(json.loads(text))
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"The result of {organization} does not fit a frame: {error}. "
                "client.result.from_task(...) gives it as it is"
            ) from error
        # An algorithm may have a column of that name; whose row it is goes before.
        part = part.rename(columns={ORGANIZATION: f"{ORGANIZATION}.1"})
        part.insert(0, ORGANIZATION, organization)
        parts.append(part)
    if not parts:
        empty: pd.DataFrame = pandas.DataFrame({ORGANIZATION: []})
        return empty
    frame: pd.DataFrame = pandas.concat(parts, ignore_index=True)
    return frame


def _read(value: Any, *, nested: bool = False) -> pd.DataFrame:
    import pandas as pd

    if isinstance(value, str) and not nested:
        # What `return frame.to_json()` in an algorithm makes: JSON text within JSON.
        try:
            inner = json.loads(value)
        except ValueError:
            inner = None
        if isinstance(inner, dict | list):
            return _read(inner, nested=True)
    if isinstance(value, list):
        if not all(isinstance(record, dict) for record in value):
            raise ValueError("it is a list of something else than records")
        return pd.json_normalize(value)
    if not isinstance(value, dict):
        return pd.DataFrame({"result": [value]})
    if _is_table(value):
        table = pd.DataFrame(value)
        numbered = all(str(label) == str(row) for row, label in enumerate(table.index))
        return table.reset_index(drop=numbered)
    return pd.json_normalize(value)


def _is_table(value: dict[str, Any]) -> bool:
    """Whether each key is a column: lists of one length, or dictionaries with the same labels."""
    columns = list(value.values())
    if not columns:
        return False
    if all(isinstance(column, list) for column in columns):
        return len({len(column) for column in columns}) == 1 and not any(
            isinstance(cell, list | dict) for column in columns for cell in column
        )
    return all(isinstance(column, dict) for column in columns) and all(
        column.keys() == columns[0].keys()
        and not any(isinstance(cell, list | dict) for cell in column.values())
        for column in columns
    )
