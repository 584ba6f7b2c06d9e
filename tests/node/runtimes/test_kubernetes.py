"""The kubernetes runtime against an imitation of a cluster's API: no proof of a real cluster."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fake_cluster import FakeCluster, Pod, decoded, free_port
from vantage6.node.runtimes.base import (
    Ended,
    Limits,
    Mount,
    RunSpec,
    RuntimeUnavailable,
    StartFailed,
    UnknownImage,
)
from vantage6.node.runtimes.kubernetes import KubernetesRuntime, Settings, Volume

pytestmark = pytest.mark.anyio

IMAGE = "example.org/average:1"


@pytest.fixture
async def cluster(tmp_path: Path, anyio_backend: str) -> AsyncIterator[FakeCluster]:
    async with FakeCluster(tmp_path / "cluster").listening() as listening:
        yield listening


@pytest.fixture
def settings(cluster: FakeCluster) -> Settings:
    port = free_port()
    cluster.prepare(port)
    return Settings(
        claim="runs",
        volumes=[Volume(cluster.claims["data"], "data")],
        api=cluster.url,
        namespace="hospital",
        token_file=cluster.token_file,
        ca_file=cluster.ca_file,
        proxy_port=port,
        start_time=20,
    )


@pytest.fixture
async def make(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Any]]:
    """Opens a runtime; closes it at the end."""
    opened: list[Any] = []
    started: list[Any] = []

    async def make_one(*, patience: float = 20.0, **changes: Any) -> KubernetesRuntime:
        made = KubernetesRuntime("test", replace(settings, **changes), patience=patience)
        start = made.start

        async def noted(spec: RunSpec) -> Any:
            execution = await start(spec)
            started.append(execution)
            return execution

        monkeypatch.setattr(made, "start", noted)
        await made.open()
        opened.append(made)
        return made

    yield make_one
    for made in opened:
        await made.close()
    # Whoever serves on them closes them; here that is nobody.
    for execution in started:
        execution.proxy_socket.close()


@pytest.fixture
async def runtime(make: Callable[..., Any]) -> Any:
    return await make()


@pytest.fixture
def make_spec(cluster: FakeCluster, runtime: Any) -> Callable[..., RunSpec]:
    def make_one(run_id: int = 1, **changes: Any) -> RunSpec:
        folder = cluster.claims["runs"] / "runs" / f"{run_id}.1"
        folder.mkdir(parents=True, mode=0o700)
        (folder / "input").write_text('{"method": "m"}')
        (folder / "token").write_text("the.run.token")
        inner = f"/mnt/data/task-{run_id:09d}"
        host, port = runtime.proxy_address(None)
        environment = {
            "INPUT_FILE": f"{inner}/input",
            "OUTPUT_FILE": f"{inner}/output",
            "TOKEN_FILE": f"{inner}/token",
            "HOST": host,
            "PORT": str(port),
            "SECRET_URI": "postgresql://ro:hunter2@db/wh",
        }
        limits = Limits(wall_time=60, output_size=4096, log_size=4096, scratch_size=1024**2)
        spec = RunSpec(run_id, 1, IMAGE, folder, environment=environment, limits=limits)
        return replace(spec, **changes)

    return make_one


def output(pod: Pod) -> Path:
    return pod.path(decoded(pod.environment["OUTPUT_FILE"]))


def recorded(spec: RunSpec) -> Ended:
    return Ended(**json.loads((spec.folder / "exit.json").read_text()))


async def until(condition: Callable[[], Any], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def sleeps(pod: Pod) -> None:
    pod.running()
    await asyncio.sleep(3600)


async def crash(runtime: KubernetesRuntime) -> None:
    """As if the node were killed: nobody watches, nobody deletes, its sockets are closed."""
    for execution in tuple(runtime._executions):
        execution.leave()
        if execution.proxy_socket is not None:
            execution.proxy_socket.close()
    runtime._executions.clear()
    await runtime._watch.close()
    await runtime._door.close()
    await runtime._cluster.close()


async def test_an_algorithm_finds_its_files_and_leaves_its_result(
    cluster: FakeCluster, runtime: Any, make_spec: Any
) -> None:
    found = {}

    async def scenario(pod: Pod) -> None:
        pod.running()
        for name in ("INPUT_FILE", "TOKEN_FILE"):
            found[name] = pod.read(decoded(pod.environment[name])).decode()
        found["uri"] = decoded(pod.environment["SECRET_URI"])
        found["data"] = pod.path("/mnt/default.csv").read_text()
        output(pod).write_text("42")
        pod.terminated(0)

    cluster.scenario = scenario
    database = cluster.claims["data"] / "patients.csv"
    database.write_text("a\n1\n")
    spec = make_spec(mounts=[Mount(database, "/mnt/default.csv")])
    execution = await runtime.start(spec)
    assert await execution.wait() == Ended(0)
    assert recorded(spec) == Ended(0)
    assert (spec.folder / "output").read_text() == "42"
    assert found == {
        "INPUT_FILE": '{"method": "m"}',
        "TOKEN_FILE": "the.run.token",
        "uri": "postgresql://ro:hunter2@db/wh",
        "data": "a\n1\n",
    }
    assert execution.image_digest == f"sha256:{'5' * 64}"
    await until(lambda: not cluster.left())


async def test_nothing_is_executed_before_its_secret_is_there(
    cluster: FakeCluster, runtime: Any, make_spec: Any
) -> None:
    await (await runtime.start(make_spec())).wait()
    changes = [call[0] for call in cluster.calls if call[0] in ("POST", "PATCH")]
    made = [call[1].rsplit("/", 1)[1] for call in cluster.calls if call[0] == "POST"]
    assert made[-2:] == ["jobs", "secrets"]
    assert changes[-3:] == ["POST", "POST", "PATCH"]


async def test_what_it_says_counts_as_standard_error(
    cluster: FakeCluster, runtime: Any, make_spec: Any
) -> None:
    """The cluster does not tell the two streams apart, and one of them may quote data."""

    async def scenario(pod: Pod) -> None:
        pod.running()
        pod.say("first", "second")
        await asyncio.sleep(0.2)
        pod.say("patient 17 is not a number")
        pod.terminated(1)

    cluster.scenario = scenario
    spec = make_spec()
    assert await (await runtime.start(spec)).wait() == Ended(1)
    said = (spec.folder / "stderr").read_text()
    assert said == "first\nsecond\npatient 17 is not a number\n"
    assert (spec.folder / "stdout").read_text() == ""


async def test_a_log_that_breaks_off_goes_on_where_it_was(
    cluster: FakeCluster, runtime: Any, make_spec: Any
) -> None:
    go_on = asyncio.Event()

    async def scenario(pod: Pod) -> None:
        pod.running()
        pod.say("one", "two")
        await go_on.wait()
        pod.say("three")
        pod.terminated(0)

    cluster.scenario = scenario
    spec = make_spec()
    execution = await runtime.start(spec)
    await until(lambda: "two" in (spec.folder / "stderr").read_text())
    cluster.cut()
    await until(lambda: cluster.count("GET", "/log") > 1)
    go_on.set()
    await execution.wait()
    assert (spec.folder / "stderr").read_text() == "one\ntwo\nthree\n"


async def test_a_log_is_cut_and_read_no_further(
    cluster: FakeCluster, runtime: Any, make_spec: Any
) -> None:
    async def scenario(pod: Pod) -> None:
        pod.running()
        pod.say(*["x" * 1000] * 100)
        pod.terminated(0)

    cluster.scenario = scenario
    spec = make_spec()
    await (await runtime.start(spec)).wait()
    kept = (spec.folder / "stderr").read_bytes()
    assert len(kept) < 4096 + 100
    assert b"[the log was cut here, after 4096 bytes]" in kept


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("ErrImagePull", "rpc error: manifest unknown"),
        ("ImagePullBackOff", "Back-off pulling image"),
        ("InvalidImageName", "couldn't parse image reference"),
    ],
)
async def test_an_image_that_cannot_be_pulled_is_unknown(
    cluster: FakeCluster, runtime: Any, make_spec: Any, reason: str, message: str
) -> None:
    async def scenario(pod: Pod) -> None:
        pod.waiting("ContainerCreating")
        await asyncio.sleep(0.1)
        pod.waiting(reason, message)

    cluster.scenario = scenario
    with pytest.raises(UnknownImage, match=f"The image {IMAGE} cannot be pulled: {message}"):
        await runtime.start(make_spec())
    assert cluster.left() == {}


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
        ("RunContainerError", "no command specified"),
    ],
)
async def test_a_container_that_cannot_be_made_has_not_started(
    cluster: FakeCluster, runtime: Any, make_spec: Any, reason: str, message: str
) -> None:
    async def scenario(pod: Pod) -> None:
        pod.waiting(reason, message)

    cluster.scenario = scenario
    with pytest.raises(StartFailed, match=f"refuses {IMAGE}: {message}"):
        await runtime.start(make_spec())
    assert cluster.left() == {}


async def test_a_command_that_cannot_be_executed_has_not_started(
    cluster: FakeCluster, runtime: Any, make_spec: Any
) -> None:
    async def scenario(pod: Pod) -> None:
        pod.terminated(128, "StartError", "exec: no such file")

    cluster.scenario = scenario
    with pytest.raises(StartFailed, match="exec: no such file"):
        await runtime.start(make_spec())


async def test_a_run_for_which_there_is_no_place_says_so(
    cluster: FakeCluster, make: Any, make_spec: Any
) -> None:
    message = "0/3 nodes are available: 3 Insufficient memory."

    async def scenario(pod: Pod) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        pod.set(conditions=[condition | {"message": message}])

    cluster.scenario = scenario
    hasty = await make(start_time=1)
    with pytest.raises(StartFailed, match=f"within 1 s: {message}"):
        await hasty.start(make_spec())
    assert cluster.left() == {}


async def test_a_run_for_which_no_pod_is_made_says_so(
    cluster: FakeCluster, make: Any, make_spec: Any
) -> None:
    cluster.makes_pods = False
    hasty = await make(start_time=1)
    with pytest.raises(StartFailed, match=r"made no pod for it .*kubectl describe job"):
        await hasty.start(make_spec())
    cluster.quota = True
    with pytest.raises(StartFailed, match="exceeded quota"):
        await hasty.start(make_spec(2))
    assert cluster.left() == {}


async def out_of_memory(pod: Pod) -> None:
    pod.running()
    pod.terminated(137, "OOMKilled")


async def killed_by_system(pod: Pod) -> None:
    pod.running()
    pod.terminated(137, "Error")


async def crashes(pod: Pod) -> None:
    pod.running()
    pod.terminated(139, "Error")


async def fails(pod: Pod) -> None:
    pod.running()
    pod.terminated(3)


async def evicted(pod: Pod) -> None:
    pod.running()
    pod.set(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    pod.end_job("Failed", "BackoffLimitExceeded")


async def overdue(pod: Pod) -> None:
    """The Job's own deadline: its controller deletes the pod."""
    pod.running()
    going = json.loads(json.dumps(pod.object))
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    pod.cluster.put("pods", going)
    pod.cluster.drop("pods", pod.name)
    job = next(iter(pod.cluster.objects["jobs"]))
    gone = json.loads(json.dumps(pod.cluster.objects["jobs"][job]))
    failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
    gone["status"]["conditions"] = [failed]
    pod.cluster.put("jobs", gone)


