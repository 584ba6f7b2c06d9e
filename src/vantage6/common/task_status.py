"""States of a run and of a task, and which change of state is allowed.

A *run* is one organization's share of a task. Whoever wants a change (a node, a user who
kills, the server itself) *proposes* a state; the server accepts or refuses it by
:func:`transition`. The state of a *task* is computed from its runs by :func:`task_status`.

Vocabulary
----------
open
    The run may still change. A run that a node reported as failed stays open until the node
    delivers its log, which closes it.
closed
    ``finished_at`` is set. Nothing changes a closed run.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class TaskStatus(StrEnum):
    """Every state of the wire contract."""

    PENDING = "pending"
    INITIALIZING = "initializing"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    START_FAILED = "start failed"
    NO_DOCKER_IMAGE = "non-existing Docker image"
    CRASHED = "crashed"
    KILLED = "killed by user"
    NOT_ALLOWED = "not allowed"
    UNKNOWN_ERROR = "unknown error"


ALIVE = frozenset({TaskStatus.PENDING, TaskStatus.INITIALIZING, TaskStatus.ACTIVE})
FAILURES = frozenset(TaskStatus) - ALIVE - {TaskStatus.COMPLETED}
FINAL = FAILURES | {TaskStatus.COMPLETED}


def has_task_failed(status: TaskStatus | str | None) -> bool:
    """Whether a status means failure; a status nobody knows does."""
    return status not in ALIVE and status != TaskStatus.COMPLETED


def has_task_finished(status: TaskStatus | str | None) -> bool:
    """Whether a status is final: completed or any failure."""
    return status not in ALIVE


class TransitionError(ValueError):
    """A proposed change of state is refused; the message says why."""


_S = TaskStatus

# From an open state, the states that may be proposed. `initializing` and `active` lead back to
# `initializing`: a node that lost a run (power cut) starts it anew. A failure that is not yet
# closed can only be closed, with the same or a more precise failure.
TRANSITIONS: dict[TaskStatus, frozenset[TaskStatus]] = {
    _S.PENDING: frozenset(TaskStatus),
    _S.INITIALIZING: frozenset(TaskStatus) - {_S.PENDING},
    _S.ACTIVE: frozenset(TaskStatus) - {_S.PENDING},
    _S.COMPLETED: frozenset({_S.COMPLETED}),
    **dict.fromkeys(FAILURES, FAILURES),
}


def transition(current: str, proposed: str, *, closed: bool) -> TaskStatus:
    """Decide on a proposed change of a run's state.

    Parameters
    ----------
    current, proposed
        States of the contract, as text.
    closed
        Whether the run's ``finished_at`` is set.

    Returns
    -------
    TaskStatus
        The state the run has from now on.

    Raises
    ------
    TransitionError
        If the run is closed, the proposed state is unknown, or the change is not in
        :data:`TRANSITIONS`.
    """
    if closed:
        raise TransitionError("Cannot update an already finished algorithm run!")
    try:
        target = TaskStatus(proposed)
    except ValueError:
        known = ", ".join(f"'{status}'" for status in TaskStatus)
        raise TransitionError(f"Unknown status '{proposed}'. Known are: {known}") from None
    if target not in TRANSITIONS[TaskStatus(current)]:
        raise TransitionError(f"A run that is '{current}' cannot become '{proposed}'")
    return target


def task_status(runs: Iterable[str | None]) -> str:
    """Compute a task's state from the states of its runs.

    Any failed run makes the task fail: with that state if all failed runs share it, otherwise
    ``failed``. Else the first of active, initializing, pending that occurs; else completed.
    """
    states = list(runs)
    failed = {state for state in states if has_task_failed(state)}
    if failed:
        only = failed.pop() if len(failed) == 1 else None
        return str(only) if only is not None else TaskStatus.FAILED.value
    for state in (_S.ACTIVE, _S.INITIALIZING, _S.PENDING):
        if state in states:
            return state.value
    return TaskStatus.COMPLETED.value
