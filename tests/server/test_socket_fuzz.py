"""Junk on the Socket.IO side: nobody learns, changes or breaks anything by it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2 as httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from sqlalchemy import insert, select
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from live import SECRET, Live, running
from vantage6.server.auth.tokens import Kind
from vantage6.server.model.tables import Base, Collaboration, Node, member

EVENTS = (
    "ping",
    "algorithm_status_change",
    "algorithm_log",
    "node_info_update",
    "node_metrics_update",
    "message",
    "error",
    "no_such_event",
    "sync",
    "connect",
    "disconnect",
    "",
    "*",
)
BOUNDED = settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

_ids = st.sampled_from([-1, 0, 1, 2, 3, 4, 5, 6, 11, 12, 21, 2**31, 2**63, 2**64, -(2**63) - 1])
_text = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["\0", "\ud800", "a\nb\r\nERROR forged", "x" * 100_000, "NaN", "9" * 5000, "%s%n{0}", "'--"]
    ),
)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    _ids,
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e308, -0.5, 10**400]),
    _text,
)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_text, inner, max_size=3)),
    max_leaves=8,
)
_KEYS = {
    "algorithm_status_change": ("run_id", "status", "task_id", "collaboration_id", "node_id"),
    "algorithm_log": ("run_id", "log", "task_id", "collaboration_id"),
    "node_info_update": ("allowed_users", "database_labels", "database_types", "encryption"),
    "node_metrics_update": ("os", "platform", "cpu_percent", "gpu_load", "gpu_count"),
}


@st.composite
def _events(draw: st.DrawFn) -> list[Any]:
    """An event's name and its arguments: near the contract, or far from it."""
    name = draw(st.sampled_from(EVENTS))
    keys = _KEYS.get(name)
    if not keys or draw(st.integers(0, 3)) == 0:
        return [name, *draw(st.lists(_values, max_size=3))]
    plausible = {key: draw(_ids if key.endswith("_id") else _values) for key in keys}
    if draw(st.booleans()):
        del plausible[draw(st.sampled_from(keys))]
    return [name, plausible]


class Raw:
    """A connection that can say anything, as the library's own client cannot."""

    def __init__(self, live: Live, token: str | None) -> None:
        self._live, self._token = live, token
        self._held = ExitStack()
        self.open()

    def open(self) -> None:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        address = self._live.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        self.socket: ClientConnection = self._held.enter_context(
            connect(address, additional_headers=headers, max_size=None)
        )
        self.socket.send("40/tasks,")
        self.until("40/tasks,")

    def close(self) -> None:
        self._held.close()

    def until(self, start: str, seconds: float = 20) -> str:
        """What the server says that begins so; whatever it says before is let go."""
        while True:
            frame = self.socket.recv(timeout=seconds)
            if frame == "2":
                self.socket.send("3")
            if isinstance(frame, str) and frame.startswith(start):
                return frame

    def emit(self, event: list[Any]) -> None:
        self.socket.send(f"42/tasks,{json.dumps(event)}")

    def answered(self, seconds: float = 20) -> None:
        """The connection works: its `ping` is worked on, after all that was sent before."""
        self.socket.send('42/tasks,7["ping"]')
        assert self.until("43/tasks,7", seconds) == "43/tasks,7[]"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    options = {"prometheus": {"enabled": True, "exporter_port": 0}}
    with running(tmp_path_factory.mktemp("fuzz"), **options) as server:
        server.create_task()
        with server.services.database.write() as db:
            db.add(Collaboration(id=2, name="others", encrypted=False))
            db.flush()
            db.execute(insert(member).values(collaboration_id=2, organization_id=11))
            node = {"api_key_hash": "x", "collaboration_id": 2, "organization_id": 11}
            db.add(Node(id=13, name="node elsewhere", **node))
        with server.http(Kind.USER, 21) as http:
            run = {"id": 11, "input": "eyJtZXRob2QiOiAibSJ9"}
            body = {"collaboration_id": 2, "image": "i", "name": "t", "organizations": [run]}
            answer = http.post("/task", json=body)
            assert answer.status_code == 201, answer.text
        yield server


