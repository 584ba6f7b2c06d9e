"""The docker runtime alone: images and registries, restarts, users, and what is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import resource
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bcrypt
import docker
import pytest

from vantage6.node.runtimes.base import (
    Ended,
    Limits,
    Mount,
    RuntimeUnavailable,
    StartFailed,
    UnknownImage,
)
from vantage6.node.runtimes.docker import DockerRuntime, Registry, Settings, container
from vantage6.node.runtimes.docker.engine import Engine
from vantage6.node.runtimes.docker.images import Images

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


async def test_no_kind_of_end_leaves_anything_in_the_engine(
    runtime: Any, client: docker.APIClient, run: Any, start: Any, helpers: Any
) -> None:
    """An image that declares volumes gets one for each container."""
    name = f"with-volumes-{uuid.uuid4().hex[:8]}:latest"
    recipe = f"FROM {helpers.image}:latest\nVOLUME /data /mnt/more\n"
    for line in client.build(fileobj=io.BytesIO(recipe.encode()), tag=name, rm=True, decode=True):
        assert "error" not in line, line
    before = inventory(client)
    try:
        assert (await run("nothing", image=name)).ended == Ended(0)
        assert (await run("leave", 3, image=name)).ended == Ended(3)
        impatient = replace(helpers.limits, wall_time=1)
        assert (await run("sleep", 60, image=name, limits=impatient)).ended.exit_code is None
        execution, _ = await start("sleep", 60, image=name)
        assert inventory(client)["volumes"] == before["volumes"] + 2
        await execution.kill("enough")
        with pytest.raises(StartFailed):
            await start("nothing", image=name, mounts=[Mount(Path("/nowhere"), "/mnt/x")])
        assert inventory(client) == before
        left = own_containers(client, runtime)
        assert [found for found in left if not found.endswith("-helper")] == []
    finally:
        client.remove_image(name, force=True)


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
    make: Any, client: docker.APIClient, helpers: Any, tmp_path: Path
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
    name = f"vantage6-{first._node}-run-{ended.run_id}"
    assert await helpers.until(
        lambda: client.inspect_container(name)["State"]["Status"] == "exited", 60
    )
    # What had been read of it until then is gone with that process.
    (ended.folder / "stdout").unlink()

    second = await make()
    found = {each.run_id: each async for each in second.running()}
    assert found.keys() == {spec.run_id, ended.run_id}
    assert await found[ended.run_id].wait() == Ended(7)
    assert helpers.recorded(ended.folder) == Ended(7)
    left = helpers.outcome_of(ended, Ended(7))
    assert left.stdout.endswith("leaving\n")
    assert "leaving in anger" in left.stderr
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


async def test_a_run_that_is_found_again_keeps_its_doors(
    make: Any, client: docker.APIClient, helpers: Any, tmp_path: Path
) -> None:
    """Names mean to it what they did, also when the owner has changed the tunnels meanwhile."""
    doors = [("dbtunnel", 5432), ("web", 80)]
    first = await make(doors=[("another", 5432), *doors])
    spec = helpers.make_spec(tmp_path / "runs", "knock_until_told", *doors[0], doors=doors)
    execution = await first.start(spec)
    assert await helpers.said(spec, "knocking")
    execution._life.cancel()
    for each in (execution.proxy_socket, *execution.doors.values()):
        each.close()
    first._executions.clear()

    second = await make(doors=[("zebra", 5432), ("dbtunnel", 5432)])
    (again,) = [each async for each in second.running()]
    assert set(again.doors) == set(doors)
    loop = asyncio.get_running_loop()
    door = again.doors[doors[0]]
    connection, _ = await asyncio.wait_for(loop.sock_accept(door), 60)
    with connection:
        await loop.sock_sendall(connection, b"hello again")
    assert await again.wait() == Ended(0)
    for each in (again.proxy_socket, *again.doors.values()):
        each.close()
    assert helpers.outcome_of(spec, Ended(0)).result == "hello again"
    await first.close()
    await second.close()
    assert own_containers(client, second) == []


async def test_a_run_of_a_node_without_tunnels_knows_none_of_another_nodes(
    make: Any, start: Any, run: Any, helpers: Any, engine: str, tmp_path: Path
) -> None:
    """Two nodes on one engine, as for two collaborations."""
    with_tunnel = await make(doors=helpers.doors)
    without = DockerRuntime(
        f"other-{uuid.uuid4().hex[:8]}",
        tmp_path / "other",
        Settings(host=engine, pull_always=False),
    )
    await without.open()
    try:
        execution, _ = await start("sleep", 60, runtime=with_tunnel, doors=helpers.doors)
        places = [door.getsockname() for door in execution.doors.values()]
        attempts = [["look_up", "dbtunnel"], ["connect_all", places], ["open_ports"]]
        outcome = await run("several", attempts, runtime=without)
        unknown, shut, ports = outcome.result
        assert "ok" not in unknown
        assert shut == ["ECONNREFUSED"] * len(places)
        assert ports == [without.proxy_address(None)[1]]  # type: ignore[arg-type]
        # What its node cannot offer is refused, rather than left to time out.
        with pytest.raises(StartFailed, match=r"no door to.*dbtunnel"):
            await start("nothing", runtime=without, doors=helpers.doors[:1])
    finally:
        await without.close()


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
    await first.close()
    await second.close()
    assert own_containers(client, second) == []


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


@contextlib.contextmanager
def running_registry(folder: Path, lacking: Callable[[str], Any], more: str = "") -> Iterator[str]:
    """A registry of images on this machine."""
    program = shutil.which("docker-registry")
    if program is None:
        lacking("docker-registry is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "registry.yml"
    config.write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n{more}"
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
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def registry(
    tmp_path: Path, lacking: Callable[[str], Any], client: docker.APIClient
) -> Iterator[str]:
    skip_on_podman(client)
    with running_registry(tmp_path, lacking) as address:
        yield address


@pytest.fixture
def closed_registry(
    tmp_path: Path, lacking: Callable[[str], Any], client: docker.APIClient
) -> Iterator[str]:
    """One that lets nobody in but ``hospital`` with the password ``pass word``."""
    skip_on_podman(client)
    users = tmp_path / "htpasswd"
    hashed = bcrypt.hashpw(b"pass word", bcrypt.gensalt(4)).decode()
    users.write_text(f"hospital:{hashed}\n")
    more = f"auth: {{htpasswd: {{realm: test, path: {users}}}}}\n"
    with running_registry(tmp_path, lacking, more) as address:
        yield address


def skip_on_podman(client: docker.APIClient) -> None:
    if client.version()["Components"][0]["Name"] == "Podman Engine":
        pytest.skip("Podman talks to registries without TLS only where its configuration says so")


def push(client: docker.APIClient, name: str, content: bytes, **login: Any) -> str:
    """Push an image that holds nothing to run; its digest."""
    client.import_image_from_data(content, repository=name)
    lines = list(client.push(name, stream=True, decode=True, **login))
    assert [line["error"] for line in lines if "error" in line] == []
    client.remove_image(name)
    (digest,) = (line["aux"]["Digest"] for line in lines if "aux" in line)
    return str(digest)


def tar_of(name: str) -> bytes:
    """An image's content, of one empty folder."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
    return content.getvalue()


