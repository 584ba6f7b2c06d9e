"""Users of the selected algorithm store."""

from __future__ import annotations

from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.base import Listing
from vantage6.client.subclients.store.base import StoreSubClient


class StoreUserSubClient(Listing, StoreSubClient):
    """Users of the server who may do something in the selected algorithm store."""

    @post_filtering(iterable=False)
    def get(self, id_: int) -> dict[str, Any]:
        """View one user of the store.

        Parameters
        ----------
        id_ : int
            Id of the user in the store.

        Returns
        -------
        dict
            The user, or a message from the store.
        """
        return self._store_item(f"user/{id_}")

    @post_filtering(iterable=False)
    def register(self, username: str, roles: list[int]) -> dict[str, Any]:
        """Let a user of the server into the store.

        Parameters
        ----------
        username : str
            The user's name at the server.
        roles : list[int]
            Ids of roles in the store.

        Returns
        -------
        dict
            The user, or a message from the store.
        """
        return self._store_item("user", method="post", json={"username": username, "roles": roles})

    @post_filtering(iterable=False)
    def update(self, id_: int, roles: list[int]) -> dict[str, Any]:
        """Change the roles of a user of the store.

        Parameters
        ----------
        id_ : int
            Id of the user in the store.
        roles : list[int]
            Ids of all roles from now on.

        Returns
        -------
        dict
            The user, or a message from the store.
        """
        return self._store_item(f"user/{id_}", method="patch", json={"roles": roles})

    def delete(self, id_: int) -> None:
        """Remove a user from the store.

        Parameters
        ----------
        id_ : int
            Id of the user in the store.
        """
        self._store_delete(f"user/{id_}")

    @post_filtering()
    def list(
        self,
        username: str | None = None,
        role: int | None = None,
        page: int = 1,
        per_page: int = 10,
    ) -> list[dict[str, Any]]:
        """List the users of the store.

        Parameters
        ----------
        username : str, optional
            Filter by user name.
        role : int, optional
            Filter by id of a role they have.
        page : int, optional
            Page number. Default 1.
        per_page : int, optional
            Items per page. Default 10.

        Returns
        -------
        list[dict]
            ``{"data": [...], "links": {...}}``, a page of users; a plain list as soon as a
            filter on the client's side is given.
        """
        params = {"username": username, "role_id": role, "page": page, "per_page": per_page}
        return self._store_page("user", params)
