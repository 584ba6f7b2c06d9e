"""Memory of a node: idle, with runs that wait for a place, and afterwards.

    python benchmarks/node_memory.py [--runs 50] [--input 100KiB]

Starts a `v6 demo` of one node in the process runtime, which works on two runs at once. They sleep
while the others wait. Prints what the node itself holds in MiB: resident memory, and of that what
is its own alone (the rest is software that other processes share), beside the bar of 80 for an
idle node; and apart from that its child processes, which are its algorithms and their warm parent.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from large_payloads import read_size

from demos import Demo, log_in, running_demo

ALGORITHMS = Path(__file__).resolve().parent.parent / "tests" / "e2e" / "algorithms"
IMAGE = "example.org/sleeper"
BAR = 80


def memory(pid: int) -> dict[str, float]:
    """Resident and private memory of a process in MiB."""
    found = {"Rss": 0.0, "Private_Clean": 0.0, "Private_Dirty": 0.0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, _, rest = line.partition(":")
        if key in found:
            found[key] = int(rest.split()[0]) / 1024
    return {"resident": found["Rss"], "own": found["Private_Clean"] + found["Private_Dirty"]}


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and those that these have."""
    found = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            found += [child, *descendants(child)]
    return found


def show(what: str, pid: int) -> None:
    """One line."""
    now = memory(pid)
    print(
        f"{what}: resident {now['resident']:.0f} MiB ({now['resident'] / BAR:.2f} of the bar), "
        f"own {now['own']:.0f} MiB"
    )
    below = [memory(child) for child in descendants(pid)]
    resident, own = (sum(each[key] for each in below) for key in ("resident", "own"))
    print(f"  its {len(below)} children: resident {resident:.0f} MiB in sum, own {own:.0f} MiB")


def start_anew(demo: Demo) -> int:
    """Give the node its algorithm and two places, and start it again; its process id."""
    (node,) = demo.ready["nodes"]
    path = Path(node["config"])
    config = yaml.safe_load(path.read_text())
    config["max_concurrent_runs"] = 2
    config.setdefault("process", {})["algorithms"] = {
        IMAGE: {"module": "misbehaving", "path": str(ALGORITHMS)}
    }
    path.write_text(yaml.safe_dump(config))
    ((id_, pid),) = demo.ready["pids"]["nodes"].items()
    os.kill(pid, signal.SIGKILL)
    while demo.ready["pids"]["nodes"][id_] == pid:
        time.sleep(0.1)
    client = log_in(demo.ready)
    while {each["status"] for each in client.node.list()["data"]} != {"online"}:
        time.sleep(0.2)
    return int(demo.ready["pids"]["nodes"][id_])


def submit(client: Any, demo: dict[str, Any], seconds: float, padding: int) -> int:
    """Make a task that sleeps; its id."""
    task = client.task.create(
        collaboration=demo["collaboration"]["id"],
        organizations=[demo["organizations"][0]["id"]],
        name="sleep",
        image=IMAGE,
        description="",
        input_={"method": "sleep", "kwargs": {"seconds": seconds}, "padding": "x" * padding},
    )
    return int(task["id"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--input", type=read_size, default=read_size("100KiB"))
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as home,
        running_demo(Path(home), "--nodes", "1") as demo,
    ):
        pid = start_anew(demo)
        ready, client = demo.ready, log_in(demo.ready)
        time.sleep(5)
        show("idle", pid)
        working = [submit(client, ready, 30, options.input) for _ in range(2)]
        waiting = [submit(client, ready, 0, options.input) for _ in range(options.runs)]
        folder = Path(ready["nodes"][0]["config"]).parent
        until = time.monotonic() + 60
        while len(list(folder.rglob("runs/*/input"))) < options.runs:
            assert time.monotonic() < until, "the node did not take them in time"
            time.sleep(0.2)
        show(f"2 runs work, {len(waiting)} wait, input of {options.input} bytes each", pid)
        for id_ in working + waiting:
            (run,) = client.wait_for_results(id_)["data"]
            assert run["result"] is not None
        time.sleep(2)
        show("afterwards", pid)


if __name__ == "__main__":
    main()
