"""To a database server through the node: a sandboxed algorithm has no other way out.

Drivers of databases know no HTTP proxies. So a thread listens on this algorithm's own loopback
and passes each connection on through the node's gateway, which lets through to the servers of the
task's own databases only.
"""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import threading
from urllib.parse import urlsplit

from vantage6.algorithm.tools._environment import read_variable
from vantage6.algorithm.tools.util import error
from vantage6.common.addresses import moved, server_of

_CHUNK = 64 * 1024
_TIMEOUT = 30.0


def through_gateway(uri: str) -> str:
    """The address by which a database server is reached from here."""
    gateway = read_variable("DATABASE_GATEWAY")
    target = server_of(uri)
    if not gateway or target is None:
        return uri
    local = _listen(gateway, *target)
    if uri.partition(":")[0].partition("+")[0] in ("postgresql", "postgres"):
        import sqlalchemy

        # The name stays, for the server's certificate to be checked against.
        url = sqlalchemy.make_url(uri).set(port=local)
        url = url.update_query_dict({"hostaddr": "127.0.0.1"})
        return url.render_as_string(hide_password=False)
    return moved(uri, "127.0.0.1", local)


@functools.cache
def _listen(gateway: str, host: str, port: int) -> int:
    """Listen for connections that are to go to a host; the port they come to."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            here, _ = listener.accept()
            threading.Thread(target=_pass_on, args=(here, gateway, host, port), daemon=True).start()

    threading.Thread(target=serve, daemon=True, name=f"to {host}:{port}").start()
    return int(listener.getsockname()[1])


def _pass_on(here: socket.socket, gateway: str, host: str, port: int) -> None:
    url = urlsplit(gateway)
    with here, contextlib.suppress(OSError):
        address = (url.hostname or "127.0.0.1", url.port or 80)
        with socket.create_connection(address, timeout=_TIMEOUT) as there:
            there.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                # One by one: what comes behind the head is the database's.
                byte = there.recv(1)
                if not byte:
                    return
                head += byte
            if b" 200 " not in head.split(b"\r\n")[0] + b" ":
                error(_words(there, f"{host}:{port} cannot be reached"))
                return
            there.settimeout(None)
            back = threading.Thread(target=_copy, args=(there, here), daemon=True)
            back.start()
            _copy(here, there)
            back.join()


def _words(there: socket.socket, otherwise: str) -> str:
    """What the gateway says in place of a connection; to be seen in the task's log."""
    body = b""
    with contextlib.suppress(OSError):
        while (chunk := there.recv(_CHUNK)) and len(body) < _CHUNK:
            body += chunk
    try:
        return str(json.loads(body)["msg"])
    except (ValueError, KeyError, TypeError):
        return otherwise


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
