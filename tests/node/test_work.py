"""Which step comes next: whatever is known of a run, it comes to rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st

from vantage6.common.task_status import TaskStatus
from vantage6.node.journal import Entry, Outcome, Phase, Ticket
from vantage6.node.outcome import Conclusion
from vantage6.node.runtimes.base import Ended, RunSpec
from vantage6.node.work import Step, Work, next_step

TICKET = Ticket(1, 1, 1, 1)


class Execution:
    run_id = 1
    proxy_socket = None
    doors: ClassVar[dict[Any, Any]] = {}

    async def wait(self) -> Ended:
        return Ended(0)

    async def kill(self, reason: str) -> None: ...


def entry(phase: Phase) -> Entry:
    outcome = Outcome("completed", "", "t") if phase is Phase.COMPUTED else None
    return Entry(TICKET, phase, 1, outcome)


def take(work: Work, step: Step) -> None:
    """What a step that succeeds leaves behind."""
    match step:
        case Step.ACCEPT:
            work.entry = entry(Phase.ACCEPTED)
        case Step.PREPARE:
            work.spec = RunSpec(1, 1, "i", Path())
        case Step.CLAIM:
            work.token = "t"
        case Step.START:
            work.execution = Execution()
            work.entry = entry(Phase.STARTED)
        case Step.WATCH:
            work.ended = Ended(0)
        case Step.STOP:
            work.ended = Ended(None, "killed")
        case Step.CONCLUDE:
            work.conclusion = Conclusion(TaskStatus.COMPLETED, "")
        case Step.RECORD:
            work.entry = entry(Phase.COMPUTED)
        case Step.DELIVER:
            work.delivered = True
        case Step.FORGET:
            work.forgotten = True


def steps_of(work: Work) -> list[Step]:
    taken = []
    while (step := next_step(work)) is not Step.REST:
        taken.append(step)
        assert len(taken) < 20, taken
        take(work, step)
    return taken


def test_an_ordinary_run() -> None:
    assert steps_of(Work(1)) == [
        Step.ACCEPT,
        Step.PREPARE,
        Step.CLAIM,
        Step.START,
        Step.WATCH,
        Step.CONCLUDE,
        Step.RECORD,
        Step.DELIVER,
        Step.FORGET,
    ]


def test_a_refused_run_is_reported_without_being_claimed() -> None:
    work = Work(1, entry=entry(Phase.ACCEPTED), conclusion=Conclusion(TaskStatus.FAILED, ""))
    assert steps_of(work) == [Step.RECORD, Step.DELIVER, Step.FORGET]


def test_an_outcome_is_only_delivered() -> None:
    assert steps_of(Work(1, entry=entry(Phase.COMPUTED))) == [Step.DELIVER, Step.FORGET]


def test_an_execution_that_ended_unseen_is_judged_and_not_repeated() -> None:
    work = Work(1, entry=entry(Phase.STARTED), ended=Ended(0))
    assert steps_of(work) == [Step.CONCLUDE, Step.RECORD, Step.DELIVER, Step.FORGET]


def test_a_run_closed_by_the_server_is_stopped_and_dropped() -> None:
    work = Work(1, entry=entry(Phase.STARTED), execution=Execution(), closed=True)
    work.stop("closed")
    assert steps_of(work) == [Step.STOP, Step.CONCLUDE, Step.RECORD, Step.FORGET]
    assert steps_of(Work(1, entry=entry(Phase.STARTED), closed=True)) == [Step.FORGET]
    assert steps_of(Work(1, closed=True)) == []


def test_a_computed_outcome_is_not_stopped() -> None:
    work = Work(1, entry=entry(Phase.COMPUTED))
    work.stop("too late")
    assert work.stop_reason is None


works = st.builds(
    Work,
    run_id=st.just(1),
    entry=st.sampled_from([None, *map(entry, Phase)]),
    spec=st.sampled_from([None, RunSpec(1, 1, "i", Path())]),
    token=st.sampled_from([None, "t"]),
    execution=st.sampled_from([None, Execution()]),
    ended=st.sampled_from([None, Ended(0)]),
    conclusion=st.sampled_from([None, Conclusion(TaskStatus.COMPLETED, "")]),
    stop_reason=st.sampled_from([None, "killed"]),
    closed=st.booleans(),
    delivered=st.booleans(),
    forgotten=st.booleans(),
)


@given(works)
def test_every_run_comes_to_rest(work: Work) -> None:
    known = work.entry
    was_forgotten = work.forgotten
    taken = steps_of(work)
    assert len(set(taken)) == len(taken)
    if known is not None and not was_forgotten:
        assert taken[-1] is Step.FORGET
    if known is not None and known.phase is Phase.COMPUTED:
        assert Step.START not in taken


@given(works)
def test_nothing_is_started_once_its_end_is_known_or_wanted(work: Work) -> None:
    settled: Any = work.ended or work.conclusion or work.stop_reason
    if work.entry is not None and settled:
        assert Step.START not in steps_of(work)


@given(works)
def test_nothing_is_forgotten_while_it_may_be_running(work: Work) -> None:
    running = work.execution is not None and work.ended is None and work.conclusion is None
    if work.entry and work.entry.phase is not Phase.COMPUTED and running and not work.forgotten:
        taken = steps_of(work)
        # A closed run is stopped by `Work.stop` first; the decision alone trusts that.
        if not work.closed or work.stop_reason:
            assert {Step.STOP, Step.WATCH} & set(taken)
