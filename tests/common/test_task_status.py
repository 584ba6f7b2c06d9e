"""The state machine of runs, and what follows for their task."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantage6.common.task_status import (
    ALIVE,
    FAILURES,
    FINAL,
    TRANSITIONS,
    TaskStatus,
    TransitionError,
    has_task_failed,
    has_task_finished,
    task_status,
    transition,
)

states = st.sampled_from(list(TaskStatus))


def test_states_are_those_of_the_contract() -> None:
    assert {status.value for status in TaskStatus} == {
        "pending",
        "initializing",
        "active",
        "completed",
        "failed",
        "start failed",
        "non-existing Docker image",
        "crashed",
        "killed by user",
        "not allowed",
        "unknown error",
    }


def test_every_state_says_what_may_follow() -> None:
    assert set(TRANSITIONS) == set(TaskStatus)


@given(states, states)
def test_nothing_changes_a_closed_run(current: TaskStatus, proposed: TaskStatus) -> None:
    with pytest.raises(TransitionError, match="already finished"):
        transition(current, proposed, closed=True)


@given(st.lists(states, max_size=12))
def test_a_final_state_is_never_left_for_one_that_is_not(proposals: list[TaskStatus]) -> None:
    current = TaskStatus.PENDING
    for proposed in proposals:
        before = current
        try:
            current = transition(current, proposed, closed=False)
        except TransitionError:
            continue
        assert current is proposed
        if before in FINAL:
            assert current in FINAL
        if before is TaskStatus.COMPLETED:
            assert current is TaskStatus.COMPLETED
        if before in FAILURES:
            assert current in FAILURES


@given(states)
def test_nothing_becomes_pending_again(current: TaskStatus) -> None:
    if current is TaskStatus.PENDING:
        return
    with pytest.raises(TransitionError):
        transition(current, TaskStatus.PENDING, closed=False)


@given(st.sampled_from(sorted(ALIVE)), states)
def test_an_open_run_that_is_alive_can_take_any_state_but_go_back_to_waiting(
    current: TaskStatus, proposed: TaskStatus
) -> None:
    if proposed is TaskStatus.PENDING and current is not TaskStatus.PENDING:
        return
    assert transition(current, proposed, closed=False) is proposed


def test_a_run_that_was_lost_can_be_started_anew() -> None:
    for current in (TaskStatus.INITIALIZING, TaskStatus.ACTIVE):
        assert transition(current, "initializing", closed=False) is TaskStatus.INITIALIZING
        assert transition(current, "active", closed=False) is TaskStatus.ACTIVE


@given(st.text())
def test_an_unknown_state_is_refused_by_name(proposed: str) -> None:
    if proposed in set(TaskStatus):
        return
    with pytest.raises(TransitionError, match="Unknown status"):
        transition(TaskStatus.PENDING, proposed, closed=False)


@given(st.one_of(states, st.none(), st.text()))
def test_whatever_is_neither_alive_nor_completed_has_failed(status: str | None) -> None:
    alive = status in ("pending", "initializing", "active")
    assert has_task_finished(status) is not alive
    assert has_task_failed(status) is (not alive and status != "completed")


@given(st.lists(states))
def test_a_task_is_finished_only_when_something_failed_or_everything_completed(
    runs: list[TaskStatus],
) -> None:
    result = task_status(runs)
    failed = {run for run in runs if run in FAILURES}
    if len(failed) == 1:
        assert result == failed.pop()
    elif failed:
        assert result == "failed"
    elif set(runs) <= {TaskStatus.COMPLETED}:
        assert result == "completed"
    else:
        assert result in ALIVE


@given(st.lists(states), st.randoms())
def test_the_order_of_runs_does_not_matter(runs: list[TaskStatus], random: object) -> None:
    shuffled = list(runs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert task_status(runs) == task_status(shuffled)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([], "completed"),
        (["completed", "pending"], "pending"),
        (["initializing", "pending"], "initializing"),
        (["active", "initializing", "pending"], "active"),
        (["active", "crashed"], "crashed"),
        (["crashed", "killed by user"], "failed"),
        (["completed", "no such state"], "no such state"),
        ([None, "completed"], "failed"),
    ],
)
def test_task_status_by_example(runs: list[str | None], expected: str) -> None:
    assert task_status(runs) == expected
