"""What every payload store can do, and how it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

#: Bytes read or written at a time.
PIECE = 1024 * 1024


class StoreError(Exception):
    """The store does not work; the message is for the log and names no payload's content."""


class StoreFull(StoreError):
    """There is no room left."""


class NoSuchPayload(StoreError):
    """The store does not hold it."""


class PayloadStore(Protocol):
    """Keeps byte strings under names that are given once and never reused."""

    async def put(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Keep what arrives. When it fails, whatever the reason, nothing is there.

        Raises
        ------
        StoreFull, StoreError
            If the store does not take it. What `pieces` raises goes through.
        """

    async def open(self, name: str) -> AsyncIterator[bytes]:
        """Find something, and hand it out piece by piece.

        Raises
        ------
        NoSuchPayload, StoreError
            Before the first piece, or on the way.
        """

    async def delete(self, name: str) -> None:
        """Delete something; it does no harm if it is gone already.

        Raises
        ------
        StoreError
            If the store does not answer.
        """
