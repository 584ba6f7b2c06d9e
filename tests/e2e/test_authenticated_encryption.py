"""Authenticated encryption between real nodes, by way of a server that is made to misbehave.

What a malicious server would do is done to the database of a real one.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from demos import Demo, log_in
from vantage6.client import Client
from vantage6.common.encryption import RSACryptor
from vantage6.common.sealing import SealError
from vantage6.common.task_status import has_task_finished

IMAGE = "harbor2.vantage6.ai/demo/average"


@pytest.fixture(scope="session")
def client(sealed_demo: Demo) -> Client:
    return log_in(sealed_demo.ready)


def ask(demo: Demo, client: Client, method: str, sites: list[int], column: str = "age") -> int:
    task = client.task.create(
        collaboration=demo.ready["collaboration"]["id"],
        organizations=[demo.ready["organizations"][site]["id"] for site in sites],
        name="n",
        image=IMAGE,
        description="",
        input_={"method": method, "kwargs": {"column_name": column}},
        databases=[{"label": "default"}],
    )
    id_: int = task["id"]
    return id_


def database(demo: Demo) -> Path:
    found = [each for each in demo.folder.rglob("*.sqlite") if each.parent.name == "server"]
    assert len(found) == 1, found
    return found[0]


def rows(demo: Demo, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database(demo), timeout=30)) as db, db:
        return db.execute(query, values).fetchall()


def runs_of(demo: Demo, where: str, *values: Any) -> dict[int, tuple[str, str]]:
    """Input and result of runs, as the server's database holds them."""
    query = (
        "SELECT run.id, payload.input, payload.result FROM run"
        " JOIN payload ON payload.run_id = run.id JOIN task ON task.id = run.task_id WHERE "
    )
    return {run: (input_, result) for run, input_, result in rows(demo, query + where, *values)}


def answer(client: Client, task: int) -> float:
    result = client.wait_for_results(task, timeout=120)["data"][0]["result"]
    return float(json.loads(result)["average"])


def add_run(demo: Demo, task: int, site: int, input_: str) -> int:
    """Have the server offer a site one more run of a task that it made up; gives the task's id."""
    (columns,) = rows(
        demo, "SELECT group_concat(name) FROM pragma_table_info('task') WHERE name != 'id'"
    )
    listed = columns[0]
    rows(demo, f"INSERT INTO task ({listed}) SELECT {listed} FROM task WHERE id = ?", task)  # noqa: S608
    new = rows(demo, "SELECT max(id) FROM task")[0][0]
    rows(demo, "UPDATE task SET status = 'pending', finished_at = NULL WHERE id = ?", new)
    organization = demo.ready["organizations"][site]["id"]
    rows(
        demo,
        "INSERT INTO run (task_id, organization_id, status, assigned_at)"
        " VALUES (?, ?, 'pending', '2026-01-01 00:00:00')",
        new,
        organization,
    )
    run = rows(demo, "SELECT max(id) FROM run")[0][0]
    rows(demo, "INSERT INTO payload (run_id, input) VALUES (?, ?)", run, input_)
    return int(new)


def end_of(client: Client, task: int) -> dict[str, Any]:
    """How the run of a task ended that nobody told the nodes of."""
    deadline = time.monotonic() + 200
    while True:
        run: dict[str, Any] = client.run.from_task(task)["data"][0]
        if has_task_finished(run["status"]) and run["finished_at"]:
            return run
        assert time.monotonic() < deadline, run
        time.sleep(0.2)


def test_everything_is_sealed_and_the_answer_is_right(sealed_demo: Demo, client: Client) -> None:
    task = ask(sealed_demo, client, "central_average", [0])
    tables = [pd.read_csv(path)["age"] for path in sealed_demo.ready["databases"].values()]
    assert answer(client, task) == pytest.approx(pd.concat(tables).mean())
    held = runs_of(sealed_demo, "task.job_id = (SELECT job_id FROM task WHERE id = ?)", task)
    assert len(held) == 1 + len(tables)
    for input_, result in held.values():
        assert input_.startswith("v6a1$")
        assert result.startswith("v6a1$")
    known = client.util.known_fingerprints()
    assert client.util.fingerprint() in known.values()


