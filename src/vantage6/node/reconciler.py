"""Makes what runs here agree with what the server wants to run here.

What should be: the server's open runs of this node. What is: the journal and the runtime. For
each run the two are compared, one step is taken, written down, and so on until nothing is left
to do. Nothing else starts, stops or reports a run.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Any

from vantage6.common.task_status import TaskStatus
from vantage6.common.tracing import request_id
from vantage6.node.connection import LoginRefused, Refused, ServerTrouble
from vantage6.node.execution import KILLED, NODE_STOPPED, Executions
from vantage6.node.journal import Entry, Phase
from vantage6.node.offer import MalformedOffer, Offer
from vantage6.node.outcome import read_exit
from vantage6.node.runtimes.base import killed
from vantage6.node.site import Site
from vantage6.node.steps import Steps
from vantage6.node.work import Step, Work, next_step

log = logging.getLogger(__name__)

PAGE_SIZE = 50
_LISTING_ATTEMPTS = 3
_RETRY_PAUSE = 5.0
#: How many runs are remembered as done, in case an older list of open runs still names them.
_REMEMBERED = 10_000

# A fault of the node itself in one of these ends the run; in the others the step is repeated.
_FATAL_IN = frozenset({Step.PREPARE, Step.CLAIM, Step.START, Step.WATCH})


class Reconciler:
    """Drives all runs of a node.

    Parameters
    ----------
    site : Site
        What the node works with.
    on_refused : callable
        Called when the server no longer accepts the node.
    retry_pause : float
        Seconds before a step that failed through a fault of the node is taken again.
    """

    def __init__(
        self,
        site: Site,
        on_refused: Callable[[LoginRefused], None],
        *,
        retry_pause: float = _RETRY_PAUSE,
    ) -> None:
        self._site = site
        self._executions = Executions(site)
        self._steps = Steps(site, self._executions)
        self._on_refused = on_refused
        self._retry_pause = retry_pause
        self._works: dict[int, Work] = {}
        self._drives: dict[int, asyncio.Task[None]] = {}
        self._lost: dict[int, Entry] = {}
        self._done: OrderedDict[int, None] = OrderedDict()
        self._stopping = False

    @property
    def active(self) -> Collection[int]:
        """Runs that are being driven."""
        return self._works.keys()

    async def resume(self) -> None:
        """Take up what an earlier process of this node left.

        Outcomes are delivered, and executions that ended are judged; what was only begun waits
        for the server to say whether it still wants it.
        """
        entries = {entry.ticket.run_id: entry for entry in self._site.journal.entries()}
        self._site.folders.sweep(entries)
        async for execution in self._site.runtime.running():
            entry = entries.get(execution.run_id)
            if entry is None or entry.phase is Phase.COMPUTED:
                await execution.kill("the node does not know it")
                continue
            work = Work(execution.run_id, entry=entries.pop(execution.run_id))
            await self._executions.adopt(work, execution)
            self._begin(work)
        for run_id, entry in entries.items():
            ended = None
            if entry.phase is not Phase.COMPUTED:
                ended = read_exit(self._site.folders.of(run_id, entry.attempt))
                if ended is None or ended == killed(NODE_STOPPED):
                    self._lost[run_id] = entry
                    continue
            log.info("run %s: taken up again (%s)", run_id, entry.phase.value)
            self._begin(Work(run_id, entry=entry, ended=ended))

    async def sync(self, task_id: int | None = None) -> None:
        """Ask the server what should run, and act on it.

        Parameters
        ----------
        task_id : int, optional
            Ask for this task's runs only.

        Raises
        ------
        ServerTrouble
            If no complete answer came. Nothing is concluded from a partial one.
        """
        # A run that is accepted while the list is on its way is not missing from it.
        asked_about = set(self._works) | set(self._lost)
        listed: set[int] = set()
        offers = []
        for run in await self._open_runs(task_id):
            try:
                offer = Offer.read(run)
            except MalformedOffer as problem:
                log.error("An open run cannot be understood and is left alone: %s", problem)
                if isinstance(run, dict) and isinstance(run.get("id"), int):
                    listed.add(run["id"])
                continue
            listed.add(offer.run_id)
            offers.append(offer)
        for offer in sorted(offers, key=lambda offer: offer.run_id):
            self.consider(offer)
        if task_id is None:
            for run_id in sorted(asked_about - listed):
                await self._doubt(run_id)

    def consider(self, offer: Offer) -> None:
        """Take up an open run, unless it is being driven or was."""
        if offer.run_id in self._works or offer.run_id in self._done or self._stopping:
            return
        if self._lost.pop(offer.run_id, None) is not None:
            log.info("run %s: was lost with an earlier process, is started anew", offer.run_id)
        self._begin(Work(offer.run_id, offer=offer))

    def kill(self, run_ids: Collection[int] | None, reason: str = KILLED) -> None:
        """Want runs to end; all of them if `run_ids` is None."""
        for work in list(self._works.values()):
            if run_ids is None or work.run_id in run_ids:
                work.stop(reason)

    async def close(self) -> None:
        """Stop without reporting: what runs is killed, and is executed again at the next start."""
        self._stopping = True
        drives = list(self._drives.values())
        for drive in drives:
            drive.cancel()
        await asyncio.gather(*drives, return_exceptions=True)

    async def _open_runs(self, task_id: int | None) -> list[Any]:
        parameters: dict[str, Any] = {
            "state": "open",
            "node_id": self._site.identity.node_id,
            "include": "task",
            "per_page": PAGE_SIZE,
        }
        if task_id is not None:
            parameters["task_id"] = task_id
        runs: list[Any] = []
        page = 1
        while True:
            if page > 1:
                parameters["page"] = page
            try:
                answer = await self._site.connection.get(
                    "/run", parameters, attempts=_LISTING_ATTEMPTS
                )
            except Refused as error:
                if task_id is not None and error.status_code in (400, 404):
                    return []  # the task was deleted meanwhile
                raise
            part, links = answer.get("data"), answer.get("links")
            if not isinstance(part, list) or not isinstance(links, dict):
                raise ServerTrouble("what answered 'GET /run' is no list of runs")
            runs += part
            if not links.get("next"):
                return runs
            page += 1

    async def _doubt(self, run_id: int) -> None:
        """Look closer at a run that the server's list of open runs does not name.

        Pages shift while they are being read, so the list alone proves nothing.
        """
        work = self._works.get(run_id)
        if work is not None and work.settled:
            return  # its delivery finds out
        if (work is None and run_id not in self._lost) or not await self._site.is_closed(run_id):
            return
        if work is not None:
            log.info("run %s: is closed at the server", run_id)
            work.closed = True
            work.stop("the server closed it")
        elif entry := self._lost.pop(run_id, None):
            log.info("run %s: was lost, and is closed at the server", run_id)
            self._begin(Work(run_id, entry=entry, closed=True))

    def _begin(self, work: Work) -> None:
        self._works[work.run_id] = work
        drive = asyncio.create_task(self._drive(work), name=f"run {work.run_id}")
        self._drives[work.run_id] = drive

    async def _drive(self, work: Work) -> None:
        try:
            while (step := next_step(work)) is not Step.REST:
                await self._take(work, step)
            self._remember(work.run_id)
        except LoginRefused as error:
            self._on_refused(error)
        finally:
            if work.execution is not None and work.ended is None and not work.settled:
                await self._executions.abandon(work)
            await work.release()
            del self._works[work.run_id], self._drives[work.run_id]

    async def _take(self, work: Work, step: Step) -> None:
        work.step = step
        # From here on in every line of the log, and in every request about this run.
        request_id.set(work.request_id)
        work.doing = asyncio.ensure_future(self._steps.take(work, step))
        try:
            await work.doing
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if this is not None and this.cancelling():
                raise
            # Cut short by `Work.stop`, which also changed what comes next.
        except LoginRefused:
            raise
        except Exception as problem:
            if _is_disk_full(problem):
                work.log.critical("The node cannot %s it: the disk is full", step.value)
                cause = f"the node cannot {step.value} the run: its disk is full"
            else:
                work.log.exception("The node failed to %s it", step.value)
                cause = f"the node failed to {step.value} the run; its log says why"
            if step in _FATAL_IN:
                await self._executions.kill(work, cause)
                self._site.fail(work, TaskStatus.FAILED, cause)
            else:
                self._site.excuse(work, f"{cause}. It tries again every few seconds")
                await asyncio.sleep(self._retry_pause)

    def _remember(self, run_id: int) -> None:
        self._done[run_id] = None
        while len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)


def _is_disk_full(problem: Exception) -> bool:
    if isinstance(problem, sqlite3.OperationalError):
        return problem.sqlite_errorcode == sqlite3.SQLITE_FULL
    return isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT)
