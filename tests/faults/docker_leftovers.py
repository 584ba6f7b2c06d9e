"""Count what an engine holds before and after many runs, which end in every way there is.

    .ci/engine .venv/bin/python tests/faults/docker_leftovers.py --runs 200

Needs an engine: ``V6_TEST_ENGINE`` names its socket. Exit code 0 only if not one container, volume,
network or image is left over.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import docker

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from engines import build_image, find_engine
from vantage6.node import environment
from vantage6.node.runtimes.base import Limits, RunSpec, StartFailed
from vantage6.node.runtimes.docker import DockerRuntime, Settings

ALGORITHMS = Path(__file__).resolve().parents[1] / "node" / "runtimes" / "algorithms"
BASE, IMAGE, MODULE = "vantage6-leftovers-base", "vantage6-leftovers", "escape_artist"
LIMITS = Limits(memory=256 * 1024**2, wall_time=60, scratch_size=8 * 1024**2)
AT_ONCE = 4
#: Method, arguments, seconds it may take, whether it is killed, whether it has an illegal variable.
KINDS: list[tuple[str, list[object], int, bool, bool]] = [
    ("nothing", [], 60, False, False),
    ("leave", [3], 60, False, False),
    ("crash", [], 60, False, False),
    ("start_daemon", [], 60, False, False),
    ("sleep", [60], 2, False, False),
    ("sleep", [60], 60, True, False),
    ("nothing", [], 60, False, True),
]


def holdings(client: docker.APIClient) -> dict[str, int]:
    """How many of each kind of thing the engine holds."""
    return {
        "containers": len(client.containers(all=True)),
        "volumes": len(client.volumes()["Volumes"] or ()),
        "networks": len(client.networks()),
        "images": len(client.images(all=True)),
    }


async def one(runtime: DockerRuntime, home: Path, number: int) -> str:
    """Have one run, and say how it ended."""
    method, arguments, seconds, kill, illegal = KINDS[number % len(KINDS)]
    folder = home / f"{number}"
    folder.mkdir()
    (folder / "input").write_text(json.dumps({"method": method, "args": arguments}))
    (folder / "token").write_text("token")
    inner = environment.run_folder(number)
    variables = {f"{name}_FILE": f"{inner}/{name.lower()}" for name in ("INPUT", "OUTPUT", "TOKEN")}
    if illegal:
        variables["NOT-A-NAME"] = "x"
    limits = replace(LIMITS, wall_time=seconds)
    spec = RunSpec(number, 1, IMAGE, folder, (), variables, limits)
    try:
        execution = await runtime.start(spec)
    except StartFailed:
        return "refused"
    if kill:
        await execution.kill("the script wants it")
    ended = await execution.wait()
    if execution.proxy_socket is not None:
        execution.proxy_socket.close()
    return str(ended.reason or f"exit code {ended.exit_code}")


async def many(host: str, runs: int) -> Counter[str]:
    """Have them all, some at once."""
    turns = asyncio.Semaphore(AT_ONCE)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        settings = Settings(host=host, pull_always=False)
        runtime = DockerRuntime("leftovers", home / "node", settings)
        await runtime.open()

        async def in_turn(number: int) -> str:
            async with turns:
                return await one(runtime, home, number)

        try:
            return Counter(await asyncio.gather(*map(in_turn, range(1, runs + 1))))
        finally:
            await runtime.close()


def main() -> None:
    """Count, run, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    host, problem = find_engine()
    if problem:
        sys.exit(problem)
    build_image(host, f"{BASE}:latest", MODULE, ALGORITHMS)
    client = docker.APIClient(base_url=host, version="auto", timeout=120)
    # Each container of it gets two volumes.
    recipe = io.BytesIO(f"FROM {BASE}:latest\nVOLUME /data /mnt/more\n".encode())
    for line in client.build(fileobj=recipe, tag=f"{IMAGE}:latest", rm=True, decode=True):
        assert "error" not in line, line
    asyncio.run(many(host, 1))  # makes the helper's image
    before, began = holdings(client), time.monotonic()
    ends = asyncio.run(many(host, runs))
    after = holdings(client)
    client.close()
    print(f"{sum(ends.values())} runs in {time.monotonic() - began:.0f} s:")
    for end, count in ends.most_common():
        print(f"{count:6} {end}")
    print(f"before: {before}\nafter:  {after}")
    sys.exit(after != before)


if __name__ == "__main__":
    main()
