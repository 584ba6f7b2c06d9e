"""A Socket.IO client that remembers what it was told."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import socketio


class Listener:
    """A Socket.IO client that remembers what it was told."""

    def __init__(self) -> None:
        self.sio = socketio.AsyncClient(reconnection=False)
        self.heard: list[tuple[str, Any]] = []
        self._news = asyncio.Event()
        self.sio.on("*", self._hear, namespace="/tasks")

    async def _hear(self, event: str, *data: Any) -> None:
        self.heard.append((event, data[0] if data else None))
        self._news.set()

    async def until(self, event: str, seconds: float = 5) -> Any:
        """What came with the first such event, which is then forgotten."""
        async with asyncio.timeout(seconds):
            while True:
                for position, (name, data) in enumerate(self.heard):
                    if name == event:
                        del self.heard[position]
                        return data
                self._news.clear()
                await self._news.wait()


@contextlib.asynccontextmanager
async def connected(url: str, token: str, **options: Any) -> Any:
    listener = Listener()
    await listener.sio.connect(
        url,
        headers={"Authorization": f"Bearer {token}"},
        namespaces=["/tasks"],
        wait_timeout=5,
        **options,
    )
    try:
        yield listener
    finally:
        await listener.sio.disconnect()
