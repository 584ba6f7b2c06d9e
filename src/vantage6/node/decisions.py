"""What this node was asked, decided, ran and sent: an append-only log, its lines chained.

One JSON object per line, one file per month. ``hash`` is the SHA-256 of the line without it, and
``prev`` the hash of the line before, across files: a line that is changed, removed or put in
between breaks the chain. (Lines cut off the end do not: keep the last hash elsewhere now and then,
see :func:`verify`.)

A line is handed to the operating system before what it tells of happens, so that a killed node
loses none; it is on the disk within a second, so that a power cut may lose the last second. A last
line that was not completely written is moved aside, and the next line says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

log = logging.getLogger(__name__)

_NOTHING = "0" * 64
#: A last line can be no longer than this; if there is none within it, the file is damaged.
_LONGEST = 4 * 1024**2
_SYNC_PAUSE = 1.0
_PENDING = ".pending"


class DecisionLogError(Exception):
    """The log cannot be used; the message says where and what to do."""


@dataclass(frozen=True)
class Head:
    """The last line: its number, from 1, and its hash."""

    number: int = 0
    hash: str = _NOTHING


class DecisionLog:
    """The log in a folder of files; one process writes to it.

    Parameters
    ----------
    folder : pathlib.Path
        Made if absent, readable by its owner only.

    Raises
    ------
    DecisionLogError
        If the last line is damaged in a way that no interrupted write explains.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = _files(folder)
        self._month = paths[-1].stem if paths else ""
        self._descriptor = -1
        self._dirty = False
        self._damaged = False
        self.head = Head()
        if paths:
            self._open(self._month)
            self._repair()

    def write(self, event: str, **facts: Any) -> Head:
        """Append a line.

        Raises
        ------
        OSError
            If it cannot be written as a whole; what was written of it is taken back.
        """
        if self._damaged:
            self._repair()
        at = datetime.now(UTC)
        # A clock that is set back must not write into a month that is over.
        month = max(self._month, f"{at:%Y-%m}")
        if month != self._month or self._descriptor < 0:
            self._open(month)
        line, head = _line(self.head, at.isoformat(timespec="milliseconds"), event, facts)
        self._append(line)
        self.head = head
        return head

    def sync(self) -> None:
        """Put on the disk what has been written."""
        if self._dirty and self._descriptor >= 0:
            self._dirty = False
            os.fdatasync(self._descriptor)

    async def keep_synced(self) -> NoReturn:
        """Put lines on the disk within a second, for ever."""
        while True:
            await asyncio.sleep(_SYNC_PAUSE)
            if self._dirty:
                try:
                    await asyncio.to_thread(self.sync)
                except OSError as error:
                    self._dirty = True
                    log.error("The log of decisions is not on the disk yet: %s", error)

    def close(self) -> None:
        """Sync and close."""
        if self._descriptor >= 0:
            try:
                self.sync()
            finally:
                os.close(self._descriptor)
                self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        end = os.fstat(self._descriptor).st_size
        try:
            written = os.write(self._descriptor, line)
            if written != len(line):
                raise OSError(28, f"only {written} of {len(line)} bytes were written", self._month)
        except OSError:
            try:
                os.ftruncate(self._descriptor, end)
            except OSError:
                self._damaged = True
            raise
        self._dirty = True

    def _open(self, month: str) -> None:
        path = self._folder / f"{month}.jsonl"
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.close()
        self._descriptor, self._month = descriptor, month

    def _repair(self) -> None:
        """Find the last good line; move aside what an interrupted write left behind it."""
        size = os.fstat(self._descriptor).st_size
        start = max(0, size - _LONGEST)
        tail = os.pread(self._descriptor, size - start, start)
        good = tail.rfind(b"\n") + 1
        head = None
        while good:
            begin = tail.rfind(b"\n", 0, good - 1) + 1
            head = _read_head(tail[begin:good])
            # A power cut may leave zeros where a line should be; anything else was not us.
            if head is not None or b"\0" not in tail[begin:good]:
                break
            good = begin
        if head is None and good == 0 and start == 0:
            # Nothing good in this file: the chain goes on from the one before.
            head = self._previous_head()
        if head is None:
            raise DecisionLogError(
                f"{self._folder / self._month}.jsonl: the last lines are not as this node wrote "
                "them. 'v6 node audit verify' says where. Move the folder away to begin a new "
                "log, and keep it: it is evidence"
            )
        self.head, self._damaged = head, False
        if tail[good:]:
            self._move_aside(tail[good:], start + good)
        self._tell_of_torn()

    def _previous_head(self) -> Head:
        earlier = [path for path in _files(self._folder) if path.stem < self._month]
        if not earlier:
            return Head()
        last = b""
        with earlier[-1].open("rb") as file:
            for line in file:
                last = line
        head = _read_head(last)
        if head is None:
            raise DecisionLogError(f"{earlier[-1]}: the last line is not as this node wrote it")
        return head

    def _move_aside(self, torn: bytes, offset: int) -> None:
        digest = hashlib.sha256(torn).hexdigest()
        aside = self._folder / f"torn-{self.head.number + 1}-{digest[:8]}{_PENDING}"
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(torn)
            file.flush()
            os.fsync(file.fileno())
        os.ftruncate(self._descriptor, offset)

    def _tell_of_torn(self) -> None:
        """Note what was moved aside, also if the node was killed before it could."""
        for pending in sorted(self._folder.glob(f"torn-*{_PENDING}")):
            torn = pending.read_bytes()
            aside = pending.with_suffix("")
            log.warning(
                "The last line of the log of decisions was not completely written (%s bytes): it "
                "is kept as %s",
                len(torn),
                aside,
            )
            digest = hashlib.sha256(torn).hexdigest()
            self.write("repaired", bytes=len(torn), sha256=digest, kept_as=aside.name)
            pending.rename(aside)


