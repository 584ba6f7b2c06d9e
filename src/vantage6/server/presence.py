"""When users and nodes were last seen, written down in bulk rather than once per request."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import cast

from sqlalchemy import Table, bindparam, update

from vantage6.server.model.database import Database
from vantage6.server.model.tables import Authenticatable
from vantage6.web.responses import utc_now

#: How much later than it happened a sighting may show in the database.
FLUSH_SECONDS = 2.0

_TABLE = cast(Table, Authenticatable.__table__)


class Presence:
    """Collects sightings in memory; :meth:`flush` stores them in one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._seen: dict[int, datetime] = {}

    def seen(self, id_: int) -> None:
        """Note that a user or node was here just now."""
        self._seen[id_] = utc_now()

    def flush(self) -> None:
        """Store all sightings since the last flush."""
        with self._lock:
            seen, self._seen = self._seen, {}
        if not seen:
            return
        with self._database.write(lasting=False) as db:
            db.connection().execute(
                update(_TABLE).where(_TABLE.c.id == bindparam("who")),
                [{"who": id_, "last_seen": moment} for id_, moment in seen.items()],
            )
