"""Our server and the unmodified upstream server 4.15.2, side by side on this machine.

Both keep the same data in SQLite and get the same requests, one server after the other for each
line, so that whatever else the machine does weighs on both. The upstream server runs the way its
images run it, under uWSGI with gevent; ours by ``v6 server start``. Prints requests per second,
the 99th percentile in milliseconds, and the ratio of the rates; the bar of the design is ten.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from peers import free_port, upstream_server
from vantage6.client import Client

PASSWORD = "root"
ORGANIZATIONS = 100
RUNS_PER_TASK = 3
FEW, MANY = 1_000, 100_000
BAR = 10.0


@dataclass
class Tables:
    """How a server calls its tables, and what else in them has to differ from row to row."""

    task_database: str
    member: str
    node_key: str
    payload: str | None = None


UPSTREAM = Tables("taskdatabase", "Member", "api_key")
OURS = Tables("task_database", "member", "api_key_hash", "payload")


@dataclass
class Side:
    """A server under measurement."""

    name: str
    port: int
    database: Path
    tables: Tables
    token: str = ""
    collaboration: int = 0
    organizations: list[int] = field(default_factory=list)
    task: int = 0
    tasks: int = 1


# -- data -------------------------------------------------------------------------------------


def prepare(side: Side) -> None:
    """One of each by the API; a hundred organizations with a node each by SQL."""
    with Client("http://127.0.0.1", side.port, log_level="error") as root:
        root.authenticate("root", PASSWORD)
        side.token = root.token or ""
        own = root.organization.get()["id"]
        address = ("Street 1", "", "1234AB", "NL", "example.org")
        template = root.organization.create("organization 0", *address)["id"]
        side.collaboration = root.collaboration.create("benchmark", [own, template])["id"]
        node = root.node.create(side.collaboration, template, "node 0")["id"]
        names = side.tables
        with sqlite3.connect(side.database, timeout=60) as db:
            new = copies(db, "organization", template, ORGANIZATIONS - 1, name="organization {}")
            side.organizations = [template, *new]
            nodes = copies(db, "authenticatable", node, len(new))
            db.executemany(
                f'INSERT INTO "{names.member}" (organization_id, collaboration_id) VALUES (?, ?)',  # noqa: S608
                [(id_, side.collaboration) for id_ in new],
            )
            columns = columns_of(db, "node")
            row = dict(zip(columns, one(db, "node", "id", node), strict=True))
            insert(
                db,
                "node",
                columns,
                [
                    {**row, "id": id_, "organization_id": organization}
                    | {"name": f"node {id_}", names.node_key: f"{row[names.node_key]}{id_}"}
                    for id_, organization in zip(nodes, new, strict=True)
                ],
            )
        db.close()
        task = root.task.create(
            [template],
            "benchmark",
            "harbor2.vantage6.ai/demo/average",
            "",
            {"method": "partial_average", "kwargs": {"column_name": "age"}},
            collaboration=side.collaboration,
            databases=[{"label": "default"}],
        )
        side.task = task["id"]


def fill(side: Side, number: int) -> None:
    """Store tasks until there are `number` of them, with three runs each."""
    names = side.tables
    with sqlite3.connect(side.database, timeout=60) as db:
        (stored,) = db.execute("SELECT count(*) FROM task").fetchone()
        (run,) = db.execute("SELECT min(id) FROM run WHERE task_id = ?", (side.task,)).fetchone()
        tasks = copies(db, "task", side.task, number - stored)
        (first_run,) = db.execute("SELECT max(id) + 1 FROM run").fetchone()
        columns = columns_of(db, "run")
        row = dict(zip(columns, one(db, "run", "id", run), strict=True))
        runs = [
            {
                **row,
                "id": first_run + number * RUNS_PER_TASK + share,
                "task_id": task,
                "organization_id": side.organizations[share],
            }
            for number, task in enumerate(tasks)
            for share in range(RUNS_PER_TASK)
        ]
        insert(db, "run", columns, runs)
        labels = columns_of(db, names.task_database)
        (label_id,) = (
            db.execute(f"SELECT max(id) + 1 FROM {names.task_database}").fetchone()  # noqa: S608
            if "id" in labels
            else (0,)
        )
        label = dict(zip(labels, one(db, names.task_database, "task_id", side.task), strict=True))
        rows = [
            {**label, "task_id": task} | ({"id": label_id + at} if "id" in labels else {})
            for at, task in enumerate(tasks)
        ]
        insert(db, names.task_database, labels, rows)
        if names.payload:
            columns = columns_of(db, names.payload)
            row = dict(zip(columns, one(db, names.payload, "run_id", run), strict=True))
            insert(db, names.payload, columns, [{**row, "run_id": each["id"]} for each in runs])
    db.close()
    side.tasks = number


def columns_of(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]


def one(db: sqlite3.Connection, table: str, key: str, value: int) -> tuple[Any, ...]:
    row: tuple[Any, ...] = db.execute(
        f'SELECT * FROM "{table}" WHERE {key} = ? LIMIT 1',  # noqa: S608
        (value,),
    ).fetchone()
    return row


def copies(
    db: sqlite3.Connection, table: str, template: int, number: int, **changes: str
) -> list[int]:
    """Copy a row a number of times; ``{}`` in a change becomes the new id."""
    columns = columns_of(db, table)
    row = dict(zip(columns, one(db, table, "id", template), strict=True))
    (first,) = db.execute(f'SELECT max(id) + 1 FROM "{table}"').fetchone()  # noqa: S608
    ids = list(range(first, first + number))
    rows = [
        {**row, "id": id_, **{key: text.format(id_) for key, text in changes.items()}}
        for id_ in ids
    ]
    insert(db, table, columns, rows)
    return ids


def insert(
    db: sqlite3.Connection, table: str, columns: list[str], rows: list[dict[str, Any]]
) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join("?" * len(columns))
    db.executemany(
        f'INSERT INTO "{table}" ({names}) VALUES ({marks})',  # noqa: S608
        ([row[column] for column in columns] for row in rows),
    )


# -- load -------------------------------------------------------------------------------------


@dataclass
class Figures:
    """What a number of requests took."""

    times: list[float]
    seconds: float
    failed: dict[int, int]

    @property
    def rate(self) -> float:
        return len(self.times) / self.seconds

    @property
    def p99(self) -> float:
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000


def request(side: Side, method: str, path: str, body: Any = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{method} /api/{path} HTTP/1.1",
        f"Host: 127.0.0.1:{side.port}",
        f"Authorization: Bearer {side.token}",
        "Accept: */*",
    ]
    if content:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


def load(port: int, message: bytes, concurrency: int, seconds: float) -> Figures:
    """Send a request again and again, over kept connections, one after the other on each.

    Plain sockets: a library for HTTP would take longer than the server that is measured.
    """
    Connection(port).ask(message)  # caches are warm from here on
    times: list[list[float]] = [[] for _ in range(concurrency)]
    failed: dict[int, int] = {}
    go = threading.Barrier(concurrency + 1)
    end = [0.0]

    def work(mine: list[float]) -> None:
        connection = Connection(port)
        go.wait()
        while True:
            started = time.perf_counter()
            status = connection.ask(message)
            mine.append(time.perf_counter() - started)
            if not 200 <= status < 300:
                failed[status] = failed.get(status, 0) + 1
            if time.perf_counter() >= end[0]:
                connection.close()
                return

    threads = [threading.Thread(target=work, args=(mine,), daemon=True) for mine in times]
    for thread in threads:
        thread.start()
    end[0] = float("inf")
    go.wait()
    started = time.perf_counter()
    end[0] = started + seconds
    for thread in threads:
        thread.join()
    return Figures([one for mine in times for one in mine], time.perf_counter() - started, failed)


class Connection:
    """A kept HTTP connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, message: bytes) -> int:
        """Send a request, read the answer; its status."""
        try:
            data = self._first_bytes(message)
        except (BrokenPipeError, ConnectionResetError, EOFError):
            # A kept connection that the server has closed meanwhile.
            self.close()
            data = self._first_bytes(message)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._receive()
        head = data[:end].lower()
        left = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        left -= len(data) - end - 4
        while left > 0:
            left -= len(self._receive())
        if b"connection: close" in head:
            self.close()
        return int(head.split(b" ", 2)[1])

    def _first_bytes(self, message: bytes) -> bytes:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=120)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(message)
        return self._receive()

    def _receive(self) -> bytes:
        assert self._socket is not None
        data = self._socket.recv(1 << 18)
        if not data:
            raise EOFError("the server closed the connection")
        return data

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


