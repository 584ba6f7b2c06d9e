"""One id leads through the logs of a task's whole life, at the server and at the node."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from demos import log_in, running_demo

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def test_the_request_that_made_a_task_is_named_at_server_and_node(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--nodes", "1") as demo:
        network = demo.ready
        client = log_in(network)
        organization = network["organizations"][0]["id"]
        task = client.task.create(
            collaboration=network["collaboration"]["id"],
            organizations=[organization],
            name="followed",
            image="harbor2.vantage6.ai/demo/average",
            description="",
            input_={"method": "central_average", "kwargs": {"column_name": "age"}},
            databases=[{"label": "default"}],
        )
        client.wait_for_results(task["id"])
        run = client.run.from_task(task["id"])["data"][0]["id"]
        (subtask,) = client.task.list(parent=task["id"])["data"]
        deadline = time.monotonic() + 20
        while True:
            logs = {path.name: path.read_text() for path in demo.folder.rglob("*.log")}
            server = logs["server.log"]
            node = "".join(text for name, text in logs.items() if name.startswith("node"))
            ids = re.findall(rf"Task {task['id']} with 1 run\(s\) created \[(\w+)\]", server)
            assert len(ids) == 1, server
            reported = re.findall(rf"PATCH /api/run/{run}: 200 .*\[(\w+)\]", server)
            if len(reported) >= 2 or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        (followed,) = ids
        assert f"run {run}: claimed; task {task['id']}, made by request {followed}" in node
        # The delivery, and the subtask that the algorithm made, on its account.
        assert reported[-1] == followed
        assert f"Task {subtask['id']} with 1 run(s) created [{followed}]" in server
