"""Changing the own password: ``/password``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import AfterValidator, Field
from starlette.concurrency import run_in_threadpool

from vantage6.server.auth.login import by_username, check_password
from vantage6.server.auth.passwords import check_policy, hash_password
from vantage6.server.auth.session import replace_password
from vantage6.server.call import ByUser, Call
from vantage6.web.errors import bad_request
from vantage6.web.parameters import Body
from vantage6.web.responses import JSON

router = APIRouter(tags=["password"])


class PasswordChange(Body):
    """The old and the new password."""

    current_password: Annotated[str, Field(max_length=128)] = Field(repr=False)
    new_password: Annotated[str, AfterValidator(check_policy)] = Field(repr=False)


@router.patch("/password/change")
async def change_password(call: ByUser, request: Request, body: PasswordChange) -> JSON:
    """Change the own password. A wrong current one counts as a failed login.

    The user's other logins end.
    """
    services = call.services
    username = await run_in_threadpool(_username, call)
    login = await check_password(
        services,
        services.limits.password(request, username),
        by_username(username),
        body.current_password,
    )
    if body.new_password == body.current_password:
        raise bad_request("The new password must differ from the current one")
    hashed = await services.hashing.run(hash_password, body.new_password)
    await run_in_threadpool(_store, call, login.user_id, hashed)
    return JSON({"msg": "The password has been changed successfully!"})


def _username(call: Call) -> str:
    with call.read() as work:
        return work.caller.name


def _store(call: Call, user_id: int, hashed: str) -> None:
    with call.write() as work:
        replace_password(work.db, user_id, hashed, spare=call.token.login)
