"""What the agent asks of whatever runs algorithms: the one interface of all runtimes."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from vantage6.common.addresses import Target


@dataclass(frozen=True)
class Limits:
    """What one run may use.

    Memory and file sizes in bytes, times in seconds.
    """

    memory: int = 4 * 1024**3
    cpu_time: int = 24 * 3600
    wall_time: int = 7 * 24 * 3600
    processes: int = 256
    open_files: int = 1024
    output_size: int = 2 * 1024**3
    scratch_size: int = 1024**3
    log_size: int = 16 * 1024**2


@dataclass(frozen=True)
class Mount:
    """A file or folder of the host that an algorithm sees, read-only unless `writable`."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class RunSpec:
    """Everything a runtime needs to know of one run; nothing of the node's own secrets.

    ``environment`` is plain text; a runtime encodes it as the contract says.
    ``folder`` is the run's own folder on the host, made by the agent, holding ``input`` and
    ``token``; the runtime puts ``output``, ``stdout``, ``stderr`` and, when the algorithm has
    ended, ``exit.json`` (see :class:`Ended`) there. It shows in the algorithm at
    ``/mnt/data/task-<run id, 9 digits>``.
    ``doors`` are hosts and ports that the algorithm is to reach by these very names.
    """

    run_id: int
    job_id: int
    image: str
    folder: Path
    mounts: Sequence[Mount] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    doors: Collection[Target] = ()


@dataclass(frozen=True)
class Ended:
    """How an algorithm ended.

    ``exit_code`` is None when it did not end by itself; ``reason`` then says why, in words for
    the researcher ("ran out of memory", "ran longer than …", "killed"). Written atomically to
    ``exit.json`` as ``{"exit_code", "reason"}`` before it is reported, so that a node that was
    killed in between finds it.
    """

    exit_code: int | None
    reason: str | None = None


def killed(reason: str) -> Ended:
    """How an execution ended that was killed for a reason."""
    return Ended(None, f"killed: {reason}")


class RuntimeRefusal(Exception):
    """A run cannot start; the message is for the researcher."""


class UnknownImage(RuntimeRefusal):
    """This runtime has no such image (status ``non-existing Docker image``)."""


class StartFailed(RuntimeRefusal):
    """The engine or sandbox refused to start (status ``start failed``)."""


class IllegalVariable(StartFailed):
    """A variable cannot be handed to any algorithm, however often one tries (status ``failed``)."""


class RuntimeUnavailable(Exception):
    """The runtime cannot work on this machine at all; the message says what to install or set."""


class RuntimeAway(Exception):
    """What runs algorithms cannot be reached just now; the message says what does not answer."""


class Execution(Protocol):
    """One started run."""

    run_id: int
    #: A listening TCP socket inside the algorithm's own network (127.0.0.1), on which the node's
    #: proxy serves this run only; None when the runtime reaches the proxy in another way.
    proxy_socket: socket.socket | None
    #: Further sockets that listen in that network, by host and port that the algorithm means when
    #: it connects to one; none of a runtime in whose algorithms names cannot be given a meaning.
    doors: Mapping[Target, socket.socket]

    async def wait(self) -> Ended:
        """Wait for the end. Safe to call more than once and to cancel."""
        ...

    async def kill(self, reason: str) -> None:
        """End it with everything it started; returns when nothing of it is left."""
        ...


class Runtime(Protocol):
    """Runs algorithms.

    `start` returns as soon as the algorithm is being executed. It never executes anything when
    it raises. Implementations: :mod:`.process`, :mod:`.docker` and :mod:`.kubernetes` (which has
    been tested against an imitation of a cluster only).
    """

    name: str

    async def open(self) -> None:
        """Get ready.

        Raises
        ------
        RuntimeUnavailable
            If this machine lacks what the runtime needs.
        """
        ...

    async def close(self) -> None:
        """Kill whatever still runs and leave nothing behind."""
        ...

    def proxy_address(self, spec: RunSpec) -> tuple[str, int]:
        """Host URL (with scheme) and port under which an algorithm reaches the proxy."""
        ...

    async def start(self, spec: RunSpec) -> Execution:
        """Start a run.

        Raises
        ------
        UnknownImage, StartFailed
            If it did not start.
        RuntimeAway
            If there is nothing to start it just now; a later attempt removes what this one began.
        """
        ...

    def running(self) -> AsyncIterator[Execution]:
        """Executions that outlived the node, running or ended meanwhile (none for `process`)."""
        ...
