"""What an algorithm says, fetched from the cluster's log of it while it runs.

The cluster writes standard output and standard error into one log, so nobody can tell which is
which: all of it is kept as standard error, the one that may quote data.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from vantage6.common.transport import backoff
from vantage6.node.runtimes.files import Logs
from vantage6.node.runtimes.kubernetes.cluster import (
    Cluster,
    ClusterAway,
    ClusterRefusal,
    TooOld,
)
from vantage6.node.runtimes.kubernetes.manifests import CONTAINER

log = logging.getLogger(__name__)

_STDERR = 2
#: ``2026-01-01T00:00:00.000000000Z`` or with an offset; longer is no time.
_LONGEST_TIME = 40


class Lines:
    """Takes the times off the lines, and leaves out those that were there before.

    Attributes
    ----------
    last : str
        Time of the newest line.
    """

    def __init__(self) -> None:
        self.last = ""
        self._skip_until = ""
        self._head: bytes | None = b""
        self._skipping = False

    def begin_again(self) -> None:
        """What comes next begins at a line that may have been seen."""
        self._skip_until, self._head, self._skipping = self.last, b"", False

    def feed(self, piece: bytes) -> bytes:
        """Text of a piece of the log, which may begin and end anywhere."""
        text = []
        while piece:
            if self._head is not None:
                part, space, rest = piece.partition(b" ")
                self._head += part
                if not space and len(self._head) < _LONGEST_TIME:
                    break
                piece = rest
                time = self._head.decode("ascii", "replace")
                self._head = None
                # Of one length and zone, these sort as what they mean.
                self._skipping = time <= self._skip_until
                if not self._skipping:
                    self.last = time
            line, end, piece = piece.partition(b"\n")
            if not self._skipping:
                text.append(line + end)
            if end:
                self._head = b""
        return b"".join(text)


async def keep(
    cluster: Cluster, pod: str, folder: Path, limit: int, *, is_over: Callable[[], bool]
) -> None:
    """Keep what a container says in the run's folder, until it ends or says too much.

    Parameters
    ----------
    is_over : callable
        Whether it has ended: a log may break off before it does.
    """
    logs, lines, kept = Logs(folder, limit), Lines(), 0
    pauses = backoff(ceiling=15.0)
    try:
        while True:
            # What is read after the end is all there will ever be.
            was_over = is_over()
            try:
                # The API counts in whole seconds: of the last one everything comes again.
                lines.begin_again()
                since = lines.last[:19] + lines.last[29:]
                async with aclosing(cluster.logs(pod, CONTAINER, since, follow=True)) as pieces:
                    async for piece in pieces:
                        pauses = backoff(ceiling=15.0)
                        text = lines.feed(piece)
                        logs.keep(_STDERR, text)
                        kept += len(text)
                        if kept > limit:
                            return
            except (ClusterAway, TooOld) as error:
                log.debug("The log of %s broke off: %s", pod, error)
                await asyncio.sleep(next(pauses))
            except ClusterRefusal as refusal:
                log.warning("The log of %s cannot be had: %s", pod, refusal)
                return
            else:
                if was_over:
                    return
                await asyncio.sleep(next(pauses))
    finally:
        logs.close()
