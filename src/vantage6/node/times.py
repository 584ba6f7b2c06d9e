"""Times as the contract wants them, and how long something took."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """The time as the contract wants it: UTC, with a fraction in any case."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def seconds_since(moment: str | None) -> float:
    """Seconds between a time as :func:`now` gives it, and now; never negative."""
    if moment is None:
        return 0.0
    passed = datetime.now(UTC) - datetime.fromisoformat(moment)
    return round(max(0.0, passed.total_seconds()), 3)
