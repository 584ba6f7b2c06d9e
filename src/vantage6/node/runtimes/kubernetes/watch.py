"""What is seen of the node's Jobs and pods, kept up to date by watching the cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from vantage6.common.transport import backoff
from vantage6.node.runtimes.kubernetes.cluster import (
    Cluster,
    ClusterAway,
    ClusterRefusal,
    TooOld,
)
from vantage6.node.runtimes.kubernetes.manifests import RUN

log = logging.getLogger(__name__)

Object = dict[str, Any]
#: A server may end every watch at once; that must not become a load.
_PAUSE_BETWEEN = 0.05
_KINDS = ("jobs", "pods")


class Sight:
    """What is seen of one run: its Job and its pod, as the cluster last showed them.

    Parameters
    ----------
    on_change : callable
        Called after each change, too.

    Attributes
    ----------
    job, pod : dict or None
        None before it is seen and after it is gone.
    uid : str
        The Job's; what bears the run's labels but is another Job's is left aside.
    lost : bool
        Whether the Job has been seen, and is gone.
    """

    def __init__(self, on_change: Callable[[Sight], None] = lambda _: None) -> None:
        self.job: Object | None = None
        self.pod: Object | None = None
        self.uid = ""
        self.lost = False
        self._on_change = on_change
        self._changed = asyncio.Event()

    def show_job(self, job: Object, *, gone: bool = False) -> None:
        """Take note of a Job."""
        if job["metadata"]["uid"] != self.uid:
            return
        self.lost = gone
        self.job = None if gone else job
        self._tell()

    def show_pod(self, pod: Object, *, gone: bool = False) -> None:
        """Take note of a pod; of one that is gone what it last said stays known."""
        owners = pod["metadata"].get("ownerReferences") or ()
        if not any(owner["uid"] == self.uid for owner in owners):
            return
        if gone:
            pod["metadata"].setdefault("deletionTimestamp", "gone")
        self.pod = pod
        self._tell()

    async def change(self) -> None:
        """Wait for the next change since the last time this was asked."""
        await self._changed.wait()
        self._changed.clear()

    def _tell(self) -> None:
        self._on_change(self)
        self._changed.set()


class Watch:
    """Watches the Jobs and pods of a node.

    Parameters
    ----------
    cluster : Cluster
        Shows them.
    selector : str
        Labels of what to watch.
    """

    def __init__(self, cluster: Cluster, selector: str) -> None:
        self._cluster = cluster
        self._selector = selector
        self._sights: dict[int, Sight] = {}
        self._tasks: list[asyncio.Task[None]] = []
        #: All there are, by their uid, as last seen.
        self._known: dict[str, dict[str, Object]] = {kind: {} for kind in _KINDS}
        self._listed = {kind: asyncio.Event() for kind in _KINDS}

    def open(self) -> None:
        """Begin to watch."""
        for kind in _KINDS:
            watching = self._watch(kind)
            self._tasks.append(asyncio.create_task(watching, name=f"watch of {kind}"))

    async def close(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def jobs(self) -> list[Object]:
        """All Jobs there are, once that is known; of all pods it is known then, too."""
        for listed in self._listed.values():
            await listed.wait()
        return list(self._known["jobs"].values())

    def add(self, run_id: int, sight: Sight) -> None:
        """Show what is known of a run, and from now on what changes."""
        self._sights[run_id] = sight
        for kind in _KINDS:
            for seen in self._known[kind].values():
                if seen["metadata"].get("labels", {}).get(RUN) == str(run_id):
                    self._show(kind, seen)

    def remove(self, run_id: int, sight: Sight) -> None:
        """Show a run no more."""
        if self._sights.get(run_id) is sight:
            del self._sights[run_id]

    async def _watch(self, kind: str) -> None:
        version = ""
        pauses = backoff(ceiling=15.0)
        while True:
            try:
                if not version:
                    listing = await self._cluster.list(kind, self._selector)
                    version = listing.version
                    self._compare(kind, listing.items)
                    self._listed[kind].set()
                async with aclosing(self._cluster.watch(kind, self._selector, version)) as events:
                    async for event in events:
                        pauses = backoff(ceiling=15.0)
                        version = event["object"]["metadata"].get("resourceVersion", version)
                        self._note(kind, event)
                await asyncio.sleep(_PAUSE_BETWEEN)
            except TooOld:
                version = ""
                await asyncio.sleep(_PAUSE_BETWEEN)
            except (ClusterAway, ClusterRefusal, KeyError, TypeError) as error:
                log.warning("The cluster's %s cannot be watched: %s", kind, error)
                # It may have missed something that the server will not tell again.
                version = ""
                await asyncio.sleep(next(pauses))

    def _compare(self, kind: str, items: list[Object]) -> None:
        before = self._known[kind]
        now = self._known[kind] = {each["metadata"]["uid"]: each for each in items}
        for uid, last in before.items():
            if uid not in now:
                self._show(kind, last, gone=True)
        for each in items:
            self._show(kind, each)

    def _note(self, kind: str, event: Object) -> None:
        known, seen = self._known[kind], event["object"]
        if event["type"] == "BOOKMARK":
            return
        gone = event["type"] == "DELETED"
        if gone:
            known.pop(seen["metadata"]["uid"], None)
        else:
            known[seen["metadata"]["uid"]] = seen
        self._show(kind, seen, gone=gone)

    def _show(self, kind: str, seen: Object, *, gone: bool = False) -> None:
        try:
            sight = self._sights.get(int(seen["metadata"]["labels"][RUN]))
        except (KeyError, ValueError):
            return
        if sight is None:
            return
        if kind == "jobs":
            sight.show_job(seen, gone=gone)
        else:
            sight.show_pod(seen, gone=gone)
