"""Nodes: the machines at the data owners that run algorithms."""

from __future__ import annotations

from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.base import Listing, UserSubClient


class NodeSubClient(Listing, UserSubClient):
    """Nodes: an organization's machine for one collaboration, which runs algorithms."""

    @post_filtering(iterable=False)
    def get(self, id_: int) -> dict[str, Any]:
        """View one node.

        Parameters
        ----------
        id_ : int
            Id of the node.

        Returns
        -------
        dict
            The node, or a message from the server.
        """
        return self._ask(f"node/{id_}")

    @post_filtering(iterable=False)
    def create(
        self,
        collaboration: int | None = None,
        organization: int | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Register a node.

        Parameters
        ----------
        collaboration : int, optional
            Id of the collaboration it works for. Default is the one from
            ``client.setup_collaboration()``.
        organization : int, optional
            Id of the organization it belongs to. Default is your own organization.
        name : str, optional
            Name of the node. Default is made of organization and collaboration.

        Returns
        -------
        dict
            The new node with its ``api_key``, which is shown this once only, or a message from
            the server.

        Raises
        ------
        ValueError
            If no collaboration is given nor set up.
        """
        node: dict[str, Any] = {
            "organization_id": organization or self._own_organization,
            "collaboration_id": self._collaboration(collaboration),
        }
        if name:
            node["name"] = name
        return self._ask("node", method="post", json=node)

    @post_filtering(iterable=False)
    def update(
        self, id_: int, name: str | None = None, clear_ip: bool | None = None
    ) -> dict[str, Any]:
        """Change a node; what is not given stays.

        Parameters
        ----------
        id_ : int
            Id of the node.
        name : str, optional
            New name.
        clear_ip : bool, optional
            Forget the node's VPN address.

        Returns
        -------
        dict
            The changed node, or a message from the server.
        """
        data = {"name": name, "clear_ip": clear_ip}
        return self._ask(f"node/{id_}", method="patch", json=self._clean_update_data(data))

    def delete(self, id_: int) -> None:
        """Delete a node.

        Parameters
        ----------
        id_ : int
            Id of the node.
        """
        self._delete(f"node/{id_}")

    def kill_tasks(self, id_: int) -> dict[str, Any]:
        """Stop everything that runs at a node.

        Parameters
        ----------
        id_ : int
            Id of the node.

        Returns
        -------
        dict
            Message from the server.
        """
        return self._ask("kill/node/tasks", method="post", json={"id": id_})

    @post_filtering()
    def list(
        self,
        name: str | None = None,
        organization: int | None = None,
        collaboration: int | None = None,
        study: int | None = None,
        is_online: bool | None = None,
        ip: str | None = None,
        last_seen_from: str | None = None,
        last_seen_till: str | None = None,
        page: int = 1,
        per_page: int = 20,
    ) -> list[dict[str, Any]]:
        """List nodes.

        Parameters
        ----------
        name : str, optional
            Filter by name (with LIKE operator).
        organization : int, optional
            Filter by organization id.
        collaboration : int, optional
            Filter by collaboration id. If client.setup_collaboration() was called,
            the previously setup collaboration is used. Default value is None.
        study : int, optional
            Filter by study id.
        is_online : bool, optional
            Only nodes that are online (True) or offline (False). A node that has never connected
            may be neither.
        ip : str, optional
            Filter by VPN address.
        last_seen_from : str, optional
            Only those seen since this date (``yyyy-mm-dd``).
        last_seen_till : str, optional
            Only those last seen before this date (``yyyy-mm-dd``).
        page : int, optional
            Page number. Default 1.
        per_page : int, optional
            Items per page. Default 20.

        Returns
        -------
        list[dict]
            ``{"data": [...], "links": {...}}``, a page of nodes; a plain list as soon as a
            filter on the client's side is given.
        """
        params: dict[str, Any] = {
            "page": page,
            "per_page": per_page,
            "name": name,
            "organization_id": organization,
            "collaboration_id": collaboration or self.parent.collaboration_id,
            "study_id": study,
            "ip": ip,
            "last_seen_from": last_seen_from,
            "last_seen_till": last_seen_till,
        }
        if is_online is not None:
            params["status"] = "online" if is_online else "offline"
        return self._page("node", params)
