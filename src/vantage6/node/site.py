"""What a node works with, and what every step of a run does with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from vantage6.common.task_status import TaskStatus
from vantage6.node import outcome
from vantage6.node.company import Company
from vantage6.node.config import Policies, Whitelist
from vantage6.node.connection import Connection, Identity, Refused
from vantage6.node.data import Databases
from vantage6.node.decisions import DecisionLog
from vantage6.node.folders import RunFolders
from vantage6.node.guests import Guests
from vantage6.node.journal import Journal
from vantage6.node.mail import Mail
from vantage6.node.organizations import Organizations
from vantage6.node.outcome import Conclusion, Sharing
from vantage6.node.payloads import Payloads
from vantage6.node.proxy import Proxy
from vantage6.node.runtimes.base import Limits, Runtime
from vantage6.node.slots import Slots
from vantage6.node.tunnels import Tunnels
from vantage6.node.work import Work, known

T = TypeVar("T")

#: An engine that has not started an algorithm after this long, images pulled, hangs.
START_PATIENCE = 3600.0
#: An engine that has been away for this long is not merely being restarted.
ENGINE_PATIENCE = 300.0
#: Seconds until the same cause of a delay is told again; the event may have been lost.
_EXCUSED = 900.0


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
    mail: Mail
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
    tunnels: Tunnels = field(default_factory=Tunnels)
    company: Company = field(default_factory=Company)
    refusal_pause: float = 300.0
    start_patience: float = START_PATIENCE
    engine_patience: float = ENGINE_PATIENCE

    async def on_disk(self, action: Callable[..., T], *arguments: Any) -> T:
        """Call something that writes to the disk without holding up the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.disk, action, *arguments)

    def folder(self, work: Work) -> Path:
        """The folder of a run's present attempt."""
        return self.folders.of(work.run_id, known(work.entry).attempt)

    def enter(self, work: Work, user_id: int | None, job_id: int) -> None:
        """Count a run among those of its user, until it has ended."""
        self.guests.enter(work.run_id, user_id, job_id)
        work.held.callback(self.guests.leave, work.run_id)

    def fail(self, work: Work, status: TaskStatus, cause: str) -> None:
        """End a run that did not get as far as having anything to say itself."""
        # Escaped: a researcher wrote part of it, such as the label of a database.
        work.log.warning("%s: %r", status.value, cause)
        text = outcome.complaint(self.identity.organization_name, cause)
        work.conclusion = Conclusion(status, text)

    async def is_closed(self, run_id: int) -> bool:
        """Whether the server wants nothing more of a run."""
        try:
            run = await self.connection.get(f"/run/{run_id}")
        except Refused as error:
            if error.status_code == 404:
                return True
            raise
        return run.get("finished_at") is not None

    def excuse(self, work: Work, cause: str) -> None:
        """Tell why a run waits, where its researcher looks: in its log, until it has its own.

        The same cause is told once in a while only.
        """
        if time.monotonic() < work.excused.get(cause, 0.0):
            return
        work.excused[cause] = time.monotonic() + _EXCUSED
        self.tell_log(work, outcome.complaint(self.identity.organization_name, cause))

    def tell_log(self, work: Work, lines: str) -> None:
        """Add lines to a run's log at the server, by an event."""
        ticket = work.entry.ticket if work.entry is not None else known(work.offer)
        event = {
            "collaboration_id": self.identity.collaboration_id,
            "run_id": ticket.run_id,
            "task_id": ticket.task_id,
            "log": lines,
        }
        self.tell("algorithm_log", event)

    def tell_status(self, work: Work, status: TaskStatus) -> None:
        """Tell whoever watches, by an event."""
        ticket, identity = known(work.entry).ticket, self.identity
        event = {
            "node_id": identity.node_id,
            "status": status.value,
            "run_id": ticket.run_id,
            "task_id": ticket.task_id,
            "collaboration_id": identity.collaboration_id,
            "organization_id": identity.organization_id,
            "parent_id": ticket.parent_id,
        }
        self.tell("algorithm_status_change", event)
