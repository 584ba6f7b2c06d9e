"""Policies of nodes, as a researcher meets them through a real server; and what the owner reads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from demos import Demo, StartDemo, log_in

AVERAGE = "harbor2.vantage6.ai/demo/average"


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def change_policies(demo: Demo, *policies: dict[str, Any]) -> list[Path]:
    """Write policies into the nodes' configurations, and have the demo start the nodes again."""
    before = demo.ready["pids"]["nodes"]
    paths = sorted((demo.folder / "nodes").glob("node-*.yaml"))
    for path, rules in zip(paths, policies, strict=True):
        content = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({**content, "policies": rules}))
    for pid in before.values():
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: not set(before.values()) & set(demo.ready["pids"]["nodes"].values()))
    return paths


def v6_node(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "vantage6.cli", "node", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_refusal_reaches_the_researcher_with_rule_and_reason(start_demo: StartDemo) -> None:
    with start_demo("--nodes", "4") as demo:
        client = log_in(demo.ready)
        now = datetime.now().astimezone()
        closed = {
            "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
            "from": f"{now + timedelta(hours=2):%H:%M}",
            "to": f"{now + timedelta(hours=3):%H:%M}",
        }
        paths = change_policies(
            demo,
            {"allowed_functions": {AVERAGE: ["central_average"]}},
            {"working_hours": closed},
            {"allowed_organizations": ["Nowhere"], "require_encryption": True},
            {"allowed_algorithms": [f"{AVERAGE}:latest"], "require_encryption": False},
        )
        organizations = [each["id"] for each in demo.ready["organizations"]]
        # One task each: a run that is refused ends its siblings.
        tasks = [
            client.task.create(
                collaboration=demo.ready["collaboration"]["id"],
                organizations=[organization],
                name="average",
                image=AVERAGE,
                description="",
                input_={"method": "partial_average", "kwargs": {"column_name": "age"}},
                databases=[{"label": "default"}],
            )
            for organization in organizations
        ]
        for task in tasks:
            client.wait_for_results(task["id"])
        ordered = [client.run.from_task(task["id"])["data"][0] for task in tasks]
        assert [run["status"] for run in ordered] == ["not allowed"] * 3 + ["completed"]
        assert "does not run the function 'partial_average'" in ordered[0]["log"]
        assert "(allowed_functions)" in ordered[0]["log"]
        assert "working hours only" in ordered[1]["log"]
        assert "(allowed_organizations, allowed_users)" in ordered[2]["log"]

        assert "unbroken" in v6_node("audit", "verify", "-c", str(paths[0]))
        shown = v6_node("audit", "show", "-c", str(paths[0])).splitlines()
        asked = [line for line in map(json.loads, shown) if line.get("task") == tasks[0]["id"]]
        assert asked[0]["function"] == "partial_average"
        assert (asked[0]["verdict"], asked[0]["rule"]) == ("refused", "allowed_functions")
        report = v6_node("audit", "report", "-c", str(paths[3]))
        assert AVERAGE in report
        healthy = v6_node("doctor", "-c", str(paths[3]))
        assert "ok      API key: node" in healthy
        assert "ok      server:" in healthy
        assert "error" not in healthy


def test_a_private_key_is_made_published_and_used(start_demo: StartDemo, tmp_path: Path) -> None:
    with start_demo("--nodes", "1", "--encrypted") as demo:
        admin = next(u for u in demo.ready["users"] if "Organization Admin" in u["roles"])
        (path,) = (demo.folder / "nodes").glob("node-*.yaml")
        command = [sys.executable, "-m", "vantage6.cli", "node", "create-private-key"]
        command += ["-c", str(path), "--username", admin["username"]]
        done = subprocess.run(
            command,
            input=admin["password"] + "\n",
            env=os.environ | {"XDG_DATA_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Public key uploaded." in done.stdout
        assert done.stdout.endswith("[Done]\n")
        (key,) = (tmp_path / "vantage6" / "node").glob("privkey_*.pem")
        assert yaml.safe_load(path.read_text())["encryption"]["private_key"] == str(key)
        assert f"ok      encryption: the key is {key}" in v6_node("doctor", "-c", str(path))
        wrong = subprocess.run(
            command,
            input="wrong\n",
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert wrong.returncode == 1
        assert "Could not log in" in wrong.stdout
        assert "Traceback" not in wrong.stderr
