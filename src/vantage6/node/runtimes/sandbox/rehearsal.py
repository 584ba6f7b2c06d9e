"""Doing in advance, and once in the warm parent, what nearly every algorithm does first.

Libraries import parts of themselves and fill caches when they are first used. What the warm parent
has done already, no algorithm needs to do again. Only libraries are used here, on made-up data.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

_TABLE = "whole,part,word,day\n1,0.5,x,2020-01-01\n2,,y,\n3,1.5,,2020-01-03\n"


def rehearse(times: int = 1) -> dict[str, str]:
    """Use the libraries that are loaded.

    Parameters
    ----------
    times : int
        How often; the interpreter specialises what it executes repeatedly, in place.

    Returns
    -------
    dict of str to str
        What went wrong, by library; an algorithm that needs it will find out as well.
    """
    failures = {}
    for name, use in _REHEARSALS.items():
        if name in sys.modules:
            try:
                for _ in range(times):
                    use(sys.modules[name])
            except Exception as error:
                failures[name] = f"{type(error).__name__}: {error}"
    return failures


def _use_pandas(pandas: Any) -> None:
    frame = pandas.read_csv(io.StringIO(_TABLE))
    numbers = frame["part"]
    for number in (numbers.sum(), numbers.mean(), numbers.count(), len(frame.dropna())):
        float(number)
    frame.groupby("word")["whole"].sum().to_dict()
    frame[frame["whole"] > 1].columns.tolist()


def _use_transport(transport: Any) -> None:
    # As the client of a central function does; no connection is made.
    transport.connect("http://127.0.0.1").close()


_REHEARSALS: dict[str, Callable[[Any], None]] = {
    "pandas": _use_pandas,
    "vantage6.common.transport": _use_transport,
}
