"""The bus between server processes over Redis."""

from __future__ import annotations

from typing import Any

import redis.asyncio

from vantage6.server.bus import Bus
from vantage6.server.socket_library import socketio


class RedisBus(Bus, socketio.AsyncRedisManager):  # type: ignore[misc] # (has no types)
    """Over Redis."""

    def _get_redis_module(self) -> Any:
        # The library's own is None, see `socket_library`.
        return redis.asyncio

    async def _hang_up(self) -> None:
        connection, pubsub = self.redis, self.pubsub
        self.connected = False
        if pubsub is not None:
            await pubsub.aclose()
        if connection is not None:
            await connection.aclose()
