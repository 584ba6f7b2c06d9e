"""What the groups of calls that go to an algorithm store have in common."""

from __future__ import annotations

from typing import Any

from vantage6.client.subclients.base import UserSubClient


class StoreSubClient(UserSubClient):
    """A group of calls to the selected algorithm store."""

    def _store(self, endpoint: str, **request: Any) -> Any:
        """Ask the store, telling it which server the user comes from."""
        return self.parent.request(
            endpoint,
            is_for_algorithm_store=True,
            headers=self.parent.util._get_server_url_header(),
            **request,
        )

    def _store_item(self, endpoint: str, **request: Any) -> dict[str, Any]:
        item: dict[str, Any] = self._store(endpoint, **request)
        return item

    def _store_page(self, endpoint: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        page: list[dict[str, Any]] = self._store(endpoint, params=params)
        return page

    def _store_delete(self, endpoint: str) -> None:
        self._tell(self._store(endpoint, method="delete"))
