"""An algorithm that takes its time, says so, and answers at last."""

from __future__ import annotations

import time
from pathlib import Path

from vantage6.algorithm.client import AlgorithmClient
from vantage6.algorithm.tools.decorators import algorithm_client


def answer(seconds: float = 0.0, size: int = 0) -> str:
    """Answer with a text of at least `size` characters, after `seconds`."""
    print("at work", flush=True)
    time.sleep(seconds)
    return "42".ljust(size, ".")


def wait_for(path: str) -> str:
    """Answer as soon as a file is there (in a database that is a folder)."""
    print("at work", flush=True)
    while not Path(path).exists():
        time.sleep(0.02)
    return "42"


@algorithm_client
def central(client: AlgorithmClient, organization: int, seconds: float = 0.0) -> str:
    """Have an organization answer, and answer the same."""
    task = client.task.create(
        {"method": "answer", "kwargs": {"seconds": seconds}}, organizations=[organization]
    )
    (text,) = client.wait_for_results(task["id"])
    return str(text)
