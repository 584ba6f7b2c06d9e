"""The public methods of a client, found by looking at it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from vantage6.client import UserClient

GROUPS = (
    *("util", "collaboration", "organization", "user", "role", "rule", "node", "study"),
    *("task", "run", "result", "event", "store", "algorithm"),
    *("store.role", "store.rule", "store.user", "store.policy", "store.review"),
)


def public_methods(client: UserClient) -> dict[str, Callable[..., Any]]:
    """Bound methods by their dotted names, for example ``store.role.list``."""
    methods = {}
    for group in ["", *GROUPS]:
        owner: Any = client
        for part in filter(None, group.split(".")):
            owner = getattr(owner, part)
        for name, _ in inspect.getmembers(type(owner), inspect.isfunction):
            if not name.startswith("_"):
                methods[f"{group}.{name}".lstrip(".")] = getattr(owner, name)
    return methods
