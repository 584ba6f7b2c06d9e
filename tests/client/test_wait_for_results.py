"""What a person who waits for a task meets; how waiting works is tested with `Waiter`."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest

from recording import RecordingServer, TurnableClock
from vantage6.client import UserClient
from vantage6.client.exceptions import RefusedError, UnexpectedAnswerError, WaitTimeoutError
from vantage6.client.failures import explain

STATUS = "GET /api/task/5/status"
NO_RESULTS = {"data": [], "links": {}}


def run(
    name: str, status: str, node_status: str | None = "online", organization: int = 2
) -> dict[str, Any]:
    return {
        "id": 9,
        "organization": {"id": organization, "name": name},
        "status": status,
        "assigned_at": "2026-01-01T00:00:00",
        "node_status": node_status,
    }


def told(seen: str, status: str, *runs: dict[str, Any]) -> dict[str, Any]:
    return {"status": status, "seen": seen, "runs": list(runs)}


@pytest.fixture(autouse=True)
def has_results(server: RecordingServer) -> None:
    server.on("GET /api/result", NO_RESULTS)


def status_lines(server: RecordingServer) -> list[str]:
    return [line.removeprefix(STATUS) for line in server.lines if line.startswith(STATUS)]


def test_a_server_that_tells_is_asked_again_at_once_with_what_was_seen(
    client: UserClient, server: RecordingServer, clock: TurnableClock
) -> None:
    server.on(
        STATUS,
        told("a", "pending", run("Utrecht", "pending")),
        told("b", "active", run("Utrecht", "active")),
        told("c", "completed", run("Utrecht", "completed")),
    )
    assert client.wait_for_results(5) == NO_RESULTS
    assert status_lines(server) == [
        "?wait=1&until=finished",
        "?wait=25&seen=a&until=finished",
        "?wait=25&seen=b&until=finished",
    ]
    assert clock.sleeps == []
    assert server.lines[-1] == "GET /api/result?task_id=5"


def test_an_old_server_is_asked_now_and_then(
    client: UserClient, server: RecordingServer, clock: TurnableClock
) -> None:
    server.on(STATUS, *[{"status": "active"}] * 20, {"status": "completed"})
    client.wait_for_results(5)
    assert clock.sleeps[:5] == [1, 1.5, 2.25, 3.375, 5.0625]
    assert clock.sleeps[-1] == 300
    assert set(status_lines(server)) == {"?wait=1&until=finished", ""}
    assert status_lines(server).count("?wait=1&until=finished") == 1


def test_the_server_may_restart_in_the_middle(
    client: UserClient,
    server: RecordingServer,
    clock: TurnableClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.on(
        STATUS,
        told("a", "active"),
        httpx.ReadError("cut"),
        httpx.ConnectError("refused"),
        (503, {"msg": "starting"}),
        (500, {"msg": "An unexpected error occurred on the server!"}),
        told("b", "completed"),
    )
    client.wait_for_results(5)
    assert len(clock.sleeps) == 4
    assert sum(clock.sleeps) < 10
    said = capsys.readouterr().out
    assert said.count("The server does not answer; trying again. Task 5 goes on") == 1
    assert said.count("The server answers again.") == 1


def test_a_server_that_stays_away_ends_the_waiting_after_ten_minutes(
    client: UserClient, server: RecordingServer, clock: TurnableClock
) -> None:
    server.on(STATUS, told("a", "active"), httpx.ConnectError("refused"))
    start = clock.time
    with pytest.raises(ConnectionError, match=r"The task goes on.*wait_for_results\(5\)"):
        client.wait_for_results(5)
    assert 600 < clock.time - start < 660


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_refusal_ends_the_waiting_with_what_the_server_said(
    client: UserClient, server: RecordingServer, status: int
) -> None:
    server.on(STATUS, (status, {"msg": "Task id=5 is not found"}))
    with pytest.raises(RefusedError, match="Task id=5 is not found"):
        client.wait_for_results(5)


def test_an_answer_without_status_is_not_taken_for_the_end(
    client: UserClient, server: RecordingServer
) -> None:
    server.on(STATUS, {})
    with pytest.raises(UnexpectedAnswerError):
        client.wait_for_results(5)


def test_waiting_may_be_limited_and_says_what_it_waited_for(
    client: UserClient, server: RecordingServer, clock: TurnableClock
) -> None:
    def hold(request: httpx.Request) -> httpx.Response:
        if "seen" in request.url.params:
            clock.time += float(request.url.params["wait"])
        state = told(
            "a", "active", run("Utrecht", "completed"), run("Leiden", "pending", "offline")
        )
        return httpx.Response(200, json=state)

    server.on(STATUS, hold)
    start = clock.time
    with pytest.raises(WaitTimeoutError) as caught:
        client.wait_for_results(5, timeout=30)
    assert isinstance(caught.value, TimeoutError)
    assert str(caught.value) == (
        "Task 5 has not finished within 30 s (status: active; Leiden: waiting: its node is "
        "offline). It goes on: wait again with client.wait_for_results(5), or end it with "
        "client.task.kill(5)"
    )
    assert clock.time - start == 30
    assert [line.partition("&")[0] for line in status_lines(server)] == [
        "?wait=1",
        "?wait=25",
        "?wait=5",
    ]


def test_a_failed_task_says_where_and_why_and_still_returns_its_results(
    client: UserClient, server: RecordingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on(STATUS, told("a", "failed", run("Utrecht", "completed"), run("Leiden", "crashed")))
    server.on(
        "GET /api/run",
        {
            "data": [
                {"id": 12, "organization": {"id": 4}, "status": "start failed", "log": None},
                {
                    "id": 11,
                    "organization": {"id": 2},
                    "status": "crashed",
                    "log": "\n  Column 'agee' does not exist\nmore",
                },
                {"id": 10, "organization": {"id": 3}, "status": "completed", "log": "fine"},
            ],
            "links": {},
        },
    )
    server.on(
        "GET /api/organization",
        {"data": [{"id": 2, "name": "Leiden"}, {"id": 4, "name": "Delft"}], "links": {}},
    )
    assert client.wait_for_results(5) == NO_RESULTS
    said = capsys.readouterr().out
    assert "Task 5 failed in 0 seconds." in said
    first = "Task 5, organization Leiden (id=2): crashed: Column 'agee' does not exist"
    second = "Task 5, organization Delft (id=4): start failed: there is no log"
    assert said.index(first) < said.index(second)
    assert "Utrecht" not in said


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        (None, "there is no log"),
        ("\n \n", "there is no log"),
        ("Organization 'Leiden': the sandbox did not start", "the sandbox did not start"),
        (
            "Organization 'Leiden': the algorithm crashed\ninfo > Dispatching\n"
            "error > There is no column 'agee'\ninfo > bye\n",
            "There is no column 'agee'",
        ),
    ],
)
def test_the_cause_is_what_the_algorithm_called_an_error_or_the_first_line(
    log: str | None, cause: str
) -> None:
    run_ = {"id": 1, "organization": {"id": 2}, "status": "crashed", "log": log}
    assert list(explain(5, [run_], {2: "Leiden"})) == [
        f"Task 5, organization Leiden (id=2): crashed: {cause}"
    ]


def test_failures_are_told_even_if_neither_names_nor_runs_can_be_read(
    client: UserClient, server: RecordingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on(STATUS, {"status": "failed"})
    server.on("GET /api/run", (401, {"msg": "You may not see runs"}))
    client.wait_for_results(5)
    assert "Task 5 failed; its runs can't be read: You may not see runs" in capsys.readouterr().out
    run_ = {"id": 1, "organization": {"id": 2}, "status": "failed", "log": "why"}
    server.on("GET /api/run", {"data": [run_], "links": {}})
    client.wait_for_results(5)
    assert "organization ? (id=2): failed: why" in capsys.readouterr().out


def test_where_nobody_watches_one_last_line_is_printed(
    client: UserClient,
    server: RecordingServer,
    clock: TurnableClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.on(STATUS, {"status": "active"}, {"status": "active"}, {"status": "completed"})
    client.wait_for_results(5)
    printed = [line for line in capsys.readouterr().out.split("\n") if line.startswith("\r")]
    assert printed == ["\rTask 5 completed in 2 seconds." + " " * 21]


def test_an_offline_node_is_told_once_where_nobody_watches(
    client: UserClient, server: RecordingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = run("Leiden", "pending", "offline")
    server.on(
        STATUS,
        told("a", "pending", waiting, run("Utrecht", "pending")),
        told("b", "active", waiting, run("Utrecht", "active")),
        told("c", "completed"),
    )
    client.wait_for_results(5)
    said = capsys.readouterr().out
    assert said.count("Task 5, Leiden: waiting: its node is offline") == 1
    assert "Utrecht" not in said


def test_an_interruption_leaves_cleanly_and_says_that_the_task_goes_on(
    client: UserClient, server: RecordingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    server.on(STATUS, interrupt)
    with pytest.raises(KeyboardInterrupt):
        client.wait_for_results(5)
    assert "Task 5 goes on: wait again with client.wait_for_results(5)" in capsys.readouterr().out


def test_waiting_with_a_function_of_ones_own(
    client: UserClient, clock: TurnableClock, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def ask(endpoint: str) -> dict[str, str]:
        asked.append(endpoint)
        return {"status": "completed" if len(asked) == 3 else "active"}

    client.wait_for_task_completion(ask, 5, interval=2, log_animation=False)
    assert asked == ["task/5/status"] * 3
    assert clock.sleeps == [2, 3]
    assert capsys.readouterr().out == "Task 5 completed in 5 seconds.\n"
