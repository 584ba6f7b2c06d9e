"""What changed while one was not looking: ``client.event``."""

from __future__ import annotations

from typing import Any

import pytest

from vantage6.client import UserClient
from vantage6.client.exceptions import RefusedError

NOTHING = {"cursor": "100", "more": False, "tasks": [], "nodes": []}


def test_without_a_cursor_one_hears_where_to_begin(client: UserClient, server: Any) -> None:
    server.on("GET /api/event", NOTHING)
    assert client.event.list() == NOTHING
    assert server.lines == ["GET /api/event"]


def test_a_cursor_and_a_limit_are_passed_on(client: UserClient, server: Any) -> None:
    server.on("GET /api/event", NOTHING)
    client.event.list("99", limit=5)
    client.event.list(since=0)
    assert server.lines == ["GET /api/event?since=99&limit=5", "GET /api/event?since=0"]


def test_changes_are_gone_through_until_there_are_no_more(client: UserClient, server: Any) -> None:
    answers = [
        {"cursor": "110", "more": True, "tasks": [{"id": 1}], "nodes": [{"id": 4}]},
        {"cursor": "120", "more": True, "tasks": [{"id": 2}], "nodes": []},
        {"cursor": "130", "more": False, "tasks": [], "nodes": []},
    ]
    server.on("GET /api/event", *answers)
    changes = client.event.iterate("100", limit=1)
    assert server.lines == []
    assert list(changes) == answers
    assert server.lines == [
        f"GET /api/event?since={cursor}&limit=1" for cursor in ("100", "110", "120")
    ]


def test_a_server_of_4_15_cannot_tell_and_the_error_says_what_to_do(
    client: UserClient, server: Any
) -> None:
    server.on("GET /api/event", (404, {"message": "The requested URL was not found."}))
    with pytest.raises(RefusedError, match=r"http://server:5000/api .*4\.15.*client\.task\.list"):
        client.event.list()
    with pytest.raises(RefusedError, match="no GET /event") as caught:
        list(client.event.iterate(7))
    assert caught.value.status_code == 404


def test_any_other_refusal_is_told_in_the_servers_words(client: UserClient, server: Any) -> None:
    server.on("GET /api/event", (400, {"msg": "since is not a number"}))
    with pytest.raises(RefusedError, match=r"since is not a number \[400 to GET event\]"):
        client.event.list("yesterday")
