"""From how an algorithm ended to what is said about it: status, log and result.

The files of a run were in the algorithm's hands, so they are read with suspicion: a link, a
device or a pipe in the place of a file is no output.
"""

from __future__ import annotations

import json
import os
import signal
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from vantage6.common.task_status import TaskStatus
from vantage6.node.runtimes.base import Ended, Limits

#: Where a result goes to the server inside JSON, more than this would not get through.
MAX_INLINE_RESULT = 512 * 1024**2
#: A larger result stays in its file until it is known how it goes to the server.
MAX_HELD = 64 * 1024
NO_SHARING = "Node does not allow sharing algorithm logs"


class NotAFile(Exception):
    """What should be a file is missing or something else; the message says which."""


class TooLarge(Exception):
    """A file is larger than allowed."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size} bytes, more than the {limit} bytes allowed")


@dataclass(frozen=True)
class Sharing:
    """What of an algorithm's own words may leave the site."""

    stdout: bool = True
    stderr: bool = False


@dataclass(frozen=True)
class Conclusion:
    """What is said about a run that ended; ``result`` is plain.

    ``large`` is the size of a result that was left in its file, in bytes.
    """

    status: TaskStatus
    log: str
    result: bytes = field(default=b"", repr=False)
    large: int = 0


def conclude(
    ended: Ended, folder: Path, limits: Limits, sharing: Sharing, organization: str
) -> Conclusion:
    """Judge a run that ended by what is in its folder.

    The output is sent whatever the exit code, as in the contract; normally a crashed run has
    an empty one.
    """
    words = said(folder, limits, sharing)
    status, cause = _judge(ended)
    result, large = b"", 0
    try:
        size = plain_size(folder / "output", limits.output_size)
        if size > MAX_HELD:
            large = size
        else:
            result = read_file(folder / "output", MAX_HELD)
    except NotAFile as problem:
        if status is TaskStatus.COMPLETED:
            status, cause = TaskStatus.CRASHED, f"its output cannot be read: {problem}"
    except TooLarge as problem:
        status, cause = TaskStatus.CRASHED, f"its result is too large: {problem}"
    if status is TaskStatus.COMPLETED and not result and not large:
        words = f"{words.rstrip()}\nThe algorithm ended without writing a result.".lstrip()
    text = complaint(organization, cause, words) if cause else words
    return Conclusion(status, text, result, large)


def complaint(organization: str, cause: str, words: str = "") -> str:
    """Log text of a run that failed: who, why, then what the algorithm itself said."""
    # A researcher may have written part of the cause, such as the name of a function.
    cause = clean(cause.encode("utf-8", "replace"))
    first = f"Organization '{organization}': {cause.rstrip('.')}."
    return f"{first}\n{words}" if words else first


def said(folder: Path, limits: Limits, sharing: Sharing) -> str:
    """What the algorithm said that may leave the site."""
    if not sharing.stdout:
        return NO_SHARING
    words = read_text(folder / "stdout", limits.log_size)
    if sharing.stderr:
        errors = read_text(folder / "stderr", limits.log_size)
        if errors:
            words = f"{words}\n--- standard error ---\n{errors}".lstrip("\n")
    return words


def plain_size(path: Path, limit: int) -> int:
    """Bytes of a file that an algorithm may have tampered with.

    Raises
    ------
    NotAFile
        If it is missing, a link, a pipe, a folder or a device.
    TooLarge
        If it holds more than `limit` bytes.
    """
    with _open_within(path, limit) as file:
        return os.fstat(file.fileno()).st_size


def read_file(path: Path, limit: int) -> bytes:
    """Read a whole file that an algorithm may have tampered with.

    Raises
    ------
    NotAFile, TooLarge
        As in :func:`plain_size`.
    """
    with _open_within(path, limit) as file:
        return file.read(limit)


def read_text(path: Path, limit: int) -> str:
    """Read the last `limit` bytes of a log file; what is not UTF-8 is replaced.

    A file that is missing, or none, gives no text.
    """
    try:
        file = open_plain(path)
    except NotAFile:
        return ""
    with file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - limit))
        text = clean(file.read(limit))
    return f"[… {size - limit} bytes cut]\n{text}" if size > limit else text


def clean(words: bytes) -> str:
    """Text of whatever an algorithm printed; no database takes a zero character."""
    return words.decode("utf-8", errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")


def read_exit(folder: Path) -> Ended | None:
    """Read how a run ended when nobody watched; None if it had not ended, or nobody can tell."""
    try:
        content = json.loads(read_file(folder / "exit.json", 64 * 1024))
        exit_code, reason = content["exit_code"], content["reason"]
    except (NotAFile, TooLarge, ValueError, TypeError, KeyError):
        return None
    if not isinstance(exit_code, int | None) or not isinstance(reason, str | None):
        return None
    return Ended(exit_code, reason)


def _judge(ended: Ended) -> tuple[TaskStatus, str]:
    code, reason = ended.exit_code, ended.reason
    if reason:
        return TaskStatus.CRASHED, f"the algorithm was stopped: {reason}"
    if code is None:
        return TaskStatus.UNKNOWN_ERROR, "the algorithm disappeared, nobody knows why"
    if code == 0:
        return TaskStatus.COMPLETED, ""
    if code < 0:
        return TaskStatus.CRASHED, f"the algorithm was ended by {_signal(-code)}"
    return TaskStatus.CRASHED, f"the algorithm crashed (exit code {code})"


def _signal(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def open_plain(path: Path) -> BinaryIO:
    """Open a file that an algorithm may have tampered with.

    Raises
    ------
    NotAFile
        If it is missing, a link, a pipe, a folder or a device.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotAFile("there is none") from None
    except OSError as error:
        raise NotAFile(f"it is not a plain file ({error.strerror})") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFile("it is not a plain file")
    return os.fdopen(descriptor, "rb")


def _open_within(path: Path, limit: int) -> BinaryIO:
    file = open_plain(path)
    size = os.fstat(file.fileno()).st_size
    if size > limit:
        file.close()
        raise TooLarge(size, limit)
    return file
