"""Showing how a task gets on: in a terminal, in a notebook, or not at all."""

from __future__ import annotations

import html
import logging
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vantage6.common.client.waiting import Interest, RunState, TaskState
from vantage6.common.clock import Clock
from vantage6.common.task_status import TaskStatus

if TYPE_CHECKING:
    from rich.table import Table

#: Organizations that are listed one by one; of more, only those that want attention.
MOST_ROWS = 15
#: So that the line erases what an animation may have left.
_ERASE = " " * 21


def display_for(task_id: int, clock: Clock, log: logging.Logger) -> Progress:
    """Choose the display that fits standard output."""
    if (kernel := _notebook()) is not None:
        return NotebookDisplay(task_id, clock, kernel)
    if sys.stdout.isatty():
        return TerminalDisplay(task_id, clock)
    return PlainDisplay(task_id, clock, log)


class Progress:
    """Measures the time, and says at the end how it ended."""

    interest = Interest.EVERY_CHANGE

    def __init__(self, task_id: int, clock: Clock) -> None:
        self._task_id = task_id
        self._clock = clock
        self._start = clock.now()
        self._state: TaskState | None = None
        self._away: str | None = None

    def show(self, state: TaskState) -> None:
        """Remember the state."""
        self._state = state

    def away(self, reason: str | None) -> None:
        """Remember whether the server answers."""
        self._away = reason

    @property
    def _seconds(self) -> int:
        return int(self._clock.now() - self._start)

    @property
    def _headline(self) -> str:
        runs = self._state.runs if self._state else ()
        done = f" {sum(run.finished for run in runs)} of {len(runs)} done" if runs else ""
        away = " The server does not answer, trying again." if self._away else ""
        return f"Waiting for task {self._task_id}... ({self._seconds}s){done}{away}"

    def _rows(self) -> tuple[list[RunState], str]:
        """Runs to list, and a word on the rest."""
        runs = list(self._state.runs) if self._state else []
        if len(runs) <= MOST_ROWS:
            return runs, ""
        attention = sorted(runs, key=_attention)
        return attention[:MOST_ROWS], f"and {len(runs) - MOST_ROWS} more"

    @property
    def _last_line(self) -> str:
        ended = "failed" if self._state is not None and self._state.failed else "completed"
        return f"Task {self._task_id} {ended} in {self._seconds} seconds."

    def _finish(self) -> None:
        if self._state is not None and self._state.finished:
            sys.stdout.write(f"\r{self._last_line}{_ERASE}\n")
            sys.stdout.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._finish()


class PlainDisplay(Progress):
    """For output that nobody watches: a line about offline nodes, and the last line."""

    interest = Interest.START_AND_END

    def __init__(self, task_id: int, clock: Clock, log: logging.Logger) -> None:
        super().__init__(task_id, clock)
        self._log = log
        self._told: set[str] = set()

    def show(self, state: TaskState) -> None:
        """Tell once of each organization that the task waits for its node."""
        super().show(state)
        for run in state.runs:
            if run.node_online is False and not run.finished and run.organization not in self._told:
                self._told.add(run.organization)
                self._log.warning("Task %s, %s: %s", self._task_id, run.organization, _offline(run))


class LogDisplay(PlainDisplay):
    """For programs: the last line goes to the log."""

    def _finish(self) -> None:
        if self._state is not None and self._state.finished:
            self._log.info(self._last_line)


class TerminalDisplay(Progress):
    """A table that is redrawn in place."""

    def __init__(self, task_id: int, clock: Clock) -> None:
        super().__init__(task_id, clock)
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        self._spinner = Spinner("dots")
        self._live = Live(
            get_renderable=self.render, console=Console(), refresh_per_second=8, transient=True
        )

    def render(self) -> Table:
        """Draw the present state."""
        from rich.markup import escape
        from rich.table import Table

        self._spinner.update(text=self._headline)
        table = Table.grid(padding=(0, 1))
        table.add_row(self._spinner)
        rows, rest = self._rows()
        for run in rows:
            mark, colour = _mark(run)
            table.add_row(
                f"  [{colour}]{mark}[/] {escape(run.organization)}: {escape(_offline(run))}"
            )
        if rest:
            table.add_row(f"  {rest}")
        return table

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()
        self._finish()


class NotebookDisplay(Progress):
    """A list below the cell, replaced at each change."""

    def __init__(self, task_id: int, clock: Clock, display_module: Any) -> None:
        super().__init__(task_id, clock)
        self._module = display_module
        self._handle: Any = None

    def show(self, state: TaskState) -> None:
        """Draw the state."""
        super().show(state)
        self._draw()

    def away(self, reason: str | None) -> None:
        """Draw that the server is away or back."""
        super().away(reason)
        self._draw()

    def render(self) -> str:
        """HTML of the present state."""
        rows, rest = self._rows()
        items = []
        for run in rows:
            mark, colour = _mark(run)
            items.append(
                f'<li style="list-style:none"><span style="color:{colour}">{mark}</span> '
                f"{html.escape(run.organization)}: {html.escape(_offline(run))}</li>"
            )
        if rest:
            items.append(f'<li style="list-style:none">{rest}</li>')
        return f"<div>{html.escape(self._headline)}<ul>{''.join(items)}</ul></div>"

    def _draw(self) -> None:
        content = self._module.HTML(self.render())
        if self._handle is None:
            self._handle = self._module.display(content, display_id=True)
        else:
            self._handle.update(content)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            self._handle.update(self._module.HTML(""))
        self._finish()


def _notebook() -> Any | None:
    """IPython's display module if a notebook's kernel runs this program."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    import importlib

    return importlib.import_module("IPython.display")


def _offline(run: RunState) -> str:
    """The state in words; a node that went offline in the middle is named too."""
    if run.node_online is False and not run.finished and run.status != TaskStatus.PENDING:
        return f"{run.words}, but its node is offline"
    return run.words


def _mark(run: RunState) -> tuple[str, str]:
    if run.failed:
        return "✗", "red"
    if run.finished:
        return "✓", "green"
    if run.node_online is False:
        return "○", "magenta"
    return ("○", "cyan") if run.status == TaskStatus.PENDING else ("●", "blue")


def _attention(run: RunState) -> int:
    if run.failed:
        return 0
    if run.finished:
        return 4
    return 1 if run.node_online is False else 2 + (run.status == TaskStatus.PENDING)
