"""What may be told to the researcher about an exception.

The text of an exception that the author raised on purpose, yes. The text of any other, no:
libraries quote data in it. Then only the type, and the place in the algorithm's own code.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from types import ModuleType

from vantage6.algorithm.tools.exceptions import AlgorithmError
from vantage6.common.exceptions import ClientError


def safe_text(exception: BaseException, package: ModuleType | None = None) -> str:
    """Describe an exception without quoting data.

    Parameters
    ----------
    exception : BaseException
        As caught, with its traceback.
    package : module, optional
        The algorithm; the place named is the innermost one within it.
    """
    # The clients' exceptions tell of requests, and what the server said; never of data.
    if isinstance(exception, AlgorithmError | ClientError):
        return str(exception) or type(exception).__name__
    kind = type(exception).__name__
    frames = traceback.extract_tb(exception.__traceback__)
    if not frames:
        return f"{kind} (details are in the log of the data station)"
    folder = _folder(package)
    own = [frame for frame in frames if folder and Path(frame.filename).is_relative_to(folder)]
    frame = own[-1] if own else frames[-1]
    file = Path(frame.filename)
    name = file.relative_to(folder) if folder and own else Path(file.name)
    function = "" if frame.name == "<module>" else f", function {frame.name}"
    return (
        f"{kind} in {name.as_posix()} line {frame.lineno}{function}"
        " (details are in the log of the data station)"
    )


def _folder(package: ModuleType | None) -> Path | None:
    file = getattr(package, "__file__", None)
    return Path(file).parent if file else None
