"""From the conclusion about a run to its outcome in the server's hands."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from vantage6.common.task_status import TaskStatus
from vantage6.node import outcome
from vantage6.node.connection import Refused
from vantage6.node.decision_notes import note_ended
from vantage6.node.journal import Outcome
from vantage6.node.organizations import NoUsableKey
from vantage6.node.outcome import Conclusion
from vantage6.node.site import Site
from vantage6.node.times import now
from vantage6.node.work import Work, known


class Delivery:
    """Writes outcomes down and delivers them."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def record(self, work: Work) -> None:
        """Seal the result, and write the outcome down."""
        await work.release()
        site, conclusion = self._site, known(work.conclusion)
        result, large = "", False
        try:
            result, large = await site.payloads.seal(
                conclusion, self._site.folder(work) / "output", known(work.entry).ticket
            )
        except (NoUsableKey, outcome.TooLarge, outcome.NotAFile) as error:
            cause = f"the result cannot be handed over: {error}"
            work.log.error(cause)
            text = outcome.complaint(site.identity.organization_name, cause, conclusion.log)
            conclusion = Conclusion(TaskStatus.FAILED, text)
        note_ended(self._site, work, conclusion)
        work.entry = await site.on_disk(
            site.journal.compute,
            work.run_id,
            Outcome(conclusion.status, conclusion.log, now(), result, work.started_at, large),
        )

    async def deliver(self, work: Work) -> None:
        """Give the outcome to the server."""
        final = known(known(work.entry).outcome)
        try:
            result = await self._apart(work, final)
        except (outcome.NotAFile, NoUsableKey) as error:
            await self._replace(work, final, f"the result cannot be handed over: {error}")
            return
        except Refused as error:
            # No reason to give up a result: what is wrong with the server can be put right.
            if await self._site.is_closed(work.run_id):
                work.closed = True
                return
            await self._try_later(work, f"The server does not take the result ({error})")
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
            if expired and not await self._site.is_closed(work.run_id):
                # It may have come so late that the upload was cleaned up: once more.
                work.log.warning("The server refuses the result (%s); uploading it again", error)
                return
            await self._undeliverable(work, final, error)
            return
        if answer.get("id") != work.run_id:
            await self._try_later(work, "What answered is no vantage6 server")
            return
        work.delivered = True
        work.log.info("delivered: %s", final.status)
        if "announced" not in answer:
            self._site.tell_status(work, TaskStatus(final.status))

    async def _try_later(self, work: Work, problem: str) -> None:
        work.log.error("%s; trying again later", problem)
        cause = f"it has ended, but its outcome cannot be delivered yet: {problem}"
        self._site.excuse(work, cause)
        await asyncio.sleep(self._site.refusal_pause)

    async def _apart(self, work: Work, final: Outcome) -> str:
        """The result as it goes into the report: itself, or its name in the payload store."""
        payloads = self._site.payloads
        if final.large:
            work.uploads += 1
            ticket = known(work.entry).ticket
            return await payloads.hand_over(self._site.folder(work) / "output", ticket)
        # Servers that know no limit want all payloads there, if they have the input there.
        inline = work.offer is not None and not work.offer.blob_storage_used
        if not final.result or inline or await payloads.limit() != 0:
            return final.result
        return await payloads.hand_over_sealed(final.result)

    async def _undeliverable(self, work: Work, final: Outcome, error: Refused) -> None:
        """The server takes the outcome no more, not yet, or never."""
        if error.status_code == 404 or await self._site.is_closed(work.run_id):
            work.log.info("The server has closed it already")
            work.closed = True
            work.gone = error.status_code == 404
            return
        if error.status_code in (401, 403, 422) or work.replaced:
            await self._try_later(work, f"The server refuses the outcome ({error})")
            return
        await self._replace(work, final, f"the server refuses the outcome: {error}")

    async def _replace(self, work: Work, final: Outcome, cause: str) -> None:
        work.log.error("%s; reporting that instead", cause)
        text = outcome.complaint(self._site.identity.organization_name, cause)
        other = replace(final, status=TaskStatus.FAILED.value, log=text, result="", large=False)
        work.entry = await self._site.on_disk(self._site.journal.replace, work.run_id, other)
        work.replaced = True
