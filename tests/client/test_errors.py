from __future__ import annotations

import copy
import ssl
from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest

from recording import TurnableClock
from vantage6.client import UserClient
from vantage6.client.exceptions import (
    ClientError,
    RefusedError,
    ServerUnreachableError,
    UnexpectedAnswerError,
)

REFUSED = (400, {"msg": "Request body is incorrect.", "errors": {"name": ["Missing data"]}})


def test_a_refusal_is_returned_as_the_servers_dictionary_and_logged(
    client: UserClient, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on("POST /api/study", REFUSED)
    answer = client.study.create("", [1], 1)
    assert answer == REFUSED[1]
    assert isinstance(answer, dict)
    assert capsys.readouterr().out.splitlines() == [
        "Server responded with error code: 400",
        "msg: Request body is incorrect. Endpoint: study",
        "errors:{'name': ['Missing data']}",
    ]


def test_using_a_refusal_as_if_it_were_a_success_says_what_the_server_said(
    client: UserClient, server: Any
) -> None:
    server.on("POST /api/study", REFUSED)
    study = copy.deepcopy(client.study.create("", [1], 1))
    with pytest.raises(KeyError, match=r"'id'.*Request body is incorrect.*400 to POST study"):
        study["id"]
    assert study.get("id") is None
    assert "id" not in study


def test_fields_of_a_refused_item_keep_the_message(client: UserClient, server: Any) -> None:
    server.on("GET /api/role/9", (404, {"msg": "Role id=9 not found"}))
    assert client.role.get(9, fields=["id"]) == {"msg": "Role id=9 not found"}


LIST_CALLS: list[Callable[[UserClient], Any]] = [
    lambda c: c.node.list(fields=["id"]),
    lambda c: c.node.list(field="id"),
    lambda c: c.node.list(filter_=("id", 1)),
    lambda c: c.node.list(filters=[("id", 1)]),
]


@pytest.mark.parametrize("call", LIST_CALLS)
def test_filtering_a_refused_list_raises_what_the_server_said(
    client: UserClient, server: Any, call: Callable[[UserClient], Any]
) -> None:
    server.on("GET /api/node", (401, {"msg": "You lack the permission to do that!"}))
    with pytest.raises(RefusedError, match="You lack the permission") as caught:
        call(client)
    assert isinstance(caught.value, KeyError)
    assert caught.value.status_code == 401
    assert client.node.list() == {"msg": "You lack the permission to do that!"}


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda c: c.run.list(), "run"),
        (lambda c: c.run.from_task(9), "run"),
        (lambda c: c.result.from_task(9), "result"),
        (lambda c: c.result.get(9), "result/9"),
    ],
)
def test_a_refused_result_raises_what_the_server_said(
    client: UserClient, server: Any, call: Callable[[UserClient], Any], path: str
) -> None:
    server.on(f"GET /api/{path}", (400, {"msg": "Task id=9 does not exist!"}))
    with pytest.raises(KeyError, match="Task id=9 does not exist!"):
        call(client)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, text="<html>Internal error</html>"),
        httpx.Response(405, json={"message": "Method not allowed"}),
        httpx.Response(400, json=["a", "list"]),
        httpx.Response(400, json={"msg": None}),
        httpx.Response(400, json={"msg": {"name": ["wrong"]}}),
        httpx.Response(500, content=b""),
    ],
)
def test_a_refusal_in_any_form_has_a_message_that_is_text(
    client: UserClient, server: Any, answer: httpx.Response
) -> None:
    server.on("GET /api/rule/1", answer)
    assert isinstance(client.rule.get(1)["msg"], str)
    assert client.rule.get(1)["msg"]


@pytest.mark.parametrize("body", [b"", b"<html>"])
def test_a_success_that_is_not_json_is_told_as_such(
    client: UserClient, server: Any, body: bytes
) -> None:
    server.on("GET /api/rule/1", httpx.Response(200, content=body))
    with pytest.raises(UnexpectedAnswerError, match="not JSON"):
        client.rule.get(1)


