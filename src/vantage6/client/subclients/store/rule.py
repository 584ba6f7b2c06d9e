"""Rules in the selected algorithm store."""

from __future__ import annotations

from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.base import Listing
from vantage6.client.subclients.store.base import StoreSubClient


class StoreRuleSubClient(Listing, StoreSubClient):
    """Rules in the selected algorithm store; they can be viewed only."""

    @post_filtering()
    def list(
        self,
        name: str | None = None,
        operation: str | None = None,
        role: int | None = None,
        username: str | None = None,
        serverUrl: str | None = None,  # noqa: N803 (the contract's name)
        page: int = 1,
        per_page: int = 10,
    ) -> list[dict[str, Any]]:
        """List rules.

        Parameters
        ----------
        name : str, optional
            Filter by resource.
        operation : str, optional
            Filter by operation.
        role : int, optional
            Filter by id of a role that holds them.
        username : str, optional
            Only the rules of this user.
        serverUrl : str, optional
            With ``username``: the server the user comes from. Default is the client's server.
        page : int, optional
            Page number. Default 1.
        per_page : int, optional
            Items per page. Default 10.

        Returns
        -------
        list[dict]
            ``{"data": [...], "links": {...}}``, a page of rules; a plain list as soon as a
            filter on the client's side is given.
        """
        params: dict[str, Any] = {
            "name": name,
            "operation": operation,
            "role_id": role,
            "page": page,
            "per_page": per_page,
        }
        if username:
            params["username"] = username
            params["server_url"] = serverUrl or self.parent.base_path
        return self._store_page("rule", params)
