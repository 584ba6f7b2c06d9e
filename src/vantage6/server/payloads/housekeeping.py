"""Deleting payloads: those that no run needs any more, and those that are kept long enough.

Every process of a server may do this at the same time: each step may be taken twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import NoReturn, TypeVar

import anyio.to_thread
from sqlalchemy.orm import Session

from vantage6.server.model import blobs
from vantage6.server.payloads.store import StoreError
from vantage6.server.services import Services
from vantage6.web.responses import utc_now

log = logging.getLogger(__name__)
T = TypeVar("T")

_HOUR = 3600.0
_BATCH = 200


class Housekeeping:
    """Deletes payloads, once an hour and when told that there may be garbage."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = asyncio.Event()

    def wake(self) -> None:
        """Collect garbage soon; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._told.set)

    async def run(self) -> NoReturn:
        """Work for ever."""
        self._loop = asyncio.get_running_loop()
        next_round = self._loop.time()
        while True:
            try:
                if self._loop.time() >= next_round:
                    next_round += _HOUR
                    await self.clean_up()
                await self.collect()
            except Exception:
                # A database or store that is away now is asked again next time.
                log.exception("Deleting payloads failed; it is tried again within the hour")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), max(0, next_round - self._loop.time()))
            self._told.clear()

    async def clean_up(self) -> None:
        """Make garbage of what is due: unclaimed uploads, and runs older than configured."""
        await self._write(blobs.expire)
        config = self._services.config
        if config.runs_data_cleanup_days is None:
            return
        before = utc_now() - timedelta(days=config.runs_data_cleanup_days)
        inputs = config.runs_data_cleanup_include_input
        cleaned = 0
        while found := await self._write(
            lambda db: blobs.clean_runs(db, before, inputs=inputs, limit=_BATCH)
        ):
            cleaned += found
        if cleaned:
            log.info("Deleted the results of %s runs that ended before %s", cleaned, before)

    async def collect(self) -> None:
        """Delete what no run needs; what the store does not delete now is tried again later."""
        last = ""
        while names := await anyio.to_thread.run_sync(self._garbage, last):
            gone = [name for name in names if await self._delete(name)]
            if gone:
                await self._write(partial(blobs.forget, names=gone))
            last = names[-1]

    async def _delete(self, name: str) -> bool:
        try:
            await self._services.payloads.delete(name)
        except StoreError as error:
            log.warning("Payload %s could not be deleted yet: %s", name, error)
            return False
        return True

    def _garbage(self, after: str) -> list[str]:
        with self._services.database.read() as db:
            return list(blobs.garbage(db, _BATCH, after))

    async def _write(self, action: Callable[[Session], T]) -> T:
        def work() -> T:
            with self._services.database.write() as db:
                return action(db)

        return await anyio.to_thread.run_sync(work)
