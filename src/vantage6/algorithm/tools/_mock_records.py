"""The records of the mock client; tutorials print them, keys in this order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vantage6.algorithm.tools.mock_client import MockAlgorithmClient

_TIME = "2021-01-01T00:00:00.000000"


def _link(resource: str, id_: int, methods: list[str]) -> dict[str, Any]:
    return {"id": id_, "link": f"/api/{resource}/{id_}", "methods": methods}


def task_record(
    id_: int, name: str, description: str, client: MockAlgorithmClient
) -> dict[str, Any]:
    """A task that is done."""
    return {
        "id": id_,
        "runs": f"/api/run?task_id={id_}",
        "results": f"/api/results?task_id={id_}",
        "status": "completed",
        "name": name,
        "databases": ["mock"],
        "description": description,
        "image": "mock_image",
        "init_user": _link("user", 1, ["GET", "DELETE", "PATCH"]),
        "init_org": _link("organization", client.organization_id, ["GET", "PATCH"]),
        "parent": None,
        "collaboration": _link(
            "collaboration", client.collaboration_id, ["DELETE", "PATCH", "GET"]
        ),
        "job_id": 1,
        "children": None,
    }


def run_record(
    id_: int, result_id: int, task_id: int, input_: dict[str, Any], organization_id: int
) -> dict[str, Any]:
    """A run that is done."""
    return {
        "id": id_,
        "started_at": _TIME,
        "assigned_at": _TIME,
        "finished_at": _TIME,
        "log": "mock_log",
        "ports": [],
        "status": "completed",
        "input": json.dumps(input_),
        "blob_storage_used": False,
        "results": _link("result", result_id, ["GET", "PATCH"]),
        "node": {"id": organization_id, "ip": None, "name": "mock_node", "status": "online"},
        "organization": _link("organization", organization_id, ["GET", "PATCH"]),
        "task": _link("task", task_id, ["GET", "DELETE"]),
    }


def organization_record(id_: int) -> dict[str, Any]:
    """An organization."""
    return {
        "id": id_,
        "name": f"mock-{id_}",
        "domain": f"mock-{id_}.org",
        "address1": "mock",
        "address2": "mock",
        "zipcode": "mock",
        "country": "mock",
        "public_key": "mock",
        "collaborations": f"/api/collaboration?organization_id={id_}",
        "users": f"/api/user?organization_id={id_}",
        "tasks": f"/api/task?init_org_id={id_}",
        "nodes": f"/api/node?organization_id={id_}",
        "runs": f"/api/run?organization_id={id_}",
    }


def collaboration_record(id_: int, is_encrypted: bool) -> dict[str, Any]:
    """The collaboration."""
    return {
        "id": id_,
        "name": "mock-collaboration",
        "encrypted": is_encrypted,
        "tasks": f"/api/task?collaboration_id={id_}",
        "nodes": f"/api/node?collaboration_id={id_}",
        "organizations": f"/api/organization?collaboration_id={id_}",
    }
