"""How often credentials may be wrong: per source address and per account, in a sliding window.

Only failures count, so that hundreds of people behind one address, or a thousand nodes that come
back at once, are never in each other's way. Kept in memory: each server process counts for itself;
the lock-out of an account, which all processes share, is in the database (:mod:`.login`).
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from fastapi import Request

from vantage6.server.config import RateLimits
from vantage6.web.errors import Refusal

#: Addresses and accounts remembered at a time; beyond, the longest untouched is forgotten.
REMEMBERED = 20_000


class TooManyFailures(Refusal):
    """429, with the seconds after which another attempt is taken."""

    def __init__(self, seconds: float) -> None:
        wait = max(1, math.ceil(seconds))
        super().__init__(
            429,
            f"Too many failed attempts. Please try again in {_duration(wait)}",
            headers={"Retry-After": str(wait)},
        )


class Window:
    """Counts events per key over the last so many seconds.

    Parameters
    ----------
    limit : int
        Events after which a key has to wait.
    seconds : float
        Length of the window.
    clock
        Seconds that never go back.
    """

    def __init__(
        self, limit: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._events: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Seconds until another event is allowed; 0 when it is."""
        with self._lock:
            events = self._events.get(key)
            if events is None or len(events) < self._limit:
                return 0.0
            return max(0.0, events[0] + self._seconds - self._clock())

    def count(self, key: str) -> None:
        """Count an event."""
        with self._lock:
            # The last `limit` of them decide; there is no need to keep more.
            events = self._events.setdefault(key, deque(maxlen=self._limit))
            events.append(self._clock())
            self._events.move_to_end(key)
            while len(self._events) > REMEMBERED or self._is_over(next(iter(self._events))):
                self._events.popitem(last=False)

    def _is_over(self, key: str) -> bool:
        return self._events[key][-1] + self._seconds <= self._clock()


class Attempt:
    """One attempt at a credential, from an address and perhaps at an account.

    Attributes
    ----------
    address : str
        Where it comes from.
    """

    def __init__(self, request: Request, *counted: tuple[Window, str]) -> None:
        self.address = request.client.host if request.client else "an unknown address"
        self._counted = counted

    def check(self) -> None:
        """Go on only if not too many failed before.

        Raises
        ------
        TooManyFailures
            429 otherwise.
        """
        wait = max(window.wait(key) for window, key in self._counted)
        if wait > 0:
            raise TooManyFailures(wait)

    def failed(self) -> None:
        """Count it."""
        for window, key in self._counted:
            window.count(key)


class Limits:
    """The windows of one server process.

    Parameters
    ----------
    settings : RateLimits
        From the configuration.
    clock
        Replaces the machine's, for tests.
    """

    def __init__(self, settings: RateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        seconds = settings.window_minutes * 60
        self._addresses = Window(settings.failures_per_address, seconds, clock)
        self._accounts = Window(settings.failures_per_account, seconds, clock)
        self._codes = Window(settings.wrong_codes_per_account, seconds, clock)
        self._recoveries = Window(settings.recoveries_per_account, seconds, clock)

    def password(self, request: Request, username: str) -> Attempt:
        """An attempt at a password; an account that does not exist is limited just the same."""
        return Attempt(request, (self._addresses, source(request)), (self._accounts, username))

    def code(self, request: Request, user_id: int) -> Attempt:
        """An attempt at a one-time code."""
        return Attempt(request, (self._addresses, source(request)), (self._codes, str(user_id)))

    def recovery(self, request: Request, name: str) -> Attempt:
        """A request for a mail; each counts, for nobody is told whether it was right."""
        return Attempt(request, (self._addresses, source(request)), (self._recoveries, name))

    def secret(self, request: Request) -> Attempt:
        """An attempt at something that nobody can guess: an API key, a token from a mail."""
        return Attempt(request, (self._addresses, source(request)))


def source(request: Request) -> str:
    """Where a request comes from; of IPv6 the network, for a household has 2**64 addresses."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host


def _duration(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} seconds"
    return f"{math.ceil(seconds / 60)} minutes"