# -- measuring --------------------------------------------------------------------------------


@contextlib.contextmanager
def our_server(folder: Path) -> Iterator[tuple[int, Path]]:
    """``v6 server start`` in a process of its own; yields port and database."""
    folder.mkdir()
    port, database = free_port(), folder / "db.sqlite"
    (folder / "root").write_text(PASSWORD)
    configuration = {
        "port": port,
        "uri": f"sqlite:///{database}",
        "logging": {"level": "WARNING"},
    }
    (folder / "server.yaml").write_text(json.dumps(configuration))
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [*OUR_COMMAND, str(folder / "server.yaml")],
            env={**os.environ, "V6_INIT_SUPER_PASS_FILE": str(folder / "root")},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        with Client("http://127.0.0.1", port, log_level="critical") as client:
            client.util.get_server_version()
        yield port, database
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


OUR_COMMAND = (sys.executable, "-m", "vantage6.cli", "server", "start", "--config")


def line(what: str, concurrency: int, theirs: Figures, ours: Figures) -> float:
    ratio = ours.rate / theirs.rate
    failed = "".join(
        f"  {name} failed: {figures.failed}"
        for name, figures in (("upstream", theirs), ("ours", ours))
        if figures.failed
    )
    print(
        f"{what:34} {concurrency:3}  {theirs.rate:9.1f} {theirs.p99:9.1f}  "
        f"{ours.rate:9.1f} {ours.p99:9.1f}  {ratio:6.1f}x{failed}",
        flush=True,
    )
    return ratio


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="per line and server")
    parser.add_argument("--many", type=int, default=MANY, help="tasks in the second round")
    options = parser.parse_args()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as home,
        upstream_server(Path(home)) as service,
        our_server(Path(home) / "ours") as (port, database),
    ):
        sides = (
            Side("upstream", service.port, service.database, UPSTREAM),
            Side("ours", port, database, OURS),
        )
        for side in sides:
            prepare(side)
            fill(side, FEW)
        ratios: list[float] = []
        pages: dict[str, list[float]] = {}

        def compare(what: str, method: str, path: str, body: Any = None) -> None:
            for concurrency in (1, 16):
                figures = []
                for side in sides:
                    content = body(side) if callable(body) else body
                    message = request(side, method, path.format(task=side.task), content)
                    figures.append(load(side.port, message, concurrency, options.seconds))
                ratios.append(line(what, concurrency, *figures))
                key = f"{what.split(',', maxsplit=1)[0]}, {concurrency} at once"
                pages.setdefault(key, []).append(statistics.median(figures[1].times) * 1000)

        def task_for(number: int) -> Any:
            return lambda side: {
                "name": "benchmark",
                "description": "",
                "image": "harbor2.vantage6.ai/demo/average",
                "collaboration_id": side.collaboration,
                "databases": [{"label": "default"}],
                "organizations": [
                    {"id": id_, "input": "eyJtZXRob2QiOiAibSJ9"}
                    for id_ in side.organizations[:number]
                ],
            }

        print(f"{'':39}{'upstream 4.15.2':^21}{'ours':^21}")
        print(f"{'request':34} {'at':>3}  {'per s':>9} {'p99 ms':>9}  {'per s':>9} {'p99 ms':>9}")
        compare("login", "POST", "token/user", {"username": "root", "password": PASSWORD})
        compare("GET /task?per_page=20, 1,000", "GET", "task?page=1&per_page=20")
        compare("GET /run?task_id=, 1,000", "GET", "run?task_id={task}")
        compare("POST /task for 3", "POST", "task", task_for(3))
        compare("POST /task for 100", "POST", "task", task_for(100))
        for side in sides:
            fill(side, options.many)
        compare(f"GET /task?per_page=20, {options.many:,}", "GET", "task?page=1&per_page=20")
        compare(f"GET /run?task_id=, {options.many:,}", "GET", "run?task_id={task}")

    print(f"\nsmallest ratio {min(ratios):.1f}; bar {BAR:.0f}")
    for what, medians in pages.items():
        if len(medians) == 2:
            print(
                f"ours, {what}: median {medians[0]:.2f} ms with 1,000 tasks, "
                f"{medians[1]:.2f} ms with {options.many:,}"
            )
    print(f"in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
