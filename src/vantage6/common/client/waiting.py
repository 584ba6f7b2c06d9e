"""Waiting for a task: told by the server where it can, asking now and then where it can't."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from vantage6.common.client.refusal import Refusal, require
from vantage6.common.clock import Clock
from vantage6.common.exceptions import (
    ClientError,
    RefusedError,
    ServerUnreachableError,
    UnexpectedAnswerError,
    WaitTimeoutError,
)
from vantage6.common.globals import INTERVAL_MULTIPLIER, MAX_INTERVAL
from vantage6.common.task_status import TaskStatus, has_task_failed, has_task_finished
from vantage6.common.transport import backoff

#: Seconds for which the server is asked to hold its answer until something changes.
LONG_POLL = 25
#: Seconds for which the server may be away while somebody waits; nodes work on meanwhile.
OUTAGE = 600.0
#: A server that answers sooner than this without news is not holding its answers.
_TOO_SOON = 0.5
#: A held request that is cut off after more than this was cut off for taking long.
_CUT_OFF = 5.0
_TOO_MANY_REQUESTS = 429

#: What asks for the state of the task: query parameters in, answer out.
Ask = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class RunState:
    """One organization's share of a task; ``node_online`` is None when that is not known."""

    organization: str
    status: str | None
    node_online: bool | None = None

    @property
    def words(self) -> str:
        """The state, for a reader."""
        if self.status == TaskStatus.PENDING:
            if self.node_online is False:
                return "waiting: its node is offline"
            return "waiting for its node"
        return str(self.status)

    @property
    def failed(self) -> bool:
        """Whether it ended in a failure."""
        return has_task_failed(self.status)

    @property
    def finished(self) -> bool:
        """Whether it ended."""
        return has_task_finished(self.status)


@dataclass(frozen=True)
class TaskState:
    """A task's state and that of its runs; a server that does not tell leaves `runs` empty."""

    task_id: int
    status: str
    runs: tuple[RunState, ...] = ()

    @classmethod
    def read(cls, task_id: int, answer: Any) -> TaskState:
        """Read an answer of ``GET /task/<id>/status``.

        Raises
        ------
        UnexpectedAnswerError
            If it holds no status.
        """
        if not isinstance(answer, dict) or not isinstance(answer.get("status"), str):
            raise UnexpectedAnswerError(f"The server did not tell the status of task {task_id}")
        runs = tuple(
            RunState(
                str(run["organization"].get("name", run["organization"]["id"])),
                run.get("status"),
                None if run.get("node_status") is None else run["node_status"] == "online",
            )
            for run in answer.get("runs") or ()
        )
        return cls(task_id, answer["status"], runs)

    @property
    def finished(self) -> bool:
        """Whether the task ended; one failed run ends it, even if others still go on."""
        return has_task_finished(self.status)

    @property
    def failed(self) -> bool:
        """Whether any run failed."""
        return has_task_failed(self.status)

    def describe_open_runs(self) -> str:
        """What is being waited for; empty when the server did not tell."""
        return "; ".join(
            f"{run.organization}: {run.words}" for run in self.runs if not run.finished
        )


class Interest(Enum):
    """What a display wants to hear of."""

    EVERY_CHANGE = "every change"
    START_AND_END = "what the task waits for at the start, and its end"
    END = "its end"


class Display(Protocol):
    """Shows a waiting person how the task gets on.

    Attributes
    ----------
    interest : Interest
        The server need not tell more than this.
    """

    interest: Interest

    def show(self, state: TaskState) -> None:
        """Show a new state."""
        ...

    def away(self, reason: str | None) -> None:
        """Tell that the server does not answer, or (None) that it does again."""
        ...


class SilentDisplay:
    """For programs that only want to know when the task has ended."""

    interest = Interest.END

    def show(self, state: TaskState) -> None:
        """Show nothing."""

    def away(self, reason: str | None) -> None:
        """Tell nothing."""


