"""The docker runtime alone: images and registries, restarts, users, and what is left behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from vantage6.node.runtimes.base import Ended, Mount, RuntimeUnavailable, StartFailed, UnknownImage
from vantage6.node.runtimes.docker import DockerRuntime, Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(engine: str) -> Iterator[docker.APIClient]:
    made = docker.APIClient(base_url=engine, version="auto", timeout=120)
    yield made
    made.close()


@pytest.fixture
async def make(engine: str, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Opens a runtime; closes it at the end."""
    opened = []
    name = f"test-{uuid.uuid4().hex[:8]}"

    async def make_one(**settings: Any) -> DockerRuntime:
        settings.setdefault("pull_always", False)
        made = DockerRuntime(name, tmp_path / "node", Settings(host=engine, **settings))
        await made.open()
        opened.append(made)
        return made

    yield make_one
    for made in opened:
        await made.close()


@pytest.fixture
async def runtime(make: Callable[..., Any]) -> Any:
    return await make()


def own_containers(client: docker.APIClient, runtime: DockerRuntime) -> list[str]:
    return [
        found["Names"][0]
        for found in client.containers(all=True, filters={"label": f"node={runtime._node}"})
    ]


def inventory(client: docker.APIClient) -> dict[str, int]:
    """What an engine that many use holds besides containers."""
    return {
        "networks": len(client.networks()),
        "volumes": len(client.volumes()["Volumes"] or ()),
    }


async def test_no_run_leaves_anything_in_the_engine(
    runtime: Any, client: docker.APIClient, run: Any
) -> None:
    await run("nothing")
    before = inventory(client)
    outcomes = [await run("nothing") for _ in range(3)]
    outcomes += await asyncio.gather(*(run("nothing") for _ in range(3)))
    assert all(outcome.ended == Ended(0) for outcome in outcomes)
    assert inventory(client) == before
    await asyncio.sleep(1)
    left = own_containers(client, runtime)
    assert all(name.endswith("-helper") for name in left)
    assert len(left) <= 1  # the cell that waits for the next run
    await runtime.close()
    assert own_containers(client, runtime) == []


async def test_nothing_of_a_run_stays_in_the_engines_files(
    client: docker.APIClient, run: Any
) -> None:
    secret = f"secret{uuid.uuid4().hex}"
    outcome = await run("say", secret)
    assert outcome.result == secret
    folder = Path(client.info()["DockerRootDir"]) / "containers"
    if not folder.is_dir():
        pytest.skip("the engine keeps its files elsewhere")
    search = ["grep", "-rl", secret, str(folder)]
    found = await asyncio.to_thread(subprocess.run, search, capture_output=True, check=False)
    assert found.stdout == b""


async def test_the_container_is_as_the_contract_says(
    start: Any, runtime: Any, client: docker.APIClient, helpers: Any
) -> None:
    execution, spec = await start("sleep", 60, environment={"WORD": "csv"})
    name = f"vantage6-{runtime._node}-run-{spec.run_id}"
    found = client.inspect_container(name)
    labels = found["Config"]["Labels"]
    assert labels["vantage6-type"] == "algorithm"
    assert labels["node"] == runtime._node
    assert labels["run_id"] == str(spec.run_id)
    assert "WORD=MNZXM!!!" in found["Config"]["Env"]
    assert "PKG_NAME=escape_artist" in found["Config"]["Env"]
    host = found["HostConfig"]
    assert not host["Privileged"]
    assert host["ReadonlyRootfs"]
    assert host["PidsLimit"] == spec.limits.processes
    assert host["PortBindings"] in (None, {})
    await execution.kill("seen enough")


async def test_a_run_is_found_again_by_the_next_process_of_the_node(
    make: Any, helpers: Any, tmp_path: Path
) -> None:
    first = await make()
    spec = helpers.make_spec(tmp_path / "runs", "speak_wait_connect", first.proxy_address(None)[1])
    execution = await first.start(spec)
    assert await helpers.said(spec, "before")
    ended = helpers.make_spec(tmp_path / "runs", "leave", 7)
    other = await first.start(ended)
    # As if the node were killed: nobody reads, nobody waits, its sockets are closed.
    for each in (execution, other):
        each._life.cancel()
        each.proxy_socket.close()
    first._executions.clear()
    (ended.folder / "exit.json").unlink(missing_ok=True)
    await asyncio.sleep(1)

    second = await make()
    found = {each.run_id: each async for each in second.running()}
    assert found.keys() == {spec.run_id, ended.run_id}
    assert await found[ended.run_id].wait() == Ended(7)
    assert helpers.recorded(ended.folder) == Ended(7)
    again = found[spec.run_id]
    loop = asyncio.get_running_loop()
    connection, _ = await asyncio.wait_for(loop.sock_accept(again.proxy_socket), 60)
    with connection:
        await loop.sock_sendall(connection, b"hello again")
    assert await again.wait() == Ended(0)
    again.proxy_socket.close()
    result = helpers.outcome_of(spec, Ended(0))
    assert result.result == "ok: hello again"
    assert "before" in result.stdout
    assert "after" in result.stdout


