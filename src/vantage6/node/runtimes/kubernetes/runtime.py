"""Runs algorithms as Jobs of a cluster."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import Any

from vantage6.common.transport import backoff
from vantage6.node.runtimes import files
from vantage6.node.runtimes.base import Execution, RunSpec, RuntimeUnavailable, StartFailed
from vantage6.node.runtimes.kubernetes import ground, manifests, verdict
from vantage6.node.runtimes.kubernetes.cluster import (
    PATIENCE,
    Cluster,
    ClusterAway,
    ClusterRefusal,
)
from vantage6.node.runtimes.kubernetes.door import Door
from vantage6.node.runtimes.kubernetes.execution import JobName, KubernetesExecution, remove
from vantage6.node.runtimes.kubernetes.settings import Settings
from vantage6.node.runtimes.kubernetes.watch import Sight, Watch
from vantage6.node.runtimes.process_execution import listen_on_loopback

log = logging.getLogger(__name__)

UNPROVEN = (
    "runtime 'kubernetes' has been tested against an imitation of a cluster's API only, never on a "
    "cluster: see docs/kubernetes.md"
)
#: Seconds that a stopping node, or a start that is given up, waits for the cluster to tidy up.
_TIDY_SECONDS = 20.0


class KubernetesRuntime:
    """Runs algorithms as Jobs.

    Parameters
    ----------
    node : str
        Name of the node's configuration: its Jobs bear it.
    settings : Settings
        What the node's owner chose.
    patience : float
        Seconds that the cluster's API is tried before a call has failed.
    """

    name = "kubernetes"

    def __init__(self, node: str, settings: Settings, *, patience: float = PATIENCE) -> None:
        self._node = node
        self._settings = settings
        self._cluster = Cluster(settings, patience=patience)
        self._watch = Watch(self._cluster, manifests.selector(node))
        self._door = Door(settings.proxy_port)
        self._address = ("", 0)
        self._executions: set[KubernetesExecution] = set()
        self._removals: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Connect to the cluster, and look whether runs are shut in there.

        Raises
        ------
        RuntimeUnavailable
            If they are not, or something else is missing; the message says what to do.
        """
        await self._cluster.open()
        try:
            flaws = await ground.flaws(
                self._cluster, self._settings, manifests.labels(self._node, 0)
            )
            if not flaws:
                service = await self._cluster.get("services", self._settings.service)
                address = ground.address_of(service, self._settings.proxy_port)
                if address is None:
                    flaws = [
                        f"service {self._settings.service} has no address of its own, or does not "
                        f"lead to port {self._settings.proxy_port} (kubernetes.proxy_port)"
                    ]
                else:
                    self._address = address
        except (ClusterAway, ClusterRefusal) as error:
            await self._cluster.close()
            raise RuntimeUnavailable(
                f"The cluster at {self._cluster.address} cannot be used: {error}"
            ) from error
        except BaseException:
            await self._cluster.close()
            raise
        if flaws:
            await self._cluster.close()
            raise RuntimeUnavailable(
                f"Namespace {self._cluster.namespace} is not ready for algorithms: "
                + "; ".join(flaws)
            )
        log.warning("%s", UNPROVEN[0].upper() + UNPROVEN[1:])
        self._watch.open()

    async def close(self) -> None:
        """Kill whatever still runs and leave nothing behind.

        The runs have no end on record: a node that starts again runs them anew.
        """
        ends = {asyncio.ensure_future(each.abandon()) for each in self._executions}
        if ends | self._removals:
            _, late = await asyncio.wait(ends | self._removals, timeout=_TIDY_SECONDS)
            if late:
                log.critical("%d Jobs could not be deleted; the next start does it", len(late))
            for execution in self._executions:
                execution.leave()
            for task in late:
                task.cancel()
        await self._watch.close()
        await self._door.close()
        await self._cluster.close()

    def proxy_address(self, spec: RunSpec) -> tuple[str, int]:
        """Host URL (with scheme) and port under which an algorithm reaches the proxy."""
        host, port = self._address
        return f"http://{host}", port

    async def start(self, spec: RunSpec) -> Execution:
        """Start a run; returns when the algorithm is being executed.

        Raises
        ------
        UnknownImage
            If the image cannot be pulled.
        StartFailed
            If the cluster refuses, or finds no place for it in time.
        """
        await self._door.open()
        mark = secrets.token_hex(4)
        wanted = manifests.job(self._settings, self._node, spec, mark)
        await asyncio.to_thread(files.prepare, spec.folder)
        creating = asyncio.ensure_future(self._create(spec, wanted))
        try:
            job = await asyncio.shield(creating)
        except (ClusterAway, asyncio.CancelledError) as error:
            # It may be there all the same, and does no harm: it is suspended.
            self._tidy(self._undo(creating, wanted))
            if isinstance(error, ClusterAway):
                raise StartFailed(f"The cluster refuses the run: {error}") from error
            raise
        except ClusterRefusal as error:
            raise StartFailed(f"The cluster refuses the run: {error}") from error
        name = JobName(job["metadata"]["name"], job["metadata"]["uid"])
        listener = listen_on_loopback()
        sight = self._look_at(spec.run_id, name, listener)
        if sight.job is None:
            sight.show_job(job)
        try:
            owned = manifests.secret(self._node, spec, mark, job)
            await self._cluster.create("secrets", owned)
            await self._cluster.patch("jobs", name.name, {"spec": {"suspend": False}})
            await self._begun(spec, sight)
        except BaseException as error:
            await self._give_up(spec, name, sight, listener)
            if isinstance(error, ClusterAway | ClusterRefusal):
                raise StartFailed(f"The cluster refuses the run: {error}") from error
            raise
        return self._execution(name, manifests.found(job), sight, listener)

    async def running(self) -> AsyncIterator[Execution]:
        """Executions that outlived an earlier process of this node.

        What had not begun to be executed is deleted, and so is what nobody wants any more.
        """
        await self._door.open()
        for job in await self._watch.jobs():
            execution = self._adopt(job)
            if execution is None:
                metadata = job["metadata"]
                await self._remove(JobName(metadata["name"], metadata["uid"]))
                continue
            yield execution

    def _adopt(self, job: dict[str, Any]) -> KubernetesExecution | None:
        """Go on with a Job; None if that is of no use."""
        name = JobName(job["metadata"]["name"], job["metadata"]["uid"])
        try:
            found = manifests.found(job)
        except (ValueError, KeyError, TypeError) as error:
            log.error("Job %s has lost its notes: %s", name.name, error)
            return None
        deleted = "deletionTimestamp" in job["metadata"]
        if not found.folder.is_dir() or deleted or files.read_exit(found.folder) is not None:
            return None  # the node has forgotten it, or what there is to know is on record
        listener = listen_on_loopback()
        sight = self._look_at(found.run_id, name, listener)
        over = verdict.ended(job, sight.pod, found.limits) is not None
        if not over and (job["spec"].get("suspend") or not verdict.has_begun(sight.pod)):
            self._watch.remove(found.run_id, sight)
            listener.close()
            return None
        return self._execution(name, found, sight, listener)

    def _look_at(self, run_id: int, name: JobName, listener: socket.socket) -> Sight:
        """Watch a Job from now on, and let its pod in."""

        def admit(sight: Sight) -> None:
            self._door.admit(verdict.addresses(sight.pod), port)

        port = listener.getsockname()[1]
        sight = Sight(admit)
        sight.uid = name.uid
        self._watch.add(run_id, sight)
        return sight

    def _execution(
        self,
        name: JobName,
        found: manifests.Found,
        sight: Sight,
        listener: socket.socket,
    ) -> KubernetesExecution:
        port = listener.getsockname()[1]

        def forget(execution: KubernetesExecution) -> None:
            self._executions.discard(execution)
            self._watch.remove(execution.run_id, sight)
            self._door.dismiss(port)

        execution = KubernetesExecution(self._cluster, name, found, sight, listener, forget)
        self._executions.add(execution)
        return execution

    async def _create(self, spec: RunSpec, job: dict[str, Any]) -> dict[str, Any]:
        """Make a run's Job; what an earlier attempt at the same run left is deleted first."""
        try:
            return await self._cluster.create("jobs", job)
        except ClusterRefusal as refusal:
            if refusal.reason != "AlreadyExists":
                raise
        with suppress(ClusterRefusal):  # it may just have gone
            left = await self._cluster.get("jobs", job["metadata"]["name"])
            log.warning("Run %s: a Job of an earlier attempt is deleted", spec.run_id)
            await remove(self._cluster, JobName(left["metadata"]["name"], left["metadata"]["uid"]))
        return await self._cluster.create("jobs", job)

    async def _begun(self, spec: RunSpec, sight: Sight) -> None:
        """Wait until the algorithm is being executed."""
        patience = self._settings.start_time
        try:
            async with asyncio.timeout(patience):
                while not verdict.has_begun(sight.pod):
                    if sight.lost:
                        raise StartFailed("The cluster deleted the Job before it began")
                    problem = verdict.obstacle(sight.job or {}, sight.pod, spec.image)
                    if problem is not None:
                        raise problem
                    await sight.change()
        except TimeoutError:
            reason = verdict.why_not_yet(sight.pod)
            raise StartFailed(
                f"The cluster did not start it within {patience} s: {reason}"
            ) from None

    async def _give_up(
        self, spec: RunSpec, name: JobName, sight: Sight, listener: socket.socket
    ) -> None:
        """Undo a start; the Job is deleted in any case, if need be after this has returned."""
        self._door.dismiss(listener.getsockname()[1])
        listener.close()
        self._watch.remove(spec.run_id, sight)
        await self._remove(name)
        await asyncio.to_thread(files.take_back, spec.folder)

    async def _undo(self, creating: asyncio.Future[dict[str, Any]], wanted: dict[str, Any]) -> None:
        """Delete a Job of which nobody knows whether it was made."""
        await asyncio.gather(creating, return_exceptions=True)
        name = wanted["metadata"]["name"]
        for pause in backoff(ceiling=15.0):
            try:
                there = await self._cluster.get("jobs", name)
            except ClusterRefusal:
                return
            except ClusterAway:
                await asyncio.sleep(pause)
                continue
            if manifests.is_same(there, wanted):
                await remove(self._cluster, JobName(name, there["metadata"]["uid"]))
            return

    def _tidy(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something that goes on when whoever asked for it has gone on."""
        task = asyncio.ensure_future(work)
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)
        return task

    async def _remove(self, name: JobName) -> None:
        removal = self._tidy(remove(self._cluster, name))
        done, _ = await asyncio.wait([removal], timeout=_TIDY_SECONDS)
        if not done:
            log.warning("Job %s is still there; its deletion goes on", name.name)
