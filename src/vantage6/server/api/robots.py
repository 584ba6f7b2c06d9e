"""What search engines may read: ``/robots.txt``, outside of the API."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import PlainTextResponse

router = APIRouter(include_in_schema=False)


@router.get("/robots.txt")
async def robots() -> PlainTextResponse:
    """Nothing."""
    return PlainTextResponse("User-agent: *\nDisallow: /\n")
