"""Where an algorithm may see what."""

from __future__ import annotations

import os

from .request import SandboxError
from .software import is_within

TEMPORARY = "/mnt/tmp"


def check_place(target: str, run_folder: str) -> None:
    """Check where a database shall show.

    Raises
    ------
    SandboxError
        If it would cover the run's own files or anything outside ``/mnt``.
    """
    plain = os.path.normpath(target)
    taken = (
        is_within(plain, TEMPORARY) or is_within(plain, run_folder) or is_within(run_folder, plain)
    )
    if taken or plain != target or not is_within(plain, "/mnt") or plain == "/mnt":
        raise SandboxError(
            f"A database cannot be shown at {target}: its place must be a plain path below "
            f"/mnt, apart from {TEMPORARY} and {run_folder}"
        )
