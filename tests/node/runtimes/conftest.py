"""A process runtime with algorithms that try to get out.

Fixtures: ``runtime`` (one per module, sandboxed), ``run`` (runs a method to its end),
``start`` (starts one and hands out the execution), both of ``runtime`` unless told otherwise.
The tests of this folder hold for root and for an ordinary user; ``test_unprivileged.py`` runs
them as the latter.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vantage6.node.runtimes.base import Ended, Limits, Mount, RunSpec
from vantage6.node.runtimes.process import ProcessRuntime, Registration

ALGORITHMS = Path(__file__).parent / "algorithms"
IMAGE = "example.org/escape-artist"
#: What runs may know by name, each of them some: one host twice, and a port of the mighty.
DOORS = (("dbtunnel", 5432), ("dbtunnel", 6543), ("other.hospital", 5432), ("web", 80))
#: Large enough for Python, small enough for a machine that others use too.
LIMITS = Limits(
    memory=512 * 1024**2,
    cpu_time=60,
    wall_time=60,
    processes=32,
    open_files=256,
    output_size=4 * 1024**2,
    scratch_size=8 * 1024**2,
    log_size=64 * 1024,
)
_run_ids = count(1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Outcome:
    """How a run ended and what it left."""

    ended: Ended
    result: Any
    stdout: str
    stderr: str
    folder: Path
    inner_folder: str

    def __repr__(self) -> str:
        return f"{self.ended}\n{self.stdout[-1000:]}\n{self.stderr[-2000:]}"


def make_runtime(**options: Any) -> ProcessRuntime:
    """A runtime that knows the algorithms of these tests, and ``algorithms``."""
    entries = {
        IMAGE: Registration("escape_artist", path=ALGORITHMS),
        "trivial": Registration("trivial", path=ALGORITHMS),
        **options.pop("algorithms", {}),
    }
    options.setdefault("preload", ("numpy", "pandas", "pyarrow.parquet"))
    # Tests count processes; one kept ready would be one too many.
    options.setdefault("standby", False)
    return ProcessRuntime(entries, **options)


def make_spec(
    folder: Path,
    method: str,
    *args: Any,
    image: str = IMAGE,
    mounts: Sequence[Mount] = (),
    environment: Mapping[str, str] | None = None,
    limits: Limits = LIMITS,
    doors: Collection[tuple[str, int]] = (),
) -> RunSpec:
    """A run as the agent would ask for it."""
    run_id = next(_run_ids)
    folder = folder / f"task-{run_id:09d}-{uuid.uuid4().hex[:6]}"
    folder.mkdir(mode=0o700, parents=True)
    for name, content in (
        ("input", json.dumps({"method": method, "args": args})),
        ("token", "the.run.token"),
    ):
        path = folder / name
        path.write_text(content)
        path.chmod(0o600)
    inner = f"/mnt/data/task-{run_id:09d}"
    given = {
        "INPUT_FILE": f"{inner}/input",
        "OUTPUT_FILE": f"{inner}/output",
        "TOKEN_FILE": f"{inner}/token",
        "TEMPORARY_FOLDER": "/mnt/tmp",
    }
    return RunSpec(
        run_id=run_id,
        job_id=1,
        image=image,
        folder=folder,
        mounts=mounts,
        environment={**given, **(environment or {})},
        limits=limits,
        doors=doors,
    )


def outcome_of(spec: RunSpec, ended: Ended) -> Outcome:
    """Read what a run left in its folder."""
    written = (spec.folder / "output").read_bytes()
    try:
        result = json.loads(written)
    except ValueError:
        result = None
    return Outcome(
        ended=ended,
        result=result,
        stdout=(spec.folder / "stdout").read_text(),
        stderr=(spec.folder / "stderr").read_text(),
        folder=spec.folder,
        inner_folder=f"/mnt/data/task-{spec.run_id:09d}",
    )


def recorded(folder: Path) -> Ended:
    """The end that is on record in a run's folder."""
    record = json.loads((folder / "exit.json").read_text())
    assert set(record) == {"exit_code", "reason"}
    return Ended(**record)


async def until(condition: Callable[[], Any], seconds: float = 10) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


async def said(spec: RunSpec, word: str, seconds: float = 30) -> bool:
    """Whether an algorithm says something in time."""
    stdout = spec.folder / "stdout"
    return await until(lambda: word in stdout.read_text(), seconds)


@pytest.fixture(scope="session")
def engine(lacking: Callable[[str], Any]) -> str:
    """A container engine that has the escape artist's image."""
    # Not above: the node in small, which is no test, imports this file too.
    from engines import build_image, find_engine

    host, problem = find_engine()
    if problem:
        lacking(problem)
    build_image(host, f"{IMAGE}:latest", "escape_artist", ALGORITHMS)
    return host


@pytest.fixture(scope="module")
async def runtime() -> AsyncIterator[ProcessRuntime]:
    made = make_runtime()
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def start(
    runtime: ProcessRuntime, tmp_path: Path
) -> AsyncIterator[Callable[..., Awaitable[tuple[Any, RunSpec]]]]:
    started = []

    async def start_one(method: str, *args: Any, **options: Any) -> tuple[Any, RunSpec]:
        chosen = options.pop("runtime", runtime)
        spec = make_spec(tmp_path / "runs", method, *args, **options)
        execution = await chosen.start(spec)
        started.append(execution)
        return execution, spec

    yield start_one
    for execution in started:
        await execution.kill("the test is over")
        if execution.proxy_socket is not None:
            execution.proxy_socket.close()
        for door in execution.doors.values():
            door.close()


@pytest.fixture
def run(
    start: Callable[..., Awaitable[tuple[Any, RunSpec]]],
) -> Callable[..., Awaitable[Outcome]]:
    async def run_one(method: str, *args: Any, **options: Any) -> Outcome:
        execution, spec = await start(method, *args, **options)
        return outcome_of(spec, await execution.wait())

    return run_one


@pytest.fixture
def helpers() -> Any:
    """The functions of this file, for tests (which cannot import it)."""
    return SimpleNamespace(
        make_runtime=make_runtime,
        make_spec=make_spec,
        outcome_of=outcome_of,
        recorded=recorded,
        until=until,
        said=said,
        limits=LIMITS,
        image=IMAGE,
        doors=DOORS,
        algorithms=ALGORITHMS,
    )
