"""Rules: the single rights that roles are made of."""

from __future__ import annotations

from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.base import Listing, UserSubClient


class RuleSubClient(Listing, UserSubClient):
    """Rules: one operation on one resource within one scope. They can be viewed only."""

    @post_filtering(iterable=False)
    def get(self, id_: int) -> dict[str, Any]:
        """View one rule.

        Parameters
        ----------
        id_ : int
            Id of the rule.

        Returns
        -------
        dict
            The rule, or a message from the server.
        """
        return self._ask(f"rule/{id_}")

    @post_filtering()
    def list(
        self,
        name: str | None = None,
        operation: str | None = None,
        scope: str | None = None,
        role: int | None = None,
        page: int = 1,
        per_page: int = 20,
    ) -> list[dict[str, Any]]:
        """List rules.

        Parameters
        ----------
        name : str, optional
            Filter by resource, for example ``task``.
        operation : str, optional
            Filter by operation: ``VIEW``, ``EDIT``, ``CREATE``, ``DELETE``, ``SEND`` or
            ``RECEIVE``.
        scope : str, optional
            Filter by scope: ``OWN``, ``ORGANIZATION``, ``COLLABORATION`` or ``GLOBAL``.
        role : int, optional
            Filter by id of a role that holds them.
        page : int, optional
            Page number. Default 1.
        per_page : int, optional
            Items per page. Default 20.

        Returns
        -------
        list[dict]
            ``{"data": [...], "links": {...}}``, a page of rules; a plain list as soon as a
            filter on the client's side is given.
        """
        params = {
            "page": page,
            "per_page": per_page,
            "name": name,
            "operation": operation,
            "scope": scope,
            "role_id": role,
        }
        return self._page("rule", params)