async def drained(pod: Pod) -> None:
    """Somebody deletes the pod; the algorithm ends by a signal meanwhile."""
    pod.running()
    going = json.loads(json.dumps(pod.object))
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    pod.cluster.put("pods", going)
    await asyncio.sleep(0.05)
    name = pod.object["metadata"]["labels"]["job-name"]
    pod.set(phase="Failed", state={"terminated": {"exitCode": 143, "reason": "Error"}})
    pod.cluster.drop("pods", pod.name)
    await asyncio.sleep(0.05)
    job = json.loads(json.dumps(pod.cluster.objects["jobs"][name]))
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    job["status"]["conditions"] = [failed]
    pod.cluster.put("jobs", job)


async def job_vanishes(pod: Pod) -> None:
    pod.running()
    await asyncio.sleep(0.05)
    pod.cluster.drop("pods", pod.name)
    for kind in ("jobs", "secrets"):
        pod.cluster.drop(kind, next(iter(pod.cluster.objects[kind])))


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (out_of_memory, Ended(None, "ran out of memory (limit 4 GiB)")),
        (
            killed_by_system,
            Ended(None, "was killed by the system, probably because its memory ran out"),
        ),
        (crashes, Ended(139, "crashed with signal SIGSEGV")),
        (fails, Ended(3)),
        (
            evicted,
            Ended(
                None,
                "was ended by the cluster: Evicted: The node was low on resource: memory.",
            ),
        ),
        (overdue, Ended(None, "ran longer than 1 minute")),
        (drained, Ended(None, "was removed from the cluster while it ran")),
        (job_vanishes, Ended(None)),
    ],
)
async def test_the_record_says_how_a_run_ended(
    cluster: FakeCluster, runtime: Any, make_spec: Any, scenario: Any, expected: Ended
) -> None:
    cluster.scenario = scenario
    spec = make_spec()
    assert await (await runtime.start(spec)).wait() == expected
    assert recorded(spec) == expected
    await until(lambda: not cluster.left())


