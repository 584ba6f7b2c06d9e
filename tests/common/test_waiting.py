"""Waiting for a task, with a clock in the test's hand."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recording import TurnableClock
from vantage6.common.client.refusal import Refusal
from vantage6.common.client.waiting import Interest, SilentDisplay, TaskState, Waiter
from vantage6.common.exceptions import (
    RefusedError,
    ServerUnreachableError,
    UnexpectedAnswerError,
    WaitTimeoutError,
)

LOG = logging.getLogger("waiting")
AWAY = ServerUnreachableError("nobody listens")


def told(seen: str, status: str, *runs: dict[str, Any]) -> dict[str, Any]:
    return {"status": status, "seen": seen, "runs": list(runs)}


def run(name: str, status: str, node_status: str) -> dict[str, Any]:
    return {
        "organization": {"id": 2, "name": name},
        "status": status,
        "node_status": node_status,
    }


def refused(status: int) -> Refusal:
    return Refusal({"msg": "No such task"}, status, "GET task/5/status")


class Asked:
    """A server that gives one answer after the other, the last one for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.questions: list[dict[str, Any]] = []

    def __call__(self, params: Mapping[str, Any]) -> Any:
        self.questions.append(dict(params))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Notes:
    """A display that writes down what it is told."""

    def __init__(self, interest: Interest = Interest.END) -> None:
        self.interest = interest
        self.shown: list[str] = []
        self.reasons: list[str | None] = []

    def show(self, state: TaskState) -> None:
        self.shown.append(state.status)

    def away(self, reason: str | None) -> None:
        self.reasons.append(reason)


@pytest.fixture
def clock() -> TurnableClock:
    return TurnableClock()


@pytest.fixture
def waiting(clock: TurnableClock) -> Callable[..., Waiter]:
    def make(ask: Asked, **options: Any) -> Waiter:
        return Waiter(ask, **{"clock": clock, "display": SilentDisplay(), "log": LOG, **options})

    return make


@pytest.mark.parametrize(
    ("interest", "first", "later"),
    [
        (Interest.EVERY_CHANGE, {"wait": 25}, {"wait": 25}),
        (Interest.START_AND_END, {"wait": 1, "until": "finished"}, {"until": "finished"}),
        (Interest.END, {"wait": 25, "until": "finished"}, {"until": "finished"}),
    ],
)
def test_the_server_is_told_what_is_worth_an_answer_and_what_was_seen(
    waiting: Callable[..., Waiter],
    clock: TurnableClock,
    interest: Interest,
    first: dict[str, Any],
    later: dict[str, Any],
) -> None:
    ask = Asked(told("a", "pending"), told("b", "active"), told("c", "completed"))
    notes = Notes(interest)
    assert waiting(ask, display=notes).wait(5).status == "completed"
    assert ask.questions == [
        first,
        {"wait": 25, "seen": "a", **later},
        {"wait": 25, "seen": "b", **later},
    ]
    assert notes.shown == ["pending", "active", "completed"]
    assert clock.sleeps == []


def test_who_only_wants_the_end_gets_it_with_one_question(waiting: Callable[..., Waiter]) -> None:
    ask = Asked(told("c", "completed"))
    assert waiting(ask).wait(5).finished
    assert ask.questions == [{"wait": 25, "until": "finished"}]


def test_a_server_that_answers_without_news_and_without_waiting_is_not_flooded(
    waiting: Callable[..., Waiter], clock: TurnableClock
) -> None:
    waiting(Asked(*[told("a", "active")] * 4, told("b", "completed"))).wait(5, interval=2)
    assert clock.sleeps == [2, 2, 2]


@pytest.mark.parametrize(
    ("interval", "longest", "begin", "end"),
    [(1, 300, [1, 1.5, 2.25], 300), (1, 30, [1, 1.5, 2.25], 30), (40, 30, [40, 40, 40], 40)],
)
def test_an_old_server_is_asked_less_and_less_often(
    waiting: Callable[..., Waiter],
    clock: TurnableClock,
    interval: float,
    longest: float,
    begin: list[float],
    end: float,
) -> None:
    ask = Asked(*[{"status": "active"}] * 20, {"status": "completed"})
    waiting(ask, longest_pause=longest).wait(5, interval)
    assert clock.sleeps[:3] == begin
    assert clock.sleeps[-1] == end
    assert ask.questions[1:] == [{}] * 20


@pytest.mark.parametrize("status", ["pending", "initializing", "active"])
def test_open_states_are_waited_for(
    waiting: Callable[..., Waiter], clock: TurnableClock, status: str
) -> None:
    waiting(Asked({"status": status}, {"status": "completed"})).wait(5, interval=0.25)
    assert clock.sleeps == [0.25]


@pytest.mark.parametrize("tolerance", [0, 10])
def test_a_server_may_be_away_for_a_while(
    waiting: Callable[..., Waiter],
    clock: TurnableClock,
    caplog: pytest.LogCaptureFixture,
    tolerance: float,
) -> None:
    ask = Asked(
        told("a", "active"),
        AWAY,
        refused(503),
        refused(500),
        refused(429),
        {"msg": "Connection error"},
        told("b", "completed"),
    )
    notes = Notes()
    waiting(ask, display=notes, tolerance=tolerance).wait(5)
    assert len(clock.sleeps) == 5
    assert sum(clock.sleeps) < 20
    assert notes.reasons == [
        "nobody listens",
        "No such task [503 to GET task/5/status]",
        "No such task [500 to GET task/5/status]",
        "No such task [429 to GET task/5/status]",
        "Connection error",
        None,
    ]
    assert [record.getMessage() for record in caplog.records] == [
        "The server does not answer; trying again. Task 5 goes on at the nodes.",
        "The server answers again.",
    ]


