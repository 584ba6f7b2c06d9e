"""How each step of a run is taken. Which one comes next is decided in :mod:`.work`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from vantage6.common.task_status import FAILURES, TaskStatus
from vantage6.common.tracing import accepted
from vantage6.node import environment, outcome, policy, stores, task_input
from vantage6.node.config import Policies, Whitelist
from vantage6.node.connection import Connection, Identity, Refused
from vantage6.node.data import Databases, DataRefusal
from vantage6.node.decisions import DecisionLog
from vantage6.node.folders import RunFolders
from vantage6.node.gateway import Reach
from vantage6.node.guests import Guests
from vantage6.node.journal import Journal, Outcome, Ticket
from vantage6.node.offer import Offer
from vantage6.node.organizations import NoUsableKey, Organizations
from vantage6.node.outcome import Conclusion, Sharing
from vantage6.node.payloads import Payloads
from vantage6.node.proxy import Caller, Proxy
from vantage6.node.runtimes.base import (
    Ended,
    Execution,
    Limits,
    RunSpec,
    Runtime,
    RuntimeRefusal,
    UnknownImage,
    killed,
)
from vantage6.node.slots import Slots
from vantage6.node.tail import follow
from vantage6.node.task_input import InputFacts
from vantage6.node.work import Step, Work

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Reason of an execution that this node itself ended because it was stopped: no outcome.
NODE_STOPPED = "the node was stopped"
KILLED = "it was killed by a user"
#: Bytes that are written sooner than a thread is asked to write them.
_SMALL = 64 * 1024
_START_ATTEMPTS, _START_PAUSE = 2, 1.0
#: An engine that has not started an algorithm after this long, images pulled, hangs.
START_PATIENCE = 3600.0
#: A runtime watches the wall time too; this much later the node no longer trusts it.
_WALL_TIME_GRACE = 10.0
_KILL_PATIENCE = 30.0
#: Bytes of what an algorithm said that the node's own log keeps, of each of its two streams.
MAX_KEPT_WORDS = 1024**2


@dataclass(frozen=True)
class Site:
    """What a node works with: everything the steps need.

    ``tell`` sends an event to the server, or drops it.
    ``disk`` runs the journal's writes, one after another, beside the event loop.
    """

    identity: Identity
    connection: Connection
    journal: Journal
    runtime: Runtime
    proxy: Proxy
    organizations: Organizations
    payloads: Payloads
    databases: Databases
    folders: RunFolders
    slots: Slots
    tell: Callable[[str, Any], None]
    disk: Executor
    decisions: DecisionLog
    policies: Policies = field(default_factory=Policies)
    limits: Limits = field(default_factory=Limits)
    sharing: Sharing = field(default_factory=Sharing)
    algorithm_env: Mapping[str, Any] = field(default_factory=dict)
    guests: Guests = field(default_factory=Guests)
    whitelist: Whitelist | None = None
    refusal_pause: float = 300.0
    start_patience: float = START_PATIENCE

    async def on_disk(self, action: Callable[..., T], *arguments: Any) -> T:
        """Call something that writes to the disk without holding up the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.disk, action, *arguments)


