from __future__ import annotations

import html
import io
import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from recording import RecordingServer, TurnableClock
from vantage6.client import UserClient
from vantage6.client.progress import (
    MOST_ROWS,
    NotebookDisplay,
    PlainDisplay,
    TerminalDisplay,
    display_for,
)
from vantage6.common.client.waiting import RunState, TaskState

STATE = TaskState(
    5,
    "active",
    (
        RunState("Utrecht", "completed", True),
        RunState("Leiden [n]", "active", True),
        RunState("Delft <b>", "pending", False),
        RunState("Breda", "crashed", True),
        RunState("Zwolle", "active", False),
        RunState("Assen", "pending", True),
    ),
)
LINES = (
    "✓ Utrecht: completed",
    "● Leiden [n]: active",
    "○ Delft <b>: waiting: its node is offline",
    "✗ Breda: crashed",
    "○ Zwolle: active, but its node is offline",
    "○ Assen: waiting for its node",
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Notebook:
    """Stands in for `IPython.display`: keeps what was shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def HTML(self, content: str) -> str:  # noqa: N802 (IPython's name)
        return content

    def display(self, content: str, display_id: bool) -> Any:
        assert display_id
        self.shown.append(content)
        return SimpleNamespace(update=self.shown.append)


def drawn(display: TerminalDisplay) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(display.render())
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_terminal_shows_who_is_done_running_failed_and_offline(clock: TurnableClock) -> None:
    display = TerminalDisplay(5, clock)
    display.show(STATE)
    clock.sleep(3)
    shown = drawn(display)
    assert "Waiting for task 5... (3s) 2 of 6 done" in shown
    for line in LINES:
        assert line in shown
    display.away("refused")
    assert "The server does not answer" in drawn(display)
    display.away(None)
    assert "The server does not answer" not in drawn(display)


def test_a_notebook_shows_the_same_with_names_made_harmless(
    clock: TurnableClock, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = Notebook()
    with NotebookDisplay(5, clock, notebook) as display:
        display.show(STATE)
        display.away("refused")
        display.show(TaskState(5, "completed"))
    assert "<b>" not in "".join(notebook.shown)
    for line in LINES:
        assert html.escape(line[2:]) in notebook.shown[0]
    assert "The server does not answer" in notebook.shown[1]
    assert notebook.shown[-1] == ""
    assert "Task 5 completed in 0 seconds." in capsys.readouterr().out


@given(st.lists(st.sampled_from(STATE.runs), max_size=60))
def test_of_many_organizations_those_that_want_attention_are_shown(runs: list[RunState]) -> None:
    display = TerminalDisplay(5, TurnableClock())
    display.show(TaskState(5, "active", tuple(runs)))
    lines = drawn(display).splitlines()
    assert len(lines) <= MOST_ROWS + 2
    failed = sum(run.failed for run in runs)
    assert sum("✗" in line for line in lines) == min(failed, MOST_ROWS)
    if len(runs) > MOST_ROWS:
        assert f"and {len(runs) - MOST_ROWS} more" in lines[-1]


def test_the_display_fits_where_output_goes(
    clock: TurnableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logging.getLogger("nobody")
    assert type(display_for(5, clock, log)) is PlainDisplay
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert type(display_for(5, clock, log)) is TerminalDisplay
    notebook = Notebook()
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1), display=notebook)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    assert type(display_for(5, clock, log)) is NotebookDisplay
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert type(display_for(5, clock, log)) is TerminalDisplay


def test_waiting_in_a_terminal_ends_with_the_last_line_and_a_visible_cursor(
    client: UserClient, server: RecordingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    server.on("GET /api/result", {"data": [], "links": {}})
    run = {"organization": {"id": 2, "name": "Utrecht"}, "node_status": "offline"}
    server.on(
        "GET /api/task/5/status",
        {"status": "pending", "seen": "a", "runs": [{**run, "status": "pending"}]},
        {"status": "completed", "seen": "b", "runs": [{**run, "status": "completed"}]},
    )
    client.wait_for_results(5)
    assert server.lines[:2] == [
        "GET /api/task/5/status?wait=25",
        "GET /api/task/5/status?wait=25&seen=a",
    ]
    shown = terminal.getvalue()
    assert "Waiting for task 5..." in shown
    assert "\rTask 5 completed in 0 seconds." in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
