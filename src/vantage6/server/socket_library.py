"""As :mod:`vantage6.common.socket_library`, for a server, which needs no clients at all."""

from __future__ import annotations

from vantage6.common.lean_imports import without

with without("aiohttp"):  # 9 MiB
    from vantage6.common.socket_library import packet, socketio

__all__ = ["packet", "socketio"]