async def test_what_ended_before_anybody_could_start_it_again_is_removed(
    make: Any, client: docker.APIClient, helpers: Any, tmp_path: Path
) -> None:
    first = await make()
    spec = helpers.make_spec(tmp_path / "runs", "sleep", 60)
    execution = await first.start(spec)
    execution._life.cancel()
    execution.proxy_socket.close()
    first._executions.clear()
    shutil.rmtree(spec.folder)  # the node has forgotten it
    second = await make()
    assert [each async for each in second.running()] == []
    assert not [name for name in own_containers(client, second) if "-run-" in name]


async def test_the_owner_of_the_data_is_who_reads_them(run: Any, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give a file away")
    database = tmp_path / "own.csv"
    database.write_text("mine")
    database.chmod(0o600)
    with pytest.raises(StartFailed, match=r"cannot be read by the user.*docker\.user"):
        await run("read", "/mnt/own.csv", mounts=[Mount(database, "/mnt/own.csv")])
    os.chown(database, 12345, 12345)
    mounts = [Mount(database, "/mnt/own.csv")]
    assert (await run("read", "/mnt/own.csv", mounts=mounts)).result == "ok: mine"
    assert (await run("who_am_i", mounts=mounts)).result["uid"] == [12345] * 3


async def test_an_image_nobody_has_is_unknown(make: Any, start: Any) -> None:
    strict = await make(pull_always=True)
    with pytest.raises(UnknownImage, match=r"nobody/has:this cannot be pulled"):
        await start("nothing", runtime=strict, image="127.0.0.1:9/nobody/has:this")
    with pytest.raises(UnknownImage, match="cannot be pulled"):
        await start("nothing", runtime=strict, image="No Such Name")


async def test_a_local_copy_will_do_only_if_the_owner_says_so(
    make: Any, run: Any, client: docker.APIClient, helpers: Any
) -> None:
    name = "127.0.0.1:9/local-only"
    client.tag(helpers.image, name)
    with pytest.raises(UnknownImage):
        await run("nothing", runtime=await make(pull_always=True), image=name)
    lenient = await make(pull_always=True, require_pull=False)
    assert (await run("nothing", runtime=lenient, image=name)).ended == Ended(0)
    client.remove_image(name)


async def test_an_image_without_entry_point_says_so(start: Any, client: docker.APIClient) -> None:
    name = f"empty-{uuid.uuid4().hex[:8]}:latest"
    client.import_image_from_data(bytes(10240), repository=name)
    try:
        with pytest.raises(StartFailed, match="neither an entry point nor a command"):
            await start("nothing", image=name)
    finally:
        client.remove_image(name)


@pytest.fixture
def registry(tmp_path: Path, lacking: Callable[[str], Any]) -> Iterator[str]:
    """A registry of images on this machine."""
    program = shutil.which("docker-registry")
    if program is None:
        lacking("docker-registry is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "registry.yml"
    config.write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    process = subprocess.Popen(
        [str(program), "serve", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait()


async def test_an_image_is_pulled_and_pinned(
    make: Any, run: Any, client: docker.APIClient, registry: str
) -> None:
    """A small image stands for a large one: a registry moves bytes, whatever they are."""
    name = f"{registry}/small"
    client.import_image_from_data(bytes(10240), repository=f"{name}:1")
    pushed = list(client.push(name, tag="1", stream=True, decode=True))
    problems = [line["error"] for line in pushed if "error" in line]
    assert problems == []
    (digest,) = (line["aux"]["Digest"] for line in pushed if "aux" in line)
    client.remove_image(f"{name}:1")
    strict = await make(pull_always=True)
    for image in (f"{name}:1", f"{name}@{digest}", f"{name}:1@{digest}"):
        # It arrives, and is refused only because it holds nothing to run.
        with pytest.raises(StartFailed, match="neither an entry point"):
            await run("nothing", runtime=strict, image=image)
    with pytest.raises(UnknownImage):
        await run("nothing", runtime=strict, image=f"{name}@sha256:{'0' * 64}")
    with pytest.raises(UnknownImage):
        await run("nothing", runtime=strict, image=f"{name}:2")


async def test_an_engine_that_is_not_there_is_named(tmp_path: Path) -> None:
    runtime = DockerRuntime("x", tmp_path, Settings(host=f"unix://{tmp_path}/no.sock"))
    with pytest.raises(RuntimeUnavailable, match=r"no\.sock cannot be used"):
        await runtime.open()