async def test_a_kill_leaves_nothing_and_may_be_repeated(
    cluster: FakeCluster, runtime: Any, make_spec: Any
) -> None:
    cluster.scenario = sleeps
    spec = make_spec()
    execution = await runtime.start(spec)
    left_when_ended = []
    execution._ended.add_done_callback(lambda _: left_when_ended.append(cluster.left()))
    await asyncio.gather(execution.kill("by a user"), execution.kill("once more"))
    assert left_when_ended == [{}], "its output was judged while it could still be written to"
    assert cluster.left() == {}
    assert await execution.wait() == recorded(spec) == Ended(None, "killed: by a user")
    await execution.kill("too late")
    assert recorded(spec) == Ended(None, "killed: by a user")


async def test_a_kill_waits_for_a_cluster_that_is_away(
    cluster: FakeCluster, make: Any, make_spec: Any
) -> None:
    cluster.scenario = sleeps
    execution = await (await make(patience=0.1)).start(make_spec())
    cluster.down = True
    cluster.changed()
    killing = asyncio.ensure_future(execution.kill("by a user"))
    await asyncio.sleep(0.5)
    assert not killing.done()
    cluster.down = False
    await asyncio.wait_for(killing, 30)
    assert cluster.left() == {}


async def test_a_run_goes_on_while_the_cluster_is_away(
    cluster: FakeCluster, make: Any, make_spec: Any
) -> None:
    async def scenario(pod: Pod) -> None:
        pod.running()
        await until(lambda: cluster.down)
        output(pod).write_text("42")
        pod.say("meanwhile")
        pod.terminated(0)

    cluster.scenario = scenario
    spec = make_spec()
    execution = await (await make(patience=0.1)).start(spec)
    cluster.down = True
    cluster.changed()
    await until(lambda: cluster.pods[0].has_ended)
    await asyncio.sleep(0.5)
    cluster.down = False
    assert await asyncio.wait_for(execution.wait(), 60) == Ended(0)
    assert (spec.folder / "output").read_text() == "42"
    await until(lambda: not cluster.left())


