"""The server process while it listens: how it starts to, and how it stops."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn

from vantage6.server.app import Application
from vantage6.server.config import ServerConfig

#: Seconds that open requests get to finish when the server is told to stop.
GRACE = 15


class Listening(uvicorn.Server):
    """Uvicorn, which lets nobody wait in vain when it stops."""

    def __init__(self, app: Application, config: ServerConfig) -> None:
        trusted = config.trusted_proxies
        super().__init__(
            uvicorn.Config(
                app,
                host=config.ip,
                port=config.port,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=GRACE,
                ws="websockets-sansio",
                ws_ping_interval=None,
                # Compressing each small event takes memory per socket and gains nothing.
                ws_per_message_deflate=False,
                server_header=False,
                # Off unless somebody is trusted: anybody may write such a header.
                proxy_headers=bool(trusted),
                forwarded_allow_ips=trusted or None,
            )
        )
        self._application = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> Any:
        """Stop: accept nothing new, answer those who wait, let the others finish."""
        for server in self.servers:
            server.close()
        self._application.stop_waiting()
        await super().shutdown(sockets)
