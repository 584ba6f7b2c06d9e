"""Which port the demo's server gets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from vantage6.cli.demo.errors import DemoError
from vantage6.common.globals import Ports

HOST = "127.0.0.1"
DEFAULT_PORT = Ports.DEV_SERVER.value
# Below the range that outgoing connections use, beside the ports vantage6 is known by.
_OTHERS = range(7611, 7700)


@contextmanager
def reserved_port(wanted: int) -> Iterator[int]:
    """Find a free port and keep other demos on this machine from choosing it too.

    Parameters
    ----------
    wanted
        The port to use; 0 for the default one, or another if that is in use.

    Yields
    ------
    int
        The port, on which nothing listens.

    Raises
    ------
    DemoError
        If the wanted port is in use, or every port that may be tried is.
    """
    for port in (wanted,) if wanted else (DEFAULT_PORT, *_OTHERS):
        # A name in Linux's abstract namespace: it vanishes with this process, however that ends.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as claim:
            try:
                claim.bind(f"\0vantage6-demo-{port}")
            except OSError:
                continue
            if _is_free(port):
                yield port
                return
    if wanted:
        raise DemoError(
            f"Port {wanted} is in use. Give another one with --port, or leave it out to get a"
            " free one."
        )
    raise DemoError("No free port found. Give one with --port.")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the server will: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
