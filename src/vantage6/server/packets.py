"""What comes in on the Socket.IO side: what is no packet of the contract's is nobody's."""

from __future__ import annotations

import logging
from typing import Any

from vantage6.server.socket_library import packet, socketio

log = logging.getLogger(__name__)

# Calls of the library to its own handlers, which a client's event of that name would reach.
_RESERVED = frozenset({"connect", "disconnect"})
_NEVER_SENT_BY_CLIENTS = frozenset({packet.BINARY_ACK, packet.BINARY_EVENT, packet.CONNECT_ERROR})


class Packet(packet.Packet):  # type: ignore[misc]
    """A packet; a malformed one reads as an event of no name, to which nobody listens.

    The library would raise, and log a stack trace per packet of whoever is not even identified.
    Binary data is malformed: no event of the contract has any.
    """

    def __init__(self, *args: Any, encoded_packet: Any = None, **options: Any) -> None:
        super().__init__(*args, **options)
        if encoded_packet is None:
            return
        try:
            attachments = self.decode(encoded_packet)
            problem = "attachments" if attachments else self._problem()
        except (AttributeError, IndexError, RecursionError, TypeError, ValueError) as error:
            problem = type(error).__name__
        if problem:
            # Not louder: anybody could fill the log.
            log.debug("Malformed packet dropped: %s", problem)
            self.packet_type, self.namespace, self.id, self.data = packet.EVENT, "/", None, [""]

    def _problem(self) -> str | None:
        if (
            self.packet_type in _NEVER_SENT_BY_CLIENTS
            or not 0 <= self.packet_type <= packet.BINARY_ACK
        ):
            return "type of packet"
        if self.packet_type != packet.EVENT:
            return None
        if not isinstance(self.data, list) or not self.data or not isinstance(self.data[0], str):
            return "no name of an event"
        return "reserved name of an event" if self.data[0] in _RESERVED else None


class PacketServer(socketio.AsyncServer):  # type: ignore[misc]
    """A Socket.IO server that takes malformed frames without a stack trace."""

    def __init__(self, **options: Any) -> None:
        wire = logging.getLogger(f"{__name__}.wire")
        wire.setLevel(logging.WARNING)  # below, it writes down all that is said
        wire.addFilter(_quiet_about_junk)
        super().__init__(serializer=Packet, engineio_logger=wire, **options)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        """Forget a connection; of one that its client closed, end the transport as well.

        The library would keep the WebSocket until it is tired of waiting for a pong.
        """
        if reason == self.reason.CLIENT_DISCONNECT and eio_sid in self.eio.sockets:
            await self.eio.sockets[eio_sid].queue.put(None)  # the end, for whoever sends
        await super()._handle_eio_disconnect(eio_sid, reason)

    async def handle_request(self, *args: Any, **options: Any) -> Any:
        """Serve a request or a WebSocket; one that sends a malformed frame ends with it."""
        try:
            return await super().handle_request(*args, **options)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            # Handlers' own errors do not get here: the library logs them where they happen.
            log.debug("Malformed frame, connection closed: %s", type(error).__name__)
            return None


def _quiet_about_junk(record: logging.LogRecord) -> bool:
    """Drop what the library says, with a trace, of what it cannot read; the rest of it warns."""
    if record.msg in ("post request handler error", "Unknown receive error"):
        return False
    if not record.exc_info:
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True
