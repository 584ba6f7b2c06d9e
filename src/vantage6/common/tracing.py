"""The id of a request: given by whoever asks first, carried on, found in every log line."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

HEADER = "X-Request-ID"
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")

#: The id of the request that is being worked on here, or that caused what is being done.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def new_request_id() -> str:
    """A random id."""
    return secrets.token_hex(8)


def accepted(given: object) -> str | None:
    """An id as somebody else gave it; None unless it can go into a log as it is."""
    return given if isinstance(given, str) and _ACCEPTED.fullmatch(given) else None
