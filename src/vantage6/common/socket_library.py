"""python-socketio; to be imported from here.

Its package imports, of each client and each broker that it can work with, whatever is installed:
16 MiB, of which a node and most servers use nothing.
"""

from __future__ import annotations

from vantage6.common.lean_imports import without

with without(
    "aio_pika",
    "kafka",
    "kombu",
    "redis",
    "requests",  # of the client without asyncio, with the next
    "websocket",
    "tornado",
    "valkey",
):
    import socketio
    from socketio import packet
    from socketio.exceptions import SocketIOError

__all__ = ["SocketIOError", "packet", "socketio"]