@pytest.mark.parametrize("when", ["410", "closed", "error"])
async def test_a_watch_that_ends_is_taken_up_again(
    cluster: FakeCluster, runtime: Any, make_spec: Any, when: str
) -> None:
    go_on = asyncio.Event()

    async def scenario(pod: Pod) -> None:
        pod.running()
        await go_on.wait()
        pod.terminated(0)

    cluster.scenario = scenario
    execution = await runtime.start(make_spec())
    if when == "410":
        cluster.forget_history()
    else:
        what = "drop before" if when == "closed" else 500
        cluster.faults.extend([("GET", "watch=1", what)] * 2)
        cluster.cut()
        await until(lambda: not cluster.faults)
    go_on.set()
    assert await asyncio.wait_for(execution.wait(), 60) == Ended(0)


async def test_a_job_that_vanished_unseen_is_noticed(
    cluster: FakeCluster, runtime: Any, make_spec: Any
) -> None:
    cluster.scenario = sleeps
    execution = await runtime.start(make_spec())
    for kind in ("pods", "jobs", "secrets"):
        cluster.objects[kind].clear()
    cluster.forget_history()
    assert await asyncio.wait_for(execution.wait(), 60) == Ended(None)


@pytest.mark.parametrize("what", [500, 429, "drop before", "drop after", 0.3])
@pytest.mark.parametrize(
    ("method", "part"), [("POST", "/jobs"), ("POST", "/secrets"), ("PATCH", "/jobs")]
)
async def test_a_start_survives_a_faulty_api_and_executes_once(
    cluster: FakeCluster, runtime: Any, make_spec: Any, method: str, part: str, what: Any
) -> None:
    cluster.faults.append((method, part, what))
    execution = await runtime.start(make_spec())
    assert await execution.wait() == Ended(0)
    assert len(cluster.pods) == 1
    await until(lambda: not cluster.left())