@dataclass(frozen=True)
class Flaw:
    """Where the chain is broken, and how; ``line`` is 0 if no line of the file is to blame."""

    path: Path
    line: int
    problem: str

    @property
    def place(self) -> str:
        """File, and line if there is one."""
        return f"{self.path}, line {self.line}" if self.line else f"{self.path}"


@dataclass(frozen=True)
class Verified:
    """What a look at the whole log found."""

    lines: int
    head: Head
    flaws: list[Flaw]
    repairs: int


def verify(folder: Path, expected: Head | None = None) -> Verified:
    """Check every line of a log.

    Parameters
    ----------
    expected : Head, optional
        A line that was written down elsewhere: it must be there, as it was.
    """
    head, flaws, count, repairs = Head(), [], 0, 0
    found = expected is None or expected.number == 0
    path = folder
    for path in _files(folder):
        content = path.read_bytes()
        lines = content.split(b"\n")
        torn = lines.pop()
        for number, line in enumerate(lines, start=1):
            count += 1
            new = _read_head(line + b"\n")
            if new is None:
                flaws.append(Flaw(path, number, "the line was changed"))
                head = Head(head.number + 1, "")
                continue
            entry = json.loads(line)
            repairs += entry["event"] == "repaired"
            if head.hash and (entry["prev"] != head.hash or new.number != head.number + 1):
                flaws.append(
                    Flaw(path, number, f"entry {head.number + 1} should be here, not {new.number}")
                )
            head = new
            found = found or head == expected
        if torn:
            flaws.append(Flaw(path, len(lines) + 1, "the line was not completely written"))
    if not found and expected is not None:
        flaws.append(Flaw(path, 0, f"entry {expected.number}, {expected.hash}, is not there"))
    return Verified(count, head, flaws, repairs)


def entries(folder: Path, month: str | None = None) -> Iterator[dict[str, Any]]:
    """All lines that can be read, oldest first; of one month if it is named as ``2026-01``."""
    for path in _files(folder):
        if month is None or path.stem == month:
            with path.open("rb") as file:
                for line in file:
                    try:
                        entry = json.loads(line)
                    except ValueError:
                        continue  # verify() names it
                    if isinstance(entry, dict):
                        yield entry


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9].jsonl"))


def _line(last: Head, at: str, event: str, facts: Mapping[str, Any]) -> tuple[bytes, Head]:
    number = last.number + 1
    entry = {"n": number, "at": at, "event": event, **facts, "prev": last.hash}
    text = _canonical(entry)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{text[:-1]},"hash":"{digest}"}}\n'.encode(), Head(number, digest)


def _read_head(line: bytes) -> Head | None:
    """A line's number and hash; None if it is not as it was written."""
    try:
        entry = json.loads(line)
        digest, number = entry.pop("hash"), entry["n"]
        text = _canonical(entry)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not line.endswith(b"\n") or f'{text[:-1]},"hash":"{digest}"}}\n'.encode() != line:
        return None
    if hashlib.sha256(text.encode()).hexdigest() != digest or not isinstance(number, int):
        return None
    return Head(number, digest)


def _canonical(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, separators=(",", ":"), ensure_ascii=True)
