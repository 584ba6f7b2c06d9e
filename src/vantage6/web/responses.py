"""JSON answers, made once and quickly."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.responses import Response


class JSON(Response):
    """A JSON answer."""

    media_type = "application/json"

    def __init__(
        self, content: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(content, status_code=status, headers=headers)

    def render(self, content: Any) -> bytes:
        """Serialize; what JSON cannot express is a fault of ours and raises TypeError."""
        return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)


def utc_now() -> datetime:
    """The current time as the database stores it: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def timestamp(moment: datetime | None) -> str | None:
    """A time on the wire: ISO 8601, UTC, naive."""
    return None if moment is None else moment.isoformat()
