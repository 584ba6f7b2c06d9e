"""What is wrong with a sealed letter, or with sending one."""

from __future__ import annotations

from vantage6.common.exceptions import ClientError


class SealError(ClientError, ValueError):
    """A letter, or a key, that must not be trusted; the message says why and what to do."""


class NotForUs(SealError):
    """A letter to somebody else: nothing is wrong with it, it just cannot be read here."""