class Steps:
    """Takes steps. Each method changes the work so that another step comes next."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._actions = {
            Step.ACCEPT: self._accept,
            Step.PREPARE: self._prepare,
            Step.CLAIM: self._claim,
            Step.START: self._start,
            Step.WATCH: self._watch,
            Step.CONCLUDE: self._conclude,
            Step.STOP: self._stop,
            Step.RECORD: self._record,
            Step.DELIVER: self._deliver,
            Step.FORGET: self._forget,
        }

    async def take(self, work: Work, step: Step) -> None:
        """Take a step."""
        await self._actions[step](work)

    async def adopt(self, work: Work, execution: Execution) -> None:
        """Go on with an execution that outlived the node."""
        ticket = known(work.entry).ticket
        folder = self._folder(work)
        token = outcome.read_file(folder / "token", 64 * 1024).decode("ascii")
        _note(work, execution)
        await self._serve(work, execution, ticket.task_id, token, started_anew=True)

    def fail(self, work: Work, status: TaskStatus, cause: str) -> None:
        """End a run that did not get as far as having anything to say itself."""
        work.log.warning("%s: %s", status.value, cause)
        text = outcome.complaint(self._site.identity.organization_name, cause)
        work.conclusion = Conclusion(status, text)

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
            (self._folder(work) / "exit.json").unlink()

    async def is_closed(self, run_id: int) -> bool:
        """Whether the server wants nothing more of a run."""
        try:
            run = await self._site.connection.get(f"/run/{run_id}")
        except Refused as error:
            if error.status_code == 404:
                return True
            raise
        return run.get("finished_at") is not None

    async def _accept(self, work: Work) -> None:
        offer = known(work.offer)
        ticket = Ticket(
            run_id=offer.run_id,
            task_id=offer.task_id,
            job_id=offer.job_id,
            init_org_id=offer.init_org_id,
            parent_id=offer.parent_id,
        )
        work.entry = await self._site.on_disk(self._site.journal.accept, ticket)
        work.log.info(
            "accepted: task %s, image %s, attempt %s",
            offer.task_id,
            offer.image,
            work.entry.attempt,
        )

    async def _prepare(self, work: Work) -> None:
        offer = known(work.offer)
        site = self._site
        if offer.status in FAILURES:
            # Somebody reported a failure and never delivered the log that closes the run.
            cause = "the run had failed before and its log was lost"
            self.fail(work, TaskStatus(offer.status), cause)
            return
        question = await self._question(offer)
        if not self._allows(work, question):
            return
        # At once: another run of the same user may be asked about before this one goes on.
        site.guests.enter(offer.run_id, offer.init_user_id, offer.job_id)
        work.held.callback(site.guests.leave, offer.run_id)
        try:
            view = site.databases.view(offer.databases)
        except DataRefusal as refusal:
            self._cannot(work, "databases", str(refusal))
            return
        try:
            folder = await self._take_input(work, offer)
        except (ValueError, Refused) as error:
            self._cannot(work, "input", f"the input of the task cannot be read: {error}")
            return
        facts = await asyncio.to_thread(task_input.examine, folder / "input")
        if not self._allows(work, replace(question, function=facts.function or ""), facts):
            return
        work.spec = RunSpec(
            offer.run_id, offer.job_id, offer.image, folder, view.mounts, limits=site.limits
        )
        work.view = view
        work.offer = replace(offer, input="")  # may be large, and is on the disk now

    async def _take_input(self, work: Work, offer: Offer) -> Path:
        """Make the folder of the run, with the input in it."""
        site, attempt = self._site, known(work.entry).attempt
        if offer.blob_storage_used and offer.input:
            folder = site.folders.make(offer.run_id, attempt, b"")
            await site.payloads.fetch(offer.input, folder / "input")
            return folder
        input_ = await site.organizations.open(offer.input)
        if len(input_) < _SMALL:
            return site.folders.make(offer.run_id, attempt, input_)
        return await site.on_disk(site.folders.make, offer.run_id, attempt, input_)

    def _note_asked(
        self, work: Work, decision: policy.Decision, facts: InputFacts | None = None
    ) -> None:
        offer = known(work.offer)
        self._site.decisions.write(
            "asked",
            run=offer.run_id,
            task=offer.task_id,
            job=offer.job_id,
            attempt=known(work.entry).attempt,
            user=offer.init_user_id,
            organization=offer.init_org_id,
            image=offer.image,
            function=facts.function if facts else None,
            input_sha256=facts.digest if facts else None,
            databases=[request.label for request in offer.databases],
            verdict="allowed" if decision.allowed else "refused",
            rule=decision.rule,
        )

    def _note_ended(self, work: Work, conclusion: Conclusion) -> None:
        """Note what is about to leave; before it does, so that nothing leaves unnoted."""
        if work.noted:
            return
        entry = known(work.entry)
        self._site.decisions.write(
            "ended",
            run=work.run_id,
            task=entry.ticket.task_id,
            attempt=entry.attempt,
            status=conclusion.status,
            image_digest=getattr(work.execution, "image_digest", None),
            seconds=seconds_since(work.started_at) if work.execution else 0.0,
            result_bytes=conclusion.large or len(conclusion.result),
            log_bytes=len(conclusion.log.encode()),
            request_bytes=work.sent,
        )
        work.noted = True

    def _allows(
        self, work: Work, question: policy.Question, facts: InputFacts | None = None
    ) -> bool:
        """Ask the policies; the answer is noted when it is no, or can become no no more."""
        decision = policy.decide(self._site.policies, question)
        if facts is not None or not decision.allowed:
            self._note_asked(work, decision, facts)
        if not decision.allowed:
            cause = f"this node does not allow it: {decision.reason}"
            self.fail(work, TaskStatus.NOT_ALLOWED, cause)
        return decision.allowed

    def _cannot(self, work: Work, rule: str, cause: str) -> None:
        self._note_asked(work, policy.Decision(False, cause, rule))
        self.fail(work, TaskStatus.FAILED, cause)

    async def _question(self, offer: Offer) -> policy.Question:
        site, name, store = self._site, None, None
        if policy.needs_organization_name(self._site.policies):
            try:
                name = (await self._site.organizations.get(offer.init_org_id)).name
            except Refused as error:
                log.warning("Organization %s cannot be looked up: %s", offer.init_org_id, error)
        if site.policies.allowed_algorithm_stores and offer.store_id is not None:
            store = await stores.ask(
                site.connection,
                offer.store_id,
                offer.image,
                is_allowed=lambda url: policy.store_matches(site.policies, url),
            )
        return policy.Question(
            offer.image,
            offer.init_user_id,
            offer.init_org_id,
            name,
            encrypted=site.identity.encrypted,
            store=store,
            other_tasks=site.guests.others(offer.init_user_id, offer.job_id),
        )

    async def _claim(self, work: Work) -> None:
        offer = known(work.offer)
        slots = self._site.slots.hold(offer.run_id, subtask=offer.parent_id is not None)
        slot = await work.held.enter_async_context(slots)
        work.on_subtask = slot.yield_
        work.started_at = now()
        try:
            answer = await self._site.connection.call(
                "PATCH",
                f"/run/{work.run_id}",
                params={"container_token": 1, "brief": 1, "announce": 1},
                body={"status": TaskStatus.ACTIVE, "started_at": work.started_at},
            )
            work.announced = "announced" in answer
            work.request_id = accepted(answer.get("request_id"))
            work.log.info("claimed; task %s, made by request %s", offer.task_id, work.request_id)
            work.token = answer.get("container_token") or await self._ask_token(offer)
        except Refused as error:
            await self._refused(work, f"the server does not let the run start: {error}")

    async def _ask_token(self, offer: Offer) -> str:
        """A run's token from a server that does not hand it out with the claim."""
        try:
            answer = await self._site.connection.call(
                "POST", "/token/container", body={"task_id": offer.task_id, "image": offer.image}
            )
            return str(answer["container_token"])
        except Refused as error:
            message = f"Could not obtain algorithm container token: {error}"
            raise Refused(error.status_code, message) from error

    async def _start(self, work: Work) -> None:
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
            self.tell_status(work, TaskStatus.ACTIVE)

    async def _execute(self, work: Work, spec: RunSpec) -> None:
        """Start, once more if the runtime failed; to no avail, the run has failed."""
        for attempt in range(1, _START_ATTEMPTS + 1):
            try:
                async with asyncio.timeout(self._site.start_patience):
                    execution = await self._site.runtime.start(spec)
            except UnknownImage as refusal:
                self.fail(work, TaskStatus.NO_DOCKER_IMAGE, str(refusal))
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
                _note(work, execution)
                if execution.run_id == spec.run_id:
                    return
                problem = "the node's runtime started something else"
                await self.kill(work, problem)
                work.execution = None
            if attempt < _START_ATTEMPTS:
                work.log.warning("Start failed (%s); trying once more", problem)
                await asyncio.sleep(_START_PAUSE)
        self.fail(work, TaskStatus.START_FAILED, f"the algorithm could not be started: {problem}")

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
        )
        await work.held.enter_async_context(self._site.proxy.serve(execution.proxy_socket, caller))

    def _reach(self, work: Work) -> Reach:
        return Reach(work.view.targets, self._site.whitelist, work.count_sent)

    async def _watch(self, work: Work) -> None:
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

    @asynccontextmanager
    async def _told_as_it_goes(self, work: Work) -> AsyncIterator[None]:
        """Tell what the algorithm says while it runs, where that may leave the site."""
        if not self._site.sharing.stdout:
            yield
            return
        ticket, identity = known(work.entry).ticket, self._site.identity
        event = {
            "collaboration_id": identity.collaboration_id,
            "run_id": ticket.run_id,
            "task_id": ticket.task_id,
        }

        def tell(lines: str) -> None:
            self._site.tell("algorithm_log", event | {"log": lines})

        following = asyncio.ensure_future(follow(self._folder(work) / "stdout", tell))
        try:
            yield
        finally:
            following.cancel()

    def _exit_on_disk(self, work: Work) -> Ended | None:
        return outcome.read_exit(self._folder(work))

    async def _conclude(self, work: Work) -> None:
        site, ended, folder = self._site, known(work.ended), self._folder(work)
        await release(work)
        work.log.info("ended: exit code %s %s", ended.exit_code, ended.reason or "")
        if work.stop_reason is not None and ended.exit_code != 0:
            words = outcome.said(folder, site.limits, site.sharing)
            text = outcome.complaint(site.identity.organization_name, work.stop_reason, words)
            work.conclusion = Conclusion(TaskStatus.KILLED, text)
            return
        work.conclusion = await asyncio.to_thread(
            outcome.conclude,
            ended,
            folder,
            site.limits,
            site.sharing,
            site.identity.organization_name,
        )

    async def _stop(self, work: Work) -> None:
        reason = known(work.stop_reason)
        work.log.info("stopping: %s", reason)
        await self.kill(work, reason)
        if work.execution is None:
            await release(work)
            self.fail(work, TaskStatus.KILLED, reason)
        else:
            work.ended = Ended(None, reason)

    async def _record(self, work: Work) -> None:
        await release(work)
        site, conclusion = self._site, known(work.conclusion)
        result, large = "", False
        try:
            result, large = await site.payloads.seal(
                conclusion, self._folder(work) / "output", known(work.entry).ticket.init_org_id
            )
        except (NoUsableKey, outcome.TooLarge, outcome.NotAFile) as error:
            cause = f"the result cannot be handed over: {error}"
            work.log.error(cause)
            text = outcome.complaint(site.identity.organization_name, cause, conclusion.log)
            conclusion = Conclusion(TaskStatus.FAILED, text)
        self._note_ended(work, conclusion)
        work.entry = await site.on_disk(
            site.journal.compute,
            work.run_id,
            Outcome(conclusion.status, conclusion.log, now(), result, work.started_at, large),
        )

    async def _deliver(self, work: Work) -> None:
        final = known(known(work.entry).outcome)
        try:
            result = await self._apart(work, final)
        except (outcome.NotAFile, NoUsableKey) as error:
            await self._replace(work, final, f"the result cannot be handed over: {error}")
            return
        except Refused as error:
            # No reason to give up a result: what is wrong with the server can be put right.
            if await self.is_closed(work.run_id):
                work.closed = True
                return
            work.log.error("The server does not take the result (%s); trying again later", error)
            await asyncio.sleep(self._site.refusal_pause)
            return
        body = {
            "result": result,
            "log": final.log,
            "status": final.status,
            "finished_at": final.finished_at,
        }
        if final.started_at is None:
            body["started_at"] = final.finished_at
        path = f"/run/{work.run_id}"
        try:
            answer = await self._site.connection.call(
                "PATCH", path, params={"brief": 1, "announce": 1}, body=body
            )
        except Refused as error:
            expired = error.status_code == 400 and work.uploads == 1
            if expired and not await self.is_closed(work.run_id):
                # It may have come so late that the upload was cleaned up: once more.
                work.log.warning("The server refuses the result (%s); uploading it again", error)
                return
            await self._undeliverable(work, final, error)
            return
        if answer.get("id") != work.run_id:
            work.log.error("What answered is no vantage6 server; trying again later")
            await asyncio.sleep(self._site.refusal_pause)
            return
        work.delivered = True
        work.log.info("delivered: %s", final.status)
        if "announced" not in answer:
            self.tell_status(work, TaskStatus(final.status))

    async def _apart(self, work: Work, final: Outcome) -> str:
        """The result as it goes into the report: itself, or its name in the payload store."""
        payloads = self._site.payloads
        if final.large:
            work.uploads += 1
            receiver = known(work.entry).ticket.init_org_id
            return await payloads.hand_over(self._folder(work) / "output", receiver)
        # Servers that know no limit want all payloads there, if they have the input there.
        inline = work.offer is not None and not work.offer.blob_storage_used
        if not final.result or inline or await payloads.limit() != 0:
            return final.result
        return await payloads.hand_over_sealed(final.result)

    async def _undeliverable(self, work: Work, final: Outcome, error: Refused) -> None:
        """The server takes the outcome no more, not yet, or never."""
        if error.status_code == 404 or await self.is_closed(work.run_id):
            work.log.info("The server has closed it already")
            work.closed = True
            return
        if error.status_code in (401, 403, 422) or work.replaced:
            work.log.error("The server refuses the outcome (%s); trying again later", error)
            await asyncio.sleep(self._site.refusal_pause)
            return
        await self._replace(work, final, f"the server refuses the outcome: {error}")

    async def _replace(self, work: Work, final: Outcome, cause: str) -> None:
        work.log.error("%s; reporting that instead", cause)
        text = outcome.complaint(self._site.identity.organization_name, cause)
        other = replace(final, status=TaskStatus.FAILED.value, log=text, result="", large=False)
        work.entry = await self._site.on_disk(self._site.journal.replace, work.run_id, other)
        work.replaced = True

    async def _forget(self, work: Work) -> None:
        await release(work)
        await self._site.on_disk(self._drop, work)
        work.forgotten = True

    def _drop(self, work: Work) -> None:
        self._keep_words(work)
        self._site.journal.forget(work.run_id)
        self._site.folders.remove(work.run_id)

    def _keep_words(self, work: Work) -> None:
        """Keep what the algorithm said in the node's own log, where it may quote data."""
        for name in ("stdout", "stderr"):
            text = outcome.read_text(self._folder(work) / name, MAX_KEPT_WORDS)
            if text:
                lines = f"\nrun {work.run_id}: {name} | ".join(text.splitlines())
                work.log.info("%s | %s", name, lines)

    def _folder(self, work: Work) -> Path:
        return self._site.folders.of(work.run_id, known(work.entry).attempt)

    async def _refused(self, work: Work, cause: str) -> None:
        if await self.is_closed(work.run_id):
            work.log.info("The server has closed it already")
            work.closed = True
        else:
            self.fail(work, TaskStatus.FAILED, cause)

    def tell_status(self, work: Work, status: TaskStatus) -> None:
        """Tell whoever watches, by an event."""
        ticket, identity = known(work.entry).ticket, self._site.identity
        event = {
            "node_id": identity.node_id,
            "status": status.value,
            "run_id": ticket.run_id,
            "task_id": ticket.task_id,
            "collaboration_id": identity.collaboration_id,
            "organization_id": identity.organization_id,
            "parent_id": ticket.parent_id,
        }
        self._site.tell("algorithm_status_change", event)


def _note(work: Work, execution: Execution) -> None:
    work.execution = execution
    if execution.proxy_socket is not None:
        work.held.callback(execution.proxy_socket.close)


async def release(work: Work) -> None:
    """Give back the slot and close the proxy."""
    held, work.held = work.held, AsyncExitStack()
    await held.aclose()


def now() -> str:
    """The time as the contract wants it: UTC, with a fraction in any case."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def seconds_since(moment: str | None) -> float:
    """Seconds between a time as :func:`now` gives it, and now; never negative."""
    if moment is None:
        return 0.0
    passed = datetime.now(UTC) - datetime.fromisoformat(moment)
    return round(max(0.0, passed.total_seconds()), 3)


def known(value: T | None) -> T:
    """A value that an earlier step has set; without it this step has no business here."""
    if value is None:
        raise RuntimeError("A step was taken before the ones it builds on")
    return value
