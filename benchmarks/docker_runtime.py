"""What a run costs in the docker runtime, beside the engine's own ``docker run`` of the same image.

The shipped average on a small table, alternately through the runtime and through the engine's
command line with the same files, limits aside. Prints milliseconds; asserts only that the answers
are there. Needs an engine: ``V6_TEST_ENGINE`` names its socket.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from engines import build_image, find_engine
from vantage6.node import environment
from vantage6.node.data import View
from vantage6.node.runtimes.base import Ended, Mount, RunSpec
from vantage6.node.runtimes.docker import DockerRuntime, Settings
from vantage6.node.runtimes.encoding import encoded

IMAGE, MODULE = "vantage6-benchmark-average", "vantage6.algorithms.average"
BAR = 150.0
PAUSE = 1.0
REQUEST = {"method": "partial_average", "kwargs": {"column_name": "age"}}


def make_spec(home: Path, run_id: int, table: Path) -> RunSpec:
    """A run as the agent would ask for it."""
    folder = home / "runs" / f"{run_id}.1"
    folder.mkdir(parents=True)
    (folder / "input").write_text(json.dumps(REQUEST))
    (folder / "token").write_text("token")
    view = View(
        ["default"],
        ["default"],
        [Mount(table, "/mnt/default.csv")],
        {"DEFAULT_DATABASE_URI": "/mnt/default.csv", "DEFAULT_DATABASE_TYPE": "csv"},
    )
    variables = environment.build(run_id, ("http://127.0.0.1", 8080), view, {})
    return RunSpec(run_id, 1, IMAGE, folder, view.mounts, variables)


async def through_runtime(runtime: DockerRuntime, spec: RunSpec) -> float:
    """Milliseconds of a run."""
    began = time.perf_counter()
    execution = await runtime.start(spec)
    ended = await execution.wait()
    took = (time.perf_counter() - began) * 1000
    if execution.proxy_socket is not None:
        execution.proxy_socket.close()
    assert ended == Ended(0), ended
    assert json.loads((spec.folder / "output").read_text())
    return took


def through_command(host: str, spec: RunSpec) -> float:
    """Milliseconds of ``docker run``."""
    inner = environment.run_folder(spec.run_id)
    command = ["docker", "--host", host, "run", "--rm", "--network", "none"]
    for name, value in encoded(spec.environment).items():
        command += ["--env", f"{name}={value}"]
    for mount in spec.mounts:
        command += ["--volume", f"{mount.source}:{mount.target}:ro"]
    command += ["--tmpfs", "/mnt/tmp", "--volume", f"{spec.folder}:{inner}", spec.image]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    took = (time.perf_counter() - began) * 1000
    assert json.loads((spec.folder / "output").read_text())
    return took


async def measure(host: str, rounds: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        table = home / "table.csv"
        table.write_text("age\n" + "40\n50\n60\n" * 100)
        runtime = DockerRuntime("benchmark", home, Settings(host=host, pull_always=False))
        await runtime.open()
        ours, theirs = [], []
        try:
            for number in range(rounds + 1):
                spec = make_spec(home, 2 * number + 1, table)
                ours.append(await through_runtime(runtime, spec))
                await asyncio.sleep(PAUSE)
                spec = make_spec(home, 2 * number + 2, table)
                theirs.append(await asyncio.to_thread(through_command, host, spec))
        finally:
            await runtime.close()
    # The first of each warms the machine's caches.
    run, engine = statistics.median(ours[1:]), statistics.median(theirs[1:])
    print(f"docker run:      median {engine:.0f} ms, worst {max(theirs[1:]):.0f} ms, n={rounds}")
    print(f"docker runtime:  median {run:.0f} ms, worst {max(ours[1:]):.0f} ms")
    print(f"on top: {run - engine:+.0f} ms; the bar is +{BAR:.0f} ms")


def main() -> None:
    """Build the image and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    host, problem = find_engine()
    if problem:
        sys.exit(problem)
    build_image(host, f"{IMAGE}:latest", MODULE)
    asyncio.run(measure(host, rounds))


if __name__ == "__main__":
    main()
