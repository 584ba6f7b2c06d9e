"""Exceptions that several rooms raise, and the ones a client's user may meet.

All client exceptions derive from :class:`ClientError`. Where scripts written for older clients
catch a builtin (``ConnectionError``, ``KeyError``, ``AssertionError`` …), the exception that
takes its place derives from that builtin too.
"""

from __future__ import annotations


class ClientError(Exception):
    """Anything a client could not do; the message says what and why."""

    def __str__(self) -> str:
        # KeyError would show the repr of its argument, OSError its errno.
        return " ".join(str(argument) for argument in self.args)


class AuthenticationException(ClientError):
    """Login was refused."""


class NotAuthenticatedError(AuthenticationException, AssertionError, AttributeError):
    """A call that needs a login was made before ``authenticate``."""


class SessionExpiredError(AuthenticationException):
    """The access token expired and the server would not renew it: log in again."""


class ServerUnreachableError(ClientError, ConnectionError):
    """No answer came from the server; the message names the address.

    Attributes
    ----------
    url : str
        What was asked for.
    may_have_arrived : bool
        Whether the server may have carried out the request all the same.
    """

    def __init__(self, message: str, url: str = "", *, may_have_arrived: bool = False) -> None:
        super().__init__(message)
        self.url = url
        self.may_have_arrived = may_have_arrived


class UnexpectedAnswerError(ClientError, ValueError):
    """What answered does not speak the server's language: is the address right?"""


class RefusedError(ClientError, KeyError):
    """The server refused a request whose answer was needed to go on.

    Attributes
    ----------
    status_code : int
        HTTP status of the answer.
    """

    def __init__(self, message: str, status_code: int = 0) -> None:
        super().__init__(message)
        self.status_code = status_code


class BlobError(ClientError, RuntimeError):
    """A large input or result could not be sent to, or fetched from, the server's store."""


class WaitTimeoutError(ClientError, TimeoutError):
    """The task had not finished in the time given; it goes on at the nodes."""


class StoreNotSetError(ClientError, TypeError):
    """A call to an algorithm store was made before one was selected."""
