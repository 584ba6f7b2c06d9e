"""A whole node with the kubernetes runtime, at imitations of a cluster's API and of a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fake_cluster import FakeCluster, Pod, decoded, free_port
from vantage6.node import doctor
from vantage6.node.agent import Agent, Fatal
from vantage6.node.config import NodeConfig
from vantage6.node.findings import Finding
from vantage6.node.main import make_runtime

pytestmark = pytest.mark.anyio


@pytest.fixture
async def cluster(tmp_path: Path, anyio_backend: str) -> AsyncIterator[FakeCluster]:
    async with FakeCluster(tmp_path / "cluster").listening() as listening:
        yield listening


@pytest.fixture
def values(cluster: FakeCluster) -> dict[str, Any]:
    """Keys of the node's configuration."""
    port = free_port()
    cluster.prepare(port)
    database = cluster.claims["data"] / "patients.csv"
    database.write_text("a\n1\n")
    return {
        "runtime": "kubernetes",
        "state_dir": str(cluster.claims["runs"]),
        "share_algorithm_stderr": True,
        "databases": [{"label": "default", "type": "csv", "uri": str(database)}],
        "kubernetes": {
            "claim": "runs",
            "network_policies": "enforced",
            "volumes": [{"path": str(cluster.claims["data"]), "claim": "data"}],
            "api": cluster.url,
            "namespace": "hospital",
            "token_file": str(cluster.token_file),
            "ca_file": str(cluster.ca_file),
            "proxy_port": port,
        },
    }


@pytest.fixture
async def node(values: dict[str, Any], server: Any, make_config: Any) -> AsyncIterator[Agent]:
    config = make_config(**values)
    agent = Agent(config, make_runtime(config), longest_pause=0.2)
    working = asyncio.ensure_future(agent.run())
    connected = asyncio.ensure_future(server.connected.wait())
    await asyncio.wait((working, connected), return_when=asyncio.FIRST_COMPLETED)
    connected.cancel()
    yield agent
    agent.stop()
    await asyncio.wait_for(working, 60)


async def until(condition: Callable[[], Any], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_run_reads_its_data_asks_its_proxy_and_delivers(
    cluster: FakeCluster, server: Any, node: Any
) -> None:
    async def algorithm(pod: Pod) -> None:
        pod.running("127.0.0.31")
        given = {name: decoded(value) for name, value in pod.environment.items() if "!" in value}
        given |= {name: decoded(pod.environment[name]) for name in ("HOST", "PORT", "TOKEN_FILE")}
        token = pod.read(given["TOKEN_FILE"]).decode()
        connector = aiohttp.TCPConnector(local_addr=("127.0.0.31", 0))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(
                f"{given['HOST']}:{given['PORT']}/organization/2",
                headers={"Authorization": f"Bearer {token}"},
            ) as answer,
        ):
            name = (await answer.json())["name"]
        data = pod.path(decoded(pod.environment["DEFAULT_DATABASE_URI"])).read_text()
        place = decoded(pod.environment["OUTPUT_FILE"])
        pod.path(place).write_text(json.dumps([name, data]))
        pod.terminated(0)

    cluster.scenario = algorithm
    run_id = await server.submit(databases=[{"label": "default"}])
    await server.finished(run_id)
    assert server.runs[run_id]["status"] == "completed", server.runs[run_id]["log"]
    assert server.result(run_id) == ["Utrecht", "a\n1\n"]
    await until(lambda: not cluster.left())


async def not_pulled(pod: Pod) -> None:
    pod.waiting("ErrImagePull", "manifest unknown")


async def refused(pod: Pod) -> None:
    pod.waiting("CreateContainerError", "no command specified")


async def out_of_memory(pod: Pod) -> None:
    pod.running()
    pod.say("loading everything")
    pod.terminated(137, "OOMKilled")


@pytest.mark.parametrize(
    ("scenario", "status", "words"),
    [
        (
            not_pulled,
            "non-existing Docker image",
            "The image example.org/algorithm cannot be pulled: manifest unknown",
        ),
        (refused, "start failed", "The cluster refuses example.org/algorithm: no command"),
        (out_of_memory, "crashed", "ran out of memory (limit 4 GiB).\n--- standard error ---\n"),
    ],
)
async def test_the_researcher_is_told_what_went_wrong(
    cluster: FakeCluster, server: Any, node: Any, scenario: Any, status: str, words: str
) -> None:
    cluster.scenario = scenario
    run_id = await server.submit()
    await server.finished(run_id)
    assert server.runs[run_id]["status"] == status
    assert "Organization 'Utrecht'" in server.runs[run_id]["log"]
    assert words in server.runs[run_id]["log"]
    await until(lambda: not cluster.left())


async def sleeps(pod: Pod) -> None:
    pod.running()
    await asyncio.sleep(3600)


async def test_a_run_that_a_user_kills_leaves_nothing(
    cluster: FakeCluster, server: Any, node: Any
) -> None:
    cluster.scenario = sleeps
    run_id = await server.submit()
    await until(lambda: server.runs[run_id]["status"] == "active" and cluster.pods)
    await server.kill(run_id)
    await until(lambda: cluster.count("POST", "/secrets") and not cluster.left())


async def test_a_node_whose_namespace_is_open_does_not_start(
    cluster: FakeCluster, values: dict[str, Any], make_config: Any
) -> None:
    cluster.objects["networkpolicies"].clear()
    config = make_config(**values)
    with pytest.raises(Fatal, match="no network policy shuts algorithms in"):
        await asyncio.wait_for(Agent(config, make_runtime(config)).run(), 30)


async def diagnose(config: NodeConfig) -> list[Finding]:
    return [each async for each in doctor.examine(config, make_runtime(config), running=False)]


async def test_the_doctor_says_what_to_set_and_what_is_not_proven(
    cluster: FakeCluster, values: dict[str, Any], make_config: Any
) -> None:
    config = make_config(**values)
    (found,) = [each for each in await diagnose(config) if each.about == "runtime kubernetes"]
    assert found.level == "warning"
    assert "never on a cluster" in found.text
    assert "docs/kubernetes.md" in found.remedy
    cluster.namespace["metadata"]["labels"] = {}
    cluster.objects["networkpolicies"].clear()
    (found,) = [each for each in await diagnose(config) if each.about == "runtime kubernetes"]
    assert found.level == "error"
    assert "kubectl label ns hospital" in found.text
    assert "kubectl apply -f deploy/kubernetes/network-policies.yaml" in found.text
    assert not cluster.left()
