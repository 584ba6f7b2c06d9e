"""Hosts that an algorithm reaches by their own names, though its network has only loopback.

Each name stands for an address of that loopback, on which the node listens.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Target = tuple[str, int]

#: Where a squid would be: the node's proxy to other hosts, which is the node's proxy itself.
SQUID = ("squid", 3128)
_PER_BLOCK = 250


@dataclass(frozen=True)
class Door:
    """A host and port, and the address of an algorithm's loopback that the host's name means."""

    host: str
    port: int
    address: str

    @property
    def target(self) -> Target:
        """Host and port."""
        return self.host, self.port


def lay(targets: Iterable[Target]) -> tuple[Door, ...]:
    """Find an address for each host: of its own, so that ports may be the same."""
    wanted = sorted(set(targets))
    hosts = sorted({host for host, _ in wanted})
    addresses = {host: _address(number) for number, host in enumerate(hosts)}
    return tuple(Door(host, port, addresses[host]) for host, port in wanted)


def hosts_file(doors: Iterable[Door] = (), hostname: str = "") -> str:
    """What an algorithm's ``/etc/hosts`` holds: names of its own loopback, and nothing else.

    Parameters
    ----------
    doors : Iterable of Door
        Of its run.
    hostname : str
        Its machine's, which some programs look up.
    """
    own = " ".join(filter(None, ("localhost", "proxyserver", hostname)))
    names = sorted({(door.address, door.host) for door in doors})
    lines = [f"127.0.0.1 {own}", "::1 localhost", *(f"{address} {host}" for address, host in names)]
    return "\n".join([*lines, ""])


def _address(number: int) -> str:
    # Far from 127.0.0.1 and its neighbours, which programs use themselves.
    block, place = divmod(number, _PER_BLOCK)
    return f"127.64.{block}.{place + 1}"
