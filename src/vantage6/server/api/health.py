"""Whether the server is there: ``/version``, ``/health``."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Request
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from vantage6.common import __version__
from vantage6.server.model.schema import newest_revision
from vantage6.server.services import Services
from vantage6.web.responses import JSON

router = APIRouter(tags=["health"])
log = logging.getLogger(__name__)


@router.get("/version")
async def version() -> JSON:
    """The version of the contract and of this server."""
    return JSON({"version": __version__})


@router.get("/health")
def health(request: Request) -> JSON:
    """Whether the database answers; always 200."""
    services: Services = request.app.state.services
    try:
        with services.database.read() as db:
            db.execute(select(1))
    except SQLAlchemyError as error:
        log.error("The database does not answer: %s", type(error).__name__)
        return JSON({"database": False})
    return JSON({"database": True})


@router.get("/health/live")
async def live() -> JSON:
    """Whether this process answers at all."""
    return JSON({"live": True})


@router.get("/health/ready")
def ready(request: Request) -> JSON:
    """Whether requests may be sent here: 200, or 503 while the database is away or at a stop.

    A bus that is down is told, but no reason to send nobody here: events only come later.
    """
    services: Services = request.app.state.services
    bus = services.events.bus
    state = {"database": False, "migrations": False, "bus": None if bus is None else bus.working}
    try:
        with services.database.read() as db:
            revision = db.scalar(text("SELECT version_num FROM alembic_version"))
        state |= {"database": True, "migrations": revision == newest_revision()}
    except SQLAlchemyError as error:
        log.error("The database does not answer: %s", type(error).__name__)
    stopping = services.events.closing
    is_ready = bool(state["database"] and state["migrations"] and not stopping)
    answer = {"ready": is_ready, "stopping": stopping, **state}
    if is_ready:
        return JSON(answer)
    return JSON({"msg": "Send requests elsewhere for now", **answer}, 503)
