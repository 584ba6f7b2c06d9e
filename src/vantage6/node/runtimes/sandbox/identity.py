"""Under which user an algorithm runs.

A node that is root gives each run a user id of its own, taken for as long as the run lasts and by
no other node on the machine. Any other node uses a user namespace, in which its own user appears
as an ordinary one.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from . import linux
from .request import SandboxError

# Above what distributions hand out and below what is set aside for containers (100000).
FIRST_USER = 70000
USERS = 8192
# How the node's own user appears inside a user namespace.
INNER_USER = 1000


@dataclass(frozen=True)
class Identity:
    """User and group of the algorithm as it sees them.

    ``separate`` tells that no other process of the machine has this user id.
    """

    user: int
    group: int
    separate: bool


class UserLease:
    """Keeps a user id taken, machine-wide, until the process ends."""

    def __init__(self, user: int, lock: socket.socket) -> None:
        self.user = user
        self._lock = lock

    @classmethod
    def take(cls) -> UserLease:
        """Find a free user id.

        Must be called in the machine's own network namespace, where the names live.

        Raises
        ------
        SandboxError
            If all are taken.
        """
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        for user in range(FIRST_USER, FIRST_USER + USERS):
            try:
                # A name without a file: vanishes with the process, whatever ends it.
                lock.bind(f"\0vantage6-algorithm-user-{user}")
            except OSError:
                continue
            return cls(user, lock)
        lock.close()
        raise SandboxError(f"All {USERS} user ids for algorithms are in use on this machine")


def become_mapped_user() -> Identity:
    """Enter a new user namespace in which this process's user is an ordinary one.

    Raises
    ------
    OSError
        If the kernel refuses.
    """
    user, group = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWUSER)
    linux.write_file("/proc/self/setgroups", "deny")
    linux.write_file("/proc/self/uid_map", f"{INNER_USER} {user} 1")
    linux.write_file("/proc/self/gid_map", f"{INNER_USER} {group} 1")
    return Identity(INNER_USER, INNER_USER, separate=False)