class Waiter:
    """Waits until a task is finished.

    Parameters
    ----------
    ask : callable
        Asks the server; ``{"msg": ...}`` or a ``ServerUnreachableError`` means that no answer
        came.
    clock : Clock
    display : Display
    log : logging.Logger
    long_poll : float
        Seconds the server may hold an answer; 0 to poll from the start.
    outage : float
        Seconds for which the server may be away.
    tolerance : float
        Seconds for which it may refuse to tell, or tell no status, before that is believed.
    longest_pause : float
        Seconds up to which the pauses grow towards a server that can't hold answers.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        clock: Clock,
        display: Display,
        log: logging.Logger,
        long_poll: float = LONG_POLL,
        outage: float = OUTAGE,
        tolerance: float = 0.0,
        longest_pause: float = MAX_INTERVAL,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._display = display
        self._log = log
        self._long_poll = long_poll
        self._outage = outage
        self._tolerance = tolerance
        self._longest_pause = longest_pause
        self._seen: str | None = None
        self._cut_off = 0
        self._away_since: float | None = None
        self._doubtful_since: float | None = None
        self._retries: Iterator[float] = iter(())

    def wait(self, task_id: int, interval: float = 1.0, timeout: float | None = None) -> TaskState:
        """Wait.

        Parameters
        ----------
        task_id : int
        interval : float
            Seconds before a server that can't hold answers is asked again; grows.
        timeout : float | None
            Seconds to wait at most.

        Returns
        -------
        TaskState
            The state in which the task ended.

        Raises
        ------
        WaitTimeoutError
            If it has not ended by then.
        ServerUnreachableError
            If the server stayed away for too long; its cause is the last thing that went wrong.
        RefusedError
            If the server refuses to tell.
        UnexpectedAnswerError
            If what answers tells no status.
        """
        deadline = math.inf if timeout is None else self._clock.now() + timeout
        pause = max(interval, 0.01)
        state: TaskState | None = None
        while True:
            asked = self._clock.now()
            params = self._params(deadline - asked)
            rest: float
            try:
                answer = self._answer(params)
                state = TaskState.read(task_id, answer)
            except ServerUnreachableError as problem:
                self._suspect_cut(asked, "wait" in params)
                self._doubtful_since = None
                rest = self._stay_away(task_id, asked, problem)
            except (RefusedError, UnexpectedAnswerError) as problem:
                self._doubt(problem)
                rest = self._stay_away(task_id, asked, problem)
            else:
                self._come_back()
                self._display.show(state)
                if state.finished:
                    return state
                rest = self._rest(answer, asked, pause, "wait" in params)
                if not self._long_poll:
                    pause = max(pause, min(pause * INTERVAL_MULTIPLIER, self._longest_pause))
            left = deadline - self._clock.now()
            if left <= 0:
                raise _too_late(task_id, timeout, state)
            if rest:
                self._clock.sleep(min(rest, left))

    def _params(self, left: float) -> dict[str, Any]:
        if not self._long_poll:
            return {}
        params: dict[str, Any] = {"wait": max(1, math.ceil(min(self._long_poll, left)))}
        if self._seen:
            params["seen"] = self._seen
        if self._display.interest is not Interest.EVERY_CHANGE:
            params["until"] = "finished"
        if self._display.interest is Interest.START_AND_END and not self._seen:
            # A quick task ends within this one request; a slow one soon tells what it waits for.
            params["wait"] = 1
        return params

    def _answer(self, params: Mapping[str, Any]) -> Any:
        """Ask once; what may be mended by waiting is a ``ServerUnreachableError``."""
        answer = self._ask(params)
        if isinstance(answer, Refusal):
            if answer.status_code >= 500 or answer.status_code == _TOO_MANY_REQUESTS:
                raise ServerUnreachableError(answer.explain())
        elif isinstance(answer, dict) and "msg" in answer and "status" not in answer:
            raise ServerUnreachableError(str(answer["msg"]))
        return require(answer)

    def _rest(self, answer: Mapping[str, Any], asked: float, pause: float, held: bool) -> float:
        """How long to leave the server alone after an answer that is not the last."""
        if not held:
            return pause
        self._cut_off = 0
        if "seen" not in answer:
            self._log.debug("The server does not hold answers: asking now and then")
            self._long_poll = 0
            return pause
        news = answer["seen"] != self._seen
        self._seen = answer["seen"]
        return 0.0 if news or self._clock.now() - asked > _TOO_SOON else pause

    def _suspect_cut(self, asked: float, held: bool) -> None:
        if held and self._clock.now() - asked > _CUT_OFF:
            self._cut_off += 1
            if self._cut_off > 1:
                self._log.debug("Held answers are cut off on the way: asking now and then")
                self._long_poll = 0

    def _doubt(self, problem: ClientError) -> None:
        """Raise a problem that does not pass."""
        now = self._clock.now()
        if self._doubtful_since is None:
            self._doubtful_since = now
        if now - self._doubtful_since >= self._tolerance:
            raise problem

    def _stay_away(self, task_id: int, asked: float, problem: ClientError) -> float:
        """How long to leave a server alone that did not tell the status."""
        self._display.away(str(problem))
        if self._away_since is None:
            self._away_since = asked
            self._retries = backoff(first=0.3, ceiling=10.0)
            away = isinstance(problem, ServerUnreachableError)
            self._log.warning(
                "The server does not %s; trying again. Task %s goes on at the nodes.",
                "answer" if away else "tell the status",
                task_id,
            )
        elif (gone := self._clock.now() - self._away_since) > self._outage:
            raise ServerUnreachableError(
                f"No answer from the server for {gone:.0f} s while waiting for task {task_id}. "
                f"The task goes on; wait again with client.wait_for_results({task_id})"
            ) from problem
        return next(self._retries)

    def _come_back(self) -> None:
        self._doubtful_since = None
        if self._away_since is not None:
            self._away_since = None
            self._display.away(None)
            self._log.warning("The server answers again.")


def _too_late(task_id: int, timeout: float | None, state: TaskState | None) -> WaitTimeoutError:
    status = state.status if state else "unknown"
    waits_for = state.describe_open_runs() if state else ""
    return WaitTimeoutError(
        f"Task {task_id} has not finished within {timeout:g} s (status: {status}"
        f"{'; ' + waits_for if waits_for else ''}). It goes on: wait again with "
        f"client.wait_for_results({task_id}), or end it with client.task.kill({task_id})"
    )
