"""Logging in: ``/token``."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BeforeValidator, Field
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from vantage6.common.task_status import has_task_finished
from vantage6.server.auth.containers import container_token
from vantage6.server.auth.limits import Attempt
from vantage6.server.auth.login import Login, by_username, check_password
from vantage6.server.auth.passwords import hash_api_key
from vantage6.server.auth.second_factor import enrol_first, use_code
from vantage6.server.auth.session import open_for_node, open_for_user, renew
from vantage6.server.call import ByNode, ByRefreshToken, ByUser
from vantage6.server.model.tables import Node, Task, User
from vantage6.server.services import Services
from vantage6.web.errors import bad_request, unauthorized
from vantage6.web.parameters import Body, Id
from vantage6.web.responses import JSON

router = APIRouter(tags=["token"])


def _as_text(value: Any) -> Any:
    """A code sent as a number has lost its leading zeros."""
    return f"{value:06d}" if isinstance(value, int) and not isinstance(value, bool) else value


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError("Not a valid UUID.") from None


class Credentials(Body):
    """A user's login."""

    username: Annotated[str, Field(min_length=1, max_length=128)]
    password: Annotated[str, Field(min_length=1, max_length=128)] = Field(repr=False)
    mfa_code: Annotated[str, BeforeValidator(_as_text), Field(max_length=10)] = ""


class ApiKey(Body):
    """A node's login."""

    api_key: Annotated[str, AfterValidator(_uuid)]


class ContainerRequest(Body):
    """For which task a node needs a token."""

    task_id: Id
    image: str


@router.post("/token/user")
async def login_user(request: Request, body: Credentials) -> JSON:
    """Log in as a user."""
    services: Services = request.app.state.services
    login = await check_password(
        services,
        services.limits.password(request, body.username),
        by_username(body.username),
        body.password,
    )
    if services.config.two_factor_auth:
        attempt = services.limits.code(request, login.user_id)
        answer = await run_in_threadpool(_second_factor, services, attempt, login, body.mfa_code)
        if answer is not None:
            return answer
    return await run_in_threadpool(open_for_user, services, login)


def _second_factor(services: Services, attempt: Attempt, login: Login, code: str) -> JSON | None:
    """What to answer instead of tokens, if anything."""
    if not login.otp_secret:
        enrolled = enrol_first(services, login.user_id)
        if enrolled is not None:
            return JSON(enrolled)
    if not code or not login.otp_secret:
        return JSON({"msg": "Please include your two-factor authentication code"})
    attempt.check()
    if not use_code(services, login.user_id, login.otp_secret, code):
        attempt.failed()
        raise unauthorized(
            "Your two-factor authentication code is incorrect, or was used before: each counts once"
        )
    return None


@router.post("/token/node")
async def login_node(request: Request, body: ApiKey) -> JSON:
    """Log in as a node."""
    services: Services = request.app.state.services
    attempt = services.limits.secret(request)
    attempt.check()
    id_, imported = await run_in_threadpool(_node_of, services, body.api_key)
    if id_ is None and imported:
        id_ = await services.imported_keys.find(services.database, body.api_key, imported)
    if id_ is None:
        attempt.failed()
        raise unauthorized("Api key is not recognized!")
    return open_for_node(services, id_)


def _node_of(services: Services, api_key: str) -> tuple[int | None, dict[str, int]]:
    """The node that a key belongs to; if none does, those that it may belong to."""
    with services.database.read() as db:
        id_ = db.scalar(select(Node.id).where(Node.api_key_hash == hash_api_key(api_key)))
    if id_ is not None:
        return id_, {}
    return None, services.imported_keys.candidates(services.database, api_key)


@router.post("/token/container")
def login_container(call: ByNode, body: ContainerRequest) -> JSON:
    """A token for an algorithm that the node is about to run."""
    with call.read() as work:
        task = work.db.get(Task, body.task_id)
        if task is None:
            raise bad_request("Task does not exist!")
        if task.image != body.image:
            raise unauthorized("Image and task do not match")
        if task.collaboration_id != work.caller.collaboration_id:
            raise unauthorized("You are not within the collaboration")
        if has_task_finished(task.status):
            raise bad_request("Task is already finished!")
        return JSON({"container_token": container_token(call.services.tokens, work.caller, task)})


@router.post("/token/refresh")
def refresh(call: ByRefreshToken) -> JSON:
    """New tokens for a refresh token."""
    with call.read() as work:
        return renew(call.services, work.caller, call.token.login)


@router.post("/token/user/validate")
def validate_user(call: ByUser) -> JSON:
    """Whose token this is; algorithm stores ask."""
    with call.read() as work:
        row = work.db.execute(
            select(User.username, User.email, User.organization_id).where(User.id == work.caller.id)
        ).one()
    return JSON(
        {
            "msg": "Token is valid",
            "user_id": work.caller.id,
            "username": row.username,
            "email": row.email,
            "organization_id": row.organization_id,
        }
    )


@router.post("/token/node/validate")
def validate_node(call: ByNode) -> JSON:
    """Whose token this is; algorithm stores ask."""
    with call.read() as work:
        caller = work.caller
    return JSON(
        {
            "msg": "Token is valid",
            "node_id": caller.id,
            "name": caller.name,
            "organization_id": caller.organization_id,
        }
    )
