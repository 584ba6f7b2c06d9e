"""One run at this node: what is known of it, and which step comes next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from vantage6.node.data import View
from vantage6.node.journal import Entry, Phase
from vantage6.node.offer import Offer
from vantage6.node.outcome import Conclusion
from vantage6.node.runtimes.base import Ended, Execution, RunSpec

log = logging.getLogger(__name__)
T = TypeVar("T")


class Step(StrEnum):
    """What can be done about a run."""

    ACCEPT = "accept"  # promise it, in the journal
    PREPARE = "prepare"  # ask the policies, find the data, decrypt the input, make its folder
    CLAIM = "claim"  # wait for a slot, tell the server, get the run's token
    START = "start"  # hand it to the runtime, and open its proxy
    WATCH = "watch"  # wait for the end
    CONCLUDE = "conclude"  # judge how it ended
    STOP = "stop"  # kill it with everything it started
    RECORD = "record"  # seal the result, and write the outcome down
    DELIVER = "deliver"  # give the outcome to the server
    FORGET = "forget"  # drop it here
    REST = "rest"  # nothing is left to do


#: Steps that a kill cuts short. The others end by themselves, and soon.
INTERRUPTIBLE = frozenset({Step.PREPARE, Step.CLAIM, Step.START, Step.WATCH})


@dataclass
class Work:
    """A run and everything this node holds for it.

    Each attribute is set by one step and tells :func:`next_step` that it was taken.
    ``offer`` is absent for a run taken up after a restart that needs only be finished.
    ``stop_reason`` is what somebody wants: that the run ends.
    ``closed`` says that the server wants nothing more of the run, ``gone`` that it has it no more.
    """

    run_id: int
    offer: Offer | None = None
    entry: Entry | None = None
    spec: RunSpec | None = None
    view: View = field(default_factory=View)
    token: str | None = field(default=None, repr=False)
    started_at: str | None = None
    execution: Execution | None = None
    ended: Ended | None = None
    conclusion: Conclusion | None = None
    stop_reason: str | None = None
    closed: bool = False
    gone: bool = False
    delivered: bool = False
    forgotten: bool = False
    replaced: bool = False
    #: How often the result was handed over apart from the report.
    uploads: int = 0
    #: Causes of its delays that were told, and when each may be told again (monotonic).
    excused: dict[str, float] = field(default_factory=dict)
    #: Whether the log of decisions has the end.
    noted: bool = False
    #: Bytes that the algorithm sent to the server itself.
    sent: int = 0
    #: Whether it asked for the VPN, which there is not.
    wanted_vpn: bool = False
    #: Why the host that it connected to by name last could not be reached, if so.
    no_way: str = ""
    #: Whether the server tells that it started; otherwise this node does.
    announced: bool = False
    #: Of the request that made the task, for the logs.
    request_id: str | None = None
    #: Slot and proxy, given back when the algorithm has ended.
    held: AsyncExitStack = field(default_factory=AsyncExitStack)
    #: Called when the algorithm made a subtask.
    on_subtask: Callable[[], None] = lambda: None
    step: Step = Step.REST
    doing: asyncio.Task[None] | None = None

    @property
    def log(self) -> RunLog:
        """A logger whose lines name the run."""
        return RunLog(log, {"run": self.run_id})

    def count_sent(self, size: int) -> None:
        """Count bytes that the algorithm sent out."""
        self.sent += size

    def note_vpn(self) -> None:
        """Note that the algorithm asked for the VPN."""
        self.wanted_vpn = True

    def note_door(self, problem: str) -> None:
        """Note why a host that the algorithm connected to by name could not be reached, if so."""
        self.no_way = problem

    @property
    def settled(self) -> bool:
        """Whether an outcome is on its way: too late to stop anything."""
        return self.conclusion is not None or (
            self.entry is not None and self.entry.phase is Phase.COMPUTED
        )

    def stop(self, reason: str) -> None:
        """Want the run to end; the step that is being taken is cut short if need be."""
        if self.settled or self.stop_reason is not None:
            return
        self.stop_reason = reason
        if self.doing is not None and self.step in INTERRUPTIBLE:
            self.doing.cancel()

    async def release(self) -> None:
        """Give back the slot and close the proxy."""
        held, self.held = self.held, AsyncExitStack()
        await held.aclose()


class RunLog(logging.LoggerAdapter[logging.Logger]):
    """Begins each line with the run it concerns."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the run."""
        run = self.extra["run"] if self.extra else "?"
        return f"run {run}: {msg}", kwargs


def known(value: T | None) -> T:
    """A value that an earlier step has set; without it this step has no business here."""
    if value is None:
        raise RuntimeError("A step was taken before the ones it builds on")
    return value


def next_step(work: Work) -> Step:  # noqa: PLR0911 (a decision table reads best as one)
    """Decide on the next step from what is known; the one place where this is decided."""
    entry = work.entry
    if work.forgotten:
        return Step.REST
    if entry is None:
        return Step.REST if work.closed else Step.ACCEPT
    if entry.phase is Phase.COMPUTED:
        return Step.FORGET if work.delivered or work.closed else Step.DELIVER
    if work.conclusion is not None:
        return Step.RECORD
    if work.ended is not None:
        return Step.CONCLUDE
    if work.stop_reason is not None and work.execution is not None:
        return Step.STOP
    if work.closed:
        return Step.FORGET
    if work.stop_reason is not None:
        return Step.STOP
    if work.execution is not None:
        return Step.WATCH
    if work.token is not None:
        return Step.START
    return Step.PREPARE if work.spec is None else Step.CLAIM
