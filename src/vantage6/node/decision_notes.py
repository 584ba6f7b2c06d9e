"""What the log of decisions says of a run: who asked for what, and how it ended."""

from __future__ import annotations

from vantage6.node.outcome import Conclusion
from vantage6.node.policy import Decision
from vantage6.node.site import Site
from vantage6.node.task_input import InputFacts
from vantage6.node.times import seconds_since
from vantage6.node.work import Work, known


def note_asked(site: Site, work: Work, decision: Decision, facts: InputFacts | None = None) -> None:
    """Note what was asked for, and what the policies said to it."""
    offer = known(work.offer)
    site.decisions.write(
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


def note_ended(site: Site, work: Work, conclusion: Conclusion) -> None:
    """Note what is about to leave; before it does, so that nothing leaves unnoted."""
    if work.noted:
        return
    entry = known(work.entry)
    site.decisions.write(
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
