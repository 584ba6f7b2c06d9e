"""Algorithm stores: which ones the server knows, and which one is selected."""

from __future__ import annotations

from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.base import Listing, UserSubClient
from vantage6.client.subclients.store.policy import PolicySubClient
from vantage6.client.subclients.store.review import ReviewSubClient
from vantage6.client.subclients.store.role import StoreRoleSubClient
from vantage6.client.subclients.store.rule import StoreRuleSubClient
from vantage6.client.subclients.store.user import StoreUserSubClient
from vantage6.common.client.client_base import ClientBase
from vantage6.common.exceptions import StoreNotSetError


class AlgorithmStoreSubClient(Listing, UserSubClient, ClientBase.AlgorithmStoreSubClientBase):
    """Algorithm stores that the server knows; ``set`` selects one.

    The groups of calls that talk to the selected store: ``client.algorithm``,
    ``client.store.role``, ``.rule``, ``.user``, ``.policy`` and ``.review``.

    Attributes
    ----------
    url : str | None
        Address of the selected store.
    store_id : int | None
        Id of the selected store; new tasks get their algorithm from it.
    """

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self.role = StoreRoleSubClient(self)
        self.rule = StoreRuleSubClient(self)
        self.user = StoreUserSubClient(self)
        self.policy = PolicySubClient(self)
        self.review = ReviewSubClient(self)

    def _selected_url(self) -> str:
        """Address of the selected store.

        Raises
        ------
        StoreNotSetError
            If none is selected.
        """
        if not self.url:
            raise StoreNotSetError(
                "Algorithm store not set. Please set the algorithm store first with "
                "`client.store.set()`."
            )
        return self.url.rstrip("/")

    def set(self, id_: int) -> dict[str, Any]:
        """Select the algorithm store that later calls talk to.

        Parameters
        ----------
        id_ : int
            Id of the algorithm store.

        Returns
        -------
        dict
            The algorithm store, or a message from the server.
        """
        store = self._ask(f"algorithmstore/{id_}")
        url = store.get("url")
        if not url:
            self.parent.log.error("Algorithm store URL could not be set.")
            return store
        self.url = url
        self.store_id = id_
        return store

    @post_filtering(iterable=False)
    def get(self, id_: int) -> dict[str, Any]:
        """View one algorithm store.

        Parameters
        ----------
        id_ : int
            Id of the algorithm store.

        Returns
        -------
        dict
            The algorithm store, or a message from the server.
        """
        return self._ask(f"algorithmstore/{id_}")

    @post_filtering(iterable=False)
    def create(
        self,
        algorithm_store_url: str,
        name: str,
        collaboration: int | None = None,
        all_collaborations: bool = False,
        force: bool = False,
    ) -> dict[str, Any] | None:
        """Link an algorithm store to the server.

        Parameters
        ----------
        algorithm_store_url : str
            Address of the store, including its API path.
        name : str
            Name of the store.
        collaboration : int, optional
            Id of the collaboration that may use it. Default is the one from
            ``client.setup_collaboration()``.
        all_collaborations : bool, optional
            Let all collaborations use it. Default False.
        force : bool, optional
            Link it even if its address is one of this machine only. Default False.

        Returns
        -------
        dict
            The algorithm store, or a message from the server.
        """
        store: dict[str, Any] = {
            "algorithm_store_url": algorithm_store_url,
            "name": name,
            "force": force,
            "server_url": self.parent.base_path,
        }
        if not all_collaborations:
            collaboration = collaboration or self.parent.collaboration_id
            if not collaboration:
                self.parent.log.error(
                    "No collaboration given! Please give a collaboration, or set "
                    "all_collaborations=True"
                )
                return None
            store["collaboration_id"] = collaboration
        return self._ask("algorithmstore", method="post", json=store)

    @post_filtering(iterable=False)
    def update(
        self,
        id_: int | None = None,
        name: str | None = None,
        collaboration: int | None = None,
        all_collaborations: bool | None = None,
    ) -> dict[str, Any] | None:
        """Change the link to an algorithm store; what is not given stays.

        Parameters
        ----------
        id_ : int, optional
            Id of the algorithm store. Default is the selected one.
        name : str, optional
            New name.
        collaboration : int, optional
            Id of the one collaboration that may use it.
        all_collaborations : bool, optional
            Let all collaborations use it.

        Returns
        -------
        dict
            The algorithm store, or a message from the server.
        """
        id_ = self._given(id_)
        if id_ is None:
            return None
        data: dict[str, Any] = self._clean_update_data({"name": name})
        if all_collaborations:
            data["collaboration_id"] = None
        elif collaboration is not None:
            data["collaboration_id"] = collaboration
        return self._ask(f"algorithmstore/{id_}", method="patch", json=data)

    def delete(self, id_: int | None = None) -> None:
        """Remove the link to an algorithm store.

        Parameters
        ----------
        id_ : int, optional
            Id of the algorithm store. Default is the selected one.
        """
        id_ = self._given(id_)
        if id_ is not None:
            self._delete(f"algorithmstore/{id_}", params={"server_url": self.parent.base_path})

    def _given(self, id_: int | None) -> int | None:
        id_ = id_ or self.store_id
        if not id_:
            self.parent.log.error("No algorithm store id given or set.")
            return None
        return id_

    @post_filtering()
    def list(
        self,
        name: str | None = None,
        url: str | None = None,
        collaboration: int | None = None,
        page: int = 1,
        per_page: int = 10,
    ) -> list[dict[str, Any]]:
        """List algorithm stores.

        Parameters
        ----------
        name : str, optional
            Filter by name (with LIKE operator).
        url : str, optional
            Filter by address (with LIKE operator).
        collaboration : int, optional
            Filter by id of a collaboration that may use them. If client.setup_collaboration()
            was called, the previously setup collaboration is used.
        page : int, optional
            Page number. Default 1.
        per_page : int, optional
            Items per page. Default 10.

        Returns
        -------
        list[dict]
            ``{"data": [...], "links": {...}}``, a page of stores; a plain list as soon as a
            filter on the client's side is given.
        """
        params = {
            "name": name,
            "url": url,
            "collaboration_id": collaboration or self.parent.collaboration_id,
            "page": page,
            "per_page": per_page,
        }
        return self._page("algorithmstore", params)
