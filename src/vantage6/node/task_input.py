"""What a task's input says, as far as the node's owner has a say in it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

#: Bytes of an input that are read to find its function; what is larger names none.
_READABLE = 8 * 1024**2
_CHUNK = 1024**2


@dataclass(frozen=True)
class InputFacts:
    """An input's function, and the SHA-256 of all its bytes.

    ``function`` is None when the input is not the JSON object of the contract, or too large.
    """

    function: str | None
    digest: str


def examine(path: Path) -> InputFacts:
    """Read an input as the node wrote it, before an algorithm could touch it."""
    digest = hashlib.sha256()
    size = 0
    kept = bytearray()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if size <= _READABLE:
                kept += chunk
    return InputFacts(function_of(bytes(kept)) if size <= _READABLE else None, digest.hexdigest())


def function_of(content: bytes) -> str | None:
    """The function that an input names; None if it names none."""
    try:
        task = json.loads(content)
    except (ValueError, RecursionError):
        return None
    method = task.get("method") if isinstance(task, dict) else None
    return method if isinstance(method, str) else None
