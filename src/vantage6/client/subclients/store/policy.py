"""Policies of the selected algorithm store."""

from __future__ import annotations

from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.store.base import StoreSubClient


class PolicySubClient(StoreSubClient):
    """Policies of the selected algorithm store: who may see and review what."""

    @post_filtering(iterable=False)
    def get(self, public: bool = False) -> dict[str, Any]:
        """View the policies.

        Parameters
        ----------
        public : bool, optional
            Only those that anybody may see. Default False.

        Returns
        -------
        dict
            The policies, or a message from the store.
        """
        return self._store_item("policy/public" if public else "policy")
