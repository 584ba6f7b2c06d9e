"""What the exit code of a container says."""

from __future__ import annotations

import signal

from vantage6.node.runtimes.base import Ended

_CRASHES = frozenset(
    {
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGSEGV,
        signal.SIGSYS,
        signal.SIGTRAP,
    }
)


def judge(code: int) -> Ended:
    """How a container ended, by its exit code alone."""
    if code == 128 + signal.SIGKILL:
        return Ended(None, "was killed by the system, probably because its memory ran out")
    if code - 128 in _CRASHES:
        return Ended(code, f"crashed with signal {signal.Signals(code - 128).name}")
    return Ended(code)
