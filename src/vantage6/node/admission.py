"""Whether a run may run here, on what data, with what input."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

from vantage6.common.task_status import FAILURES, TaskStatus
from vantage6.node import policy, stores, task_input
from vantage6.node.connection import Refused
from vantage6.node.data import DataRefusal
from vantage6.node.decision_notes import note_asked
from vantage6.node.gateway import doors_to
from vantage6.node.offer import Offer
from vantage6.node.runtimes.base import RunSpec
from vantage6.node.site import Site
from vantage6.node.task_input import InputFacts
from vantage6.node.tunnels import TunnelDown
from vantage6.node.work import Work, known

log = logging.getLogger(__name__)

#: Bytes that are written sooner than a thread is asked to write them.
_SMALL = 64 * 1024


class Admission:
    """Prepares runs, or refuses them."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def prepare(self, work: Work) -> None:
        """Ask the policies, find the data, decrypt the input, make the run's folder."""
        offer = known(work.offer)
        site = self._site
        if offer.status in FAILURES:
            # Somebody reported a failure and never delivered the log that closes the run.
            cause = "the run had failed before and its log was lost"
            self._site.fail(work, TaskStatus(offer.status), cause)
            return
        question = await self._question(offer)
        if not self._allows(work, question):
            return
        # At once: another run of the same user may be asked about before this one goes on.
        site.enter(work, offer.init_user_id, offer.job_id)
        try:
            view = site.databases.view(offer.databases)
            await site.tunnels.ready(view.needed)
        except (DataRefusal, TunnelDown) as refusal:
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
            offer.run_id,
            offer.job_id,
            offer.image,
            folder,
            view.mounts,
            limits=site.limits,
            doors=doors_to(view.targets & site.tunnels.targets, site.whitelist),
        )
        work.view = view
        work.offer = replace(offer, input="")  # may be large, and is on the disk now

    async def _take_input(self, work: Work, offer: Offer) -> Path:
        """Make the folder of the run, with the input in it."""
        site, attempt = self._site, known(work.entry).attempt
        if offer.blob_storage_used and offer.input:
            folder = site.folders.make(offer.run_id, attempt, b"")
            await site.payloads.fetch_input(offer, folder / "input")
            return folder
        input_ = await site.mail.open_input(offer)
        if len(input_) < _SMALL:
            return site.folders.make(offer.run_id, attempt, input_)
        return await site.on_disk(site.folders.make, offer.run_id, attempt, input_)

    def _allows(
        self, work: Work, question: policy.Question, facts: InputFacts | None = None
    ) -> bool:
        """Ask the policies; the answer is noted when it is no, or can become no no more."""
        decision = policy.decide(self._site.policies, question)
        if facts is not None or not decision.allowed:
            note_asked(self._site, work, decision, facts)
        if not decision.allowed:
            cause = f"this node does not allow it: {decision.reason}"
            self._site.fail(work, TaskStatus.NOT_ALLOWED, cause)
        return decision.allowed

    def _cannot(self, work: Work, rule: str, cause: str) -> None:
        note_asked(self._site, work, policy.Decision(False, cause, rule))
        self._site.fail(work, TaskStatus.FAILED, cause)

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
