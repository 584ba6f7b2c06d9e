"""Studies: parts of a collaboration."""

from __future__ import annotations

from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.base import Listing, UserSubClient


class StudySubClient(Listing, UserSubClient):
    """Studies: some of a collaboration's organizations, for one question."""

    @post_filtering(iterable=False)
    def get(self, id_: int) -> dict[str, Any]:
        """View one study.

        Parameters
        ----------
        id_ : int
            Id of the study.

        Returns
        -------
        dict
            The study, or a message from the server.
        """
        return self._ask(f"study/{id_}")

    @post_filtering(iterable=False)
    def create(
        self, name: str, organizations: list[int], collaboration: int | None = None
    ) -> dict[str, Any]:
        """Create a study.

        Parameters
        ----------
        name : str
            Name of the study; no other one may have it.
        organizations : list[int]
            Ids of the organizations that take part; they have to belong to the collaboration.
        collaboration : int, optional
            Id of the collaboration. Default is the one from ``client.setup_collaboration()``.

        Returns
        -------
        dict
            The new study, or a message from the server.

        Raises
        ------
        ValueError
            If no collaboration is given nor set up.
        """
        study = {
            "name": name,
            "organization_ids": organizations,
            "collaboration_id": self._collaboration(collaboration),
        }
        return self._ask("study", method="post", json=study)

    @post_filtering(iterable=False)
    def update(
        self, id_: int, name: str | None = None, organizations: list[int] | None = None
    ) -> dict[str, Any]:
        """Change a study; what is not given stays.

        Parameters
        ----------
        id_ : int
            Id of the study.
        name : str, optional
            New name.
        organizations : list[int], optional
            Ids of all organizations that take part from now on.

        Returns
        -------
        dict
            The changed study, or a message from the server.
        """
        data = {"name": name, "organization_ids": organizations}
        return self._ask(f"study/{id_}", method="patch", json=self._clean_update_data(data))

    def delete(self, id_: int | None = None) -> None:
        """Delete a study.

        Parameters
        ----------
        id_ : int
            Id of the study.

        Raises
        ------
        ValueError
            If no study is given.
        """
        self._delete(f"study/{_given(id_)}")

    def add_organization(self, organization: int, study: int | None = None) -> list[dict[str, Any]]:
        """Let an organization of the collaboration take part in a study.

        Parameters
        ----------
        organization : int
            Id of the organization.
        study : int
            Id of the study.

        Returns
        -------
        list[dict]
            All organizations that take part now, or a message from the server.

        Raises
        ------
        ValueError
            If no study is given.
        """
        return self._member("post", organization, study)

    def remove_organization(
        self, organization: int, study: int | None = None
    ) -> list[dict[str, Any]]:
        """Take an organization out of a study.

        Parameters
        ----------
        organization : int
            Id of the organization.
        study : int
            Id of the study.

        Returns
        -------
        list[dict]
            The organizations that still take part, or a message from the server.

        Raises
        ------
        ValueError
            If no study is given.
        """
        return self._member("delete", organization, study)

    def _member(self, method: str, organization: int, study: int | None) -> list[dict[str, Any]]:
        members: list[dict[str, Any]] = self.parent.request(
            f"study/{_given(study)}/organization", method=method, json={"id": organization}
        )
        return members

    @post_filtering()
    def list(
        self,
        name: str | None = None,
        organization: int | None = None,
        collaboration: int | None = None,
        include_organizations: bool = False,
        page: int = 1,
        per_page: int = 20,
    ) -> list[dict[str, Any]]:
        """List studies.

        Parameters
        ----------
        name : str, optional
            Filter by name (with LIKE operator).
        organization : int, optional
            Filter by id of an organization that takes part.
        collaboration : int, optional
            Filter by collaboration id.
        include_organizations : bool, optional
            Include the organizations themselves instead of a link to them. Default False.
        page : int, optional
            Page number. Default 1.
        per_page : int, optional
            Items per page. Default 20.

        Returns
        -------
        list[dict]
            ``{"data": [...], "links": {...}}``, a page of studies; a plain list as soon as a
            filter on the client's side is given.
        """
        params = {
            "page": page,
            "per_page": per_page,
            "name": name,
            "organization_id": organization,
            "collaboration_id": collaboration,
            "include": "organizations" if include_organizations else None,
        }
        return self._page("study", params)


def _given(study: int | None) -> int:
    if study is None:
        raise ValueError("No study id provided: say which study is meant")
    return study
