"""Large inputs and results, apart from the JSON: ``/blobstream``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from vantage6.server.call import ByAnyone, Call
from vantage6.server.model import blobs
from vantage6.server.payloads import intake
from vantage6.web.errors import bad_request, not_found
from vantage6.web.responses import JSON
from vantage6.web.rules import Operation

router = APIRouter(tags=["blobstream"])

_OCTETS = "application/octet-stream"
_BYTES: dict[str, Any] = {_OCTETS: {"schema": {"type": "string", "format": "binary"}}}


@router.get("/blobstream/status")
async def status(call: ByAnyone) -> JSON:
    """Whether every input and result must be uploaded, and from which size on it should be."""
    config = call.services.config
    return JSON(
        {
            "blob_store_enabled": config.large_result_store is not None,
            "inline_limit": config.inline_payload_limit,
        }
    )


@router.post("/blobstream", status_code=201, openapi_extra={"requestBody": {"content": _BYTES}})
async def upload(call: ByAnyone, request: Request) -> JSON:
    """Upload an input or result; it waits a day for the task or run that names it."""
    name = await anyio.to_thread.run_sync(intake.announce, call)
    try:
        await intake.store(call.services, name, _chunks(request))
    except ClientDisconnect:
        raise bad_request("The upload broke off") from None
    return JSON({"uuid": name}, 201)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        yield chunk


@router.get(
    "/blobstream/{uuid}",
    response_class=StreamingResponse,
    responses={200: {"content": _BYTES}},
)
async def download(call: ByAnyone, uuid: str) -> StreamingResponse:
    """Download the input or result of a run, as it was uploaded."""
    size = await anyio.to_thread.run_sync(_find, call, uuid)
    pieces = await intake.fetch(call.services, uuid)
    headers = {
        "Content-Disposition": f"attachment; filename=result_{uuid}.bin",
        # By this a reader notices when the answer breaks off.
        "Content-Length": str(size),
    }
    return StreamingResponse(pieces, media_type=_OCTETS, headers=headers)


def _find(call: Call, name: str) -> int:
    with call.read() as work:
        found = blobs.find(work.db, name) if blobs.is_blob(name) else None
        if found is None:
            raise not_found(f"No run has an input or result '{name}'")
        # Whoever may see a small result of a task may also see a large one.
        work.caller.must(
            "run",
            Operation.VIEW,
            organization=found.init_org_id,
            collaboration=found.collaboration_id,
            owner=found.init_user_id,
        )
        size: int = found.size
        return size
