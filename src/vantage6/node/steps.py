"""How each step of a run is taken. Which one comes next is decided in :mod:`.work`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from vantage6.common.task_status import FAILURES, TaskStatus
from vantage6.common.tracing import accepted
from vantage6.node import outcome
from vantage6.node.admission import Admission
from vantage6.node.connection import Refused
from vantage6.node.delivery import Delivery
from vantage6.node.execution import Executions
from vantage6.node.journal import Ticket
from vantage6.node.offer import Offer
from vantage6.node.outcome import Conclusion
from vantage6.node.proxy import NO_VPN
from vantage6.node.site import Site
from vantage6.node.slots import NestedTooDeeply
from vantage6.node.times import now
from vantage6.node.work import Step, Work, known

#: The server's answer if somebody has begun a run already.
_TAKEN = 409
#: Bytes of what an algorithm said that the node's own log keeps, of each of its two streams.
MAX_KEPT_WORDS = 1024**2


class Steps:
    """Takes steps. Each method changes the work so that another step comes next."""

    def __init__(self, site: Site, executions: Executions) -> None:
        self._site = site
        delivery = Delivery(site)
        self._actions = {
            Step.ACCEPT: self._accept,
            Step.PREPARE: Admission(site).prepare,
            Step.CLAIM: self._claim,
            Step.START: executions.start,
            Step.WATCH: executions.watch,
            Step.CONCLUDE: self._conclude,
            Step.STOP: executions.stop,
            Step.RECORD: delivery.record,
            Step.DELIVER: delivery.deliver,
            Step.FORGET: self._forget,
        }

    async def take(self, work: Work, step: Step) -> None:
        """Take a step."""
        await self._actions[step](work)

    async def _accept(self, work: Work) -> None:
        offer = known(work.offer)
        ticket = Ticket(
            run_id=offer.run_id,
            task_id=offer.task_id,
            job_id=offer.job_id,
            init_org_id=offer.init_org_id,
            parent_id=offer.parent_id,
            init_user_id=offer.init_user_id,
            databases=tuple(request.label for request in offer.databases),
        )
        work.entry = await self._site.on_disk(self._site.journal.accept, ticket)
        work.log.info(
            "accepted: task %s, image %s, attempt %s",
            offer.task_id,
            offer.image,
            work.entry.attempt,
        )

    async def _claim(self, work: Work) -> None:
        offer = known(work.offer)
        try:
            await self._hold_slot(work)
            work.started_at = now()
            answer = await self._ask_for(work)
            work.announced = "announced" in answer
            work.request_id = accepted(answer.get("request_id"))
            work.log.info("claimed; task %s, made by request %s", offer.task_id, work.request_id)
            work.token = answer.get("container_token") or await self._ask_token(offer)
        except NestedTooDeeply as refusal:
            self._site.fail(work, TaskStatus.FAILED, f"it is not started: {refusal}")
        except Refused as error:
            await self._refused(work, f"the server does not let the run start: {error}")

    async def _hold_slot(self, work: Work) -> None:
        offer = known(work.offer)
        slots = self._site.slots.hold(offer.run_id, subtask=offer.parent_id is not None)
        slot = await work.held.enter_async_context(slots)
        work.on_subtask = slot.yield_

    async def _ask_for(self, work: Work) -> dict[str, Any]:
        """Have the server give the run to this node, and to no other with the same API key.

        Only a run that nobody began is taken without further ado. One that this node may have begun
        itself, before it was killed, is begun anew if no other one is there.
        """
        company, body, offer = self._site.company, {"status": TaskStatus.ACTIVE}, known(work.offer)
        fresh = offer.status == TaskStatus.PENDING and known(work.entry).attempt == 1
        while True:
            params: dict[str, Any] = {"container_token": 1, "brief": 1, "announce": 1}
            if fresh or not await company.alone():
                params["from"] = TaskStatus.PENDING.value
            try:
                return await self._site.connection.call(
                    "PATCH",
                    f"/run/{work.run_id}",
                    params=params,
                    body={**body, "started_at": work.started_at},
                )
            except Refused as error:
                if error.status_code != _TAKEN:
                    raise
            fresh = False
            if not await company.alone():
                work.log.critical(
                    "Another node with this node's API key has begun it: it is left to that one, "
                    "unless that goes away. Stop one of the two, or register a node of its own for "
                    "it"
                )
                # Others have its place meanwhile, which may be for long.
                await work.release()
                await company.until_alone()
                self._site.enter(work, offer.init_user_id, offer.job_id)
                await self._hold_slot(work)

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

    async def _refused(self, work: Work, cause: str) -> None:
        if await self._site.is_closed(work.run_id):
            work.log.info("The server has closed it already")
            work.closed = True
        else:
            self._site.fail(work, TaskStatus.FAILED, cause)

    async def _conclude(self, work: Work) -> None:
        site, ended, folder = self._site, known(work.ended), self._site.folder(work)
        await work.release()
        work.log.info("ended: exit code %s %s", ended.exit_code, ended.reason or "")
        if work.stop_reason is not None and ended.exit_code != 0:
            words = outcome.said(folder, site.limits, site.sharing)
            text = outcome.complaint(site.identity.organization_name, work.stop_reason, words)
            work.conclusion = Conclusion(TaskStatus.KILLED, text)
            return
        conclusion = await asyncio.to_thread(
            outcome.conclude,
            ended,
            folder,
            site.limits,
            site.sharing,
            site.identity.organization_name,
        )
        lacked = NO_VPN if work.wanted_vpn else work.no_way
        if lacked and conclusion.status in FAILURES:
            text = outcome.complaint(site.identity.organization_name, lacked, conclusion.log)
            conclusion = replace(conclusion, log=text)
        work.conclusion = conclusion

    async def _forget(self, work: Work) -> None:
        await work.release()
        final = work.entry.outcome if work.entry else None
        if final and final.status == TaskStatus.KILLED and not (work.delivered or work.gone):
            # A server that closes a run when it is killed leaves it to the node to say so.
            self._site.tell_status(work, TaskStatus.KILLED)
        await self._site.on_disk(self._drop, work)
        work.forgotten = True

    def _drop(self, work: Work) -> None:
        self._keep_words(work)
        self._site.journal.forget(work.run_id)
        self._site.folders.remove(work.run_id)

    def _keep_words(self, work: Work) -> None:
        """Keep what the algorithm said in the node's own log, where it may quote data."""
        for name in ("stdout", "stderr"):
            text = outcome.read_text(self._site.folder(work) / name, MAX_KEPT_WORDS)
            if text:
                lines = f"\nrun {work.run_id}: {name} | ".join(text.splitlines())
                work.log.info("%s | %s", name, lines)
