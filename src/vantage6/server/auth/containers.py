"""The token under which an algorithm talks to the server."""

from __future__ import annotations

from vantage6.server.auth.caller import Caller
from vantage6.server.auth.tokens import Tokens
from vantage6.server.model.runs import TaskFacts
from vantage6.server.model.tables import Task


def container_token(tokens: Tokens, node: Caller, task: Task | TaskFacts) -> str:
    """The token of a task's algorithm at a node."""
    return tokens.issue_container(
        {
            "node_id": node.id,
            "organization_id": node.organization_id,
            "collaboration_id": task.collaboration_id,
            "study_id": task.study_id,
            "store_id": task.algorithm_store_id,
            "task_id": task.id,
            "image": task.image,
            "databases": [
                {**database["parameters"], "label": database["label"]}
                for database in task.databases
            ],
        }
    )
