"""The node's end of one run in the process runtime."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vantage6.common.addresses import Target
from vantage6.node.runtimes.base import Ended, StartFailed
from vantage6.node.runtimes.files import read_exit
from vantage6.node.runtimes.sandbox.messages import LineBuffer, encode

_log = logging.getLogger(__name__)

_CHUNK = 65536
_NOBODY = "The sandbox's supervisor ended before the algorithm could start"


class NoSupervisor(Exception):
    """The warm parent died before it forked: nothing has happened, try again."""


class ProcessExecution:
    """A run whose supervisor is at the other end of a connection.

    Attributes
    ----------
    run_id : int
        The run.
    proxy_socket : socket.socket or None
        Listens in the run's own network; whoever serves on it closes it.
    doors : mapping of (str, int) to socket.socket
        Likewise, for hosts and ports that the algorithm knows by name.
    """

    def __init__(
        self,
        run_id: int,
        folder: Path,
        control: socket.socket,
        proxy_socket: socket.socket | None,
        forget: Callable[[ProcessExecution], None],
        doors: Sequence[Target] = (),
    ) -> None:
        loop = asyncio.get_running_loop()
        self.run_id = run_id
        self.proxy_socket = proxy_socket
        self.doors: Mapping[Target, socket.socket] = {}
        self._targets = doors
        self._folder = folder
        self._control = control
        self._forget = forget
        self._buffer = LineBuffer()
        self._given_up = False
        self._ready: asyncio.Future[str | None] = loop.create_future()
        self._ended: asyncio.Future[Ended] = loop.create_future()
        self._gone = asyncio.Event()
        control.setblocking(False)
        loop.add_reader(control, self._on_readable)

    async def prepare(self, request: dict[str, Any]) -> None:
        """Send the request and wait until the algorithm could begin.

        Raises
        ------
        StartFailed
            If it cannot; then nothing is left of it.
        NoSupervisor
            If there is nobody at the other end.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(self._control, encode(request))
        except OSError:
            _log.debug("The supervisor of run %s left while it was told", self.run_id)
        problem = await self._ready
        if problem is not None:
            await self._gone.wait()
            raise NoSupervisor if problem == _NOBODY else StartFailed(problem)

    def begin(self) -> None:
        """Let the algorithm be executed."""
        self._tell({"event": "go"})

    async def wait(self) -> Ended:
        """Wait for the end. Safe to call more than once and to cancel."""
        return await asyncio.shield(self._ended)

    async def kill(self, reason: str) -> None:
        """End it with everything it started; returns when nothing of it is left."""
        if not self._ended.done():
            self._tell({"event": "kill", "reason": reason})
        await self._gone.wait()

    async def abandon(self) -> None:
        """End it like the node's death would: without a record, so that it is run anew."""
        self.let_go()
        await self._gone.wait()

    def let_go(self) -> None:
        """Begin to :meth:`abandon`."""
        self._given_up = True
        if not self._gone.is_set():
            self._control.shutdown(socket.SHUT_WR)

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self._control.send(encode(message))
        except OSError:
            # It has just ended; what it said last is being read.
            _log.debug("The supervisor of run %s is gone already", self.run_id)

    def _on_readable(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, _CHUNK, 1 + len(self._targets))
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        self._take(descriptors)
        for message in self._buffer.feed(data):
            self._on_message(message)
        if not data:
            self._on_gone()

    def _take(self, descriptors: Sequence[int]) -> None:
        """Sockets that come with the message that all is ready: the proxy's, then the doors."""
        if self._given_up:
            for descriptor in descriptors:
                os.close(descriptor)
            return
        listeners = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        for listener in listeners:
            listener.setblocking(False)
        if listeners:
            self.proxy_socket = listeners[0]
            self.doors = dict(zip(self._targets, listeners[1:], strict=True))

    def _on_message(self, message: dict[str, Any]) -> None:
        match message["event"]:
            case "ready":
                _resolve(self._ready, None)
            case "failed":
                _resolve(self._ready, str(message["message"]))
            case "ended":
                _resolve(self._ended, Ended(message["exit_code"], message["reason"]))

    def _on_gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        _resolve(self._ready, _NOBODY)
        _resolve(self._ended, read_exit(self._folder) or Ended(None, "killed with its supervisor"))
        self._gone.set()
        self._forget(self)


def _resolve(future: asyncio.Future[Any], value: object) -> None:
    if not future.done():
        future.set_result(value)


def listen_on_loopback() -> socket.socket:
    """A listening socket of this machine, for a run without a network of its own."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(os.cpu_count() or 1)
    listener.setblocking(False)
    return listener
