"""The bus between server processes: Socket.IO's own managers for Redis and RabbitMQ, watched.

Besides Socket.IO's messages it carries *signals*: small objects that every process hears, the
sender included. Each process sends itself a beat; beats that do not come back mean that the bus is
down, however its client library sees it. Then it is connected anew until it is back, and
meanwhile nothing else is sent: a slow bus must not hold up a server.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Any

from vantage6.server.socket_library import socketio

log = logging.getLogger(__name__)

BEAT_SECONDS = 2.0
#: A bus on which no beat came back for this long is down.
LOST_SECONDS = 7.0
#: Seconds for one step of talking to a broker.
PATIENCE = 3.0

Hear = Callable[[dict[str, Any]], None]


class Bus(socketio.async_pubsub_manager.AsyncPubSubManager):  # type: ignore[misc] # (has no types)
    """What both managers have in common; to be put before the library's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._hear: Hear = lambda _: None
        self._back: Callable[[], None] = lambda: None
        self._heard_at: float | None = None
        self._keeping: asyncio.Task[None] | None = None
        #: Whether beats come back.
        self.working = False
        self._lost = False

    def open(self, hear: Hear, back: Callable[[], None]) -> None:
        """Connect.

        Parameters
        ----------
        hear
            Called with each signal, on the event loop.
        back
            Called when the bus works again after it did not.
        """
        self._hear, self._back = hear, back
        # The library would wait for the first socket; signals concern others too.
        self.server.manager_initialized = True
        self.initialize()
        self._keeping = asyncio.ensure_future(self._keep())

    async def close(self) -> None:
        """Disconnect."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, self.thread, return_exceptions=True)

    async def signal(self, **content: Any) -> None:
        """Send a signal to every process."""
        # The library hands this kind of message to all, the sender included, and acts only on
        # those with its own `host_id`.
        await self._publish({"method": "callback", "host_id": "", "signal": content})

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            while True:
                await self.signal(beat=self.host_id)
                await asyncio.sleep(BEAT_SECONDS)
                now = loop.time()
                silent = now - max(self._heard_at or started, started)
                if silent < LOST_SECONDS:
                    continue
                if not self._lost:
                    log.error(
                        "The bus between server processes does not answer: events reach other"
                        " processes late until it is back"
                    )
                self.working, self._lost = False, True
                await self._disconnect()
                self.thread = asyncio.ensure_future(self._thread())
                started = loop.time()
        finally:
            await self._disconnect()

    async def _disconnect(self) -> None:
        self.thread.cancel()
        await asyncio.gather(self.thread, return_exceptions=True)
        closing = asyncio.ensure_future(self._hang_up())
        await asyncio.wait({closing}, timeout=PATIENCE)
        if not closing.done():
            closing.cancel()
        elif not closing.cancelled() and (error := closing.exception()):
            log.debug("Closing the connection to the bus: %s", error)

    async def _hang_up(self) -> None:
        raise NotImplementedError

    async def _handle_callback(self, message: dict[str, Any]) -> None:
        content = message.get("signal")
        if not isinstance(content, dict):
            await super()._handle_callback(message)
        elif "beat" not in content:
            self._hear(content)
        elif content["beat"] == self.host_id:
            self._heard_at = asyncio.get_running_loop().time()
            was_lost, self.working, self._lost = self._lost, True, False
            if was_lost:
                log.warning("The bus between server processes is back")
                self._back()

    async def _publish(self, data: dict[str, Any]) -> None:
        if self._lost and "beat" not in data.get("signal", {}):
            return
        # In a task of its own: the library raises CancelledError for a broken channel.
        sending = asyncio.ensure_future(super()._publish(data))
        await asyncio.wait({sending}, timeout=PATIENCE)
        if not sending.done():
            sending.cancel()
        elif not sending.cancelled() and (error := sending.exception()):
            log.debug("Nothing can be sent over the bus: %s", error)


def make_bus(redis: str | None, rabbitmq: str | None, secret: str) -> Bus | None:
    """The bus as configured, None without one.

    Parameters
    ----------
    redis, rabbitmq
        Address of the one that is to be used.
    secret
        The key for tokens: installations that share a broker do not hear each other.
    """
    channel = "vantage6." + hashlib.sha256(b"bus" + secret.encode()).hexdigest()[:16]
    # Imported here: most servers need neither of the two, which take 8 and 3 MiB.
    if redis is not None:
        from vantage6.server.bus_redis import RedisBus

        options = {"socket_connect_timeout": PATIENCE, "socket_timeout": LOST_SECONDS}
        return RedisBus(redis, channel=channel, redis_options=options)
    if rabbitmq is not None:
        from vantage6.server.bus_rabbitmq import RabbitBus

        return RabbitBus(rabbitmq, channel=channel)
    return None
