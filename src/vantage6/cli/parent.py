"""Tie a process to its parent, so that killing the parent never leaves it behind."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Annotated

import typer

Parent = Annotated[
    int | None,
    typer.Option("--with-parent", hidden=True, help="End when the process with this id ends."),
]

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int | None) -> None:
    """Have the kernel kill this process when its parent ends, however that ends.

    Parameters
    ----------
    parent
        Process id of the expected parent; None does nothing.

    Raises
    ------
    SystemExit
        If that parent has ended already.
    OSError
        If the kernel refuses.
    """
    if parent is None:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Cannot tie this process to its parent: {os.strerror(error)}")
    # It may have ended before the line above; then no signal will come.
    if os.getppid() != parent:
        raise SystemExit(f"Process {parent}, which started this one, is gone")
