"""An algorithm that does everything an algorithm should not do. For tests only."""

from __future__ import annotations

import os
import sys
import time

import pandas as pd

from vantage6.algorithm.tools.decorators import data
from vantage6.algorithm.tools.exceptions import UserInputError
from vantage6.algorithm.tools.util import info


@data(1)
def raise_with_data(df: pd.DataFrame) -> None:
    """Fail with a message that quotes what a patient's record says."""
    raise ValueError(f"cannot handle {df.iloc[0].to_dict()}")


def raise_on_purpose() -> None:
    """Fail with words that are meant for the researcher."""
    raise UserInputError("please choose another analysis")


def leave(code: int) -> None:
    """End the process."""
    sys.exit(code)


def die() -> None:
    """End the process without a word."""
    os._exit(7)


def sleep(seconds: float) -> str:
    """Take long."""
    info(f"sleeping {seconds} seconds")
    time.sleep(seconds)
    return "slept"


def return_a_set() -> dict[str, set[int]]:
    """Return what JSON cannot express."""
    return {"answer": {1, 2}}


def length(text: str) -> int:
    """Receive much."""
    return len(text)


def exhaust_memory() -> int:
    """Take all memory there is."""
    taken = []
    while True:
        taken.append(bytearray(64 * 1024**2))