async def test_a_start_at_a_cluster_that_is_away_fails_and_leaves_nothing(
    cluster: FakeCluster, make: Any, make_spec: Any
) -> None:
    hasty = await make(patience=0.3)
    # The Job is made, but nobody ever says so.
    cluster.faults.append(("POST", "/jobs", "drop after"))
    cluster.faults.extend([("POST", "/jobs", 500)] * 20)
    with pytest.raises(StartFailed, match="cluster's API fails: as told"):
        await hasty.start(make_spec())
    assert cluster.pods == []
    await until(lambda: not cluster.left())


async def test_a_start_that_is_given_up_leaves_nothing(
    cluster: FakeCluster, runtime: Any, make_spec: Any
) -> None:
    async def never(pod: Pod) -> None:
        pod.waiting("ContainerCreating")
        await asyncio.sleep(3600)

    cluster.scenario = never
    starting = asyncio.ensure_future(runtime.start(make_spec()))
    await until(lambda: cluster.pods)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert starting.cancelled()
    assert cluster.left() == {}
    # And while nobody knows whether the Job is there.
    cluster.faults.append(("POST", "/jobs", 0.5))
    starting = asyncio.ensure_future(runtime.start(make_spec(2)))
    await until(lambda: cluster.count("POST", "/jobs") == 2)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await until(lambda: "-run-2" in str(cluster.calls[-1]) and not cluster.left())
    assert len(cluster.pods) == 1


async def test_a_job_left_by_an_earlier_attempt_makes_room(
    cluster: FakeCluster, runtime: Any, make_spec: Any
) -> None:
    spec = make_spec()
    name = "vantage6-test-run-1"
    cluster.put("jobs", {"metadata": {"name": name}, "spec": {}, "status": {}})
    left = cluster.objects["jobs"][name]["metadata"]["uid"]
    execution = await runtime.start(spec)
    assert await execution.wait() == Ended(0)
    assert cluster.count("DELETE", name) >= 1
    assert execution.job.uid != left