async def test_a_registry_is_used_with_the_nodes_login(
    make: Any, run: Any, client: docker.APIClient, closed_registry: str, caplog: Any
) -> None:
    name = f"{closed_registry}/private:1"
    push(
        client,
        name,
        tar_of("one"),
        auth_config={"username": "hospital", "password": "pass word"},
    )
    stranger = await make(pull_always=True)
    with pytest.raises(UnknownImage, match=r"private:1 cannot be pulled: .*(denied|basic auth)"):
        await run("nothing", runtime=stranger, image=name)
    wrong = await make(
        pull_always=True, registries=[Registry(closed_registry, "hospital", "pass w0rd")]
    )
    assert f"Registry {closed_registry} refuses the login" in caplog.text
    with pytest.raises(UnknownImage, match="cannot be pulled"):
        await run("nothing", runtime=wrong, image=name)
    known = await make(
        pull_always=True, registries=[Registry(closed_registry, "hospital", "pass word")]
    )
    with pytest.raises(StartFailed, match="neither an entry point"):
        await run("nothing", runtime=known, image=name)
    assert "pass w" not in caplog.text
    client.remove_image(name)


async def test_a_tag_may_move_but_a_digest_does_not(
    make: Any, client: docker.APIClient, registry: str
) -> None:
    name = f"{registry}/moving:1"
    first = push(client, name, tar_of("one"))
    always, missing = await make(pull_always=True), await make(pull_always=False)
    before = await always._images.get(name)
    second = push_over(client, name, tar_of("two"))
    assert second != first
    assert (await missing._images.get(name)).id == before.id
    after = await always._images.get(name)
    assert after.id != before.id
    assert (await missing._images.get(name)).id == after.id
    for runtime in (always, missing):
        assert (await runtime._images.get(f"{name}@{first}")).id == before.id
        assert (await runtime._images.get(f"{name}@{second}")).id == after.id
    # What a digest names is content: another image is not taken for it, whatever its name.
    with pytest.raises(UnknownImage):
        await missing._images.get(f"{registry}/another@{second}")
    for image in (before.id, after.id):
        client.remove_image(image, force=True)


def push_over(client: docker.APIClient, name: str, content: bytes) -> str:
    """Push something else under a name; the local copy stays what it was."""
    kept, other = client.inspect_image(name)["Id"], f"{name}-new"
    client.import_image_from_data(content, repository=other)
    client.tag(other, name)
    client.remove_image(other)
    lines = list(client.push(name, stream=True, decode=True))
    (digest,) = (line["aux"]["Digest"] for line in lines if "aux" in line)
    client.tag(kept, name)
    return str(digest)


