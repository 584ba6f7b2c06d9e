"""Organizations: the parties that own data, and their public keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.base import WHOLE_LIST_PAGE, Listing, UserSubClient


class OrganizationSubClient(Listing, UserSubClient):
    """Organizations: the parties that own data and employ users."""

    @post_filtering(iterable=False)
    def get(self, id_: int | None = None) -> dict[str, Any]:
        """View one organization.

        Parameters
        ----------
        id_ : int, optional
            Id of the organization. Default is your own organization.

        Returns
        -------
        dict
            The organization, or a message from the server.
        """
        return self._ask(f"organization/{id_ or self._own_organization}")

    @post_filtering(iterable=False)
    def create(
        self,
        name: str,
        address1: str,
        address2: str,
        zipcode: str,
        country: str,
        domain: str,
        public_key: str | None = None,
    ) -> dict[str, Any]:
        """Create an organization.

        Parameters
        ----------
        name : str
            Name of the organization; no other one may have it.
        address1 : str
            Street and number.
        address2 : str
            Second line of the address.
        zipcode : str
            Postal code.
        country : str
            Country.
        domain : str
            Internet domain, for example ``iknl.nl``.
        public_key : str, optional
            Public key: base64 of its PEM text. Needed in encrypted collaborations only.

        Returns
        -------
        dict
            The new organization, or a message from the server.
        """
        organization = {
            "name": name,
            "address1": address1,
            "address2": address2,
            "zipcode": zipcode,
            "country": country,
            "domain": domain,
        }
        if public_key:
            organization["public_key"] = public_key
        return self._ask("organization", method="post", json=organization)

    @post_filtering(iterable=False)
    def update(
        self,
        id_: int | None = None,
        name: str | None = None,
        address1: str | None = None,
        address2: str | None = None,
        zipcode: str | None = None,
        country: str | None = None,
        domain: str | None = None,
        public_key: str | None = None,
    ) -> dict[str, Any]:
        """Change an organization; what is not given stays.

        Parameters
        ----------
        id_ : int, optional
            Id of the organization. Default is your own organization.
        name : str, optional
            New name.
        address1 : str, optional
            Street and number.
        address2 : str, optional
            Second line of the address.
        zipcode : str, optional
            Postal code.
        country : str, optional
            Country.
        domain : str, optional
            Internet domain.
        public_key : str, optional
            Public key: base64 of its PEM text. Only members of the organization may change it.

        Returns
        -------
        dict
            The changed organization, or a message from the server.
        """
        data = {
            "name": name,
            "address1": address1,
            "address2": address2,
            "zipcode": zipcode,
            "country": country,
            "domain": domain,
            "public_key": public_key,
        }
        return self._ask(
            f"organization/{id_ or self._own_organization}",
            method="patch",
            json=self._clean_update_data(data),
        )

    def delete(self, id_: int, delete_dependents: bool = False) -> None:
        """Delete an organization.

        Parameters
        ----------
        id_ : int
            Id of the organization.
        delete_dependents : bool, optional
            Delete its users, nodes, tasks and roles too; otherwise the server refuses when there
            are any. Default False.
        """
        self._delete(f"organization/{id_}", params={"delete_dependents": delete_dependents})

    def _by_id(self, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Organizations by their ids, asked for a hundred at a time; unknown ones are missing."""
        known: dict[int, dict[str, Any]] = {}
        for start in range(0, len(ids), WHOLE_LIST_PAGE):
            some = ids[start : start + WHOLE_LIST_PAGE]
            page = self._whole_list("organization", {"ids": some, "per_page": WHOLE_LIST_PAGE})
            known.update({organization["id"]: organization for organization in page["data"]})
        return known

    @post_filtering()
    def list(
        self,
        name: str | None = None,
        country: str | None = None,
        collaboration: int | None = None,
        study: int | None = None,
        page: int | None = None,
        per_page: int | None = None,
    ) -> list[dict[str, Any]]:
        """List organizations

        Parameters
        ----------
        name : str, optional
            Filter by name (with LIKE operator)
        country : str, optional
            Filter by country
        collaboration : int, optional
            Filter by collaboration id. If client.setup_collaboration() was called,
            the previously setup collaboration is used. Default value is None
        study : int, optional
            Filter by study id
        page : int, optional
            Page number. Default is the server's, the first
        per_page : int, optional
            Items per page. Default is the server's, 10

        Returns
        -------
        list[dict]
            ``{"data": [...], "links": {...}}``, a page of organizations; a plain list as soon
            as a filter on the client's side is given.
        """
        params = {
            "page": page,
            "per_page": per_page,
            "name": name,
            "country": country,
            "collaboration_id": collaboration or self.parent.collaboration_id,
            "study_id": study,
        }
        return self._page("organization", params)
