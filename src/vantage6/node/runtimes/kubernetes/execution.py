"""One started run: its words, its end, its bounds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vantage6.common.addresses import Target
from vantage6.common.transport import backoff
from vantage6.node.runtimes import files
from vantage6.node.runtimes.base import Ended, killed
from vantage6.node.runtimes.kubernetes import verdict, words
from vantage6.node.runtimes.kubernetes.cluster import Cluster, ClusterAway, ClusterRefusal
from vantage6.node.runtimes.kubernetes.manifests import Found
from vantage6.node.runtimes.kubernetes.watch import Sight
from vantage6.node.runtimes.sandbox.wording import duration, size

log = logging.getLogger(__name__)

#: Seconds between two looks at what a run has written.
_LOOK = 2.0
#: Seconds for the rest of the log to arrive after the end.
_LOG_SECONDS = 10.0
_ABANDONED = Ended(None, "abandoned")


@dataclass(frozen=True)
class JobName:
    """A Job; ``uid`` tells it from others that bore the same name."""

    name: str
    uid: str


class KubernetesExecution:
    """A run as a Job.

    Attributes
    ----------
    run_id : int
        The run.
    proxy_socket : socket.socket or None
        Listens on the node's own loopback; the door leads the run's pod there.
    image_digest : str or None
        Of the image that its pod was made from.
    """

    def __init__(
        self,
        cluster: Cluster,
        job: JobName,
        found: Found,
        sight: Sight,
        listener: socket.socket | None,
        forget: Callable[[KubernetesExecution], None],
    ) -> None:
        self.run_id = found.run_id
        self.proxy_socket = listener
        #: No names are made known in pods.
        self.doors: Mapping[Target, socket.socket] = {}
        self.image_digest = verdict.image_digest(sight.pod)
        self.job = job
        self.sight = sight
        self._cluster = cluster
        self._found = found
        self._forget = forget
        self._began = time.monotonic() - verdict.age(sight.pod)
        self._verdict: Ended | None = None
        self._wanted = asyncio.Event()
        self._ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live(), name=f"job of run {self.run_id}")

    async def wait(self) -> Ended:
        """Wait for the end. Safe to call more than once and to cancel."""
        return await asyncio.shield(self._ended)

    async def kill(self, reason: str) -> None:
        """End it with everything it started; returns when nothing of it is left."""
        self._want(killed(reason))
        await asyncio.shield(self._life)

    async def abandon(self) -> None:
        """End it without a record, so that it is run anew."""
        self._want(_ABANDONED)
        await asyncio.shield(self._life)

    def leave(self) -> None:
        """Follow it no more, whatever becomes of it."""
        self._life.cancel()

    def _want(self, verdict_: Ended) -> None:
        if self._verdict is None and not self._ended.done():
            self._verdict = verdict_
            self._wanted.set()

    async def _live(self) -> None:
        pod = self.sight.pod
        log_ = guard = None
        if pod is not None:
            name = pod["metadata"]["name"]
            folder, limit = self._found.folder, self._found.limits.log_size
            keeping = words.keep(self._cluster, name, folder, limit, is_over=self._is_over)
            log_ = asyncio.create_task(keeping, name=f"log of run {self.run_id}")
        guard = asyncio.create_task(self._guard())
        try:
            ended = await self._over()
            guard.cancel()
            if ended is None:
                await remove(self._cluster, self.job)
            if log_ is not None:
                await asyncio.wait([log_], timeout=_LOG_SECONDS)
        finally:
            guard.cancel()
            if log_ is not None:
                log_.cancel()
            await asyncio.gather(guard, *filter(None, [log_]), return_exceptions=True)
        ended = await asyncio.to_thread(self._conclude, ended)
        self._ended.set_result(ended)
        # The result does not wait until the cluster has tidied up.
        await remove(self._cluster, self.job)
        self._forget(self)

    async def _over(self) -> Ended | None:
        """Wait for the end; None if somebody wants it."""
        wanted = asyncio.ensure_future(self._wanted.wait())
        try:
            while True:
                ended = self._seen_end()
                if ended is not None:
                    return ended
                if wanted.done():
                    return None
                change = asyncio.ensure_future(self.sight.change())
                await asyncio.wait((wanted, change), return_when=asyncio.FIRST_COMPLETED)
                change.cancel()
        finally:
            wanted.cancel()

    def _is_over(self) -> bool:
        return self._wanted.is_set() or self._seen_end() is not None

    def _seen_end(self) -> Ended | None:
        job = None if self.sight.lost else self.sight.job or {}
        return verdict.ended(job, self.sight.pod, self._found.limits)

    async def _guard(self) -> None:
        """End the run when it takes more than it may."""
        limits = self._found.limits
        while True:
            left = self._began + limits.wall_time - time.monotonic()
            await asyncio.sleep(max(0.0, min(_LOOK, left)))
            if time.monotonic() - self._began >= limits.wall_time:
                self._want(Ended(None, f"ran longer than {duration(limits.wall_time)}"))
                return
            with contextlib.suppress(OSError):  # it will be looked at again at the end
                if files.written(self._found.folder) > limits.output_size:
                    self._want(_too_much_output(limits.output_size))
                    return

    def _conclude(self, ended: Ended | None) -> Ended:
        folder, limits = self._found.folder, self._found.limits
        files.take_back(folder)
        if self._verdict is _ABANDONED:
            return _ABANDONED
        ended = self._verdict or ended or Ended(None)
        try:
            if files.written(folder) > limits.output_size:
                files.drop_output(folder)
                ended = _too_much_output(limits.output_size)
            files.write_exit(folder, ended)
        except OSError:
            # A full disk, or a claim that is away: the node can still be told.
            log.exception("The end of run %s cannot be noted", self.run_id)
        return ended


def _too_much_output(limit: int) -> Ended:
    return Ended(None, f"wrote more than {size(limit)} of output")


async def remove(cluster: Cluster, job: JobName) -> None:
    """Delete a Job with all it owns; returns when the cluster has nothing of it any more.

    It goes on for as long as the cluster is away.
    """
    for pause in backoff(first=0.1, ceiling=5.0):
        try:
            await cluster.delete("jobs", job.name, job.uid)
            found = await cluster.get("jobs", job.name)
            if found["metadata"]["uid"] != job.uid:
                return
        except ClusterRefusal as refusal:
            if not refusal.is_gone:
                log.critical("Job %s cannot be deleted, delete it by hand: %s", job.name, refusal)
            return
        except ClusterAway as error:
            log.warning("Job %s cannot be deleted yet: %s", job.name, error)
        await asyncio.sleep(pause)
