"""Which route answers what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel

from vantage6.server.description.shapes.basis import Error, Message
from vantage6.server.description.shapes.changes import Changes
from vantage6.server.description.shapes.nodes import (
    Addresses,
    ApiKeyShown,
    NewNodeShown,
    Node,
    Port,
    ReducedNode,
)
from vantage6.server.description.shapes.parties import (
    AlgorithmStore,
    Collaboration,
    Organization,
    Study,
)
from vantage6.server.description.shapes.people import Role, Rule, User
from vantage6.server.description.shapes.service import Health, Live, Ready, Version
from vantage6.server.description.shapes.tasks import (
    BlobStore,
    Columns,
    Result,
    Run,
    RunReported,
    RunState,
    Task,
    TaskState,
    Uploaded,
)
from vantage6.server.description.shapes.tokens import (
    ContainerToken,
    NodeTokens,
    SecondFactor,
    UserTokens,
    ValidNode,
    ValidUser,
)

Model = type[BaseModel]


@dataclass(frozen=True)
class Answer:
    """What a route answers when it does not refuse.

    Parameters
    ----------
    models
        One of these.
    status
        With this status.
    form
        One of them, a page of a list, a bare array, or bytes.
    others
        By further statuses, what is answered then.
    """

    models: tuple[Model, ...] = ()
    status: int = 200
    form: Literal["one", "page", "array", "bytes"] = "one"
    others: dict[int, Model] = field(default_factory=dict)


def _one(*models: Model, status: int = 200, **others: Model) -> Answer:
    return Answer(
        models, status, others={int(key.removeprefix("s")): m for key, m in others.items()}
    )


def _array(model: Model, status: int = 200) -> Answer:
    return Answer((model,), status, "array")


def _resource(path: str, model: Model, *, created: int = 201) -> dict[str, Answer]:
    """The five routes that most resources have."""
    return {
        f"GET {path}": Answer((model,), form="page"),
        f"POST {path}": _one(model, status=created),
        f"GET {path}/{{id_}}": _one(model),
        f"PATCH {path}/{{id_}}": _one(model),
        f"DELETE {path}/{{id_}}": _one(Message),
    }


#: Per route, without the API path, what it answers.
ANSWERS: dict[str, Answer] = {
    **_resource("/user", User),
    **_resource("/organization", Organization),
    **_resource("/collaboration", Collaboration, created=200),
    **_resource("/study", Study),
    **_resource("/node", Node),
    **_resource("/task", Task),
    **_resource("/run", Run),
    **_resource("/result", Result),
    **_resource("/role", Role),
    **_resource("/rule", Rule),
    **_resource("/algorithmstore", AlgorithmStore),
    "POST /node": _one(NewNodeShown, status=201),
    "POST /task": _one(Task, status=201, s403=Error),
    "PATCH /run/{id_}": _one(RunReported, RunState),
    "POST /collaboration/{id_}/organization": _array(Organization),
    "DELETE /collaboration/{id_}/organization": _array(Organization),
    "POST /collaboration/{id_}/node": _array(ReducedNode, status=201),
    "DELETE /collaboration/{id_}/node": _one(Message),
    "POST /study/{id_}/organization": _array(Organization),
    "DELETE /study/{id_}/organization": _array(Organization),
    "POST /role/{id_}/rule/{rule_id}": _array(Rule, status=201),
    "DELETE /role/{id_}/rule/{rule_id}": _array(Rule),
    "GET /task/{id_}/status": _one(TaskState),
    "POST /kill/task": _one(Message),
    "POST /kill/node/tasks": _one(Message),
    "POST /recover/node": _one(ApiKeyShown),
    "POST /recover/lost": _one(Message),
    "POST /recover/reset": _one(Message),
    "POST /recover/2fa/lost": _one(Message),
    "POST /recover/2fa/reset": _one(SecondFactor),
    "PATCH /password/change": _one(Message),
    "POST /token/user": _one(UserTokens, SecondFactor, Message),
    "POST /token/node": _one(NodeTokens),
    "POST /token/container": _one(ContainerToken),
    "POST /token/refresh": _one(UserTokens, NodeTokens),
    "POST /token/user/validate": _one(ValidUser),
    "POST /token/node/validate": _one(ValidNode),
    "POST /port": _one(Port, status=201),
    "DELETE /port": _one(Message),
    "GET /vpn": _one(Message, s501=Error),
    "POST /vpn/update": _one(Message, s501=Error),
    "GET /vpn/algorithm/addresses": _one(Addresses),
    "POST /column": _one(Columns, s201=Task),
    "GET /version": _one(Version),
    "GET /health": _one(Health),
    "GET /health/live": _one(Live),
    "GET /health/ready": _one(Ready),
    "GET /event": _one(Changes),
    "GET /blobstream/status": _one(BlobStore),
    "POST /blobstream": _one(Uploaded, status=201),
    "GET /blobstream/{uuid}": Answer(form="bytes"),
}