def test_a_server_that_stays_away_ends_the_waiting_with_what_went_wrong_last(
    waiting: Callable[..., Waiter], clock: TurnableClock
) -> None:
    start = clock.time
    ask = Asked(told("a", "active"), AWAY, refused(503))
    with pytest.raises(
        ServerUnreachableError, match=r"The task goes on.*wait_for_results\(5\)"
    ) as caught:
        waiting(ask, outage=3600).wait(5)
    assert 3600 < clock.time - start < 3660
    assert str(caught.value.__cause__) == "No such task [503 to GET task/5/status]"


def test_held_answers_that_are_cut_off_on_the_way_lead_to_asking_now_and_then(
    waiting: Callable[..., Waiter], clock: TurnableClock
) -> None:
    def cut() -> ServerUnreachableError:
        clock.time += 10
        return ServerUnreachableError("late")

    active = {"status": "active"}
    ask = Asked(told("a", "active"), cut, cut, active, active, {"status": "completed"})
    waiting(ask).wait(5)
    held = {"wait": 25, "seen": "a", "until": "finished"}
    assert ask.questions == [{"wait": 25, "until": "finished"}, held, held, {}, {}, {}]


ODD = [
    pytest.param(refused(404), RefusedError, id="refused"),
    pytest.param({}, UnexpectedAnswerError, id="empty"),
    pytest.param([], UnexpectedAnswerError, id="list"),
    pytest.param({"status": None}, UnexpectedAnswerError, id="null"),
    pytest.param(UnexpectedAnswerError("not JSON"), UnexpectedAnswerError, id="no JSON"),
]


@pytest.mark.parametrize(("odd", "error"), ODD)
def test_an_answer_without_status_is_no_end_but_a_reason_to_stop(
    waiting: Callable[..., Waiter], clock: TurnableClock, odd: Any, error: type[Exception]
) -> None:
    ask = Asked(told("a", "active"), odd)
    with pytest.raises(error):
        waiting(ask).wait(5)
    assert len(ask.questions) == 2
    assert clock.sleeps == []


@pytest.mark.parametrize(("odd", "error"), ODD)
def test_with_tolerance_only_an_answer_that_stays_odd_stops_the_waiting(
    waiting: Callable[..., Waiter],
    clock: TurnableClock,
    caplog: pytest.LogCaptureFixture,
    odd: Any,
    error: type[Exception],
) -> None:
    def held() -> dict[str, Any]:
        clock.time += 25
        return told("a", "active")

    ask = Asked(held, odd, odd, held, odd, told("b", "completed"))
    assert waiting(ask, tolerance=10).wait(5).status == "completed"
    assert caplog.messages[0] == (
        "The server does not tell the status; trying again. Task 5 goes on at the nodes."
    )
    start = clock.time
    with pytest.raises(error):
        waiting(Asked(odd), tolerance=10).wait(5)
    assert 10 <= clock.time - start < 25


def test_odd_answers_around_an_outage_are_judged_by_themselves(
    waiting: Callable[..., Waiter], clock: TurnableClock
) -> None:
    def hours_later() -> ServerUnreachableError:
        clock.time += 7200
        return AWAY

    ask = Asked(refused(404), hours_later, refused(404), {"status": "completed"})
    assert waiting(ask, tolerance=10, outage=86400).wait(5).status == "completed"


def test_a_server_that_is_odd_and_away_in_turn_is_not_waited_for_for_ever(
    waiting: Callable[..., Waiter], clock: TurnableClock
) -> None:
    start = clock.time
    with pytest.raises(ServerUnreachableError):
        waiting(Asked(*[refused(404), AWAY] * 1000), tolerance=10, outage=600).wait(5)
    assert 600 < clock.time - start < 660


def test_waiting_may_be_limited_and_says_what_it_waited_for(
    waiting: Callable[..., Waiter], clock: TurnableClock
) -> None:
    state = told("a", "active", run("Utrecht", "completed", "online"), run("Leiden", "pending", ""))
    ask = Asked(state)

    def hold() -> dict[str, Any]:
        clock.time += ask.questions[-1]["wait"]
        return state

    ask.answers = [hold]
    start = clock.time
    with pytest.raises(WaitTimeoutError, match="status: active; Leiden: waiting: its node is off"):
        waiting(ask).wait(5, timeout=30)
    assert clock.time - start == 30
    assert [question["wait"] for question in ask.questions] == [25, 5]


@given(
    timeout=st.floats(0.1, 2000),
    interval=st.floats(0.01, 400),
    finishes=st.floats(0, 3000),
    longest=st.floats(10, 400),
)
def test_polling_never_outlasts_its_limit_and_never_misses_the_end(
    timeout: float, interval: float, finishes: float, longest: float
) -> None:
    clock = TurnableClock()
    start = clock.time

    def ask(_: Any) -> dict[str, str]:
        return {"status": "completed" if clock.time - start >= finishes else "active"}

    waiter = Waiter(
        ask,
        clock=clock,
        display=SilentDisplay(),
        log=LOG,
        long_poll=0,
        longest_pause=longest,
    )
    try:
        state = waiter.wait(5, interval, timeout)
    except WaitTimeoutError:
        assert finishes > 0
        assert clock.time - start == pytest.approx(timeout)
    else:
        assert state.status == "completed"
        assert clock.time - start <= timeout + 1e-3
    pauses = clock.sleeps[:-1]
    assert all(later >= earlier for earlier, later in pairwise(pauses))
    assert all(pause <= max(interval, longest) for pause in pauses)
