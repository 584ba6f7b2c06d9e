"""Algorithms in the selected algorithm store."""

from __future__ import annotations

from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.base import Listing
from vantage6.client.subclients.store.base import StoreSubClient


class AlgorithmSubClient(Listing, StoreSubClient):
    """Algorithms in the store selected with ``client.store.set``."""

    @post_filtering(iterable=False)
    def get(self, id_: int) -> dict[str, Any]:
        """View one algorithm.

        Parameters
        ----------
        id_ : int
            Id of the algorithm.

        Returns
        -------
        dict
            The algorithm, or a message from the store.
        """
        return self._store_item(f"algorithm/{id_}")

    @post_filtering(iterable=False)
    def create(
        self,
        name: str,
        description: str,
        image: str,
        partitioning: str,
        vantage6_version: str,
        code_url: str,
        functions: list[dict[str, Any]],
        documentation_url: str | None = None,
    ) -> dict[str, Any]:
        """Offer an algorithm to the store, for review.

        Parameters
        ----------
        name : str
            Name of the algorithm.
        description : str
            What it computes.
        image : str
            Docker image.
        partitioning : str
            ``horizontal`` or ``vertical``.
        vantage6_version : str
            Version of vantage6 it was made for.
        code_url : str
            Where its source code is.
        functions : list[dict]
            Its functions. Each has ``name``, ``type`` (``central`` or ``federated``),
            ``standalone`` (bool), ``databases`` (each with ``name``, optionally
            ``description``), ``arguments`` (each with ``name`` and ``type``, optionally
            ``display_name``, ``description``, ``allowed_values``, ``has_default_value``,
            ``default_value``, ``conditional_on``, ``conditional_operator``,
            ``conditional_value``, ``is_frontend_only``) and ``ui_visualizations`` (each with
            ``name`` and ``type``, optionally ``description`` and ``schema``); optionally
            ``display_name`` and ``description``.
        documentation_url : str, optional
            Where its documentation is.

        Returns
        -------
        dict
            The new algorithm, or a message from the store.
        """
        algorithm = {
            "name": name,
            "image": image,
            "partitioning": partitioning,
            "vantage6_version": vantage6_version,
            "functions": functions,
            "description": description,
            "code_url": code_url,
        }
        if documentation_url:
            algorithm["documentation_url"] = documentation_url
        return self._store_item("algorithm", method="post", json=algorithm)

    @post_filtering(iterable=False)
    def update(
        self,
        id_: int,
        name: str | None = None,
        description: str | None = None,
        image: str | None = None,
        partitioning: str | None = None,
        vantage6_version: str | None = None,
        code_url: str | None = None,
        documentation_url: str | None = None,
        functions: list[dict[str, Any]] | None = None,
        refresh_digest: bool | None = None,
    ) -> dict[str, Any]:
        """Change an algorithm that is not yet approved; what is not given stays.

        Parameters
        ----------
        id_ : int
            Id of the algorithm.
        name, description, image, partitioning, vantage6_version, code_url : str, optional
            As in ``create``.
        documentation_url : str, optional
            Where its documentation is.
        functions : list[dict], optional
            All its functions from now on, as in ``create``.
        refresh_digest : bool, optional
            Look up the image's digest again.

        Returns
        -------
        dict
            The changed algorithm, or a message from the store.
        """
        data = {
            "name": name,
            "description": description,
            "image": image,
            "partitioning": partitioning,
            "vantage6_version": vantage6_version,
            "code_url": code_url,
            "documentation_url": documentation_url,
            "functions": functions,
            "refresh_digest": refresh_digest,
        }
        return self._store_item(
            f"algorithm/{id_}", method="patch", json=self._clean_update_data(data)
        )

    @post_filtering(iterable=False)
    def invalidate(self, id_: int) -> dict[str, Any]:
        """Withdraw an algorithm: it stays visible but can't be used any more.

        Parameters
        ----------
        id_ : int
            Id of the algorithm.

        Returns
        -------
        dict
            The algorithm, or a message from the store.
        """
        return self._store_item(f"algorithm/{id_}/invalidate", method="post")

    def delete(self, id_: int) -> None:
        """Delete an algorithm.

        Parameters
        ----------
        id_ : int
            Id of the algorithm.
        """
        self._store_delete(f"algorithm/{id_}")

    @post_filtering()
    def list(
        self,
        name: str | None = None,
        description: str | None = None,
        image: str | None = None,
        partitioning: str | None = None,
        v6_version: str | None = None,
        awaiting_reviewer_assignment: bool | None = None,
        under_review: bool | None = None,
        in_review_process: bool | None = None,
        invalidated: bool | None = None,
        page: int = 1,
        per_page: int = 10,
    ) -> list[dict[str, Any]]:
        """List algorithms.

        Parameters
        ----------
        name : str, optional
            Filter by name (with LIKE operator).
        description : str, optional
            Filter by description (with LIKE operator).
        image : str, optional
            Filter by image.
        partitioning : str, optional
            Filter by partitioning.
        v6_version : str, optional
            Filter by version of vantage6.
        awaiting_reviewer_assignment : bool, optional
            Only those nobody reviews yet.
        under_review : bool, optional
            Only those under review.
        in_review_process : bool, optional
            Only those in either of these states.
        invalidated : bool, optional
            Only those that were withdrawn.
        page : int, optional
            Page number. Default 1.
        per_page : int, optional
            Items per page. Default 10.

        Returns
        -------
        list[dict]
            ``{"data": [...], "links": {...}}``, a page of algorithms; a plain list as soon as a
            filter on the client's side is given.
        """
        params = {
            "name": name,
            "description": description,
            "image": image,
            "partitioning": partitioning,
            "v6_version": v6_version,
            "page": page,
            "per_page": per_page,
            "awaiting_reviewer_assignment": awaiting_reviewer_assignment,
            "under_review": under_review,
            "in_review_process": in_review_process,
            "invalidated": invalidated,
        }
        return self._store_page("algorithm", params)
