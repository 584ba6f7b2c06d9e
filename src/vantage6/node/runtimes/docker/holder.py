"""Runs in a container that only holds a network: opens the proxy's port in it for the node.

A program of its own, for the machine's Python without anything installed. Arguments: the port.
The listening socket goes to the node through a unix socket; this process keeps nothing but the
network, which lasts as long as it does.
"""

import os
import signal
import socket
import sys

NODE = "/run/node.sock"


def main(port: int) -> None:
    with socket.socket() as listener, socket.socket(socket.AF_UNIX) as node:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        node.connect(NODE)
        socket.send_fds(node, [b"\n"], [listener.fileno()])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    while True:
        signal.pause()


if __name__ == "__main__":
    main(int(sys.argv[1]))
