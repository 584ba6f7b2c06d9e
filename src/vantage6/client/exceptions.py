"""Every exception a user of the client may want to catch.

:class:`ClientError` is the base of all but :class:`DeserializationException`.
"""

from __future__ import annotations

from vantage6.common.exceptions import (
    AuthenticationException,
    BlobError,
    ClientError,
    NotAuthenticatedError,
    RefusedError,
    ServerUnreachableError,
    SessionExpiredError,
    StoreNotSetError,
    UnexpectedAnswerError,
    WaitTimeoutError,
)

__all__ = [
    "AuthenticationException",
    "BlobError",
    "ClientError",
    "DeserializationException",
    "NotAuthenticatedError",
    "RefusedError",
    "ServerUnreachableError",
    "SessionExpiredError",
    "StoreNotSetError",
    "UnexpectedAnswerError",
    "WaitTimeoutError",
]


class DeserializationException(Exception):
    """A result could not be read; for programs to raise, the client itself never does."""
