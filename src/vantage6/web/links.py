"""Links between resources, in the two forms of the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Links:
    """Makes links below an API path.

    Parameters
    ----------
    api_path : str
        Such as ``/api``.
    methods : mapping
        Per resource the methods of its ``/<resource>/<id>`` route.
    """

    def __init__(self, api_path: str, methods: Mapping[str, Sequence[str]]) -> None:
        self.api_path = api_path
        self._methods = {resource: list(names) for resource, names in methods.items()}

    def one(self, resource: str, id_: int | None) -> dict[str, Any] | None:
        """To one: ``{"id", "link", "methods"}``, or None."""
        if id_ is None:
            return None
        return {
            "id": id_,
            "link": f"{self.api_path}/{resource}/{id_}",
            "methods": self._methods[resource],
        }

    def many(self, resource: str, filter_: str, id_: int) -> str:
        """To many: ``/api/<resource>?<filter>=<id>``."""
        return f"{self.api_path}/{resource}?{filter_}={id_}"
