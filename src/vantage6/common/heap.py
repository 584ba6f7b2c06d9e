"""What the C library keeps of freed memory (glibc; with another, nothing is done here)."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8
_libc = ctypes.CDLL(None)


def share_one_heap() -> None:
    """Have all threads of this process share one heap; to be called before there are any.

    Else each gets one of its own, and what is freed there stays with the process: 19 MiB for every
    thread that has ever hashed a password.
    """
    if mallopt := getattr(_libc, "mallopt", None):
        mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give the kernel what has been freed. Takes a tenth of a millisecond."""
    if trim := getattr(_libc, "malloc_trim", None):
        trim(0)
