"""Roles in the selected algorithm store."""

from __future__ import annotations

from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.base import Listing
from vantage6.client.subclients.store.base import StoreSubClient


class StoreRoleSubClient(Listing, StoreSubClient):
    """Roles in the selected algorithm store."""

    @post_filtering(iterable=False)
    def create(self, name: str, description: str, rules: list[int]) -> dict[str, Any]:
        """Create a role.

        Parameters
        ----------
        name : str
            Name of the role.
        description : str
            What it is for.
        rules : list[int]
            Ids of its rules.

        Returns
        -------
        dict
            The new role, or a message from the store.
        """
        role = {"name": name, "description": description, "rules": rules}
        return self._store_item("role", method="post", json=role)

    @post_filtering(iterable=False)
    def edit(
        self,
        role_id: int,
        name: str | None = None,
        description: str | None = None,
        rules: list[int] | None = None,
    ) -> dict[str, Any]:
        """Change a role; what is not given stays.

        Parameters
        ----------
        role_id : int
            Id of the role.
        name : str, optional
            New name.
        description : str, optional
            New description.
        rules : list[int], optional
            Ids of all its rules from now on.

        Returns
        -------
        dict
            The changed role, or a message from the store.
        """
        data = self._clean_update_data({"name": name, "description": description, "rules": rules})
        return self._store_item(f"role/{role_id}", method="patch", json=data)

    def delete(self, role_id: int) -> None:
        """Delete a role.

        Parameters
        ----------
        role_id : int
            Id of the role.
        """
        self._store_delete(f"role/{role_id}")

    @post_filtering()
    def list(
        self,
        name: str | None = None,
        description: str | None = None,
        user: int | None = None,
        page: int = 1,
        per_page: int = 10,
    ) -> list[dict[str, Any]]:
        """List roles.

        Parameters
        ----------
        name : str, optional
            Filter by name (with LIKE operator).
        description : str, optional
            Filter by description (with LIKE operator).
        user : int, optional
            Filter by id of a user who has them.
        page : int, optional
            Page number. Default 1.
        per_page : int, optional
            Items per page. Default 10.

        Returns
        -------
        list[dict]
            ``{"data": [...], "links": {...}}``, a page of roles; a plain list as soon as a
            filter on the client's side is given.
        """
        params = {
            "name": name,
            "description": description,
            "user_id": user,
            "page": page,
            "per_page": per_page,
        }
        return self._store_page("role", params)
