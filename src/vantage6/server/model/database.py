"""The connection to the database, and the two kinds of transaction."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from vantage6.server.model.gate import Gate

#: Connections kept open; as many as requests are worked on at a time.
POOL_SIZE = 16
# Of them so many at a moment, see `gate.py`; a database over a network leaves time to others.
_AT_WORK = {"sqlite": 1, "postgresql": 4}
_BUSY_TIMEOUT_SECONDS = 30
# Any number that no other program takes in the same database.
_ADVISORY_LOCK = 0x7632367376
_CONNECT_SECONDS = 5


class DatabaseDamaged(Exception):
    """The database contradicts itself; the message says where."""


class Database:
    """Opens transactions: :meth:`read` and :meth:`write`.

    Parameters
    ----------
    uri : str
        SQLAlchemy URL of SQLite or PostgreSQL.

    Raises
    ------
    ValueError
        If the URL is not of either.
    """

    def __init__(self, uri: str) -> None:
        try:
            url = make_url(uri)
        except ArgumentError as error:
            raise ValueError("The configuration's 'uri' is not a database URL") from error
        self.dialect = url.get_backend_name()
        options: dict[str, Any] = {
            "pool_size": POOL_SIZE,
            "max_overflow": POOL_SIZE,
            "pool_timeout": 2 * _CONNECT_SECONDS,
            # The connection used last has the warmest caches.
            "pool_use_lifo": True,
        }
        if self.dialect == "sqlite":
            options["connect_args"] = {"timeout": _BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
        elif self.dialect == "postgresql":
            options["pool_pre_ping"] = True
            # A database whose machine or network is gone is noticed in seconds, not in minutes.
            options["connect_args"] = {
                "connect_timeout": _CONNECT_SECONDS,
                "tcp_user_timeout": _CONNECT_SECONDS * 1000,
                "keepalives_idle": 2 * _CONNECT_SECONDS,
                "keepalives_interval": _CONNECT_SECONDS,
                "keepalives_count": 2,
            }
        else:
            raise ValueError(f"Databases of type '{self.dialect}' are not supported")
        self.engine = create_engine(url, **options)
        self._closed = False
        event.listen(self.engine, "checkin", self._on_checkin)
        if self.dialect == "sqlite" and url.database:
            # It holds password hashes: made before SQLite makes it, as anybody's to read.
            with contextlib.suppress(OSError):
                os.close(os.open(url.database, os.O_CREAT | os.O_EXCL, 0o600))
        # SQLite has one writer at a time: queueing here is fair, its busy handler sleeps.
        self._writer = threading.Lock()
        self._gate = Gate(_AT_WORK[self.dialect])
        if self.dialect == "sqlite":
            _prepare_sqlite(self.engine)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that changes nothing."""
        with (
            self._gate.passed(),
            Session(self.engine, expire_on_commit=False, autoflush=False) as session,
        ):
            yield session

    @contextmanager
    def write(self, *, lasting: bool = True) -> Iterator[Session]:
        """A transaction that is committed at the end, or rolled back by an exception.

        Parameters
        ----------
        lasting
            Whether what is committed survives a power cut. What is true only while this process
            lives, such as who is connected, need not, and then nobody waits for the disk.
        """
        if self.dialect != "sqlite":
            with (
                self._gate.passed(),
                Session(self.engine, expire_on_commit=False) as session,
                session.begin(),
            ):
                if not lasting:
                    session.execute(text("SET LOCAL synchronous_commit TO OFF"))
                yield session
            return
        engine = self.engine.execution_options(sqlite_write=True, sqlite_lasting=lasting)
        with (
            self._writer,
            Session(engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def write_alone(self) -> Iterator[Session]:
        """As :meth:`write`, while no other server process is at :meth:`write_alone` either."""
        with self.write() as session:
            _wait_for_turn(session.connection())
            yield session

    @contextmanager
    def restructure(self) -> Iterator[Connection]:
        """A transaction that may make, change and drop tables, one process at a time.

        Foreign keys are checked at its end rather than enforced meanwhile: SQLite alters a table
        by copying it and dropping the old one, and with foreign keys enforced that deletes
        every row that refers to it.

        Raises
        ------
        DatabaseDamaged
            If a row is left that refers to none; then nothing has changed.
        """
        sqlite = self.dialect == "sqlite"
        with self._writer, self.engine.connect() as connection:
            if sqlite:
                connection = connection.execution_options(sqlite_write=True)  # noqa: PLW2901
                _enforce_foreign_keys(connection, False)
            try:
                with connection.begin():
                    _wait_for_turn(connection)
                    yield connection
                    if sqlite:
                        _check_foreign_keys(connection)
            finally:
                if sqlite:
                    _enforce_foreign_keys(connection, True)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A transaction that sees the database as it is now, whatever others write meanwhile."""
        with self.engine.connect() as connection:
            if self.dialect != "sqlite":  # whose every read transaction is one
                connection = connection.execution_options(  # noqa: PLW2901
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            with connection.begin():
                yield connection

    def check(self) -> None:
        """Read through an SQLite file; PostgreSQL keeps checksums of its own.

        Raises
        ------
        DatabaseDamaged
            If the file, or what its rows refer to, is not sound.
        """
        if self.dialect != "sqlite":
            return
        with self.engine.connect() as connection:
            found = connection.execute(text("PRAGMA integrity_check")).scalars().all()
            if found != ["ok"]:
                raise DatabaseDamaged(f"SQLite finds the file damaged: {'; '.join(found[:3])}")
            _check_foreign_keys(connection)

    def close(self) -> None:
        """Close all connections; one that is at work closes when it is done."""
        self._closed = True
        self.engine.dispose()

    def _on_checkin(self, _: Any, record: Any) -> None:
        if self._closed:
            record.close()


def _wait_for_turn(connection: Connection) -> None:
    """Wait until no other process holds the lock; the end of the transaction lets go of it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def _enforce_foreign_keys(connection: Connection, enforce: bool) -> None:
    # On the driver's connection: within a transaction, such as SQLAlchemy's, it does nothing.
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA foreign_keys={'ON' if enforce else 'OFF'}")


def _check_foreign_keys(connection: Connection) -> None:
    orphans = connection.execute(text("PRAGMA foreign_key_check")).all()
    if orphans:
        table, row, parent, _ = orphans[0]
        raise DatabaseDamaged(
            f"{len(orphans)} rows refer to rows that are not there, the first one is row {row} of "
            f"'{table}', which refers to '{parent}'"
        )


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        # The driver's own BEGIN comes too late for snapshot reads; see `begin`.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-16000")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A read that turns into a write fails when another write came between: say so at once.
        options = connection.get_execution_options()
        writes = options.get("sqlite_write")
        driver = connection.connection.driver_connection
        if writes:
            synchronous = "FULL" if options.get("sqlite_lasting", True) else "NORMAL"
            if connection.info.get("synchronous", "FULL") != synchronous:
                driver.execute(f"PRAGMA synchronous={synchronous}")
                connection.info["synchronous"] = synchronous
        driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