@pytest.fixture
def harmless(live: Live, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever is said in the test: it changes nothing of others, and the log stays clean."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "vantage6")
    before = _of_others(live)
    yield
    assert _of_others(live) == before
    with live.http(Kind.USER, 21) as http:
        for path in ("/node", "/run", "/task", "/node/11", "/run/1", "/organization"):
            assert http.get(path).status_code == 200, path
    generate_latest(live.services.metrics.registry)
    for record in caplog.get_records("call") + caplog.records:
        line = record.getMessage()
        assert record.levelno <= logging.WARNING, (line, record.exc_info)
        assert record.exc_info is None, line
        if record.name.startswith("vantage6"):
            assert "\n" not in line
            assert len(line) < 1000
            assert SECRET not in line
            assert "eyJ" not in line


def _of_others(live: Live) -> dict[str, Any]:
    """Every row but what node 11 may change: its configuration, its run's log, its presence."""
    own = {"log", "config", "last_seen", "changed", "status", "process"}
    rows: dict[str, Any] = {}
    with live.services.database.read() as db:
        mine = {1, 11}
        for table in Base.metadata.sorted_tables:
            if table.name in ("process", "alembic_version"):
                continue
            for row in db.execute(select(table)).mappings():
                key = row.get("run_id") or row.get("id")
                left_out = own - {"status"} if table.name == "run" else own
                kept = {k: v for k, v in row.items() if key not in mine or k not in left_out}
                for seen in ("last_seen", "changed", "process"):
                    kept.pop(seen, None)
                if table.name == "authenticatable":
                    kept.pop("status", None)
                rows.setdefault(table.name, []).append(kept)
    return rows


@contextmanager
def raw(live: Live, who: tuple[Kind, int] | None) -> Iterator[Raw]:
    made = Raw(live, live.token(*who) if who else None)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("who", [(Kind.NODE, 11), (Kind.USER, 21), None])
def test_junk_events_do_no_harm(live: Live, harmless: None, who: tuple[Kind, int] | None) -> None:
    with raw(live, who) as one:

        @BOUNDED
        @given(_events())
        @example(["algorithm_log", {"run_id": 2**70, "log": "x"}])
        @example(["algorithm_log", {"run_id": True, "log": "x"}])
        @example(["algorithm_log", {"run_id": 1, "log": "\ud800\0"}])
        @example(["algorithm_status_change", {"run_id": float("inf"), "status": "x"}])
        @example(["node_info_update", ["not an object"]])
        @example(["node_info_update", {"database_labels": ["\ud800", "\0"]}])
        @example(["node_metrics_update", {"platform": "\ud800", "cpu_percent": 10**400}])
        @example(["message", "a\nb"])
        @example(["connect", {"HTTP_AUTHORIZATION": "Bearer x"}])
        @example(["connect", "no environment"])
        @example(["disconnect", "client disconnect"])
        def probe(event: list[Any]) -> None:
            one.emit(event)
            one.answered()

        probe()
        if who:
            sessions = live.services.metrics.registry.get_sample_value(
                "vantage6_connected_sockets", {"kind": who[0].value}
            )
            assert sessions == 1
    if who == (Kind.NODE, 11):
        with raw(live, who) as one:
            one.emit(["node_info_update", {"allowed_algorithms": "all"}])
            one.answered()
            with live.http(Kind.USER, 21) as http:
                node = http.get("/node/11").json()
            assert node["status"] == "online"
            assert node["config"] == [{"key": "allowed_algorithms", "value": "all"}]


@pytest.mark.parametrize("who", [(Kind.NODE, 11), None])
def test_junk_packets_do_no_harm(live: Live, harmless: None, who: tuple[Kind, int] | None) -> None:
    with raw(live, who) as one:

        @BOUNDED
        @given(
            st.one_of(
                st.binary(min_size=1, max_size=30),
                st.text(st.characters(codec="utf-8"), max_size=20).map("4".__add__),
                st.text("0123456789-/,[]{}\"'taskping?²", max_size=12).map("42".__add__),
                st.text("0123456789-/,[]{}\"'taskping?²", max_size=12).map("42/tasks,".__add__),
            )
        )
        @example("4")
        @example("40/tasks,")
        @example("40/nowhere,{}")
        @example('40/tasks,{"token": [1]}')
        @example("42/tasks,[]")
        @example("42/tasks,[{}]")
        @example("42/tasks,{}")
        @example('42/tasks,["message",' + "[" * 50_000)
        @example('42/tasks,["message",' + "[" * 900 + "]" * 900 + "]")
        @example('42/tasks,["node_info_update",{"a":' + "[" * 900 + "]" * 900 + "}]")
        @example("43/tasks,5[]")
        @example("44/tasks,{}")
        @example('451-/tasks,["message",{"_placeholder":true,"num":7}]')
        @example('459-/tasks,["message"]')
        @example(b"\x00\x01")
        @example("49")
        @example("0{}")
        @example("5")
        @example("6")
        @example("2probe")
        def probe(frame: str | bytes) -> None:
            # A client may leave; then it is to come again.
            if frame[:2] == "41":
                return
            one.socket.send(frame)
            one.answered()

        probe()


@pytest.mark.parametrize("frame", ["", "z", "9", "1", "²", "b!!!", "x" * 100])
def test_frames_of_no_protocol_end_at_most_their_own_connection(
    live: Live, harmless: None, frame: str
) -> None:
    with raw(live, (Kind.NODE, 11)) as other, raw(live, (Kind.USER, 21)) as one:
        one.socket.send(frame)
        try:
            one.answered(seconds=1)
        except (ConnectionClosed, TimeoutError):
            one.open()
            one.answered()
        other.answered()


def test_a_client_that_says_that_it_closes_is_closed_at_once(live: Live, harmless: None) -> None:
    with raw(live, (Kind.NODE, 11)) as other, raw(live, (Kind.USER, 21)) as one:
        one.answered()
        one.socket.send("1")
        with pytest.raises(ConnectionClosed):
            # It would otherwise be let go when its next pong does not come, in 85 s.
            one.until("nothing that is ever said", seconds=20)
        other.answered()


def test_a_poll_ends_when_its_client_says_that_it_closes(live: Live) -> None:
    headers = {"Authorization": f"Bearer {live.token(Kind.USER, 21)}"}
    polling = {"EIO": "4", "transport": "polling"}
    with httpx.Client(base_url=live.url, headers=headers, timeout=20) as http:
        opened = http.get("/socket.io/", params=polling)
        polling["sid"] = json.loads(opened.text[1:])["sid"]
        with ThreadPoolExecutor(1) as waiting:
            poll = waiting.submit(http.get, "/socket.io/", params=polling)
            time.sleep(0.2)
            assert http.post("/socket.io/", params=polling, content="1").status_code < 500
            assert poll.result(20).status_code < 500


@BOUNDED
@given(
    st.dictionaries(
        st.sampled_from(["EIO", "transport", "sid", "t", "j", "b64"]),
        st.sampled_from(["4", "3", "websocket", "polling", "x", "", "\0", "../..", "9" * 500]),
    ),
    st.sampled_from(["GET", "POST", "OPTIONS", "PUT", "DELETE"]),
    st.dictionaries(
        st.sampled_from(["Authorization", "Origin", "Upgrade", "Connection", "Cookie"]),
        st.sampled_from(["Bearer", "Bearer x", "é", "Bearer " + "e" * 5000, "websocket", "a=b"]),
    ),
    st.binary(max_size=40),
)
def _handshakes(http: httpx.Client, query: Any, method: str, headers: Any, body: bytes) -> None:
    encoded = {name: value.encode("utf-8") for name, value in headers.items()}
    try:
        answer = http.request(method, "/socket.io/", params=query, headers=encoded, content=body)
    except (httpx.RemoteProtocolError, httpx.ReadError):
        return  # refused by the HTTP server itself
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("body", ["z", "", "4\x1ez", "b!", "4" + "\x1e4" * 40, "42[", "9", "\x1e"])
def test_junk_in_a_poll_is_refused(live: Live, harmless: None, body: str) -> None:
    with httpx.Client(base_url=live.url, timeout=20) as http:
        start = {"EIO": "4", "transport": "polling"}
        opened = json.loads(http.get("/socket.io/", params=start).text[1:])
        answer = http.post("/socket.io/", params={**start, "sid": opened["sid"]}, content=body)
        assert answer.status_code in (200, 400)
    with raw(live, (Kind.NODE, 11)) as one:
        one.answered()


def test_junk_handshakes_do_no_harm(live: Live, harmless: None) -> None:
    with httpx.Client(base_url=live.url, timeout=20) as http:
        _handshakes(http)
    with raw(live, (Kind.NODE, 11)) as one:
        one.answered()


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic eA==", "Bearer a.b.c", "Bearer é", "Bearer " + "x" * 5000],
)
def test_a_junk_token_identifies_nobody(live: Live, harmless: None, header: str) -> None:
    address = live.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    try:
        with connect(address, additional_headers={"Authorization": header}) as socket:
            socket.send("40/tasks,")
            socket.send('42/tasks,3["node_info_update",{"a":1}]')
            while not (said := str(socket.recv(timeout=20))).startswith("43"):
                assert "joined" not in said
    except (InvalidHandshake, UnicodeEncodeError):
        return  # not let in at all
