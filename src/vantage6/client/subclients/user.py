"""Users: the people who may log in."""

from __future__ import annotations

from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.base import Listing, UserSubClient


class UserAccountSubClient(Listing, UserSubClient):
    """Users: the people of an organization, their roles and rules."""

    @post_filtering(iterable=False)
    def get(self, id_: int | None = None) -> dict[str, Any]:
        """View one user.

        Parameters
        ----------
        id_ : int, optional
            Id of the user. Default is yourself.

        Returns
        -------
        dict
            The user, or a message from the server.
        """
        return self._ask(f"user/{id_ or self._own_id}")

    @post_filtering(iterable=False)
    def create(
        self,
        username: str,
        firstname: str,
        lastname: str,
        password: str,
        email: str,
        organization: int | None = None,
        roles: list[int] | None = None,
        rules: list[int] | None = None,
    ) -> dict[str, Any]:
        """Create a user.

        Parameters
        ----------
        username : str
            Name for login: a letter, then letters, digits, ``.``, ``_`` or ``-``.
        firstname : str
            First name.
        lastname : str
            Last name.
        password : str
            Password: at least 8 characters, with a digit, an upper case letter, a lower case
            letter and another character.
        email : str
            E-mail address; no other user may have it.
        organization : int, optional
            Id of the user's organization. Default is your own organization.
        roles : list[int], optional
            Ids of roles. You can give away only what you may do yourself.
        rules : list[int], optional
            Ids of rules, beside those of the roles.

        Returns
        -------
        dict
            The new user, or a message from the server.
        """
        user: dict[str, Any] = {
            "username": username,
            "firstname": firstname,
            "lastname": lastname,
            "password": password,
            "email": email,
            "roles": roles or [],
            "rules": rules or [],
        }
        if organization is not None:  # a 4.15 server refuses null
            user["organization_id"] = organization
        return self._ask("user", method="post", json=user)

    @post_filtering(iterable=False)
    def update(
        self,
        id_: int | None = None,
        firstname: str | None = None,
        lastname: str | None = None,
        organization: int | None = None,
        rules: list[int] | None = None,
        roles: list[int] | None = None,
        email: str | None = None,
    ) -> dict[str, Any]:
        """Change a user; what is not given stays.

        To change your password, see ``client.util.change_my_password``.

        Parameters
        ----------
        id_ : int, optional
            Id of the user. Default is yourself.
        firstname : str, optional
            First name.
        lastname : str, optional
            Last name.
        organization : int, optional
            Id of the organization; servers leave a user where they are.
        rules : list[int], optional
            Ids of all rules from now on, beside those of the roles.
        roles : list[int], optional
            Ids of all roles from now on.
        email : str, optional
            E-mail address.

        Returns
        -------
        dict
            The changed user, or a message from the server.
        """
        data = {
            "firstname": firstname,
            "lastname": lastname,
            "organization_id": organization,
            "rules": rules,
            "roles": roles,
            "email": email,
        }
        return self._ask(
            f"user/{id_ or self._own_id}", method="patch", json=self._clean_update_data(data)
        )

    def delete(self, id_: int) -> None:
        """Delete a user.

        Parameters
        ----------
        id_ : int
            Id of the user.
        """
        self._delete(f"user/{id_}")

    @post_filtering()
    def list(
        self,
        username: str | None = None,
        organization: int | None = None,
        firstname: str | None = None,
        lastname: str | None = None,
        email: str | None = None,
        role: int | None = None,
        rule: int | None = None,
        last_seen_from: str | None = None,
        last_seen_till: str | None = None,
        page: int = 1,
        per_page: int = 20,
    ) -> list[dict[str, Any]]:
        """List users.

        Parameters
        ----------
        username : str, optional
            Filter by user name (with LIKE operator).
        organization : int, optional
            Filter by organization id.
        firstname : str, optional
            Filter by first name (with LIKE operator).
        lastname : str, optional
            Filter by last name (with LIKE operator).
        email : str, optional
            Filter by e-mail address (with LIKE operator).
        role : int, optional
            Filter by id of a role they have.
        rule : int, optional
            Filter by id of a rule they have beside their roles.
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
            ``{"data": [...], "links": {...}}``, a page of users; a plain list as soon as a
            filter on the client's side is given.
        """
        params = {
            "page": page,
            "per_page": per_page,
            "username": username,
            "organization_id": organization,
            "firstname": firstname,
            "lastname": lastname,
            "email": email,
            "role_id": role,
            "rule_id": rule,
            "last_seen_from": last_seen_from,
            "last_seen_till": last_seen_till,
        }
        return self._page("user", params)
