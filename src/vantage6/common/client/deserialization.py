"""Reading back what :mod:`vantage6.common.serialization` wrote."""

from __future__ import annotations

import json
from typing import IO, Any


def deserialize(file: IO[bytes]) -> Any:
    """Read one JSON document from an open binary file.

    Raises
    ------
    json.JSONDecodeError
        If the file does not hold JSON.
    """
    return json.load(file)
