"""The unmodified upstream client against this server, step for step beside our own client."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

# Making the environment and starting the demo count as part of the first test.
pytestmark = [pytest.mark.peer, pytest.mark.timeout(400)]

STEPS = Path(__file__).parent / "steps.py"

# Our client returns results and runs in the order of the task's organizations, the upstream one
# in the server's order; everything else about them is equal.
UNORDERED = {"results again", "runs", "one result", "why"}


@dataclass
class Outcome:
    """What the steps gave, and what they printed."""

    steps: dict[str, Any]
    printed: str


def take_steps(python: Path | str, demo: dict[str, Any], folder: Path, *names: str) -> Outcome:
    ready_file, outcome_file = folder / "ready.json", folder / "outcome.json"
    ready_file.write_text(json.dumps(demo))
    done = subprocess.run(
        [str(python), str(STEPS), str(ready_file), str(outcome_file), *names],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return Outcome(json.loads(outcome_file.read_text()), done.stdout)


@pytest.fixture(scope="module")
def upstream(
    demo: dict[str, Any], upstream_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Outcome:
    return take_steps(upstream_python, demo, tmp_path_factory.mktemp("upstream"))


@pytest.fixture(scope="module")
def ours(demo: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return take_steps(sys.executable, demo, tmp_path_factory.mktemp("ours"))


def shape(value: Any) -> Any:
    """Keys and types of a value: ids and times differ from one run of the steps to the next."""
    if isinstance(value, dict):
        # Who was seen when is stored in bundles, a moment later: so it may be null at first.
        return {
            key: "a moment" if key == "last_seen" else shape(inner)
            for key, inner in sorted(value.items())
        }
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def test_the_upstream_client_takes_every_step(upstream: Outcome, demo: dict[str, Any]) -> None:
    assert " --> Succesfully authenticated" in upstream.printed
    assert "Traceback" not in upstream.printed
    assert "error code: 5" not in upstream.printed
    assert upstream.steps["wrong password"] == "AuthenticationException"


def test_the_upstream_client_gets_the_answers_that_the_tables_hold(
    upstream: Outcome, demo: dict[str, Any]
) -> None:
    ages = [
        pd.read_csv(demo["databases"][str(each["id"])])["age"] for each in demo["organizations"]
    ]
    pooled = pd.concat(ages)
    partial = upstream.steps["partial"]
    assert [each["count"] for each in partial] == [age.count() for age in ages]
    assert sum(each["sum"] for each in partial) == pytest.approx(pooled.sum())
    (central,) = upstream.steps["central"]
    assert central["average"] == pytest.approx(pooled.mean())
    assert upstream.steps["subtasks"] == [{"status": "completed"}]


def test_the_upstream_client_finds_out_what_failed_and_why(upstream: Outcome) -> None:
    assert upstream.steps["failed"] == [None, None, None]
    assert "failed" in upstream.steps["failed runs"] or "crashed" in upstream.steps["failed runs"]
    assert any("no such column" in (log or "") for log in upstream.steps["why"])
    assert upstream.steps["unknown image"] == ["non-existing Docker image"]


@pytest.mark.parametrize(
    "step", ["viewer's task", "no collaboration", "no organization", "nobody", "no task", "gone"]
)
def test_the_upstream_client_is_told_why_it_was_refused(upstream: Outcome, step: str) -> None:
    assert upstream.steps[step]["msg"]


def test_both_clients_get_the_same_from_every_step(upstream: Outcome, ours: Outcome) -> None:
    assert list(upstream.steps) == list(ours.steps)
    different = {
        step: (theirs, ours.steps[step])
        for step, theirs in upstream.steps.items()
        if step not in UNORDERED and shape(theirs) != shape(ours.steps[step])
    }
    assert different == {}
    for step in ("organizations of the collaboration", "collaborations cut", "partial", "central"):
        assert upstream.steps[step] == ours.steps[step]
    theirs, own = upstream.steps["results again"], ours.steps["results again"]
    assert [each["result"] for each in reversed(theirs["data"])] == [
        each["result"] for each in own["data"]
    ]


def test_the_upstream_client_seals_and_reads_where_everything_is_encrypted(
    encrypted_demo: dict[str, Any], upstream_python: Path, tmp_path: Path
) -> None:
    outcome = take_steps(upstream_python, encrypted_demo, tmp_path, "tasks")
    assert "Public key matches the server key! Good to go!" in outcome.printed
    tables = [
        pd.read_csv(encrypted_demo["databases"][str(each["id"])])
        for each in encrypted_demo["organizations"]
    ]
    assert [each["count"] for each in outcome.steps["partial"]] == [
        table["age"].count() for table in tables
    ]
    assert outcome.steps["central"][0]["average"] == pytest.approx(pd.concat(tables)["age"].mean())
