"""What the routes of one server share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vantage6.server.auth.imported_keys import ImportedKeys
from vantage6.server.auth.limits import Limits
from vantage6.server.auth.tokens import Tokens
from vantage6.server.config import ServerConfig
from vantage6.server.events import Events
from vantage6.server.metrics import ServerMetrics
from vantage6.server.model.database import Database
from vantage6.server.payloads.store import PayloadStore
from vantage6.server.pool import Pool
from vantage6.server.presence import Presence
from vantage6.server.stores import Stores
from vantage6.web.links import Links


@dataclass
class Services:
    """One per server process, reached as ``request.app.state.services``."""

    config: ServerConfig
    database: Database
    tokens: Tokens
    events: Events
    presence: Presence
    links: Links
    stores: Stores
    metrics: ServerMetrics
    #: This process, among those that share a database.
    process: str
    # Password hashing is slow on purpose; its own few threads keep it from stalling the others.
    hashing: Pool
    # Mails about accounts are written and sent after the answer.
    mailroom: Pool
    limits: Limits
    imported_keys: ImportedKeys
    payloads: PayloadStore
    # Set when something may have become garbage; from any thread.
    discarded: Callable[[], None] = lambda: None
