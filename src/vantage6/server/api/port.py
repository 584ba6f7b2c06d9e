"""Ports at which algorithms listen on a VPN: ``/port``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import delete, select

from vantage6.server.call import ByNode, Work
from vantage6.server.model.tables import AlgorithmPort, Run, Task
from vantage6.web.errors import not_found, unauthorized
from vantage6.web.parameters import Body, Id, Text128
from vantage6.web.responses import JSON

router = APIRouter(tags=["port"])


class NewPort(Body):
    """A port that a node opened for a run's algorithm."""

    port: Annotated[int, Field(ge=1, le=65535)]
    run_id: Id
    label: Text128 | None = None


def port_json(port: AlgorithmPort) -> dict[str, Any]:
    """A port as the contract shows it."""
    return {"id": port.id, "port": port.port, "label": port.label}


@router.post("/port", status_code=201)
def create_port(call: ByNode, body: NewPort) -> JSON:
    """A node registers a port of one of its runs."""
    with call.write() as work:
        _must_be_own(work, body.run_id)
        port = AlgorithmPort(port=body.port, run_id=body.run_id, label=body.label)
        work.db.add(port)
        work.db.flush()
        return JSON(port_json(port), 201)


@router.delete("/port")
def delete_ports(call: ByNode, run_id: Id) -> JSON:
    """A node withdraws all ports of one of its runs."""
    with call.write() as work:
        _must_be_own(work, run_id)
        work.db.execute(delete(AlgorithmPort).where(AlgorithmPort.run_id == run_id))
        return JSON({"msg": f"All ports of run id={run_id} are deleted"})


def _must_be_own(work: Work, run_id: int) -> None:
    run = work.db.execute(
        select(Run.organization_id, Task.collaboration_id)
        .join(Task, Task.id == Run.task_id)
        .where(Run.id == run_id)
    ).one_or_none()
    if run is None:
        raise not_found(f"Run id={run_id} not found!")
    caller = work.caller
    if (run.organization_id, run.collaboration_id) != (
        caller.organization_id,
        caller.collaboration_id,
    ):
        raise unauthorized("This is not a run of your node: its ports are not yours to change!")
