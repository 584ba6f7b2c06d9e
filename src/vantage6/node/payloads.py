"""Large inputs and results on their way between server and disk, never held whole."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from vantage6.common.transforms import Transform, blob_form, fits_inline
from vantage6.node import outcome
from vantage6.node.connection import Connection, Refused
from vantage6.node.http import PIECE
from vantage6.node.journal import Ticket
from vantage6.node.mail import Mail
from vantage6.node.offer import Offer
from vantage6.node.outcome import Conclusion

_CACHE_SECONDS = 60.0


class Payloads:
    """Fetches inputs into files, and hands results over from files.

    Parameters
    ----------
    connection : Connection
        To the server.
    mail : Mail
        Seals and opens.
    """

    def __init__(self, connection: Connection, mail: Mail) -> None:
        self._connection = connection
        self._mail = mail
        self._limit: int | None = None
        self._asked = -_CACHE_SECONDS

    async def limit(self) -> int | None:
        """Bytes of base64 that a result may have inside JSON; remembered for a minute.

        None: any. 0: the server takes every result apart, as it does every input.
        """
        if time.monotonic() - self._asked >= _CACHE_SECONDS:
            try:
                status = await self._connection.get("/blobstream/status")
            except Refused:
                status = {}  # a server before 4.13
            limit = status.get("inline_limit")
            if not isinstance(limit, int):
                limit = 0 if status.get("blob_store_enabled") else None
            self._limit, self._asked = limit, time.monotonic()
        return self._limit

    async def fetch_input(self, offer: Offer, path: Path) -> None:
        """Write a run's input, decrypted, into a file that is there already.

        Raises
        ------
        Refused
            If the server does not have it.
        ValueError
            If it is not for this organization, not in a known form, or not to be trusted.
        """

        async def receive(pieces: AsyncIterator[bytes]) -> None:
            with path.open("wb") as file:
                async for plain in transformed(self._mail.input_opener(offer), pieces):
                    await asyncio.to_thread(file.write, plain)

        await self._connection.download(f"/blobstream/{offer.input}", receive)

    async def seal(self, conclusion: Conclusion, output: Path, ticket: Ticket) -> tuple[str, bool]:
        """A result as it goes into the journal.

        Returns
        -------
        tuple
            Its text, encrypted where needed; or none, and True: it stays in its file until it is
            handed over.

        Raises
        ------
        NotAFile, TooLarge
            If there is none, or too much of it for the server.
        NoUsableKey
            If it cannot be encrypted.
        """
        result = conclusion.result
        if conclusion.large:
            limit = await self.limit()
            if limit is not None and not fits_inline(conclusion.large, limit):
                await self._mail.result_sealer(ticket)  # so that it fails now if ever
                await asyncio.to_thread(make_durable, output)
                return "", True
            result = await asyncio.to_thread(outcome.read_file, output, outcome.MAX_INLINE_RESULT)
        return (await self._mail.seal_result(result, ticket) if result else ""), False

    async def hand_over(self, path: Path, ticket: Ticket) -> str:
        """Upload the result that an algorithm wrote, for who wants it; gives its name.

        Raises
        ------
        NotAFile
            If there is none, or something else.
        NoUsableKey
            If it cannot be encrypted.
        Refused
            If the server does not take it.
        """

        async def body() -> AsyncIterator[bytes]:
            sealer = await self._mail.result_sealer(ticket)
            outcome.open_plain(path).close()
            return transformed(sealer, _read(path))

        return await self._connection.upload("/blobstream", body)

    async def hand_over_sealed(self, text: str) -> str:
        """Upload a result that is encoded, or encrypted, as text; gives its name.

        Raises
        ------
        Refused
            If the server does not take it.
        """

        async def body() -> AsyncIterator[bytes]:
            return _each(list(blob_form(text)))

        return await self._connection.upload("/blobstream", body)


async def transformed(transform: Transform, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Hand a stream through a transform.

    The first piece beside the event loop: it may have the key in it, and that takes a while.

    Raises
    ------
    ValueError
        If the stream is not of the form that the transform expects.
    """
    async for piece in pieces:
        made = await asyncio.to_thread(transform.update, piece)
        if made:
            yield made
            break
    async for piece in pieces:
        if made := transform.update(piece):
            yield made
    if made := transform.finish():
        yield made


def make_durable(path: Path) -> None:
    """Make sure that what an algorithm wrote outlives a power cut.

    Raises
    ------
    NotAFile
        If there is none, or something else.
    """
    with outcome.open_plain(path) as file:
        os.fsync(file.fileno())


async def _read(path: Path) -> AsyncIterator[bytes]:
    with outcome.open_plain(path) as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece


async def _each(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
