"""What the server offers this node: one open run, as read from ``GET /run?include=task``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
#: The largest number that the journal can hold.
_LARGEST_ID = 2**63 - 1


class MalformedOffer(ValueError):
    """The server's answer is not a run of the contract; the message names the key."""


@dataclass(frozen=True)
class DatabaseRequest:
    """A database that a task asks for, with what it wants of it (query, sheet name, …)."""

    label: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Offer:
    """An open run of this node.

    ``input`` is the text as the server stores it: encoded, and encrypted in encrypted
    collaborations.
    """

    run_id: int
    task_id: int
    job_id: int
    image: str
    init_org_id: int
    init_user_id: int | None
    parent_id: int | None
    databases: tuple[DatabaseRequest, ...]
    status: str
    input: str = field(repr=False)
    blob_storage_used: bool = False
    store_id: int | None = None

    @classmethod
    def read(cls, run: Any) -> Offer:
        """Read a run with its task included.

        Raises
        ------
        MalformedOffer
            If a key is missing or of another type.
        """
        task = _key(run, "task", dict)
        parent = task.get("parent")
        user = task.get("init_user")
        store = task.get("algorithm_store")
        return cls(
            run_id=_id(run),
            task_id=_id(task),
            job_id=_id(task, "job_id"),
            image=_key(task, "image", str),
            init_org_id=_id(_key(task, "init_org", dict)),
            init_user_id=_id(user) if user else None,
            parent_id=_id(parent) if parent else None,
            databases=tuple(_request(entry) for entry in _optional(task, "databases", list, [])),
            status=_key(run, "status", str),
            input=_optional(run, "input", str, ""),
            blob_storage_used=bool(run.get("blob_storage_used")),
            store_id=_id(store) if store else None,
        )


def _request(entry: Any) -> DatabaseRequest:
    label = _key(entry, "label", str)
    text = entry.get("parameters") or "{}"
    try:
        parameters = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise MalformedOffer(f"parameters of database '{label}' are not JSON") from error
    if not isinstance(parameters, dict):
        raise MalformedOffer(f"parameters of database '{label}' are not a JSON object")
    return DatabaseRequest(label, parameters)


def _id(mapping: Any, key: str = "id") -> int:
    number = _key(mapping, key, int)
    if not 0 <= number <= _LARGEST_ID:
        raise MalformedOffer(f"'{key}' is out of range")
    return number


def _optional(mapping: Mapping[str, Any], key: str, kind: type[T], absent: T) -> T:
    return _key(mapping, key, kind) if mapping.get(key) else absent


def _key(mapping: Any, key: str, kind: type[T]) -> T:
    value = mapping.get(key) if isinstance(mapping, Mapping) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise MalformedOffer(f"'{key}' should be {kind.__name__}, not {type(value).__name__}")
    return value
