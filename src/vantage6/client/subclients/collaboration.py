"""Collaborations: which organizations compute together."""

from __future__ import annotations

from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.base import Listing, UserSubClient


class CollaborationSubClient(Listing, UserSubClient):
    """Collaborations: organizations that have agreed to compute together."""

    @post_filtering(iterable=False)
    def get(self, id_: int) -> dict[str, Any]:
        """View one collaboration.

        Parameters
        ----------
        id_ : int
            Id of the collaboration.

        Returns
        -------
        dict
            The collaboration, or a message from the server.
        """
        return self._ask(f"collaboration/{id_}")

    @post_filtering(iterable=False)
    def create(
        self, name: str, organizations: list[int], encrypted: bool = False
    ) -> dict[str, Any]:
        """Create a collaboration.

        Parameters
        ----------
        name : str
            Name of the collaboration; no other one may have it.
        organizations : list[int]
            Ids of the organizations that take part.
        encrypted : bool, optional
            Whether inputs and results are encrypted between the organizations. Default False.

        Returns
        -------
        dict
            The new collaboration, or a message from the server.
        """
        return self._ask(
            "collaboration",
            method="post",
            json={"name": name, "organization_ids": organizations, "encrypted": encrypted},
        )

    @post_filtering(iterable=False)
    def update(
        self,
        id_: int | None = None,
        name: str | None = None,
        encrypted: bool | None = None,
        organizations: list[int] | None = None,
    ) -> dict[str, Any]:
        """Change a collaboration; what is not given stays.

        Parameters
        ----------
        id_ : int, optional
            Id of the collaboration. Default is the one from ``client.setup_collaboration()``.
        name : str, optional
            New name.
        encrypted : bool, optional
            Whether inputs and results are encrypted.
        organizations : list[int], optional
            Ids of all organizations that take part from now on.

        Returns
        -------
        dict
            The changed collaboration, or a message from the server.

        Raises
        ------
        ValueError
            If no collaboration is given nor set up.
        """
        data = {"name": name, "encrypted": encrypted, "organization_ids": organizations}
        return self._ask(
            f"collaboration/{self._collaboration(id_)}",
            method="patch",
            json=self._clean_update_data(data),
        )

    def delete(self, id_: int | None = None, delete_dependents: bool = False) -> None:
        """Delete a collaboration.

        Parameters
        ----------
        id_ : int, optional
            Id of the collaboration. Default is the one from ``client.setup_collaboration()``.
        delete_dependents : bool, optional
            Delete its tasks, nodes and studies too; otherwise the server refuses when there are
            any. Default False.

        Raises
        ------
        ValueError
            If no collaboration is given nor set up.
        """
        self._delete(
            f"collaboration/{self._collaboration(id_)}",
            params={"delete_dependents": delete_dependents},
        )

    def add_organization(
        self, organization: int, collaboration: int | None = None
    ) -> list[dict[str, Any]]:
        """Let an organization take part in a collaboration.

        Parameters
        ----------
        organization : int
            Id of the organization.
        collaboration : int, optional
            Id of the collaboration. Default is the one from ``client.setup_collaboration()``.

        Returns
        -------
        list[dict]
            All organizations that take part now, or a message from the server.

        Raises
        ------
        ValueError
            If no collaboration is given nor set up.
        """
        return self._member("post", organization, collaboration)

    def remove_organization(
        self, organization: int, collaboration: int | None = None
    ) -> list[dict[str, Any]]:
        """Take an organization out of a collaboration.

        Parameters
        ----------
        organization : int
            Id of the organization.
        collaboration : int, optional
            Id of the collaboration. Default is the one from ``client.setup_collaboration()``.

        Returns
        -------
        list[dict]
            The organizations that still take part, or a message from the server.

        Raises
        ------
        ValueError
            If no collaboration is given nor set up.
        """
        return self._member("delete", organization, collaboration)

    def _member(
        self, method: str, organization: int, collaboration: int | None
    ) -> list[dict[str, Any]]:
        members: list[dict[str, Any]] = self.parent.request(
            f"collaboration/{self._collaboration(collaboration)}/organization",
            method=method,
            json={"id": organization},
        )
        return members

    @post_filtering()
    def list(
        self,
        scope: str = "organization",
        name: str | None = None,
        encrypted: bool | None = None,
        organization: int | None = None,
        algorithm_store: int | None = None,
        page: int = 1,
        per_page: int = 20,
    ) -> list[dict[str, Any]]:
        """List collaborations.

        Parameters
        ----------
        scope : str, optional
            ``organization`` for those in which your own organization takes part, ``global`` for
            all you may see. Default ``organization``.
        name : str, optional
            Filter by name (with LIKE operator).
        encrypted : bool, optional
            Filter by whether they are encrypted.
        organization : int, optional
            Filter by id of an organization that takes part; needs scope ``global``.
        algorithm_store : int, optional
            Filter by id of an algorithm store they can use.
        page : int, optional
            Page number. Default 1.
        per_page : int, optional
            Items per page. Default 20.

        Returns
        -------
        list[dict]
            ``{"data": [...], "links": {...}}``, a page of collaborations; a plain list as soon
            as a filter on the client's side is given.
        """
        params: dict[str, Any] = {
            "page": page,
            "per_page": per_page,
            "name": name,
            "encrypted": encrypted,
            "algorithm_store_id": algorithm_store,
        }
        if scope == "organization":
            params["organization_id"] = self._own_organization
            if organization not in (None, self._own_organization):
                self.parent.log.warning(
                    "--> `organization` is ignored unless scope is `global`; "
                    "these are the collaborations of your own organization"
                )
        elif scope == "global":
            params["organization_id"] = organization
        else:
            self.parent.log.info("--> Unrecognized `scope`. Needs to be `organization` or `global`")
        return self._page("collaboration", params)