async def test_a_run_is_found_again_by_the_next_process_of_the_node(
    cluster: FakeCluster, runtime: Any, make: Any, make_spec: Any
) -> None:
    go_on = asyncio.Event()

    async def scenario(pod: Pod) -> None:
        pod.running("127.0.0.3")
        pod.say("before")
        await go_on.wait()
        pod.say("after")
        output(pod).write_text("42")
        pod.terminated(0)

    cluster.scenario = scenario
    spec = make_spec()
    await runtime.start(spec)
    await until(lambda: "before" in (spec.folder / "stderr").read_text())
    await crash(runtime)

    second = await make()
    (again,) = [each async for each in second.running()]
    assert again.run_id == 1
    # Its way to the proxy is the same address, and leads to the new process.
    loop = asyncio.get_running_loop()
    host, port = second.proxy_address(spec)
    reader, writer = await asyncio.open_connection(
        host.removeprefix("http://"), port, local_addr=("127.0.0.3", 0)
    )
    connection, _ = await asyncio.wait_for(loop.sock_accept(again.proxy_socket), 20)
    with connection:
        await loop.sock_sendall(connection, b"hello again")
    assert await reader.read() == b"hello again"
    writer.close()
    go_on.set()
    assert await again.wait() == Ended(0)
    assert (spec.folder / "stderr").read_text() == "before\nafter\n"
    assert (spec.folder / "output").read_text() == "42"
    again.proxy_socket.close()
    assert len(cluster.pods) == 1
    await until(lambda: not cluster.left())


async def test_a_run_that_ended_while_the_node_was_away_is_judged(
    cluster: FakeCluster, runtime: Any, make: Any, make_spec: Any
) -> None:
    go_on = asyncio.Event()

    async def scenario(pod: Pod) -> None:
        pod.running()
        await go_on.wait()
        output(pod).write_text("42")
        pod.say("done")
        pod.terminated(0)

    cluster.scenario = scenario
    spec = make_spec()
    await runtime.start(spec)
    await crash(runtime)
    go_on.set()
    await until(lambda: cluster.pods[0].has_ended)
    second = await make()
    (again,) = [each async for each in second.running()]
    assert await again.wait() == recorded(spec) == Ended(0)
    assert (spec.folder / "stderr").read_text() == "done\n"
    again.proxy_socket.close()


async def test_what_had_not_begun_or_is_not_wanted_is_deleted_at_the_next_start(
    cluster: FakeCluster,
    runtime: Any,
    make: Any,
    make_spec: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What was "killed" here lives on as tasks that cannot tidy up.
    monkeypatch.setattr("vantage6.node.runtimes.kubernetes.runtime._TIDY_SECONDS", 0.5)
    cluster.scenario = sleeps
    forgotten, on_record = make_spec(1), make_spec(2)
    for spec in (forgotten, on_record):
        await runtime.start(spec)
    await crash(runtime)
    for path in sorted(forgotten.folder.iterdir()):
        path.unlink()
    forgotten.folder.rmdir()
    (on_record.folder / "exit.json").write_text('{"exit_code": 0, "reason": null}')

    pending = await make()

    async def never(pod: Pod) -> None:
        pod.waiting("ContainerCreating")
        await asyncio.sleep(3600)

    cluster.scenario = never
    starting = asyncio.ensure_future(pending.start(make_spec(3)))
    await until(lambda: len(cluster.pods) == 3)
    await crash(pending)
    second = await make()
    assert [each async for each in second.running()] == []
    assert cluster.left() == {}
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)


async def test_a_node_that_stops_leaves_nothing_and_no_end_on_record(
    cluster: FakeCluster, make: Any, make_spec: Any
) -> None:
    cluster.scenario = sleeps
    stopping = await make()
    spec = make_spec()
    await stopping.start(spec)
    await stopping.close()
    assert cluster.left() == {}
    assert not (spec.folder / "exit.json").exists()


async def test_wall_time_and_output_are_bounded(
    cluster: FakeCluster, runtime: Any, make_spec: Any
) -> None:
    async def writes(pod: Pod) -> None:
        pod.running()
        output(pod).write_bytes(bytes(5000))
        await asyncio.sleep(3600)

    cluster.scenario = writes
    large = make_spec()
    assert await (await runtime.start(large)).wait() == Ended(
        None, "wrote more than 4 KiB of output"
    )
    assert (large.folder / "output").stat().st_size == 0
    cluster.scenario = sleeps
    long = make_spec(2)
    long = replace(long, limits=replace(long.limits, wall_time=1))
    assert await (await runtime.start(long)).wait() == Ended(None, "ran longer than 1 second")
    assert cluster.left() == {}


