"""The bus between server processes over RabbitMQ."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import aio_pika

from vantage6.server.bus import PATIENCE, Bus
from vantage6.server.socket_library import socketio

# The library's own is None, see `socket_library`.
socketio.async_aiopika_manager.aio_pika = aio_pika


class RabbitBus(Bus, socketio.AsyncAioPikaManager):  # type: ignore[misc] # (has no types)
    """Over RabbitMQ."""

    async def _connection(self) -> Any:
        # Not the connection that restores itself: a broken one is thrown away.
        return await aio_pika.connect(self.url, timeout=PATIENCE)

    publisher_connection: Any

    async def _hang_up(self) -> None:
        connection, self.publisher_connection = self.publisher_connection, None
        if connection is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await connection.close()
