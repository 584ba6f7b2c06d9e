"""Our own server in a thread, on a port of its own."""

from __future__ import annotations

import threading
import time

import uvicorn

from vantage6.server.app import Application
from vantage6.server.config import ServerConfig


class ServerThread(uvicorn.Server):
    """A server for as long as the block lasts; it yields the port."""

    def __enter__(self) -> int:
        self._thread = threading.Thread(target=self.run)
        self._thread.start()
        deadline = time.monotonic() + 60
        while not self.started:
            assert self._thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self.should_exit = True
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()


def server_thread(config: ServerConfig, port: int = 0) -> ServerThread:
    """A server that is not started yet."""
    return ServerThread(
        uvicorn.Config(
            Application(config),
            port=port,
            log_config=None,
            ws="websockets-sansio",
            timeout_graceful_shutdown=2,
        )
    )
