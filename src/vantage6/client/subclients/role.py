"""Roles: named collections of rules."""

from __future__ import annotations

from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.base import Listing, UserSubClient


class RoleSubClient(Listing, UserSubClient):
    """Roles: named collections of rules, given to users."""

    @post_filtering(iterable=False)
    def get(self, id_: int) -> dict[str, Any]:
        """View one role.

        Parameters
        ----------
        id_ : int
            Id of the role.

        Returns
        -------
        dict
            The role, or a message from the server.
        """
        return self._ask(f"role/{id_}")

    @post_filtering(iterable=False)
    def create(
        self, name: str, description: str, rules: list[int], organization: int | None = None
    ) -> dict[str, Any]:
        """Create a role.

        Parameters
        ----------
        name : str
            Name of the role.
        description : str
            What it is for.
        rules : list[int]
            Ids of its rules. You can give away only what you may do yourself.
        organization : int, optional
            Id of the organization it belongs to. Default is your own organization.

        Returns
        -------
        dict
            The new role, or a message from the server.
        """
        role = {
            "name": name,
            "description": description,
            "rules": rules,
            "organization_id": organization or self._own_organization,
        }
        return self._ask("role", method="post", json=role)

    @post_filtering(iterable=False)
    def update(
        self,
        role: int,
        name: str | None = None,
        description: str | None = None,
        rules: list[int] | None = None,
    ) -> dict[str, Any]:
        """Change a role; what is not given stays.

        Parameters
        ----------
        role : int
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
            The changed role, or a message from the server.
        """
        data = {"name": name, "description": description, "rules": rules}
        return self._ask(f"role/{role}", method="patch", json=self._clean_update_data(data))

    def delete(self, role: int) -> None:
        """Delete a role.

        Parameters
        ----------
        role : int
            Id of the role.
        """
        self._delete(f"role/{role}")

    @post_filtering()
    def list(
        self,
        name: str | None = None,
        description: str | None = None,
        organization: int | None = None,
        rule: int | None = None,
        user: int | None = None,
        include_root: bool | None = None,
        page: int = 1,
        per_page: int = 20,
    ) -> list[dict[str, Any]]:
        """List roles.

        Parameters
        ----------
        name : str, optional
            Filter by name (with LIKE operator).
        description : str, optional
            Filter by description (with LIKE operator).
        organization : int, optional
            Filter by id of the organization they belong to.
        rule : int, optional
            Filter by id of a rule they hold.
        user : int, optional
            Filter by id of a user who has them.
        include_root : bool, optional
            With ``organization``: also the roles that belong to no organization.
        page : int, optional
            Page number. Default 1.
        per_page : int, optional
            Items per page. Default 20.

        Returns
        -------
        list[dict]
            ``{"data": [...], "links": {...}}``, a page of roles; a plain list as soon as a
            filter on the client's side is given.
        """
        params = {
            "page": page,
            "per_page": per_page,
            "name": name,
            "description": description,
            "organization_id": organization,
            "rule_id": rule,
            "include_root": include_root,
            "user_id": user,
        }
        return self._page("role", params)
