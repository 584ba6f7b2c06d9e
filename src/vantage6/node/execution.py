"""Executing the algorithm of a run: start, watch, stop, and find it again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from vantage6.common.task_status import TaskStatus
from vantage6.common.transport import backoff
from vantage6.node import environment, outcome
from vantage6.node.data import DataRefusal
from vantage6.node.gateway import Reach
from vantage6.node.offer import DatabaseRequest
from vantage6.node.proxy import Caller
from vantage6.node.runtimes.base import (
    Ended,
    Execution,
    IllegalVariable,
    RunSpec,
    RuntimeAway,
    RuntimeRefusal,
    UnknownImage,
    killed,
)
from vantage6.node.site import Site
from vantage6.node.tail import follow
from vantage6.node.work import Work, known

#: Reason of an execution that this node itself ended because it was stopped: no outcome.
NODE_STOPPED = "the node was stopped"
KILLED = "it was killed by a user"
_START_ATTEMPTS, _START_PAUSE = 2, 1.0
#: A runtime watches the wall time too; this much later the node no longer trusts it.
_WALL_TIME_GRACE = 10.0
_KILL_PATIENCE = 30.0
#: Seconds after which whoever waits for a run is told that it has not been started yet.
_SLOW_START = 30.0


class Executions:
    """Executes the algorithms of runs."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def adopt(self, work: Work, execution: Execution) -> None:
        """Go on with an execution that outlived the node."""
        ticket = known(work.entry).ticket
        folder = self._site.folder(work)
        token = outcome.read_file(folder / "token", 64 * 1024).decode("ascii")
        _hold(work, execution)
        self._site.enter(work, ticket.init_user_id, ticket.job_id)
        try:
            wanted = [DatabaseRequest(label) for label in ticket.databases]
            work.view = self._site.databases.view(wanted)
        except DataRefusal as refusal:
            work.log.warning("It goes on without a way to its databases: %r", str(refusal))
        await self._serve(work, execution, ticket.task_id, token, started_anew=True)

    async def start(self, work: Work) -> None:
        """Hand a run to the runtime, and open its proxy."""
        site, spec, token = self._site, known(work.spec), known(work.token)
        site.folders.write_token(spec.folder, token)
        # Asked only now: a runtime may have to reserve the address.
        address = site.runtime.proxy_address(spec)
        variables = environment.build(
            work.run_id,
            address,
            work.view,
            site.algorithm_env,
            gateway=bool(self._reach(work)),
        )
        spec = replace(spec, environment=variables)
        noting = asyncio.ensure_future(site.on_disk(site.journal.start, work.run_id))
        try:
            await self._execute(work, spec)
        finally:
            work.entry = await noting
        if work.execution is None:
            return
        offer = known(work.offer)
        anew = work.entry.attempt > 1
        await self._serve(work, work.execution, offer.task_id, token, started_anew=anew)
        work.log.info("started")
        if not work.announced:
            self._site.tell_status(work, TaskStatus.ACTIVE)

    async def watch(self, work: Work) -> None:
        """Wait for the end."""
        execution, limit = known(work.execution), self._site.limits.wall_time
        try:
            async with (
                self._told_as_it_goes(work),
                asyncio.timeout(limit + _WALL_TIME_GRACE) as watch,
            ):
                ended = await execution.wait()
        except Exception:
            reason = f"it ran longer than {limit} seconds" if watch.expired() else None
            if reason is None:
                work.log.exception("The runtime lost it")
            await self.kill(work, reason or "the node lost sight of it")
            # The runtime may have noted the end before it lost its way.
            ended = self._exit_on_disk(work) or Ended(None, reason)
        work.ended = ended if isinstance(ended, Ended) else Ended(None)

    async def stop(self, work: Work) -> None:
        """Kill a run with everything it started."""
        reason = known(work.stop_reason)
        work.log.info("stopping: %s", reason)
        await self.kill(work, reason)
        if work.execution is None:
            await work.release()
            self._site.fail(work, TaskStatus.KILLED, reason)
        else:
            work.ended = Ended(None, reason)

    async def kill(self, work: Work, reason: str) -> None:
        """Kill what a run started; a runtime that cannot is only complained about."""
        if work.execution is None:
            return
        try:
            await asyncio.wait_for(work.execution.kill(reason), _KILL_PATIENCE)
        except Exception:
            work.log.critical("The runtime could not kill it; look for what is left", exc_info=True)

    async def abandon(self, work: Work) -> None:
        """Kill what runs because the node stops, so that it is executed again afterwards."""
        await self.kill(work, NODE_STOPPED)
        ended = self._exit_on_disk(work)
        if ended == killed(NODE_STOPPED):
            (self._site.folder(work) / "exit.json").unlink()

    async def _execute(self, work: Work, spec: RunSpec) -> None:
        """Start, once more if the runtime failed; to no avail, the run has failed."""
        for attempt in range(1, _START_ATTEMPTS + 1):
            try:
                async with (
                    self._excused_if_slow(work),
                    asyncio.timeout(self._site.start_patience),
                ):
                    execution = await self._start_patiently(work, spec)
            except RuntimeAway as error:
                # That was tried for long enough.
                self._site.fail(work, TaskStatus.START_FAILED, _not_started(str(error)))
                return
            except UnknownImage as refusal:
                self._site.fail(work, TaskStatus.NO_DOCKER_IMAGE, str(refusal))
                return
            except IllegalVariable as refusal:
                self._site.fail(work, TaskStatus.FAILED, str(refusal))
                return
            except RuntimeRefusal as refusal:
                problem = str(refusal)
            except TimeoutError:
                problem = "the node's runtime did not answer"
            except Exception as error:
                # Whatever goes wrong in a runtime, the run ends with a status.
                work.log.exception("The runtime failed to start it")
                problem = f"the node's runtime failed ({type(error).__name__})"
            else:
                # Nothing may be awaited before it is noted: a kill would miss it.
                _hold(work, execution)
                if execution.run_id == spec.run_id:
                    return
                problem = "the node's runtime started something else"
                await self.kill(work, problem)
                work.execution = None
            if attempt < _START_ATTEMPTS:
                work.log.warning("Start failed (%s); trying once more", problem)
                await asyncio.sleep(_START_PAUSE)
        self._site.fail(work, TaskStatus.START_FAILED, _not_started(problem))

    async def _start_patiently(self, work: Work, spec: RunSpec) -> Execution:
        """Start, as soon as there is something to start it; engines are restarted too.

        Raises
        ------
        RuntimeAway
            If it stays away.
        """
        until = time.monotonic() + self._site.engine_patience
        for pause in backoff(first=0.5, ceiling=10.0):
            try:
                return await self._site.runtime.start(spec)
            except RuntimeAway as error:
                if time.monotonic() > until:
                    raise
                work.log.warning("%s; trying again", error)
                self._site.excuse(work, f"it waits: {error}")
            await asyncio.sleep(pause)
        raise AssertionError("backoff ended")  # pragma: no cover

    @asynccontextmanager
    async def _excused_if_slow(self, work: Work) -> AsyncIterator[None]:
        cause = (
            "the node's runtime has not started it yet; it may be fetching the image, or have "
            "trouble"
        )
        telling = asyncio.get_running_loop().call_later(_SLOW_START, self._site.excuse, work, cause)
        try:
            yield
        finally:
            telling.cancel()

    async def _serve(
        self, work: Work, execution: Execution, task_id: int, token: str, *, started_anew: bool
    ) -> None:
        if execution.proxy_socket is None:
            work.log.warning("Runtime '%s' gave no way to the proxy", self._site.runtime.name)
            return
        caller = Caller(
            work.run_id,
            task_id,
            token,
            started_anew,
            work.on_subtask,
            work.count_sent,
            self._reach(work),
            work.note_vpn,
            work.offer.image if work.offer else "",
        )
        serving = self._site.proxy.serve(execution.proxy_socket, caller, execution.doors)
        await work.held.enter_async_context(serving)

    def _reach(self, work: Work) -> Reach:
        return Reach(work.view.targets, self._site.whitelist, work.count_sent, work.note_door)

    @asynccontextmanager
    async def _told_as_it_goes(self, work: Work) -> AsyncIterator[None]:
        """Tell what the algorithm says while it runs, where that may leave the site."""
        if not self._site.sharing.stdout:
            yield
            return

        def tell(lines: str) -> None:
            self._site.tell_log(work, lines)

        following = asyncio.ensure_future(follow(self._site.folder(work) / "stdout", tell))
        try:
            yield
        finally:
            following.cancel()

    def _exit_on_disk(self, work: Work) -> Ended | None:
        return outcome.read_exit(self._site.folder(work))


def _not_started(problem: str) -> str:
    return f"the algorithm could not be started: {problem}"


def _hold(work: Work, execution: Execution) -> None:
    work.execution = execution
    if execution.proxy_socket is not None:
        work.held.callback(execution.proxy_socket.close)
    for door in execution.doors.values():
        work.held.callback(door.close)
