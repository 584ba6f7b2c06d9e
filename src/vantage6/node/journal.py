"""What this node has promised and not yet delivered, on disk.

A run is *accepted* before the server hears of it, *started* when its algorithm may be being
executed, and *computed* when its outcome is written down, ready to send. Once the server has
the outcome the run is forgotten. Every change is on the disk before the method returns, so a
node may be killed at any line.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SCHEMA_VERSION = 3
_SCHEMA = """
CREATE TABLE run (
    run_id INTEGER PRIMARY KEY,
    task_id INTEGER NOT NULL,
    job_id INTEGER NOT NULL,
    init_org_id INTEGER NOT NULL,
    parent_id INTEGER,
    phase TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    status TEXT,
    log TEXT,
    result TEXT,
    started_at TEXT,
    finished_at TEXT,
    large INTEGER NOT NULL DEFAULT 0,
    init_user_id INTEGER,
    databases TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE TABLE identity (server TEXT NOT NULL, node_id INTEGER NOT NULL) STRICT;
"""
#: What makes a schema of each earlier version one of the next.
_UPGRADES = {
    1: "ALTER TABLE run ADD COLUMN large INTEGER NOT NULL DEFAULT 0;",
    2: "ALTER TABLE run ADD COLUMN init_user_id INTEGER;"
    " ALTER TABLE run ADD COLUMN databases TEXT NOT NULL DEFAULT '[]';",
}


class JournalError(Exception):
    """The journal cannot be used; the message says what to do."""


class Phase(StrEnum):
    """How far a run has come at this node."""

    ACCEPTED = "accepted"
    STARTED = "started"
    COMPUTED = "computed"


@dataclass(frozen=True)
class Outcome:
    """How a run ended, as it goes to the server.

    ``result`` is encoded, and encrypted for its receiver in encrypted collaborations.
    ``large`` says that the result is still in the run's output file instead.
    Times are ISO 8601, UTC, with microseconds.
    """

    status: str
    log: str
    finished_at: str
    result: str = field(default="", repr=False)
    started_at: str | None = None
    large: bool = False


@dataclass(frozen=True)
class Ticket:
    """What the journal keeps of an offer; ``databases`` are labels."""

    run_id: int
    task_id: int
    job_id: int
    init_org_id: int
    parent_id: int | None = None
    init_user_id: int | None = None
    databases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A run in the journal. ``outcome`` is there in phase *computed* and only then."""

    ticket: Ticket
    phase: Phase
    attempt: int
    outcome: Outcome | None = None


class Journal:
    """The journal in a file; safe to use from several threads.

    Parameters
    ----------
    path : pathlib.Path
        The file; made if absent, readable by its owner only.

    Raises
    ------
    JournalError
        If the file is damaged or from a later version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.touch(mode=0o600, exist_ok=True)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise JournalError(
                f"The journal {path} cannot be read ({error}). Restore it, or move it away: runs "
                "it held are then executed again."
            ) from error
        except JournalError:
            self._connection.close()
            raise

    def belongs_to(self, server: str, node_id: int) -> None:
        """Tie the journal to a node of a server.

        Raises
        ------
        JournalError
            If it holds runs of another one: their numbers would be mistaken for this one's.
        """
        with self._transaction() as db:
            owner = db.execute("SELECT server, node_id FROM identity").fetchone()
            if owner == (server, node_id):
                return
            if owner is not None and db.execute("SELECT 1 FROM run LIMIT 1").fetchone():
                raise JournalError(
                    f"The journal {self._path} holds undelivered runs of node {owner[1]} at "
                    f"{owner[0]}, but this is node {node_id} at {server}. Set state_dir to "
                    "another folder, or move the journal away to give those runs up."
                )
            db.execute("DELETE FROM identity")
            db.execute("INSERT INTO identity VALUES (?, ?)", (server, node_id))

    def accept(self, ticket: Ticket) -> Entry:
        """Promise to execute a run; one that was promised before begins another attempt.

        A run whose outcome is known already is returned as it is.
        """
        with self._transaction() as db:
            db.execute(
                "INSERT INTO run (run_id, task_id, job_id, init_org_id, parent_id, init_user_id,"
                " databases, phase, attempt) VALUES (?, ?, ?, ?, ?, ?, ?, 'accepted', 1)"
                " ON CONFLICT (run_id) DO UPDATE"
                " SET phase = 'accepted', attempt = attempt + 1 WHERE phase != 'computed'",
                (
                    ticket.run_id,
                    ticket.task_id,
                    ticket.job_id,
                    ticket.init_org_id,
                    ticket.parent_id,
                    ticket.init_user_id,
                    json.dumps(ticket.databases),
                ),
            )
            return self._entry(db, ticket.run_id)

    def start(self, run_id: int) -> Entry:
        """Note that a run may be being executed from now on.

        A power cut may undo this note: a run that was accepted is taken up in the same way.
        """
        with self._transaction(durable=False) as db:
            db.execute(
                "UPDATE run SET phase = 'started' WHERE run_id = ? AND phase = 'accepted'",
                (run_id,),
            )
            return self._entry(db, run_id)

    def compute(self, run_id: int, outcome: Outcome) -> Entry:
        """Keep the outcome of a run until it is delivered; the first one counts."""
        with self._transaction() as db:
            db.execute(
                "UPDATE run SET phase = 'computed', status = ?, log = ?, result = ?,"
                " started_at = ?, finished_at = ?, large = ? WHERE run_id = ?"
                " AND phase != 'computed'",
                (
                    outcome.status,
                    outcome.log,
                    outcome.result,
                    outcome.started_at,
                    outcome.finished_at,
                    outcome.large,
                    run_id,
                ),
            )
            return self._entry(db, run_id)

    def replace(self, run_id: int, outcome: Outcome) -> Entry:
        """Put another outcome in the place of one that the server will never take."""
        with self._transaction() as db:
            db.execute(
                "UPDATE run SET status = ?, log = ?, result = ?, finished_at = ?, large = ?"
                " WHERE run_id = ? AND phase = 'computed'",
                (
                    outcome.status,
                    outcome.log,
                    outcome.result,
                    outcome.finished_at,
                    outcome.large,
                    run_id,
                ),
            )
            return self._entry(db, run_id)

    def forget(self, run_id: int) -> None:
        """Drop a run: delivered, or no longer wanted by the server.

        A power cut may undo this: the outcome is then offered to the server once more.
        """
        with self._transaction(durable=False) as db:
            db.execute("DELETE FROM run WHERE run_id = ?", (run_id,))

    def entries(self) -> list[Entry]:
        """All runs, oldest first."""
        with self._transaction() as db:
            rows = db.execute(f"{_SELECT} ORDER BY run_id").fetchall()
        return [_read(row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _prepare(self) -> None:
        db = self._connection
        db.execute("PRAGMA journal_mode = WAL")
        # Deleted results are overwritten: what was delivered shall not linger on the disk.
        db.execute("PRAGMA secure_delete = ON")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise JournalError(
                f"The journal {self._path} was written by a later version of vantage6 (its "
                f"schema is {version}, this version knows {SCHEMA_VERSION}). Upgrade the node."
            )
        if version == 0:
            db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
            return
        for old in range(version, SCHEMA_VERSION):
            db.executescript(f"BEGIN; {_UPGRADES[old]} PRAGMA user_version = {old + 1}; COMMIT;")

    @contextmanager
    def _transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        with self._lock:
            db = self._connection
            db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def _entry(self, db: sqlite3.Connection, run_id: int) -> Entry:
        row = db.execute(f"{_SELECT} WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise KeyError(f"Run {run_id} is not in the journal")
        return _read(row)


_SELECT = (
    "SELECT run_id, task_id, job_id, init_org_id, parent_id, init_user_id, databases,"
    " phase, attempt, status, log, result, started_at, finished_at, large FROM run"
)


def _read(row: tuple[Any, ...]) -> Entry:
    phase, attempt, status, log, result, started_at, finished_at, large = row[7:]
    outcome = None
    if phase == Phase.COMPUTED:
        outcome = Outcome(
            status=status,
            log=log,
            result=result,
            started_at=started_at,
            finished_at=finished_at,
            large=bool(large),
        )
    ticket = Ticket(*row[:6], tuple(json.loads(row[6])))  # type: ignore[call-arg]
    return Entry(ticket, Phase(phase), attempt, outcome)
