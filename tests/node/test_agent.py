"""A node and a server, from login to stop."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from typing import Any

import pytest

from vantage6.common.encryption import RSACryptor
from vantage6.node.agent import Fatal

pytestmark = pytest.mark.anyio


async def test_a_task_is_executed_and_its_result_delivered(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    runtime = helpers.Runtime()
    await start_agent(runtime)
    run_id = await server.submit()
    await server.finished(run_id)
    assert server.result(run_id) == 42
    assert server.history[run_id] == ["active", "completed"]
    assert len(runtime.started) == 1


async def test_a_run_costs_three_calls(server: Any, start_agent: Any) -> None:
    await start_agent()
    await asyncio.sleep(0.1)
    server.calls.clear()
    run_id = await server.submit()
    await server.finished(run_id)
    await asyncio.sleep(0.1)
    assert server.calls == [("GET", "/run"), ("PATCH", "/run/1"), ("PATCH", "/run/1")]


async def test_a_server_that_hands_out_no_token_with_the_claim_is_asked_for_one(
    server: Any, start_agent: Any
) -> None:
    server.container_tokens = False
    await start_agent()
    run_id = await server.submit()
    await server.finished(run_id)
    assert server.result(run_id) == 42
    assert server.count("POST", "/token/container") == 1


async def test_every_page_of_open_runs_is_taken_up_at_start(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    run_ids = [server.add_task() for _ in range(60)]
    runtime = helpers.Runtime()
    await start_agent(runtime)
    await server.finished(*run_ids)
    assert {spec.run_id for spec in runtime.started} == set(run_ids)
    assert len(runtime.started) == 60


async def test_watchers_are_told_of_start_and_end(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    await start_agent()
    run_id = await server.submit()
    await helpers.wait_until(lambda: len(server.told) == 2)
    assert [event["status"] for event in server.told] == ["active", "completed"]
    assert server.told[0] == {
        "node_id": helpers.node_id,
        "status": "active",
        "run_id": run_id,
        "task_id": run_id,
        "collaboration_id": helpers.collaboration_id,
        "organization_id": helpers.organization_id,
        "parent_id": None,
    }


async def test_the_node_shares_its_configuration_as_the_contract_says(
    server: Any, start_agent: Any, helpers: Any, tmp_path: Any
) -> None:
    (tmp_path / "p.csv").write_text("age,sex\n1,2\n")
    await start_agent(
        databases=[
            {"label": "default", "uri": "p.csv", "type": "csv"},
            {"label": "wh", "uri": "postgresql://ro@db/wh", "type": "sql"},
        ],
        policies={"allowed_organizations": [1, "Utrecht"]},
    )
    await helpers.wait_until(lambda: server.config_rows)
    assert server.config_rows[0] == {
        "encryption": False,
        "allowed_algorithms": "all",
        "allowed_orgs": ["1", "Utrecht"],
        "database_labels": ["default", "wh"],
        "database_types": {"db_type_default": "csv", "db_type_wh": "sql"},
        "database_columns": {"columns_default": ["age", "sex"]},
    }


async def test_nothing_is_shared_when_the_owner_says_so(server: Any, start_agent: Any) -> None:
    await start_agent(share_config=False)
    run_id = await server.submit()
    await server.finished(run_id)
    assert server.config_rows == []


@pytest.mark.parametrize("shared", [True, False])
async def test_what_an_algorithm_says_is_told_while_it_runs_if_that_is_allowed(
    server: Any, start_agent: Any, helpers: Any, shared: bool
) -> None:
    async def talk(spec: Any, port: int) -> int:
        (spec.folder / "stdout").write_text("info > one\ninfo > tw")
        await asyncio.sleep(1.5)
        (spec.folder / "stdout").write_text("info > one\ninfo > two\n")
        await asyncio.sleep(1)
        return 1

    await start_agent(helpers.Runtime(talk), share_algorithm_logs=shared)
    run_id = await server.submit()
    await server.finished(run_id)
    assert [event["log"] for event in server.lines] == (
        ["info > one\n", "info > two\n"] if shared else []
    )
    assert "one" in server.runs[run_id]["log"] or not shared


async def test_a_kill_event_ends_a_run(server: Any, start_agent: Any, helpers: Any) -> None:
    async def forever(spec: Any, port: int) -> None:
        await asyncio.Event().wait()

    runtime = helpers.Runtime(forever)
    agent = await start_agent(runtime)
    run_id = await server.submit()
    # A start that is cut short is not told.
    await helpers.wait_until(lambda: runtime.executions and server.told)
    await server.kill(run_id)
    await helpers.wait_until(lambda: runtime.executions[0].killed)
    assert server.runs[run_id]["status"] == "killed by user"
    # The server has closed the run, and leaves it to the node to tell those who watch.
    await helpers.wait_until(lambda: len(server.told) == 2)
    assert [event["status"] for event in server.told] == ["active", "killed by user"]
    await agent.stop()
    assert len(runtime.started) == 1


async def test_killing_everything_at_a_node_reports_each_run(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    async def forever(spec: Any, port: int) -> None:
        await asyncio.Event().wait()

    await start_agent(helpers.Runtime(forever))
    run_ids = [await server.submit() for _ in range(3)]
    await helpers.wait_until(lambda: all(server.history[run_id] for run_id in run_ids))
    for other in ({"node_id": 99}, {"collaboration_id": 99}):
        event = {"node_id": helpers.node_id, "collaboration_id": helpers.collaboration_id}
        await server.emit("kill_containers", event | other)
    await asyncio.sleep(0.05)
    assert [server.runs[run_id]["finished_at"] for run_id in run_ids] == [None] * 3
    event = {"node_id": helpers.node_id, "collaboration_id": helpers.collaboration_id}
    await server.emit("kill_containers", event)
    await server.finished(*run_ids)
    assert {server.runs[run_id]["status"] for run_id in run_ids} == {"killed by user"}


async def test_a_run_that_the_server_closed_is_stopped_without_an_event(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    async def forever(spec: Any, port: int) -> None:
        await asyncio.Event().wait()

    runtime = helpers.Runtime(forever)
    await start_agent(runtime)
    first, second = await server.submit(), await server.submit()
    await helpers.wait_until(lambda: len(runtime.executions) == 2)
    server.runs[first].update(status="killed by user", finished_at="2026-01-01T00:00:00")
    await server.emit("sync")
    executions = {each.run_id: each for each in runtime.executions}
    await helpers.wait_until(lambda: executions[first].killed)
    told = {"run_id": first, "status": "killed by user"}
    await helpers.wait_until(lambda: any(told.items() <= each.items() for each in server.told))
    assert server.runs[second]["finished_at"] is None
    assert not executions[second].killed


async def test_a_failed_list_of_open_runs_kills_nothing(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    async def forever(spec: Any, port: int) -> None:
        await asyncio.Event().wait()

    runtime = helpers.Runtime(forever)
    await start_agent(runtime)
    run_id = await server.submit()
    await helpers.wait_until(lambda: runtime.executions)
    for what in (500, 503, "drop before", 401, 502, "drop after"):
        server.faults.append(("GET", "/run", what))
        await server.emit("sync")
        await asyncio.sleep(0.05)
    await helpers.wait_until(lambda: not server.faults)
    assert not runtime.executions[0].killed
    assert server.runs[run_id]["status"] == "active"


async def test_a_run_that_comes_by_an_event_is_not_asked_about(
    server: Any, start_agent: Any
) -> None:
    await start_agent()
    run_id = server.add_task()
    offer = server.runs[run_id] | {"task": server.tasks[run_id]}
    await server.emit("new_run", offer)
    await server.emit("new_task", {"id": run_id, "parent_id": None})
    await server.emit("new_run", offer)  # again, as a bus may
    await server.finished(run_id)
    assert server.result(run_id)
    assert server.asked_about == []
    assert server.history[run_id].count("active") == 1


async def test_a_run_that_comes_malformed_is_asked_about(server: Any, start_agent: Any) -> None:
    await start_agent()
    run_id = server.add_task()
    for event in ("what", {"id": run_id}, server.runs[run_id] | {"task": {"id": run_id}}):
        await server.emit("new_run", event)
    await server.emit("new_task", {"id": run_id, "parent_id": None})
    await server.finished(run_id)
    assert server.asked_about == [run_id]


async def test_a_malformed_event_is_survived(server: Any, start_agent: Any) -> None:
    await start_agent()
    collaboration = {"collaboration_id": 1}
    for event, data in (
        ("new_task", "what"),
        ("new_task", {"id": "x"}),
        ("kill_containers", {"kill_list": [{}]} | collaboration),
        ("kill_containers", [1]),
        ("sync", {"unexpected": 1}),
    ):
        await server.emit(event, data)
    run_id = await server.submit()
    await server.finished(run_id)


async def test_a_wrong_api_key_ends_the_node_with_a_clear_message(
    server: Any, start_agent: Any
) -> None:
    server.api_key = "another"
    started = await start_agent()
    with pytest.raises(Fatal, match=r"does not accept this node's API key.*Check api_key"):
        await started.task


async def test_a_server_that_is_away_at_start_is_waited_for(
    server: Any, start_agent: Any, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = server.add_task()
    server.down = True
    with caplog.at_level(logging.WARNING):
        await start_agent(connected=False)
        await asyncio.sleep(0.3)
    assert "cannot be used yet" in caplog.text
    server.down = False
    await server.finished(run_id)


async def test_a_node_refuses_to_start_when_encryption_is_expected_otherwise(
    server: Any, start_agent: Any
) -> None:
    server.encrypted = True
    started = await start_agent(encryption={"enabled": False})
    with pytest.raises(Fatal, match="Expectations on encryption don't match"):
        await started.task


async def test_a_missing_private_key_is_named(server: Any, start_agent: Any) -> None:
    server.encrypted = True
    started = await start_agent()
    with pytest.raises(Fatal, match=r"private_key\.pem not found"):
        await started.task


async def test_an_expired_token_is_renewed_and_the_run_goes_on(
    server: Any, start_agent: Any
) -> None:
    await start_agent()
    server.expired_before = time.time()
    run_id = await server.submit()
    await server.finished(run_id)
    assert server.count("POST", "/token/refresh") == 1
    assert server.count("POST", "/token/node") == 1


async def test_an_expired_token_on_the_socket_is_renewed(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    await start_agent()
    server.expired_before = time.time()
    before = server.connections
    await server.emit("expired_token")
    await helpers.wait_until(lambda: server.connections > before, within=10)
    run_id = await server.submit()
    await server.finished(run_id)


async def test_a_server_with_new_keys_is_logged_in_to_again(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    await start_agent()
    server.secret = "another secret that is just as long as the first"
    run_id = await server.submit()
    await server.finished(run_id)
    assert server.count("POST", "/token/node") == 2


async def test_an_invalid_token_on_the_socket_leads_to_a_new_login(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    await start_agent()
    server.secret = "another secret that is just as long as the first"
    before = server.connections
    await server.emit("invalid_token")
    await helpers.wait_until(lambda: server.connections > before, within=10)
    run_id = await server.submit()
    await server.finished(run_id)


async def test_inputs_and_results_are_encrypted_where_the_collaboration_says_so(
    server: Any, start_agent: Any, helpers: Any, private_keys: Any
) -> None:
    server.encrypted = True
    own, other = private_keys
    researcher = RSACryptor(other)
    server.public_keys[1] = researcher.public_key_str
    seen = []

    async def look(spec: Any, port: int) -> str:
        seen.append(json.loads((spec.folder / "input").read_bytes()))
        return "secret"

    await start_agent(helpers.Runtime(look), encryption={"enabled": True, "private_key": str(own)})
    await helpers.wait_until(lambda: helpers.organization_id in server.public_keys)
    assert RSACryptor(own).verify_public_key(server.public_keys[helpers.organization_id])
    sealed = researcher.encrypt_bytes_to_str(
        b'{"method": "m"}', server.public_keys[helpers.organization_id]
    )
    run_id = await server.submit(input=sealed)
    await server.finished(run_id)
    assert seen == [{"method": "m"}]
    assert researcher.decrypt(server.runs[run_id]["result"]) == b'"secret"'

    del server.public_keys[1]
    other_org = await server.submit(input=sealed, init_org={"id": 5})
    await server.finished(other_org)
    assert server.runs[other_org]["status"] == "failed"
    assert "'Organization 5' has no public key" in server.runs[other_org]["log"]
    assert not server.runs[other_org]["result"]

    foreign = await server.submit(input=base64.b64encode(b"plain").decode())
    await server.finished(foreign)
    assert server.runs[foreign]["status"] == "failed"
    assert "input of the task cannot be read" in server.runs[foreign]["log"]


async def test_stopping_kills_without_reporting_and_the_next_start_runs_it_again(
    server: Any, start_agent: Any, helpers: Any
) -> None:
    async def forever(spec: Any, port: int) -> None:
        await asyncio.Event().wait()

    runtime = helpers.Runtime(forever)
    agent = await start_agent(runtime)
    run_id = await server.submit()
    await helpers.wait_until(lambda: runtime.executions)
    await agent.stop()
    assert runtime.executions[0].killed == ["the node was stopped", "closed"]
    assert server.runs[run_id]["status"] == "active"

    again = helpers.Runtime()
    await start_agent(again)
    await server.finished(run_id)
    assert server.runs[run_id]["status"] == "completed"
    assert len(again.started) == 1


async def test_the_log_holds_no_secrets_and_names_the_run(
    server: Any, start_agent: Any, helpers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def chat(spec: Any, port: int) -> int:
        (spec.folder / "stdout").write_text("info > hello\n")
        return 1

    with caplog.at_level(logging.DEBUG, logger="vantage6"):
        agent = await start_agent(helpers.Runtime(chat))
        run_id = await server.submit()
        await server.finished(run_id)
        words = f"run {run_id}: stdout | info > hello"
        await helpers.wait_until(lambda: words in caplog.text)
        await agent.stop()
    assert helpers.api_key not in caplog.text
    assert "eyJ" not in caplog.text
