"""Nodes: ``/node``, ``/collaboration/<id>/node``, ``/recover/node``."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AfterValidator
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from vantage6.common import generate_apikey
from vantage6.server.api.collaboration import find_collaboration, is_member
from vantage6.server.api.organization import find_organization
from vantage6.server.auth.passwords import hash_api_key
from vantage6.server.auth.visibility import visible
from vantage6.server.call import ByUser, ByUserOrNode
from vantage6.server.model.removal import delete_identities
from vantage6.server.model.tables import Collaboration, Node, Organization, Study, study_member
from vantage6.web.errors import bad_request, not_found
from vantage6.web.links import Links
from vantage6.web.pagination import Paged
from vantage6.web.parameters import Body, Id, Moment, Name, Pattern, Reference
from vantage6.web.responses import JSON, timestamp
from vantage6.web.rules import Operation

router = APIRouter(tags=["node"])

_SORT = {
    "id": Node.id,
    "name": Node.name,
    "organization_id": Node.organization_id,
    "collaboration_id": Node.collaboration_id,
    "status": Node.status,
    "ip": Node.ip,
    "last_seen": Node.last_seen,
}
_LONGEST_NAME = 128
_REDUCED = ("id", "name", "status", "last_seen", "ip", "organization")


def _ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("Not a valid IPv4 or IPv6 address.") from None


Ip = Annotated[str, AfterValidator(_ip)]


class NewNode(Body):
    """What a new node is made of; its address is accepted but only the node itself sets it."""

    collaboration_id: Id
    organization_id: Id | None = None
    name: Name | None = None
    ip: Ip | None = None
    clear_ip: bool | None = None


class NodeChange(Body):
    """What may change of a node."""

    name: Name = ""
    ip: Ip = ""
    clear_ip: bool = False


def node_json(node: Node, link: Links) -> dict[str, Any]:
    """A node as the contract shows it."""
    return {
        "id": node.id,
        "type": node.type,
        "name": node.name,
        "status": node.status,
        "last_seen": timestamp(node.last_seen),
        "ip": node.ip,
        "organization": link.one("organization", node.organization_id),
        "collaboration": link.one("collaboration", node.collaboration_id),
        "config": [{"key": key, "value": value} for key, value in node.config],
    }


def find_node(db: Session, id_: int) -> Node:
    """The node with an id.

    Raises
    ------
    Refusal
        404 if there is none.
    """
    node = db.get(Node, id_)
    if node is None:
        raise not_found(f"Node id={id_} not found!")
    return node


@router.get("/node")
def list_nodes(
    call: ByUserOrNode,
    page: Paged,
    name: Pattern | None = None,
    organization_id: Id | None = None,
    collaboration_id: Id | None = None,
    study_id: Id | None = None,
    status: str | None = None,
    ip: str | None = None,
    last_seen_from: Moment = None,
    last_seen_till: Moment = None,
) -> JSON:
    """List the nodes that the caller may see."""
    with call.read() as work:
        caller = work.caller
        where: list[ColumnElement[bool]] = [visible(caller, "node")]
        if name is not None:
            where.append(Node.name.like(name))
        if organization_id is not None:
            caller.must("node", Operation.VIEW, organization=organization_id)
            where.append(Node.organization_id == organization_id)
        if collaboration_id is not None:
            caller.must("node", Operation.VIEW, collaboration=collaboration_id)
            where.append(Node.collaboration_id == collaboration_id)
        if study_id is not None:
            study = work.db.get(Study, study_id)
            if study is None:
                raise bad_request(f"Study id={study_id} not found!")
            caller.must("node", Operation.VIEW, collaboration=study.collaboration_id)
            where.append(Node.collaboration_id == study.collaboration_id)
            where.append(
                Node.organization_id.in_(
                    select(study_member.c.organization_id).where(
                        study_member.c.study_id == study_id
                    )
                )
            )
        if status is not None:
            where.append(Node.status == status)
        if ip is not None:
            where.append(Node.ip == ip)
        if last_seen_from is not None:
            where.append(Node.last_seen >= last_seen_from)
        if last_seen_till is not None:
            where.append(Node.last_seen <= last_seen_till)
        return page.fetch(
            work.db,
            select(Node).where(*where),
            lambda rows: [node_json(row[0], work.link) for row in rows],
            sort=_SORT,
            default=Node.id,
        )


@router.post("/node", status_code=201)
def create_node(call: ByUser, body: NewNode) -> JSON:
    """Create a node; the answer alone holds its API key."""
    with call.write() as work:
        collaboration = find_collaboration(work.db, body.collaboration_id)
        organization_id = body.organization_id or work.caller.organization_id
        organization = find_organization(work.db, organization_id)
        work.caller.must("node", Operation.CREATE, organization=organization_id)
        if not is_member(work.db, collaboration.id, organization_id):
            raise bad_request(
                f"Organization id={organization_id} is not in collaboration id={collaboration.id}!"
            )
        _refuse_second(work.db, collaboration.id, organization_id)
        name = body.name or _default_name(organization, collaboration)
        _refuse_taken_name(work.db, name)
        api_key = generate_apikey()
        node = Node(
            name=name,
            api_key_hash=hash_api_key(api_key),
            organization_id=organization_id,
            collaboration_id=collaboration.id,
            status="offline",
            config=[],
        )
        work.db.add(node)
        work.db.flush()
        return JSON({**node_json(node, work.link), "api_key": api_key}, 201)


@router.get("/node/{id_:int}")
def get_node(call: ByUserOrNode, id_: int) -> JSON:
    """Get one node."""
    with call.read() as work:
        node = find_node(work.db, id_)
        work.caller.must("node", Operation.VIEW, organization=node.organization_id)
        return JSON(node_json(node, work.link))


@router.patch("/node/{id_:int}")
def update_node(call: ByUserOrNode, id_: int, body: NodeChange) -> JSON:
    """Change a node; nodes publish their VPN address this way."""
    with call.write() as work:
        node = find_node(work.db, id_)
        work.caller.must("node", Operation.EDIT, organization=node.organization_id)
        changes = body.model_dump(exclude_unset=True)
        if changes.get("name", node.name) != node.name:
            _refuse_taken_name(work.db, changes["name"])
            node.name = changes["name"]
        if "ip" in changes:
            node.ip = changes["ip"]
        if changes.get("clear_ip"):
            node.ip = None
        return JSON(node_json(node, work.link))


@router.delete("/node/{id_:int}")
def delete_node(call: ByUser, id_: int) -> JSON:
    """Delete a node; what it ran stays on record."""
    with call.write() as work:
        node = find_node(work.db, id_)
        work.caller.must("node", Operation.DELETE, organization=node.organization_id)
        delete_identities(work.db, [id_])
        return JSON({"msg": f"Node id={id_} successfully deleted"})


@router.post("/recover/node")
def reset_api_key(call: ByUser, body: Reference) -> JSON:
    """Give a node a new API key; the old one no longer works."""
    with call.write() as work:
        node = find_node(work.db, body.id)
        work.caller.must("node", Operation.EDIT, organization=node.organization_id)
        api_key = generate_apikey()
        node.api_key_hash = hash_api_key(api_key)
        return JSON({"api_key": api_key})


@router.post("/collaboration/{id_:int}/node", status_code=201)
def move_node(call: ByUser, id_: int, body: Reference) -> JSON:
    """Move a node of a member into this collaboration; answers all its nodes."""
    with call.write() as work:
        find_collaboration(work.db, id_)
        node = find_node(work.db, body.id)
        work.caller.must("collaboration", Operation.EDIT, collaboration=id_)
        if node.collaboration_id == id_:
            raise bad_request(f"Node id={node.id} is already in collaboration id={id_}!")
        if not is_member(work.db, id_, node.organization_id):
            raise bad_request(
                f"The organization of node id={node.id} is not in collaboration id={id_}!"
            )
        _refuse_second(work.db, id_, node.organization_id)
        node.collaboration_id = id_
        work.db.flush()
        return JSON([_reduced(item, work.link) for item in _nodes(work.db, id_)], 201)


@router.delete("/collaboration/{id_:int}/node")
def remove_node(call: ByUser, id_: int, body: Reference) -> JSON:
    """Take a node out of this collaboration; it goes on to exist, in none."""
    with call.write() as work:
        find_collaboration(work.db, id_)
        node = find_node(work.db, body.id)
        work.caller.must("collaboration", Operation.EDIT, collaboration=id_)
        if node.collaboration_id != id_:
            raise bad_request(f"Node id={node.id} is not in collaboration id={id_}!")
        node.collaboration_id = None
        return JSON({"msg": f"Node id={node.id} removed from collaboration id={id_}"})


def _nodes(db: Session, collaboration_id: int) -> Sequence[Node]:
    return db.scalars(
        select(Node).where(Node.collaboration_id == collaboration_id).order_by(Node.id)
    ).all()


def _reduced(node: Node, link: Links) -> dict[str, Any]:
    full = node_json(node, link)
    return {key: full[key] for key in _REDUCED}


def _default_name(organization: Organization, collaboration: Collaboration) -> str:
    return f"{organization.name} - {collaboration.name} Node"[:_LONGEST_NAME]


def _refuse_second(db: Session, collaboration_id: int, organization_id: int) -> None:
    if db.scalar(
        select(Node.id).where(
            Node.collaboration_id == collaboration_id, Node.organization_id == organization_id
        )
    ):
        raise bad_request(
            f"Organization id={organization_id} already has a node in "
            f"collaboration id={collaboration_id}!"
        )


def _refuse_taken_name(db: Session, name: str) -> None:
    if db.scalar(select(Node.id).where(Node.name == name)):
        raise bad_request(f"Node with name '{name}' already exists!")