def test_a_result_that_the_server_alters_swaps_or_replaces_is_refused(
    sealed_demo: Demo, client: Client
) -> None:
    first = ask(sealed_demo, client, "partial_average", [0, 1])
    second = ask(sealed_demo, client, "partial_average", [0, 1])
    for task in (first, second):
        client.wait_for_results(task, timeout=120)
    right = {**runs_of(sealed_demo, "task.id = ?", first)}
    one, other = sorted(right)
    late = min(runs_of(sealed_demo, "task.id = ?", second))
    own = log_in(sealed_demo.ready).cryptor
    assert isinstance(own, RSACryptor)
    head, body = right[one][1].rsplit("$", 1)
    raw = base64.b64decode(body)
    altered = f"{head}${base64.b64encode(bytes([raw[0] ^ 1]) + raw[1:]).decode()}"
    forged = own.encrypt_bytes_to_str(b'{"sum": 0, "count": 1}', own.public_key_str)
    for wrong, why in (
        (altered, "altered or cut off"),
        (right[other][1], "another run"),
        (runs_of(sealed_demo, "task.id = ?", second)[late][1], "another run"),
        (forged, "was not sent so"),
        (right[one][0], "another kind of payload"),
        (right[other][0], "not for us"),
    ):
        rows(sealed_demo, "UPDATE payload SET result = ? WHERE run_id = ?", wrong, one)
        if why == "not for us":
            assert client.result.get(one) == wrong  # left as it is, unread
            continue
        with pytest.raises(SealError, match=f"run {one} is not used.*{why}"):
            client.result.from_task(first)
    rows(sealed_demo, "UPDATE payload SET result = ? WHERE run_id = ?", right[one][1], one)
    assert len(client.result.from_task(first)["data"]) == 2


def test_an_input_that_the_server_replays_swaps_or_forges_is_refused_by_the_node(
    sealed_demo: Demo, client: Client
) -> None:
    task = ask(sealed_demo, client, "partial_average", [0, 1])
    client.wait_for_results(task, timeout=120)
    inputs = [
        input_ for _, (input_, _) in sorted(runs_of(sealed_demo, "task.id = ?", task).items())
    ]
    organization = sealed_demo.ready["organizations"][0]["id"]
    node_key = client.organization.get(organization)["public_key"]
    assert isinstance(client.cryptor, RSACryptor)
    forged = client.cryptor.encrypt_bytes_to_str(b'{"method": "partial_average"}', node_key)
    made = {
        add_run(sealed_demo, task, 0, inputs[0]): "came before",
        add_run(sealed_demo, task, 0, inputs[1]): "not for those of this organization",
        add_run(sealed_demo, task, 0, str(forged)): "without: refused",
    }
    # A node that starts lists its runs at once; and it must not have forgotten what came before.
    for node in sealed_demo.ready["nodes"]:
        if node["organization_id"] == organization:
            os.kill(sealed_demo.ready["pids"]["nodes"][str(node["id"])], signal.SIGKILL)
    for new, why in made.items():
        run = end_of(client, new)
        assert run["status"] == "failed"
        assert why in run["log"], run["log"]


def test_a_replaced_key_is_refused_by_the_client(sealed_demo: Demo, client: Client) -> None:
    one, other = (each["id"] for each in sealed_demo.ready["organizations"][:2])
    ((right,), (wrong,)) = (
        rows(sealed_demo, "SELECT authenticated_keys FROM organization WHERE id = ?", id_)[0]
        for id_ in (one, other)
    )
    change = "UPDATE organization SET authenticated_keys = ? WHERE id = ?"
    before = rows(sealed_demo, "SELECT count(*) FROM task")
    try:
        rows(sealed_demo, change, wrong, other if right == wrong else one)
        with pytest.raises(SealError, match=r"by telephone|same private key"):
            ask(sealed_demo, client, "partial_average", [0])
        rows(sealed_demo, change, "", one)
        with pytest.raises(SealError, match="refused, since somebody at the server"):
            ask(sealed_demo, client, "partial_average", [0])
    finally:
        rows(sealed_demo, change, right, one)
    assert rows(sealed_demo, "SELECT count(*) FROM task") == before
