"""A large input and a large result through client, server and node: memory and time.

    python benchmarks/large_payloads.py --size 1GiB [--encrypted] [--subtask]

Starts a `v6 demo` in the process runtime. The client sends a text of that size, an algorithm gives
it back, the client writes it to a file. Then, with ``--subtask``, an algorithm does the same with
another organization through its node's proxy. Prints the peak of each process's resident memory
in MiB (for the client: beyond the text itself), beside the bar of 150; asserts that the text came
back, not that it was quick.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

import demos
from demos import Demo, log_in, running_demo

ALGORITHMS = Path(__file__).resolve().parent.parent / "tests" / "e2e" / "algorithms"
BAR = 150
IMAGE = "example.org/echo"
UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def read_size(text: str) -> int:
    """Bytes of ``1GiB``, ``300MiB`` or a number."""
    for unit, factor in UNITS.items():
        if text.endswith(unit):
            return int(float(text.removesuffix(unit)) * factor)
    return int(text)


def memory(pid: int | str, what: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (peak) of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    raise LookupError(what)


def forget_peak(pid: int | str) -> None:
    """Let the peak begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def watched(demo: dict[str, Any]) -> dict[str, int]:
    """The processes that are measured."""
    nodes = enumerate(demo["pids"]["nodes"].values(), start=1)
    return {"server": demo["pids"]["server"]} | {f"node {number}": pid for number, pid in nodes}


def teach(demo: Demo) -> None:
    """Give the nodes the algorithm, and room for it."""
    for node in demo.ready["nodes"]:
        path = Path(node["config"])
        config = yaml.safe_load(path.read_text())
        process = config.setdefault("process", {})
        process["algorithms"] = {IMAGE: {"module": "echo", "path": str(ALGORITHMS)}}
        process["limits"] = {"memory": "16GiB", "output_size": "16GiB"}
        path.write_text(yaml.safe_dump(config))
    for node_id, pid in demo.ready["pids"]["nodes"].items():
        os.kill(pid, signal.SIGKILL)
        while demo.ready["pids"]["nodes"][node_id] == pid:
            time.sleep(0.1)
    client = log_in(demo.ready)
    while {each["status"] for each in client.node.list()["data"]} != {"online"}:
        time.sleep(0.2)


def as_client(ready: Path, size: int, folder: Path) -> None:
    """What the client's process does; prints its figures as JSON."""
    demo = json.loads(ready.read_text())
    client = log_in(demo)
    input_ = {"method": "echo", "kwargs": {"text": "x" * size}}
    time.sleep(2)  # logging in takes memory on purpose, and the server keeps it for a second
    for pid in ("self", *watched(demo).values()):
        forget_peak(pid)
    before = memory("self", "VmRSS")
    began = time.monotonic()
    task = client.task.create(
        collaboration=demo["collaboration"]["id"],
        organizations=[demo["organizations"][0]["id"]],
        name="large",
        image=IMAGE,
        description="",
        input_=input_,
    )
    created = time.monotonic()
    sending = memory("self", "VmHWM") - before
    del input_
    id_ = task["id"]
    while not client.request(f"task/{id_}/status")["status"].startswith(("compl", "cr", "f")):
        time.sleep(0.1)
    ended = time.monotonic()
    (result,) = client.request("result", params={"task_id": id_})["data"]
    forget_peak("self")
    before = memory("self", "VmRSS")
    path = client.result.download(result["id"], folder / "result.json")
    fetched = time.monotonic()
    receiving = memory("self", "VmHWM") - before
    assert path.stat().st_size == size + 2, path.stat().st_size
    with path.open("rb") as file:
        assert file.read(3) == b'"xx'
    assert result["blob_storage_used"]
    figures = {
        "sending": sending,
        "receiving": receiving,
        "create": created - began,
        "run": ended - created,
        "download": fetched - ended,
    }
    print(json.dumps(figures))


def as_algorithm(ready: Path, size: int) -> None:
    """Have an algorithm do the same; prints the seconds as JSON."""
    demo = json.loads(ready.read_text())
    client = log_in(demo)
    other = demo["organizations"][1]["id"]
    time.sleep(2)  # see `as_client`
    for pid in watched(demo).values():
        forget_peak(pid)
    began = time.monotonic()
    task = client.task.create(
        collaboration=demo["collaboration"]["id"],
        organizations=[demo["organizations"][0]["id"]],
        name="large subtask",
        image=IMAGE,
        description="",
        input_={"method": "by_another", "kwargs": {"organization": other, "size": size}},
    )
    (result,) = client.wait_for_results(task["id"])["data"]
    if not result["result"]:
        (run,) = client.run.from_task(task["id"])["data"]
        raise SystemExit(f"{run['status']}: {run['log']}")
    assert json.loads(result["result"]) == size
    print(json.dumps({"subtask": time.monotonic() - began}))


def show(what: str, mib: float) -> None:
    """One figure beside the bar."""
    print(f"{what}: peak {mib:.0f} MiB, {mib / BAR:.2f} of the bar")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=read_size, default=read_size("1GiB"))
    parser.add_argument("--encrypted", action="store_true")
    parser.add_argument("--subtask", action="store_true")
    parser.add_argument("--as-client", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_client:
        role, ready, folder = options.as_client
        if role == "client":
            as_client(Path(ready), options.size, Path(folder))
        else:
            as_algorithm(Path(ready), options.size)
        return
    demos.START_TIMEOUT = 300.0  # keys take long to make beside other work
    flags = ["--encrypted"] if options.encrypted else []
    with (
        tempfile.TemporaryDirectory() as home,
        running_demo(Path(home), "--nodes", "2", *flags) as demo,
    ):
        teach(demo)
        print(f"{options.size / 2**20:.0f} MiB, {'encrypted' if options.encrypted else 'plain'}")
        for role in ["client"] + (["algorithm"] if options.subtask else []):
            at_rest = {k: memory(pid, "VmRSS") for k, pid in watched(demo.ready).items()}
            command = [sys.executable, __file__, "--size", str(options.size)]
            done = subprocess.run(
                [*command, "--as-client", role, str(demo.ready_file), home],
                check=True,
                stdout=subprocess.PIPE,
            )
            if os.environ.get("SHOW"):
                for f in sorted((demo.folder / "nodes").glob("*/*.log")):
                    print(f.read_text()[-2500:])
            figures = json.loads(done.stdout.splitlines()[-1])
            print(f"{role}:")
            for name, pid in watched(demo.ready).items():
                show(f"  {name} (at rest {at_rest[name]:.0f})", memory(pid, "VmHWM"))
            if role == "client":
                show("  client, sending, beyond the text itself", figures.pop("sending"))
                show("  client, receiving", figures.pop("receiving"))
            print("  seconds: " + ", ".join(f"{k} {v:.1f}" for k, v in figures.items()))


if __name__ == "__main__":
    main()
