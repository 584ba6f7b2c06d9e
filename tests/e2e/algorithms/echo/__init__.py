"""An algorithm that gives back what it is given, and one that has another organization do so."""

from __future__ import annotations

from vantage6.algorithm.client import AlgorithmClient
from vantage6.algorithm.tools.decorators import algorithm_client


def echo(text: str) -> str:
    """Give back a text."""
    return text


@algorithm_client
def by_another(client: AlgorithmClient, organization: int, size: int) -> int:
    """Send a large input to another organization, get it back as a large result; its length."""
    task = client.task.create(
        {"method": "echo", "kwargs": {"text": "x" * size}}, organizations=[organization]
    )
    (text,) = client.wait_for_results(task["id"])
    return len(text)
