"""What the runtime promises the agent, and what it offers honest algorithms."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vantage6.node.runtimes.base import (
    Ended,
    Mount,
    Runtime,
    RuntimeUnavailable,
    StartFailed,
    UnknownImage,
)
from vantage6.node.runtimes.process import ProcessRuntime, Registration, sandbox_available
from vantage6.node.runtimes.sandbox import seccomp

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
async def unsandboxed(anyio_backend: str) -> AsyncIterator[ProcessRuntime]:
    runtime = ProcessRuntime(
        {
            "example.org/escape-artist": Registration("escape_artist", path=HERE / "algorithms"),
        },
        preload=("numpy",),
        sandbox="none",
        standby=False,
    )
    await runtime.open()
    yield runtime
    await runtime.close()


def test_the_runtime_is_a_runtime(helpers: Any) -> None:
    runtime: Runtime = helpers.make_runtime()
    assert runtime.name == "process"


@pytest.mark.parametrize(
    ("registered", "image", "known"),
    [
        ("example.org/a", "example.org/a", True),
        ("example.org/a", "example.org/a:latest", True),
        ("example.org/a:latest", "example.org/a", True),
        ("example.org/a", "example.org/a:1.0", False),
        ("example.org/a:1.0", "example.org/a:1.0", True),
        ("example.org/a:1.0", "example.org/a", False),
        ("localhost:5000/a", "localhost:5000/a:latest", True),
        ("example.org/a", "example.org/a@sha256:" + "0" * 64, False),
        ("example.org/a", "example.org/a:latest@sha256:" + "0" * 64, False),
        ("example.org/a@sha256:" + "0" * 64, "example.org/a@sha256:" + "0" * 64, True),
        ("example.org/a", "example.org/b", False),
    ],
)
async def test_an_image_is_known_by_its_name(
    registered: str, image: str, known: bool, tmp_path: Path, helpers: Any
) -> None:
    missing = Registration("escape_artist", python=tmp_path / "no-such-python")
    runtime = ProcessRuntime({registered: missing}, standby=False)
    # Neither gets as far as being executed: there is no such interpreter.
    with pytest.raises(StartFailed if known else UnknownImage) as refusal:
        await runtime.start(helpers.make_spec(tmp_path, "nothing", image=image))
    if not known:
        assert image in str(refusal.value)
        assert registered.removesuffix(":latest") in str(refusal.value)


async def test_values_are_encoded_as_the_contract_says(start: Any, helpers: Any) -> None:
    """Seen before the wrapper decodes them: by a program that is no Python."""
    values = {"PLAIN": "csv", "EMPTY": "", "ODD": "é=!\n", "LOOKS_ENCODED": "GAUSSIAN"}
    execution, spec = await start("environment", environment=values)
    outcome = helpers.outcome_of(spec, await execution.wait())
    assert {name: outcome.result[name] for name in values} == values
    request = helpers.make_runtime()._request(spec, Registration("escape_artist"))
    for name, value in values.items():
        encoded = request.environment[name]
        assert base64.b32decode(encoded.replace("!", "=")).decode() == value
    assert request.environment["PLAIN"] == "MNZXM!!!"
    assert request.environment["PKG_NAME"] == "escape_artist"


async def test_programs_can_be_executed(run: Any) -> None:
    code, output, _ = (await run("run_program", "/bin/sh", "-c", "echo $HOME; id -un; pwd")).result
    assert (code, output) == (0, "/tmp\nalgorithm\n/tmp\n")
    code, output, errors = (
        await run("run_program", sys.executable, "-c", "import json; print(json.dumps([1]))")
    ).result
    assert (code, output) == (0, "[1]\n"), errors


async def test_the_shipped_average_computes(helpers: Any, start: Any, tmp_path: Path) -> None:
    table = tmp_path / "patients.csv"
    table.write_text("age\n" + "40\n50\n60\n" * 5)
    runtime = helpers.make_runtime(
        algorithms={"harbor2.vantage6.ai/demo/average": Registration("vantage6.algorithms.average")}
    )
    await runtime.open()
    try:
        spec = helpers.make_spec(
            tmp_path,
            "partial_average",
            image="harbor2.vantage6.ai/demo/average",
            mounts=[Mount(table, "/mnt/default.csv")],
            environment={
                "USER_REQUESTED_DATABASE_LABELS": "default",
                "DEFAULT_DATABASE_URI": "/mnt/default.csv",
                "DEFAULT_DATABASE_TYPE": "csv",
            },
        )
        request = {"method": "partial_average", "kwargs": {"column_name": "age"}}
        (spec.folder / "input").write_text(json.dumps(request))
        execution = await runtime.start(spec)
        outcome = helpers.outcome_of(spec, await execution.wait())
        execution.proxy_socket.close()
    finally:
        await runtime.close()
    assert outcome.ended == Ended(0), outcome
    assert sorted(outcome.result.values()) == [15, 750]


async def test_an_algorithm_runs_under_the_interpreter_it_is_installed_in(
    helpers: Any, tmp_path: Path, start: Any
) -> None:
    """An environment of its own, with tools that are not ours."""
    own = tmp_path / "environment"
    venv.create(own, with_pip=False, symlinks=True)
    (packages,) = own.glob("lib/python*/site-packages")
    for folder in ("vantage6/algorithm/tools", "elsewhere"):
        (packages / folder).mkdir(parents=True)
    (packages / "vantage6/algorithm/tools/wrap.py").write_text(
        "import os, base64, importlib\n"
        "def wrap_algorithm():\n"
        "    path = base64.b32decode(os.environ['OUTPUT_FILE'].replace('!', '=')).decode()\n"
        "    value = importlib.import_module(os.environ['PKG_NAME']).where()\n"
        "    with open(path, 'w') as file:\n"
        "        file.write(value)\n"
    )
    (packages / "elsewhere/__init__.py").write_text(
        "import json, sys\n"
        "def where():\n"
        "    try:\n"
        "        import pandas\n"
        "    except ImportError:\n"
        "        return json.dumps([sys.prefix, 'no pandas'])\n"
        "    return json.dumps([sys.prefix, 'pandas'])\n"
    )
    python = own / "bin" / "python"
    runtime = helpers.make_runtime(
        algorithms={"other": Registration("elsewhere", python=python)}, preload=("json",)
    )
    await runtime.open()
    try:
        execution, spec = await start("where", runtime=runtime, image="other")
        outcome = helpers.outcome_of(spec, await execution.wait())
    finally:
        await runtime.close()
    assert outcome.result == [str(own), "no pandas"], outcome


async def test_an_interpreter_without_algorithm_tools_is_refused(
    helpers: Any, tmp_path: Path
) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    runtime = helpers.make_runtime(algorithms={"x": Registration("x", python=python)}, preload=())
    with pytest.raises(RuntimeUnavailable, match="pip install"):
        await runtime.open()


async def test_an_interpreter_that_does_not_exist_is_refused(helpers: Any, tmp_path: Path) -> None:
    entry = Registration("x", python=tmp_path / "python")
    runtime = helpers.make_runtime(algorithms={"x": entry}, preload=())
    with pytest.raises(RuntimeUnavailable, match="python"):
        await runtime.open()


async def test_a_module_that_cannot_be_loaded_in_advance_is_no_obstacle(
    helpers: Any, start: Any, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = helpers.make_runtime(preload=("no_such_module_at_all",))
    await runtime.open()
    try:
        execution, _ = await start("nothing", runtime=runtime)
        assert await execution.wait() == Ended(0)
    finally:
        await runtime.close()
    assert "no_such_module_at_all could not be loaded in advance" in caplog.text


async def test_cells_are_kept_ready_for_a_run_and_its_subtask(helpers: Any, start: Any) -> None:
    runtime = helpers.make_runtime(preload=(), standby=True)
    await runtime.open()
    try:
        (parent,) = runtime._parents.values()
        for _ in range(3):
            first, second = await _spares(parent)
            for ready in (first, second):
                execution, _ = await start("nothing", runtime=runtime)
                assert execution._control is ready
                assert await execution.wait() == Ended(0)
            # None is made while runs begin: they need the processor more.
            assert not parent._spares
            execution, _ = await start("nothing", runtime=runtime)
            assert await execution.wait() == Ended(0)
    finally:
        await runtime.close()


async def _spares(parent: Any) -> list[Any]:
    async with asyncio.timeout(20):
        while len(parent._spares) < 2:
            await asyncio.sleep(0.02)
    return list(parent._spares)


async def test_a_cell_that_died_while_it_was_kept_is_replaced(helpers: Any, start: Any) -> None:
    runtime = helpers.make_runtime(preload=(), standby=True)
    await runtime.open()
    try:
        (parent,) = runtime._parents.values()
        await _spares(parent)
        pid = parent._process.pid
        children = _children(pid)
        assert len(children) == 2
        for child in children:
            os.kill(child, 9)
        execution, _ = await start("nothing", runtime=runtime)
        assert await execution.wait() == Ended(0)
    finally:
        await runtime.close()


def _children(pid: int) -> list[int]:
    processes = [entry for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [int(entry.name) for entry in processes if _parent_of(entry) == pid]


def _parent_of(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


async def test_nothing_runs_after_a_restart(runtime: Any) -> None:
    assert [execution async for execution in runtime.running()] == []


async def test_without_a_sandbox_algorithms_find_their_files_and_queries_stay_as_they_are(
    unsandboxed: Any, run: Any, tmp_path: Path
) -> None:
    database = tmp_path / "patients.csv"
    database.write_text("mine")
    mentioned = {
        "X_QUERY": "SELECT * FROM '/mnt/x.csv' WHERE path LIKE '/mnt/tmp/%'",
        "X_SHEET_NAME": "/mnt/x.csv",
        "X_PREPROCESSING": '[{"function": "/mnt/tmp"}]',
        "OTHER": "/mnt/tmp/x",
        "Y_DATABASE_URI": "postgresql://db/mnt/tmp?file=/mnt/x.csv",
    }
    environment = {
        "X_DATABASE_URI": "sqlite:////mnt/x.csv",
        "Z_DATABASE_URI": "/mnt/x.csv",
        "N_DATABASE_URI": "/mnt/x.csvs",
        **mentioned,
    }
    outcome = await run(
        "environment",
        runtime=unsandboxed,
        mounts=[Mount(database, "/mnt/x.csv")],
        environment=environment,
    )
    assert outcome.ended == Ended(0), outcome
    found = outcome.result
    assert found["X_DATABASE_URI"] == f"sqlite:///{database}"
    assert found["Z_DATABASE_URI"] == str(database)
    assert found["N_DATABASE_URI"] == "/mnt/x.csvs"
    assert {name: found[name] for name in mentioned} == mentioned
    assert found["INPUT_FILE"] == f"{outcome.folder}/input"
    assert found["TEMPORARY_FOLDER"] == found["TMPDIR"] == f"{outcome.folder}/scratch"
    assert not (outcome.folder / "scratch").exists()


async def test_without_a_sandbox_the_proxy_is_on_a_port_of_the_machine(
    unsandboxed: Any, helpers: Any, tmp_path: Path
) -> None:
    spec = helpers.make_spec(tmp_path, "connect", "127.0.0.1", 0)
    host, port = unsandboxed.proxy_address(spec)
    assert unsandboxed.proxy_address(spec) == (host, port)
    request = {"method": "connect", "args": [host.removeprefix("http://"), port]}
    (spec.folder / "input").write_text(json.dumps(request))
    execution = await unsandboxed.start(spec)
    connection, _ = await asyncio.get_running_loop().sock_accept(execution.proxy_socket)
    with connection, execution.proxy_socket:
        await asyncio.get_running_loop().sock_sendall(connection, b"hello")
    outcome = helpers.outcome_of(spec, await execution.wait())
    assert outcome.result == "ok: hello"


async def test_without_a_sandbox_a_kill_still_leaves_no_process(
    unsandboxed: Any, start: Any
) -> None:
    execution, spec = await start("daemon_and_wait", runtime=unsandboxed)
    while "waiting" not in (spec.folder / "stdout").read_text():
        await asyncio.sleep(0.01)
    (parent,) = unsandboxed._parents.values()
    before = _descendants(parent._process.pid)
    assert len(before) == 3
    await execution.kill("enough")
    assert await asyncio.to_thread(_all_gone, before)
    assert await execution.wait() == Ended(None, "killed: enough")


def _descendants(pid: int) -> set[int]:
    found, new = set[int](), {pid}
    while new:
        new = {child for parent in new for child in _children(parent)} - found
        found |= new
    return found


def _all_gone(pids: set[int]) -> bool:
    for _ in range(500):
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.01)
    return False


async def test_without_a_sandbox_limits_are_kept_all_the_same(
    unsandboxed: Any, run: Any, helpers: Any
) -> None:
    limits = replace(helpers.limits, wall_time=1, processes=5)
    outcome = await run("sleep", 60, runtime=unsandboxed, limits=limits)
    assert outcome.ended.reason == "ran longer than 1 second"
    # A busy machine may take longer than a second to look.
    patient = replace(limits, wall_time=60)
    outcome = await run("spin_in_many", 10, runtime=unsandboxed, limits=patient)
    assert outcome.ended.reason == "started more than 5 processes"


def test_this_machine_can_sandbox() -> None:
    assert sandbox_available() is None


@pytest.mark.parametrize("user", ["root", "nobody"])
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to take rights away")
def test_a_machine_that_cannot_sandbox_says_what_to_do(user: str) -> None:
    """Made unable by taking away what is needed."""
    script = {
        # As in a container without privileges.
        "root": "linux.drop_capability_bounds(); linux.drop_capabilities()",
        # As on a machine whose administrator forbids user namespaces.
        "nobody": "linux.prctl(38, 1); linux.install_filter(seccomp.program())",
    }[user]
    command = [
        *(sys.executable, "-c"),
        "from vantage6.node.runtimes.sandbox import linux, seccomp, zygote; import os; "
        + script
        + "; print(zygote.try_out())",
    ]
    if user == "nobody":
        command = [sys.executable, str(HERE / "as_nobody.py"), *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "The sandbox cannot be made: unshare" in done.stdout
    assert ("CAP_SYS_ADMIN" if user == "root" else "forbids user namespaces") in done.stdout


async def test_a_runtime_that_cannot_sandbox_does_not_open(
    helpers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "vantage6.node.runtimes.process.sandbox_available", lambda python: "install a kernel"
    )
    runtime = helpers.make_runtime(preload=())
    with pytest.raises(RuntimeUnavailable, match="install a kernel"):
        await runtime.open()


def test_an_unknown_processor_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    from vantage6.node.runtimes.sandbox import explain, linux

    monkeypatch.setattr(linux, "MACHINE", "vax")
    assert not seccomp.supported()
    assert "vax" in str(explain.missing())
