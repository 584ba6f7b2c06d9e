"""Runs in a container that only holds a network: opens ports in it for the node.

A program of its own, for the machine's Python without anything installed. Arguments: addresses and
ports, as ``127.0.0.1:8080``. The listening sockets go to the node through a unix socket, in this
order; this process keeps nothing but the network, which lasts as long as it does.
"""

import os
import signal
import socket
import sys

NODE = "/run/node.sock"


def main(places: list[str]) -> None:
    listeners = [_listen(place) for place in places]
    with socket.socket(socket.AF_UNIX) as node:
        node.connect(NODE)
        socket.send_fds(node, [b"\n"], [listener.fileno() for listener in listeners])
    for listener in listeners:
        listener.close()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    while True:
        signal.pause()


def _listen(place: str) -> socket.socket:
    address, _, port = place.partition(":")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, int(port)))
    listener.listen(128)
    return listener


if __name__ == "__main__":
    main(sys.argv[1:])
