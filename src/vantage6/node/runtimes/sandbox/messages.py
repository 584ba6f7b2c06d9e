"""How node, warm parent and supervisor talk: lines of JSON over unix sockets, with descriptors.

Node → warm parent (sequenced packets): ``b"run"`` with one descriptor, the run's own connection.
Warm parent → node, once: :class:`Ready` as JSON.

On a run's own connection (a stream), first the node's :class:`~.request.Request`, which may come
long after the connection, then supervisor → node ``{"event": "ready"}`` (its descriptors are the
listening sockets: the proxy's, then those of the request's doors) or
``{"event": "failed", "message"}``; node → supervisor ``{"event": "go"}``; later
``{"event": "kill", "reason"}``; supervisor → node ``{"event": "ended", "exit_code", "reason"}``.
When the node's end closes, the supervisor kills the algorithm.
"""

from __future__ import annotations

import array
import json
import select
import socket
from collections.abc import Mapping, Sequence
from typing import Any

RUN = b"run"
#: Where the algorithm reaches the node's proxy, in the network of its own.
PROXY_PORT = 8080
_CHUNK = 65536


def encode(message: Mapping[str, object]) -> bytes:
    """One message as a line."""
    return json.dumps(message).encode() + b"\n"


class LineBuffer:
    """Cuts a stream into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take what arrived; give the messages that are complete now.

        Raises
        ------
        ValueError
            If a line is no JSON.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]


class Connection:
    """A supervisor's blocking end of a run's connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = LineBuffer()
        self._messages: list[dict[str, Any]] = []

    def fileno(self) -> int:
        """The descriptor, for polling."""
        return self._sock.fileno()

    @property
    def has_message(self) -> bool:
        """Whether a message has arrived that polling would not tell of."""
        return bool(self._messages)

    @property
    def is_idle(self) -> bool:
        """Whether nothing has arrived that is still to be read, and the other side is there."""
        return not self._messages and not select.select([self._sock], [], [], 0)[0]

    def receive(self) -> dict[str, Any] | None:
        """Wait for a message; None when the other side is gone."""
        while not self._messages:
            try:
                data = self._sock.recv(_CHUNK)
            except OSError:
                return None
            if not data:
                return None
            self._messages += self._buffer.feed(data)
        return self._messages.pop(0)

    def send(self, message: Mapping[str, object], descriptors: Sequence[int] = ()) -> bool:
        """Send a message; False when the other side is gone."""
        try:
            if descriptors:
                packed = array.array("i", descriptors)
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)]
                self._sock.sendmsg([encode(message)], rights)
            else:
                self._sock.sendall(encode(message))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close this process's copy."""
        self._sock.close()