def test_deleting_logs_the_servers_message_and_returns_nothing(
    client: UserClient, server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on("DELETE /api/organization/5", {"msg": "Organization id=5 deleted"})
    assert client.organization.delete(5) is None
    assert "--> Organization id=5 deleted" in capsys.readouterr().out
    server.on("DELETE /api/organization/5", (401, {"msg": "You may not"}))
    assert client.organization.delete(5) is None
    assert "--> You may not" in capsys.readouterr().out


# -- no answer --------------------------------------------------------------------------------


def test_reading_is_repeated_until_the_server_is_back(
    client: UserClient, server: Any, clock: TurnableClock, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on(
        "GET /api/version",
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("too late"),
        httpx.RemoteProtocolError("closed"),
        (502, {}),
        {"version": "4.15.2"},
    )
    assert client.util.get_server_version() == {"version": "4.15.2"}
    assert len(clock.sleeps) == 4
    assert capsys.readouterr().out.count("Connection error... Retrying") == 4


def test_a_server_that_stays_away_ends_in_an_exception_that_names_it(
    client: UserClient, server: Any, clock: TurnableClock
) -> None:
    server.on("GET /api/version", httpx.ConnectError("Connection refused"))
    start = clock.time
    with pytest.raises(ConnectionError, match=r"http://server:5000/api/version.*refused") as caught:
        client.util.get_server_version()
    assert isinstance(caught.value, ClientError)
    assert 30 < clock.time - start <= 60


def test_a_gateway_that_stays_without_server_ends_in_its_message(
    client: UserClient, server: Any, clock: TurnableClock
) -> None:
    server.on("GET /api/version", (503, {"msg": "no server behind"}))
    assert client.util.get_server_version() == {"msg": "no server behind"}
    assert sum(clock.sleeps) <= 60


def test_creating_is_repeated_if_it_surely_never_arrived(client: UserClient, server: Any) -> None:
    server.on("POST /api/task", httpx.ConnectError("refused"), (201, {"id": 1}))
    task = client.task.create([1], "n", "i", "", {"method": "m"}, collaboration=1)
    assert task["id"] == 1


@pytest.mark.parametrize(
    "trouble", [httpx.ReadTimeout("late"), httpx.ReadError("cut"), httpx.WriteError("cut")]
)
def test_creating_is_never_repeated_if_it_may_have_arrived(
    client: UserClient, server: Any, clock: TurnableClock, trouble: Exception
) -> None:
    server.on("POST /api/task", trouble)
    with pytest.raises(ServerUnreachableError, match="may have been carried out") as caught:
        client.task.create([1], "n", "i", "", {"method": "m"}, collaboration=1)
    assert caught.value.may_have_arrived
    assert server.lines.count("POST /api/task") == 1
    assert clock.sleeps == []


def test_creating_is_not_repeated_when_a_gateway_answers(client: UserClient, server: Any) -> None:
    server.on("POST /api/task", (502, {"msg": "bad gateway"}))
    task = client.task.create([1], "n", "i", "", {"method": "m"}, collaboration=1)
    assert task == {"msg": "bad gateway"}
    assert server.lines.count("POST /api/task") == 1


@pytest.mark.parametrize("attempts", [0, 2])
def test_the_number_of_attempts_can_be_limited(
    client: UserClient, server: Any, attempts: int
) -> None:
    server.on("GET /api/version", httpx.ConnectError("refused"))
    answer = client.util.get_server_version(attempts_on_timeout=attempts)
    assert answer == {"msg": "Connection error"}
    assert len(server.lines) == attempts + 1


def test_a_wrong_certificate_is_not_tried_again(
    client: UserClient, server: Any, clock: TurnableClock
) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        try:
            raise ssl.SSLCertVerificationError("self-signed certificate")
        except ssl.SSLError as error:
            raise httpx.ConnectError(str(error)) from error

    server.on("GET /api/version", refuse)
    with pytest.raises(ConnectionError, match="SSL_CERT_FILE"):
        client.util.get_server_version()
    assert clock.sleeps == []


def test_an_address_without_scheme_is_told_as_such(make_client: Callable[..., UserClient]) -> None:
    from vantage6.client import Client

    with (
        Client("localhost", 5000, log_level="error") as client,
        pytest.raises(ConnectionError, match=r"https://server\.example"),
    ):
        client.authenticate("ada", "secret")


def test_a_redirect_without_end_is_told_as_such(client: UserClient, server: Any) -> None:
    server.on("GET /api/version", httpx.Response(302, headers={"Location": "/api/version"}))
    with pytest.raises(ConnectionError, match="redirect"):
        client.util.get_server_version()
