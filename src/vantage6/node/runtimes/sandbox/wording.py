"""Sizes and times in words for the researcher."""

from __future__ import annotations

_SIZES = (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024))
_TIMES = (("day", 86400), ("hour", 3600), ("minute", 60))


def size(number: int) -> str:
    """Bytes in the largest unit that stays exact enough: ``4 GiB``, ``1.5 MiB``."""
    for unit, factor in _SIZES:
        if number >= factor:
            return f"{number / factor:.4g} {unit}"
    return f"{number} bytes"


def duration(seconds: int) -> str:
    """Seconds in the largest unit: ``7 days``, ``1.5 hours``, ``1 second``."""
    for unit, factor in _TIMES:
        if seconds >= factor:
            return _counted(seconds / factor, unit)
    return _counted(seconds, "second")


def _counted(number: float, unit: str) -> str:
    return f"{number:.4g} {unit}{'' if number == 1 else 's'}"
