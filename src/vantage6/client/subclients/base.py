"""What the groups of calls of the user client have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from vantage6.client.filter import filter_page
from vantage6.common.client.client_base import ClientBase
from vantage6.common.client.refusal import require

if TYPE_CHECKING:
    from vantage6.client.user_client import UserClient

#: Page size for lists that are fetched whole.
WHOLE_LIST_PAGE = 100


class UserSubClient(ClientBase.SubClient):
    """A group of calls of the user client.

    Attributes
    ----------
    parent : UserClient
        The client these calls belong to.
    """

    parent: UserClient

    @property
    def _own_organization(self) -> int:
        return self.parent._identity().organization_id

    @property
    def _own_id(self) -> int:
        return self.parent._identity().id_

    def _collaboration(self, given: int | None) -> int:
        """The given collaboration, or the one from ``setup_collaboration``."""
        collaboration = given or self.parent.collaboration_id
        if not collaboration:
            raise ValueError(
                "No collaboration id provided: give one, or call client.setup_collaboration() first"
            )
        return collaboration

    def _ask(self, endpoint: str, **request: Any) -> dict[str, Any]:
        """One item, or the server's refusal."""
        answer: dict[str, Any] = self.parent.request(endpoint, **request)
        return answer

    def _page(self, endpoint: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        """One page of a list: the envelope, declared as what filters make of it."""
        page: list[dict[str, Any]] = self.parent.request(endpoint, params=params)
        return page

    def _delete(self, endpoint: str, **request: Any) -> None:
        """Delete something and log what the server says."""
        answer = self.parent.request(endpoint, method="delete", **request)
        self._tell(answer)

    def _tell(self, answer: Any) -> None:
        self.parent.log.info("--> %s", answer.get("msg"))

    def _whole_list(self, endpoint: str, params: dict[str, Any]) -> dict[str, Any]:
        """All pages of a list as one.

        A list that fits the server's own page costs one plain request; a longer one is fetched
        in larger pages.

        Raises
        ------
        RefusedError
            With what the server said.
        """
        answer: dict[str, Any] = require(self.parent.request(endpoint, params=params))
        if "next" not in answer.get("links", {}):
            return answer
        items: list[Any] = []
        page, more = 1, True
        while more:
            part = require(
                self.parent.request(
                    endpoint, params={**params, "page": page, "per_page": WHOLE_LIST_PAGE}
                )
            )
            items.extend(part["data"])
            more = "next" in part["links"]
            page += 1
        links = {key: link for key, link in answer["links"].items() if key in ("first", "self")}
        return {"data": items, "links": links}


class Listing:
    """A group of calls with a ``list``: its pages can be gone through as one."""

    list: Callable[..., Any]

    def iterate(self, **selection: Any) -> Iterator[dict[str, Any]]:
        """Go through the items of all pages, one by one.

        A page is fetched when its first item is wanted. ``list(...)`` around the call fetches
        them all. What is made meanwhile may be missing, but no item comes twice.

        Parameters
        ----------
        **selection : optional
            Any keyword of ``list``, with the same meaning, ``field``, ``fields``, ``filter_``
            and ``filters`` too. ``page`` is the page to begin with; ``per_page``, by default
            100, is how many items each request fetches.

        Yields
        ------
        dict
            An item.

        Raises
        ------
        RefusedError
            If the server does not show them; with what it said.
        """
        cut = {
            key: selection.pop(key)
            for key in ("field", "fields", "filter_", "filters")
            if key in selection
        }
        page = selection.pop("page", None) or 1
        per_page = selection.pop("per_page", None) or WHOLE_LIST_PAGE
        seen: set[Any] = set()
        more = True
        while more:
            envelope = require(self.list(page=page, per_page=per_page, **selection))
            # Something that was added meanwhile pushes items on to the next page.
            new = [item for item in envelope["data"] if item.get("id") not in seen]
            seen.update(item["id"] for item in new if "id" in item)
            yield from filter_page(new, **cut)
            more = "next" in envelope.get("links", {})
            page += 1