async def test_the_runs_files_belong_to_the_node_again_afterwards(
    cluster: FakeCluster, runtime: Any, make_spec: Any
) -> None:
    modes = {}

    async def scenario(pod: Pod) -> None:
        pod.running()
        for name in ("input", "output"):
            modes[name] = (spec.folder / name).stat().st_mode & 0o777
        pod.terminated(0)

    cluster.scenario = scenario
    spec = make_spec()
    await (await runtime.start(spec)).wait()
    assert modes == {"input": 0o644, "output": 0o666}
    for name in ("input", "token", "output", "stderr"):
        assert (spec.folder / name).stat().st_mode & 0o777 == 0o600


async def talk(address: str, port: int, *, local: str) -> bytes:
    """What somebody at an address hears; nothing if turned away."""
    reader, writer = await asyncio.open_connection(address, port, local_addr=(local, 0))
    writer.write(b"who are you?")
    try:
        return await asyncio.wait_for(reader.read(100), 30)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def serve_name(listener: socket.socket, name: bytes) -> None:
    loop = asyncio.get_running_loop()
    while True:
        connection, _ = await loop.sock_accept(listener)
        await loop.sock_recv(connection, 100)
        await loop.sock_sendall(connection, name)
        connection.close()


async def test_a_pod_reaches_its_own_proxy_and_nobody_else_reaches_any(
    cluster: FakeCluster, runtime: Any, make_spec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over real sockets: addresses of loopback stand for those of pods."""
    addresses = iter(("127.0.0.11", "127.0.0.12"))

    async def scenario(pod: Pod) -> None:
        pod.running(next(addresses))
        await asyncio.sleep(3600)

    cluster.scenario = scenario
    runtime._door._patience = 0.3
    first = await runtime.start(make_spec(1))
    second = await runtime.start(make_spec(2))
    serving = [
        asyncio.ensure_future(serve_name(first.proxy_socket, b"first")),
        asyncio.ensure_future(serve_name(second.proxy_socket, b"second")),
    ]
    host, port = runtime.proxy_address(None)
    host = host.removeprefix("http://")
    assert await talk(host, port, local="127.0.0.11") == b"first"
    assert await talk(host, port, local="127.0.0.12") == b"second"
    assert await talk(host, port, local="127.0.0.13") == b""
    await first.kill("enough")
    assert await talk(host, port, local="127.0.0.11") == b""
    assert await talk(host, port, local="127.0.0.12") == b"second"
    # A connection that is open ends with its run, though nobody says so in the network.
    await until(lambda: not runtime._door._visits)
    reader, writer = await asyncio.open_connection(host, port, local_addr=("127.0.0.12", 0))
    await until(lambda: second.proxy_socket.getsockname()[1] in runtime._door._visits.values())
    await second.kill("enough, too")
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    for each in (first, second):
        each.proxy_socket.close()


async def test_a_pod_may_be_faster_than_the_news_of_it(runtime: Any) -> None:
    await runtime._door.open()
    host, port = runtime.proxy_address(None)
    visiting = asyncio.ensure_future(talk(host.removeprefix("http://"), port, local="127.0.0.21"))
    await asyncio.sleep(0.2)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        runtime._door.admit(["127.0.0.21"], proxy.getsockname()[1])
        serving = asyncio.ensure_future(serve_name(proxy, b"the proxy"))
        assert await visiting == b"the proxy"
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_many_runs_at_once_all_end_well_and_leave_nothing(
    cluster: FakeCluster, runtime: Any, make_spec: Any
) -> None:
    async def one(run_id: int) -> Ended:
        execution = await runtime.start(make_spec(run_id))
        ended: Ended = await execution.wait()
        execution.proxy_socket.close()
        return ended

    assert await asyncio.gather(*map(one, range(1, 13))) == [Ended(0)] * 12
    await until(lambda: not cluster.left())
    assert len(cluster.pods) == 12
    await until(lambda: not runtime._executions)
    assert not runtime._watch._sights
    assert not runtime._door._proxies


async def test_no_secret_reaches_the_log(
    cluster: FakeCluster, runtime: Any, make_spec: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cluster.faults.append(("POST", "/secrets", 500))
    await (await runtime.start(make_spec())).wait()
    await until(lambda: not cluster.left())
    for secret in ("hunter2", "the.run.token", cluster.token):
        assert secret not in caplog.text


def without_policies(cluster: FakeCluster) -> None:
    cluster.objects["networkpolicies"].clear()


def without_label(cluster: FakeCluster) -> None:
    cluster.namespace["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "baseline"}


def without_claim(cluster: FakeCluster) -> None:
    cluster.objects["persistentvolumeclaims"].pop("data")


def claim_pending(cluster: FakeCluster) -> None:
    cluster.objects["persistentvolumeclaims"]["runs"]["status"]["phase"] = "Pending"


def headless(cluster: FakeCluster) -> None:
    cluster.objects["services"]["vantage6-node"]["spec"]["clusterIP"] = "None"


def without_service(cluster: FakeCluster) -> None:
    cluster.objects["services"].clear()


def without_rights(cluster: FakeCluster) -> None:
    cluster.rights_lacking |= {("create", "jobs"), ("get", "pods/log")}


def other_token(cluster: FakeCluster) -> None:
    cluster.token_file.write_text("expired")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_policies, "no network policy shuts algorithms in .*kubectl apply"),
        (without_label, "is baseline: kubectl label ns hospital .*enforce=restricted"),
        (without_claim, 'volume claim data: .*"data" not found'),
        (claim_pending, "volume claim runs is Pending, not Bound"),
        (headless, "service vantage6-node has no address of its own"),
        (without_service, 'services "vantage6-node" not found'),
        (without_rights, "may not create jobs; get pods/log: kubectl apply .*rights.yaml"),
        (other_token, "cannot be used: Unauthorized"),
    ],
)
async def test_a_namespace_that_does_not_shut_runs_in_is_refused(
    cluster: FakeCluster, settings: Settings, change: Any, words: str
) -> None:
    change(cluster)
    runtime = KubernetesRuntime("test", settings, patience=1.0)
    with pytest.raises(RuntimeUnavailable, match=words):
        await runtime.open()
    await runtime.close()


async def test_a_database_that_runs_could_not_see_is_refused_at_the_start(
    settings: Settings, tmp_path: Path
) -> None:
    runtime = KubernetesRuntime("test", replace(settings, databases=[tmp_path / "elsewhere.csv"]))
    with pytest.raises(
        RuntimeUnavailable, match=r"elsewhere\.csv is in none of kubernetes\.volumes"
    ):
        await runtime.open()
    await runtime.close()


async def test_a_cluster_that_is_not_there_or_not_itself_is_named(
    cluster: FakeCluster, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = replace(settings, api=f"https://127.0.0.1:{free_port()}")
    with pytest.raises(RuntimeUnavailable, match="does not answer"):
        await KubernetesRuntime("test", away, patience=0.1).open()
    # A server whose certificate is another authority's does not get the token.
    async with FakeCluster(tmp_path / "impostor").listening() as impostor:
        there = replace(settings, api=impostor.url)
        with pytest.raises(RuntimeUnavailable, match="certificate"):
            await KubernetesRuntime("test", there, patience=0.1).open()
        assert impostor.calls == []
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(RuntimeUnavailable, match="not in a pod of a cluster"):
        await KubernetesRuntime("test", replace(settings, api=None)).open()
    with pytest.raises(RuntimeUnavailable, match="service account cannot be used"):
        await KubernetesRuntime("test", replace(settings, token_file=tmp_path / "no")).open()


async def test_a_renewed_token_is_used(cluster: FakeCluster, runtime: Any, make_spec: Any) -> None:
    cluster.token = "the next one"
    cluster.token_file.write_text("the next one\n")
    assert await (await runtime.start(make_spec())).wait() == Ended(0)


async def test_it_says_that_it_is_unproven(
    settings: Settings, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await make()
    assert "tested against an imitation of a cluster's API only" in caplog.text
