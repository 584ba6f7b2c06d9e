"""What one remembers of those one corresponds with, in a file: keys, and which letter was for what.

Several processes may use the file at the same time: each change is one transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vantage6.common.sealing.errors import SealError
from vantage6.common.sealing.keys import PublicKeys

VERSION = 1
_SCHEMA = """
CREATE TABLE peer (
    server TEXT NOT NULL,
    organization INTEGER NOT NULL,
    keys TEXT NOT NULL,
    since TEXT NOT NULL,
    PRIMARY KEY (server, organization)
) STRICT;
CREATE TABLE received (
    server TEXT NOT NULL,
    nonce TEXT NOT NULL,
    run INTEGER NOT NULL,
    image TEXT NOT NULL,
    PRIMARY KEY (server, nonce)
) STRICT;
CREATE INDEX received_run ON received (server, run);
CREATE TABLE sent (
    server TEXT NOT NULL,
    nonce TEXT NOT NULL,
    receiver INTEGER NOT NULL,
    sealed INTEGER NOT NULL,
    parent INTEGER,
    task INTEGER,
    PRIMARY KEY (server, nonce)
) STRICT;
CREATE INDEX sent_task ON sent (server, task);
"""
_PATIENCE = 30.0


@dataclass(frozen=True)
class Peer:
    """An organization whose keys are known, and since when (ISO 8601, UTC)."""

    organization: int
    keys: PublicKeys
    since: str


@dataclass(frozen=True)
class Received:
    """The letter in which a run's input came, and the image that the run was offered with."""

    nonce: str
    image: str


@dataclass(frozen=True)
class Sent:
    """An input that was sent from here: to whom, for which parent task, as part of which task."""

    nonce: str
    receiver: int
    sealed: bool
    parent: int | None
    task: int | None


class KnownKeys:
    """The file.

    Parameters
    ----------
    path : pathlib.Path
        Made when something is first to be remembered, readable by its owner only.
    server : str
        Address of the server's API: ids of organizations, tasks and runs are that server's.

    Raises
    ------
    SealError
        By every method, if the file cannot be used.
    """

    def __init__(self, path: Path, server: str) -> None:
        self.path = path
        self._server = server.rstrip("/")

    def peer(self, organization: int) -> Peer | None:
        """What is known of an organization."""
        with self._reading() as db:
            row = (
                db
                and db.execute(
                    "SELECT keys, since FROM peer WHERE server = ? AND organization = ?",
                    (self._server, organization),
                ).fetchone()
            )
        return Peer(organization, PublicKeys.read(row[0]), row[1]) if row else None

    def peers(self) -> list[Peer]:
        """Everybody who is known, by id."""
        with self._reading() as db:
            rows = (
                db.execute(
                    "SELECT organization, keys, since FROM peer WHERE server = ? ORDER BY 1",
                    (self._server,),
                ).fetchall()
                if db
                else []
            )
        return [Peer(row[0], PublicKeys.read(row[1]), row[2]) for row in rows]

    def pin(self, organization: int, keys: PublicKeys, *, replace: bool = False) -> Peer:
        """Remember keys; those that were remembered first stay, unless they are to be replaced.

        Returns
        -------
        Peer
            What is remembered now: maybe other keys.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._writing() as db:
            if replace:
                db.execute(
                    "DELETE FROM peer WHERE server = ? AND organization = ? AND keys != ?",
                    (self._server, organization, keys.text),
                )
            db.execute(
                "INSERT INTO peer VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (self._server, organization, keys.text, now),
            )
            row = db.execute(
                "SELECT keys, since FROM peer WHERE server = ? AND organization = ?",
                (self._server, organization),
            ).fetchone()
        return Peer(organization, PublicKeys.read(row[0]), row[1])

    def forget(self, organization: int) -> bool:
        """Forget an organization's keys; False if they were not known."""
        with self._writing() as db:
            gone = db.execute(
                "DELETE FROM peer WHERE server = ? AND organization = ?",
                (self._server, organization),
            )
            return gone.rowcount > 0

    def receive(self, nonce: str, run: int, image: str) -> int:
        """Note for which run, of which image, a letter came; gives the run it came for first."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO received VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (self._server, nonce, run, image),
            )
            first: int = db.execute(
                "SELECT run FROM received WHERE server = ? AND nonce = ?", (self._server, nonce)
            ).fetchone()[0]
        return first

    def received(self, run: int) -> Received | None:
        """The letter in which a run's input came; None if it came in none."""
        with self._reading() as db:
            row = (
                db
                and db.execute(
                    "SELECT nonce, image FROM received WHERE server = ? AND run = ?",
                    (self._server, run),
                ).fetchone()
            )
        return Received(*row) if row else None

    def send(self, nonce: str, receiver: int, *, sealed: bool, parent: int | None = None) -> None:
        """Note an input that is about to be sent."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO sent VALUES (?, ?, ?, ?, ?, NULL)",
                (self._server, nonce, receiver, sealed, parent),
            )

    def became(self, nonces: list[str], task: int) -> bool:
        """Note which task inputs became; False if that is another task already."""
        with self._writing() as db:
            if db.execute(
                "SELECT 1 FROM sent WHERE server = ? AND task = ?", (self._server, task)
            ).fetchone():
                return False
            db.executemany(
                "UPDATE sent SET task = ? WHERE server = ? AND nonce = ? AND task IS NULL",
                [(task, self._server, nonce) for nonce in nonces],
            )
        return True

    def sent(self, nonce: str) -> Sent | None:
        """The input with a nonce."""
        found = self._sent("nonce = ?", nonce)
        return found[0] if found else None

    def sent_for(self, task: int) -> list[Sent]:
        """The inputs of a task that was made from here; none if it was made elsewhere."""
        return self._sent("task = ?", task)

    def sent_under(self, parent: int) -> list[Sent]:
        """The inputs that were sent for a parent task."""
        return self._sent("parent = ?", parent)

    def _sent(self, where: str, value: str | int) -> list[Sent]:
        with self._reading() as db:
            rows = (
                db.execute(
                    "SELECT nonce, receiver, sealed, parent, task FROM sent"  # noqa: S608
                    f" WHERE server = ? AND {where} ORDER BY rowid",
                    (self._server, value),
                ).fetchall()
                if db
                else []
            )
        return [Sent(row[0], row[1], bool(row[2]), row[3], row[4]) for row in rows]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        if not self.path.exists():
            yield None
            return
        with self._writing() as db:
            yield db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.touch(mode=0o600, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)) as db:
                db.execute("BEGIN IMMEDIATE")
                self._prepare(db)
                yield db
                db.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            raise SealError(
                f"What is known of other organizations' keys cannot be read or written, in "
                f"{self.path} ({error}). Make the file usable again; moving it away gives up what "
                "it knows: compare fingerprints afterwards"
            ) from error

    def _prepare(self, db: sqlite3.Connection) -> None:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise SealError(f"{self.path} was written by a later version of vantage6: upgrade")
        if version < VERSION:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
