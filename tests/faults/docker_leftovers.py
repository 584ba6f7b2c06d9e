"""Count what an engine holds before and after many runs, which end in every way there is.

    .ci/engine .venv/bin/python tests/faults/docker_leftovers.py --runs 200

Needs an engine that nobody else uses: ``V6_TEST_ENGINE`` names its socket. A service is linked, so
that each run has a network. Exit code 0 only if nothing is left over in the engine, on the machine,
and in the process that ran them: while the node is open, and after it was closed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
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


def holdings(client: docker.APIClient, home: Path) -> dict[str, int]:
    """How many of each kind of thing the engine, the machine and this process hold.

    What other engines do to firewall and interfaces meanwhile counts too.
    """
    return {
        "containers": len(client.containers(all=True)),
        "volumes": len(client.volumes()["Volumes"] or ()),
        "networks": len(client.networks()),
        "images": len(client.images(all=True)),
        "files of the node": sum(1 for _ in (home / "node").rglob("*")),
        "control groups": _control_groups(),
        "firewall rules": _firewall_rules(),
        "network interfaces": len(os.listdir("/sys/class/net")),
        "mounts of the engine": Path("/proc/self/mounts")
        .read_text()
        .count(f" {client.info()['DockerRootDir']}/"),
        "open descriptors": len(os.listdir("/proc/self/fd")),
        # The event loop's pool for files grows to its bound, and stays.
        "threads": sum(not each.name.startswith("asyncio_") for each in threading.enumerate()),
    }


#: Ids of all containers that were made.
MADE: set[str] = set()


def note_containers(host: str) -> None:
    """Note what is made, from now on: an engine remembers a few hundred events only."""
    client = docker.APIClient(base_url=host, version="auto")
    told = client.events(filters={"type": "container", "event": "create"}, decode=True)
    threading.Thread(
        target=lambda: MADE.update(event["Actor"]["ID"] for event in told), daemon=True
    ).start()


def _control_groups() -> int:
    """How many there are of all containers that were made."""
    here = {folder for _, folders, _ in os.walk("/sys/fs/cgroup") for folder in folders}
    return len(MADE & {name.removeprefix("docker-").removesuffix(".scope") for name in here})


def _firewall_rules() -> int:
    if shutil.which("iptables-save") is None:
        return 0
    told = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    return sum(1 for line in told.splitlines() if line.startswith("-A"))


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


@contextlib.asynccontextmanager
async def opened(host: str, home: Path, services: dict[str, str]) -> AsyncIterator[DockerRuntime]:
    """A node's runtime."""
    settings = Settings(host=host, pull_always=False, services=services)
    runtime = DockerRuntime("leftovers", home / "node", settings)
    await runtime.open()
    try:
        yield runtime
    finally:
        await runtime.close()


async def many(runtime: DockerRuntime, home: Path, numbers: range) -> Counter[str]:
    """Have them all, some at once."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(number: int) -> str:
        async with turns:
            return await one(runtime, home, number)

    return Counter(await asyncio.gather(*map(in_turn, numbers)))


def no_more(found: dict[str, int], wanted: dict[str, int]) -> bool:
    """Whether there is no more of anything."""
    return all(count <= wanted[name] for name, count in found.items())


async def settled(client: docker.APIClient, home: Path, wanted: dict[str, int]) -> dict[str, int]:
    """What is held when as much as before is, or after a while."""
    for _ in range(100):
        found = await asyncio.to_thread(holdings, client, home)
        if no_more(found, wanted):
            break
        await asyncio.sleep(0.2)
    return found


@contextlib.contextmanager
def service(client: docker.APIClient, base: str) -> Iterator[dict[str, str]]:
    """A container that runs can reach by the alias ``service``; none if there is no bridge."""
    if not any(each["Name"] == "bridge" for each in client.networks()):
        print("without a linked service: the engine has no network called bridge")
        yield {}
        return
    made = client.create_container(
        base,
        entrypoint=["python3", "-c", "import time; time.sleep(36000)"],
        name="leftovers-service",
    )
    client.start(made)
    try:
        yield {"service": "leftovers-service"}
    finally:
        client.remove_container(made, force=True)


async def compare(client: docker.APIClient, host: str, runs: int) -> bool:
    """Count, run, count; whether there is as much as before, while the node goes on and after."""
    with tempfile.TemporaryDirectory() as folder, service(client, BASE) as services:
        home = Path(folder)
        async with opened(host, home, {}) as runtime:  # makes the helper's image
            await many(runtime, home, range(1, 2))
        outside = await asyncio.to_thread(holdings, client, home)
        async with opened(host, home, services) as runtime:
            await many(runtime, home, range(2, 2 + len(KINDS)))
            await asyncio.sleep(3.0)
            before, began = await asyncio.to_thread(holdings, client, home), time.monotonic()
            ends = await many(runtime, home, range(1000, 1000 + runs))
            took = time.monotonic() - began
            after = await settled(client, home, before)
        gone = await settled(client, home, outside)
    print(f"{sum(ends.values())} runs in {took:.0f} s:")
    for end, count in ends.most_common():
        print(f"{count:6} {end}")
    print(f"{'':20}{'node open:':>14}{'':>10}{'node closed:':>14}")
    print(f"{'':20}{'before':>14}{'after':>10}{'before':>14}{'after':>10}")
    for name in before:
        print(f"{name:20}{before[name]:14}{after[name]:10}{outside[name]:14}{gone[name]:10}")
    return no_more(after, before) and no_more(gone, outside)


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
    note_containers(host)
    same = asyncio.run(compare(client, host, runs))
    client.close()
    sys.exit(not same)


if __name__ == "__main__":
    main()
