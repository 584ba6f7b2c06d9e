"""How a payload gets into the store: noted first, then written, then ready for its use."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Collection
from typing import TypeVar

import anyio
import anyio.to_thread
from sqlalchemy.orm import Session

from vantage6.common.task_status import has_task_finished
from vantage6.common.transforms import blob_form
from vantage6.server.auth.tokens import Kind
from vantage6.server.call import Call, Work
from vantage6.server.model import blobs
from vantage6.server.model.tables import Task
from vantage6.server.payloads.cutting import LongText
from vantage6.server.payloads.store import PIECE, NoSuchPayload, StoreError, StoreFull
from vantage6.server.services import Services
from vantage6.web.errors import Refusal, bad_request, lacks_permission, not_found, unauthorized
from vantage6.web.rules import Operation, Scope

log = logging.getLogger(__name__)
T = TypeVar("T")


async def store(services: Services, name: str, pieces: AsyncIterator[bytes]) -> None:
    """Write an upload that is announced. When it fails nothing of it stays.

    Raises
    ------
    Refusal
        503 or 507 if the store does not take it.
    """
    size = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal size
        async for piece in _in_large_pieces(pieces):
            size += len(piece)
            yield piece

    try:
        await services.payloads.put(name, counted())
        if not await _write(services, lambda db: blobs.complete(db, name, size)):
            raise Refusal(408, "The upload took longer than a day. Please send it again")
    except BaseException as error:
        # Also when the sender is gone, and this task with it.
        with anyio.CancelScope(shield=True):
            await _write(services, lambda db: blobs.give_up(db, [name]))
            services.discarded()
        if isinstance(error, StoreError):
            raise _unavailable(error, "stored") from error
        raise


async def fetch(services: Services, name: str) -> AsyncIterator[bytes]:
    """Hand out a payload.

    Raises
    ------
    Refusal
        404 if the store has lost it, 503 if it does not answer.
    """
    try:
        return await services.payloads.open(name)
    except StoreError as error:
        raise _unavailable(error, "fetched") from error


def announce(call: Call) -> str:
    """Note an upload that is about to begin; gives its name.

    Raises
    ------
    Refusal
        If the caller may not upload.
    """
    with call.write() as work:
        _check_uploader(work)
        return blobs.announce(work.db, blobs.owner(work.caller))


def _check_uploader(work: Work) -> None:
    caller = work.caller
    if caller.kind is Kind.USER:
        if not caller.rights.at_least("task", Operation.CREATE, Scope.COLLABORATION):
            raise lacks_permission()
    elif caller.kind is Kind.CONTAINER:
        task = work.db.get(Task, caller.container["task_id"])
        if task is None:
            raise unauthorized("The task of this token no longer exists")
        if has_task_finished(task.status):
            raise Refusal(403, f"The task has already finished with '{task.status}'")


async def keep_apart(call: Call, text: str | LongText) -> str:
    """Put a text that came inline, though it is large, into the store; gives its name.

    Lists of runs would otherwise have to carry it.

    Raises
    ------
    Refusal
        If the caller may not upload, or 503 or 507 if the store does not take it.
    """

    async def pieces() -> AsyncIterator[bytes]:
        for piece in blob_form(text if isinstance(text, str) else text.pieces):
            yield piece

    name = await anyio.to_thread.run_sync(announce, call)
    await store(call.services, name, pieces())
    return name


def claim(work: Work, names: Collection[str]) -> None:
    """Take uploads of the caller into use.

    Raises
    ------
    Refusal
        400 if one is not there, or not the caller's, or in use already.
    """
    try:
        blobs.claim(work.db, blobs.owner(work.caller), names)
    except blobs.NotYours as error:
        raise bad_request(str(error)) from None


def _unavailable(error: StoreError, what: str) -> Refusal:
    log.error("A payload could not be %s: %s", what, error)
    if isinstance(error, NoSuchPayload):
        return not_found("The payload is no longer in the server's store")
    if isinstance(error, StoreFull):
        return Refusal(507, "The server has no room left for payloads. Tell its administrator")
    return Refusal(503, f"The payload cannot be {what} at the moment. Please try again")


async def _in_large_pieces(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Small pieces put together: each is written by a thread."""
    held = bytearray()
    async for piece in pieces:
        held += piece
        if len(held) >= PIECE:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


async def _write(services: Services, action: Callable[[Session], T]) -> T:
    def work() -> T:
        with services.database.write() as db:
            return action(db)

    return await anyio.to_thread.run_sync(work)
