"""The Python client of vantage6: what a researcher imports."""

from __future__ import annotations

from vantage6.client.async_client import AsyncClient
from vantage6.client.user_client import UserClient
from vantage6.common import __version__

Client = UserClient

__all__ = ["AsyncClient", "Client", "UserClient", "__version__"]
