"""API keys of nodes that came with a reference server's database.

Its bcrypt hashes cannot be looked up by: a key must be compared with one after the other, a quarter
of a second each. The first login of a node replaces its hash by ours; until every node has been
here, the search has bounds: one thread, a limited queue, and no comparison is made twice.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor

import bcrypt
from sqlalchemy import select, update

from vantage6.server.auth.passwords import BCRYPT_PATTERN, hash_api_key
from vantage6.server.model.database import Database
from vantage6.server.model.tables import Node
from vantage6.web.errors import Refusal

_WAIT_SECONDS = 60.0
_LONGEST_QUEUE = 256
_REMEMBERED = 10_000

_IMPORTED = Node.api_key_hash.like(BCRYPT_PATTERN)


class ImportedKeys:
    """Finds the node of a key that has no hash of ours yet."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="imported-keys")
        self._closing = threading.Event()
        self._searches: dict[str, Future[int | None]] = {}
        # By key, hashed, the hashes that it was compared with in vain.
        self._refuted: OrderedDict[str, frozenset[str]] = OrderedDict()

    def candidates(self, database: Database, api_key: str) -> dict[str, int]:
        """Nodes whose hash this key has not been compared with, by that hash."""
        with database.read() as db:
            found = db.execute(
                select(Node.api_key_hash, Node.id).where(_IMPORTED).order_by(Node.id)
            )
            refuted = self._refuted.get(hash_api_key(api_key), frozenset())
            return {hashed: id_ for hashed, id_ in found if hashed not in refuted}

    async def find(
        self, database: Database, api_key: str, candidates: dict[str, int]
    ) -> int | None:
        """The node that a key belongs to, if any; from now on it has a hash of ours.

        Raises
        ------
        Refusal
            503 if that takes too long; asking again goes on where this ended.
        """
        ours = hash_api_key(api_key)
        search = self._searches.get(ours)
        if search is None:
            if len(self._searches) >= _LONGEST_QUEUE:
                raise _busy()
            search = self._thread.submit(self._search, database, api_key, candidates)
            self._searches[ours] = search
            search.add_done_callback(lambda _: self._searches.pop(ours, None))
        try:
            waiting = asyncio.shield(asyncio.wrap_future(search))
            return await asyncio.wait_for(waiting, _WAIT_SECONDS)
        except TimeoutError:
            raise _busy() from None

    def _search(self, database: Database, api_key: str, candidates: dict[str, int]) -> int | None:
        ours, key = hash_api_key(api_key), api_key.encode()
        with database.read() as db:
            # A search that ended while this one waited in the queue may have found it.
            if (id_ := db.scalar(select(Node.id).where(Node.api_key_hash == ours))) is not None:
                return id_
        # Those that other searches have converted meanwhile need no comparison any more.
        candidates = {
            hashed: id_
            for hashed, id_ in self.candidates(database, api_key).items()
            if hashed in candidates
        }
        for hashed, id_ in candidates.items():
            if self._closing.is_set():
                return None
            if bcrypt.checkpw(key, hashed.encode()):
                with database.write() as db:
                    return db.scalar(
                        update(Node)
                        .where(Node.id == id_, Node.api_key_hash == hashed)
                        .values(api_key_hash=ours)
                        .returning(Node.id)
                    )
        self._refuted[ours] = self._refuted.get(ours, frozenset()) | candidates.keys()
        while len(self._refuted) > _REMEMBERED:
            self._refuted.popitem(last=False)
        return None

    def close(self) -> None:
        """End the search that is going on."""
        self._closing.set()
        self._thread.shutdown(wait=False, cancel_futures=True)


def _busy() -> Refusal:
    return Refusal(503, "API keys of imported nodes are being looked up; please try again later")
