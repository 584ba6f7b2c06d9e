"""The VPN between algorithms: ``/vpn``. This server runs none, but answers whoever asks."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import ColumnElement, and_, or_, select

from vantage6.server.call import ByContainer, ByNode
from vantage6.server.model.tables import AlgorithmPort, Node, Run, Task
from vantage6.web.errors import Refusal, bad_request, unauthorized
from vantage6.web.parameters import Body, Flag
from vantage6.web.responses import JSON

router = APIRouter(tags=["vpn"])

NO_VPN = (
    "This server hands out no VPN configurations: it does not support eduVPN. Algorithms "
    "exchange what they compute through the server"
)


class VpnConfig(Body):
    """The configuration that a node wants to have renewed."""

    vpn_config: str


@router.get("/vpn")
def get_vpn_config(call: ByNode) -> JSON:
    """A node asks for a VPN configuration. There is none: 501."""
    with call.read():
        raise Refusal(501, NO_VPN)


@router.post("/vpn/update")
def update_vpn_config(call: ByNode, body: VpnConfig) -> JSON:
    """A node asks for a new VPN configuration. There is none: 501."""
    with call.read():
        raise Refusal(501, NO_VPN)


@router.get("/vpn/algorithm/addresses")
def list_addresses(
    call: ByContainer,
    label: str | None = None,
    include_children: Flag = False,
    include_parent: Flag = False,
    only_children: Flag = False,
    only_parent: Flag = False,
    only_siblings: Flag = False,
    only_self: Flag = False,
) -> JSON:
    """The ports of algorithms of the caller's task, or of tasks near it.

    Without parameters: of the caller's own task. At most one of the `only_` parameters.
    """
    only = {
        name
        for name, wanted in {
            "only_children": only_children,
            "only_parent": only_parent,
            "only_siblings": only_siblings,
            "only_self": only_self,
        }.items()
        if wanted
    }
    if len(only) > 1:
        raise bad_request(f"Please give one of these only: {', '.join(sorted(only))}")
    with call.read() as work:
        caller = work.caller
        own = work.db.get(Task, caller.container["task_id"])
        if own is None:
            raise unauthorized("The task of this token no longer exists")
        tasks: list[ColumnElement[bool]] = []
        if not only & {"only_children", "only_parent"}:
            tasks.append(Task.id == own.id)
        if only_children or (include_children and not only):
            tasks.append(Task.parent_id == own.id)
        if only_parent or (include_parent and not only):
            tasks.append(Task.id == (own.parent_id or own.id))
        where = [or_(*tasks)]
        if only_siblings:
            where.append(Run.organization_id != caller.organization_id)
        if only_self:
            where.append(Run.organization_id == caller.organization_id)
        if label is not None:
            where.append(AlgorithmPort.label == label)
        rows = work.db.execute(
            select(
                AlgorithmPort.port,
                AlgorithmPort.label,
                Node.ip,
                Run.organization_id,
                Task.id.label("task_id"),
                Task.parent_id,
            )
            .join(Run, Run.id == AlgorithmPort.run_id)
            .join(Task, Task.id == Run.task_id)
            .outerjoin(
                Node,
                and_(
                    Node.organization_id == Run.organization_id,
                    Node.collaboration_id == Task.collaboration_id,
                ),
            )
            .where(*where)
            .order_by(AlgorithmPort.id)
        )
        return JSON({"addresses": [dict(row._mapping) for row in rows]})
