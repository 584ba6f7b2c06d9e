"""The files of the lesson, run one after the other as a reader would, against a running demo."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

LESSON = Path(__file__).parents[2] / "examples" / "lesson"
STEPS = (
    "client",
    "organizations",
    "collaborations",
    "nodes",
    "average",
    "central_average",
    "failing_task",
)


@pytest.fixture(scope="session")
def lesson(demo: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each step prints."""
    return run_steps(demo, tmp_path_factory.mktemp("lesson"))


def run_steps(demo: dict[str, Any], folder: Path) -> dict[str, str]:
    ready_file = folder / "ready.json"
    ready_file.write_text(json.dumps(demo))
    printed = {}
    for step in STEPS:
        run = subprocess.run(
            [sys.executable, f"{step}.py"],
            cwd=LESSON,
            env={**os.environ, "V6_DEMO_READY_FILE": str(ready_file)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode == 0, f"{step}.py failed:\n{run.stdout}\n{run.stderr}"
        printed[step] = run.stdout
    return printed


def ages(demo: dict[str, Any]) -> pd.Series[float]:
    return pd.concat([pd.read_csv(path)["age"] for path in demo["databases"].values()])


def answer(printed: str) -> float:
    found = re.search(r"Average over all.*: (\d+\.\d+)", printed)
    assert found, printed
    return float(found[1])


def test_every_step_of_the_lesson_has_its_test() -> None:
    assert {path.stem for path in LESSON.glob("*.py")} == {"config", *STEPS}


def test_connecting_prints_the_lessons_success_line(lesson: dict[str, str]) -> None:
    assert " --> Succesfully authenticated\n" in lesson["client"]


def test_an_organization_is_shown_listed_created_and_renamed(
    lesson: dict[str, str], demo: dict[str, Any]
) -> None:
    printed = lesson["organizations"]
    for organization in demo["organizations"]:
        assert organization["name"] in printed
    assert re.search(r"Created: new_organization_\w+ \(id \d+\)", printed)
    assert re.search(r"Updated: (new_organization_\w+) is now renamed_\1\n", printed)


def test_collaborations_show_only_the_fields_asked_for(
    lesson: dict[str, str], demo: dict[str, Any]
) -> None:
    collaboration = {key: demo["collaboration"][key] for key in ("id", "name")}
    assert f"Collaborations: {[collaboration]}" in lesson["collaborations"]
    for organization in demo["organizations"]:
        assert f"'name': '{organization['name']}'" in lesson["collaborations"]


def test_every_node_is_online(lesson: dict[str, str], demo: dict[str, Any]) -> None:
    for node in demo["nodes"]:
        assert f"Node {node['id']}: {node['name']} is online" in lesson["nodes"]


def test_the_partial_task_gives_the_pooled_average(
    lesson: dict[str, str], demo: dict[str, Any]
) -> None:
    assert lesson["average"].count("One organization:") == len(demo["organizations"])
    assert answer(lesson["average"]) == pytest.approx(ages(demo).mean(), rel=1e-9)


def test_the_central_task_gives_the_pooled_average(
    lesson: dict[str, str], demo: dict[str, Any]
) -> None:
    assert answer(lesson["central_average"]) == pytest.approx(ages(demo).mean(), rel=1e-9)


def test_the_failing_task_shows_which_node_failed_and_why_but_no_data(
    lesson: dict[str, str], demo: dict[str, Any]
) -> None:
    printed = lesson["failing_task"]
    *fine, failing = [organization["name"] for organization in demo["organizations"]]
    for name in fine:
        assert re.search(rf"^{name}: (active|completed)$", printed, re.M)
    assert f"{failing}: crashed" in printed
    assert f"Failed at {failing}, node" in printed
    assert "isOverweight" in printed
    assert "yes" not in printed


def test_the_lesson_runs_encrypted(encrypted_demo: dict[str, Any], tmp_path: Path) -> None:
    lesson = run_steps(encrypted_demo, tmp_path)
    assert answer(lesson["average"]) == pytest.approx(ages(encrypted_demo).mean(), rel=1e-9)
    assert answer(lesson["central_average"]) == pytest.approx(ages(encrypted_demo).mean(), rel=1e-9)
