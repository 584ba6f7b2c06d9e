"""Children are kept running, and nothing of them is left at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vantage6.cli.demo.supervisor import Child, Supervisor


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def child(tmp_path: Path, script: str, name: str = "child") -> Child:
    return Child(name, ["/bin/sh", "-c", script], tmp_path / f"{name}.log")


def test_a_killed_child_is_started_again_under_a_new_pid(tmp_path: Path) -> None:
    deaths: list[str] = []
    starts: list[int] = []
    with Supervisor(
        on_start=lambda child: starts.append(child.pid),
        on_death=lambda _child, how, _pause: deaths.append(how),
    ) as supervisor:
        sleeper = child(tmp_path, "exec sleep 60")
        supervisor.start(sleeper)
        first = sleeper.pid
        os.kill(first, signal.SIGKILL)
        eventually(lambda: starts != [])
        assert starts == [sleeper.pid]
        assert sleeper.pid != first
        assert is_alive(sleeper.pid)
    assert deaths == ["was killed by SIGKILL"]
    assert not is_alive(sleeper.pid)


def test_a_child_that_keeps_failing_is_started_ever_more_slowly(tmp_path: Path) -> None:
    pauses: list[float] = []
    with Supervisor(on_death=lambda _child, _how, pause: pauses.append(pause)) as supervisor:
        failing = child(tmp_path, "echo out of order; exit 3")
        supervisor.start(failing)
        eventually(lambda: len(pauses) >= 4)
    assert pauses[3] > 2 * pauses[0]
    assert failing.deaths >= 4
    assert failing.tail(1) == "out of order"


def test_stopping_ends_what_ignores_sigterm_and_what_it_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vantage6.cli.demo.supervisor.GRACE", 0.3)
    with Supervisor() as supervisor:
        stubborn = child(tmp_path, "trap '' TERM; sleep 60 & echo $!; wait; wait", "stubborn")
        supervisor.start(stubborn)
        eventually(lambda: stubborn.tail(1) != "")
        grandchild = int(stubborn.tail(1))
    assert not is_alive(stubborn.pid)
    eventually(lambda: not is_alive(grandchild))


def test_children_get_time_to_end_by_themselves(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        tidy = child(
            tmp_path, "trap 'echo tidied up; exit 0' TERM; echo up; while :; do sleep .05; done"
        )
        supervisor.start(tidy)
        eventually(lambda: tidy.tail(1) == "up")
    assert tidy.tail(1) == "tidied up"
    assert tidy.deaths == 0


def test_a_command_that_does_not_exist_is_an_error_at_once(tmp_path: Path) -> None:
    with Supervisor() as supervisor, pytest.raises(FileNotFoundError):
        supervisor.start(Child("ghost", ["/no/such/command"], tmp_path / "ghost.log"))


def test_a_tied_process_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    tied = "import os, time; from vantage6.cli.parent import die_with_parent;"
    tied += "die_with_parent(os.getppid()); print(os.getpid(), flush=True); time.sleep(60)"
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import subprocess, sys; subprocess.run([sys.executable, '-c', {tied!r}])",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    parent.wait()
    eventually(lambda: not is_alive(pid))


def test_a_process_whose_parent_is_gone_already_does_not_start() -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "from vantage6.cli.parent import die_with_parent; die_with_parent(1 << 22)",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "is gone" in ended.stderr