async def test_a_node_without_graphics_processors_says_so(
    make: Any, start: Any, client: docker.APIClient
) -> None:
    """That the engine names the request shows that it got there."""
    if client.version()["Components"][0]["Name"] == "Podman Engine":
        with pytest.raises(RuntimeUnavailable, match=r"Podman.*algorithm_device_requests\.gpu"):
            await make(gpu=True)
        return
    runtime = await make(gpu=True)
    with pytest.raises(StartFailed) as refusal:
        await start("nothing", runtime=runtime)
    assert "container engine has none to give" in str(refusal.value)
    assert "capabilities: [[gpu]]" in str(refusal.value)
    assert "algorithm_device_requests.gpu" in str(refusal.value)
    left = own_containers(client, runtime)
    assert [found for found in left if not found.endswith("-helper")] == []


async def test_linked_services_are_reached_by_their_names_and_nothing_else_is(
    make: Any, run: Any, client: docker.APIClient, helpers: Any, lacking: Callable[[str], Any]
) -> None:
    before = inventory(client)
    name = f"service-{uuid.uuid4().hex[:8]}"
    serve = (
        "import socket\ns=socket.create_server(('',5000))\nwhile 1: s.accept()[0].sendall(b'hi')"
    )
    made = client.create_container(
        f"{helpers.image}:latest",
        name=name,
        command=["python", "-c", serve],
        host_config=client.create_host_config(network_mode="none"),
    )
    client.start(made)
    try:
        client.disconnect_container_from_network(made, "none")
        services = {"db": name, "gone": "no-such-container"}
        runtime = await make(services=services, doors=[("dbtunnel", 5000)])
        targets = [["db", 5000], ["db", 5001], ["1.1.1.1", 443]]
        targets += [["169.254.169.254", 80], ["172.17.0.1", 22], [name, 5000]]
        with socket.create_server(("", 0)) as server:
            attempts = [["connect_all", targets], ["connect_gateways", server.getsockname()[1]]]
            outcome = await run("several", attempts, runtime=runtime)
            assert outcome.ended == Ended(0), outcome
            answers, gateways = outcome.result
            assert answers[:2] == ["ok: hi", "ECONNREFUSED"]
            assert gateways
            others = answers[2:5] + gateways
            assert not [answer for answer in others if answer.startswith("ok")], others
            # A tunnel's name beside them; the machine's own name, too.
            attempts = [["connect_all", targets[:2]], ["look_up", "dbtunnel"], ["look_up_oneself"]]
            outcome = await run("several", attempts, runtime=runtime, doors=[("dbtunnel", 5000)])
            answers, tunnel, oneself = outcome.result
            assert answers == ["ok: hi", "ECONNREFUSED"]
            assert "'127.64.0.1'" in tunnel
            assert oneself.startswith("ok")
            server.setblocking(False)
            with pytest.raises(BlockingIOError):
                server.accept()
        await runtime.close()
        assert inventory(client) == before
        assert client.inspect_container(made)["NetworkSettings"]["Networks"] == {}
    finally:
        client.remove_container(made, force=True)


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


async def test_whoever_only_looks_takes_nothing_from_a_node_that_runs(
    make: Any, run: Any, client: docker.APIClient
) -> None:
    """As ``v6 node doctor`` does: what is kept ready for the next run stays."""
    runtime = await make()
    kept = own_containers(client, runtime)
    looking = await make()
    await looking.close()
    assert own_containers(client, runtime) == kept != []
    assert (await run("nothing", runtime=runtime)).ended == Ended(0)


async def test_a_pull_without_progress_is_given_up(runtime: Any) -> None:
    """The registry takes the connection, and says nothing."""
    images = Images(runtime._engine, require_pull=True, pull_always=True, silence=1.5)
    with socket.create_server(("127.0.0.1", 0)) as registry:
        name = f"127.0.0.1:{registry.getsockname()[1]}/mute"
        with pytest.raises(StartFailed, match="container engine does not answer") as failure:
            await images.get(name)
    assert "no progress" in str(failure.value.__cause__)


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"CgroupVersion": "1", "CgroupDriver": "systemd"}, "version 2 for an engine without root"),
        ({"CgroupVersion": "2", "CgroupDriver": "cgroupfs"}, "systemctl --user enable"),
        ({"CgroupVersion": "2", "CgroupDriver": "systemd"}, ""),
    ],
)
def test_an_engine_without_root_rights_must_be_able_to_limit(
    told: dict[str, str], problem: str, tmp_path: Path
) -> None:
    """What Podman 4.3 said of itself where it could keep limits, and where it kept none."""
    info = {
        "Rootless": True,
        "MemoryLimit": True,
        "PidsLimit": True,
        "SecurityOptions": ["name=seccomp,profile=default"],
        "Architecture": "amd64",
        **told,
    }
    said = Engine(None, tmp_path)._problem(info)
    assert problem in said
    assert bool(said) == bool(problem)


def test_a_process_is_bounded_after_its_start_only_if_it_is_the_containers() -> None:
    limits = Limits(open_files=50)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            group = Path(f"/proc/{process.pid}/cgroup").read_text().splitlines()[0]
            before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
            assert not container.bound_afterwards("another's", process.pid, limits)
            assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == before
            assert container.bound_afterwards(group, process.pid, limits)
            assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (50, 50)
        finally:
            process.kill()
    assert container.bound_afterwards("ended", process.pid, limits)
