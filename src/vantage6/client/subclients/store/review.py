"""Reviews of algorithms in the selected algorithm store."""

from __future__ import annotations

from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.base import Listing
from vantage6.client.subclients.store.base import StoreSubClient


class ReviewSubClient(Listing, StoreSubClient):
    """Reviews: who is to approve or refuse an algorithm of the selected store."""

    @post_filtering(iterable=False)
    def get(self, id_: int) -> dict[str, Any]:
        """View one review.

        Parameters
        ----------
        id_ : int
            Id of the review.

        Returns
        -------
        dict
            The review, or a message from the store.
        """
        return self._store_item(f"review/{id_}")

    @post_filtering(iterable=False)
    def create(self, algorithm: int, reviewer: int) -> dict[str, Any]:
        """Ask somebody to review an algorithm.

        Parameters
        ----------
        algorithm : int
            Id of the algorithm.
        reviewer : int
            Id of the store's user who is to review it.

        Returns
        -------
        dict
            The new review, or a message from the store.
        """
        review = {"algorithm_id": algorithm, "reviewer_id": reviewer}
        return self._store_item("review", method="post", json=review)

    def delete(self, id_: int) -> None:
        """Delete a review.

        Parameters
        ----------
        id_ : int
            Id of the review.
        """
        self._store_delete(f"review/{id_}")

    def approve(self, id_: int, comment: str | None = None) -> dict[str, Any]:
        """Approve an algorithm.

        Parameters
        ----------
        id_ : int
            Id of the review.
        comment : str, optional
            A word on it.

        Returns
        -------
        dict
            The review, or a message from the store.
        """
        return self._verdict("approve", id_, comment)

    def reject(self, id_: int, comment: str | None = None) -> dict[str, Any]:
        """Refuse an algorithm.

        Parameters
        ----------
        id_ : int
            Id of the review.
        comment : str, optional
            A word on it.

        Returns
        -------
        dict
            The review, or a message from the store.
        """
        return self._verdict("reject", id_, comment)

    def _verdict(self, verdict: str, id_: int, comment: str | None) -> dict[str, Any]:
        words = {"comment": comment} if comment else {}
        return self._store_item(f"review/{id_}/{verdict}", method="post", json=words)

    @post_filtering()
    def list(
        self,
        algorithm: int | None = None,
        reviewer: int | None = None,
        under_review: bool | None = None,
        reviewed: bool | None = None,
        approved: bool | None = None,
        rejected: bool | None = None,
        page: int = 1,
        per_page: int = 10,
    ) -> list[dict[str, Any]]:
        """List reviews.

        Parameters
        ----------
        algorithm : int, optional
            Filter by algorithm id.
        reviewer : int, optional
            Filter by id of the reviewing user.
        under_review : bool, optional
            Only those not finished yet.
        reviewed : bool, optional
            Only those finished.
        approved : bool, optional
            Only those that approved.
        rejected : bool, optional
            Only those that refused.
        page : int, optional
            Page number. Default 1.
        per_page : int, optional
            Items per page. Default 10.

        Returns
        -------
        list[dict]
            ``{"data": [...], "links": {...}}``, a page of reviews; a plain list as soon as a
            filter on the client's side is given.
        """
        params = {
            "algorithm_id": algorithm,
            "reviewer_id": reviewer,
            "page": page,
            "per_page": per_page,
            "under_review": under_review,
            "reviewed": reviewed,
            "approved": approved,
            "rejected": rejected,
        }
        return self._store_page("review", params)
