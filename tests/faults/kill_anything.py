"""Kill servers, nodes and algorithms at random moments while tasks go through.

    python tests/faults/kill_anything.py --tasks 1000 --every 2

Starts a `v6 demo` of three nodes, whose supervisor starts again what dies, lets several
researchers create tasks without pause, and kills with SIGKILL, every `--every` seconds until the
last task is created, at random: the server, a node, a running algorithm, or a warm parent, of
which algorithms are forked. (The proxy is a part of the node's process, and dies with it.)
Afterwards it counts, from what the server and the nodes' own logs say:

lost
    tasks that were accepted but are gone, or completed without the right answer
stuck
    tasks that did not end although nothing was killed any more
twice
    runs whose algorithm ran to its end more than once

Exit code 0 only if all three are zero and all tasks were created. Tasks whose algorithm was killed
must say so.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from demos import Demo, running_demo
from vantage6.client import Client

IMAGE = "harbor2.vantage6.ai/demo/average"
KINDS = ("server", "node", "algorithm", "warm parent")
# What a node's log says of a run: it was started; its algorithm came to its end.
STEP = re.compile(r"run (\d+): (started$|ended: exit code 0\b)", re.MULTILINE)


def processes_below(pid: int) -> Iterator[int]:
    """All descendants of a process."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in map(int, children):
        yield child
        yield from processes_below(child)


def warm_parents(node: int) -> list[int]:
    """Processes that a node forks algorithms from."""
    found = []
    for path in Path(f"/proc/{node}/task").glob("*/children"):
        for pid in path.read_text().split():
            if b"sandbox/__main__.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found


def running_algorithms(node: int) -> list[int]:
    """Processes below a node that live in a PID namespace of their own."""
    here = os.readlink("/proc/self/ns/pid")
    found = []
    for pid in processes_below(node):
        try:
            if os.readlink(f"/proc/{pid}/ns/pid") != here:
                found.append(pid)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


@dataclass
class Killer:
    """Kills something at random, again and again."""

    demo: Demo
    every: float
    dice: random.Random
    killed: Counter[str] = field(default_factory=Counter)

    def run(self, busy: Callable[[], bool]) -> None:
        """Go on until nothing is going on any more."""
        due = time.monotonic() + self.every
        while busy():
            time.sleep(max(0.0, due - time.monotonic()))
            # An algorithm lives for a moment only: the next one will do, if one comes soon.
            kind, until = self.dice.choice(KINDS), time.monotonic() + self.every
            while busy() and not self._kill(kind):
                time.sleep(0.005)
                if time.monotonic() > until:
                    kind = self.dice.choice(KINDS)
            due = max(due + self.every, time.monotonic())

    def _kill(self, kind: str) -> bool:
        pids = self.demo.ready["pids"]
        nodes = [int(pid) for pid in pids["nodes"].values()]
        candidates = {
            "server": lambda: [int(pids["server"])],
            "node": lambda: nodes,
            "algorithm": lambda: [pid for node in nodes for pid in running_algorithms(node)],
            "warm parent": lambda: [pid for node in nodes for pid in warm_parents(node)],
        }[kind]
        try:
            found = candidates()
            if not found:
                return False
            os.kill(self.dice.choice(found), signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError):
            return False
        self.killed[kind] += 1
        return True


@dataclass
class Researcher:
    """Creates tasks and waits for each."""

    ready: dict[str, Any]
    created: dict[int, str] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def client(self) -> Client:
        """A client of its own, logged in however long that takes."""
        server = self.ready["server"]
        user = next(user for user in self.ready["users"] if "Researcher" in user["roles"])
        client = Client(server["url"], server["port"], server["api_path"], log_level="critical")
        until(lambda: client.authenticate(user["username"], user["password"]) or True)
        client.setup_encryption(None)
        return client

    def work(self, next_number: Callable[[], int | None]) -> None:
        """Create tasks until there are no more numbers."""
        client = self.client()
        while (number := next_number()) is not None:
            central = number % 4 == 3
            task = until(lambda c=central: self._create(client, central=c))
            self.created[task["id"]] = "central" if central else "partial"
            try:
                client.wait_for_results(task["id"], timeout=300)
            except Exception as error:
                self.troubles.append(f"task {task['id']}: {type(error).__name__}: {error}")

    def _create(self, client: Client, *, central: bool) -> Any:
        ids = [organization["id"] for organization in self.ready["organizations"]]
        task = client.task.create(
            collaboration=self.ready["collaboration"]["id"],
            organizations=ids[:1] if central else ids,
            name="fault",
            image=IMAGE,
            description="",
            input_={
                "method": "central_average" if central else "partial_average",
                "kwargs": {"column_name": "age"},
            },
            databases=[{"label": "default"}],
        )
        return task if "id" in task else None


def until(action: Callable[[], Any], seconds: float = 120) -> Any:
    """Repeat an action until it gives something; a server that is down raises."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if result := action():
                return result
        except Exception:
            if time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            raise TimeoutError("it never worked")
        time.sleep(0.1)


@dataclass
class Verdict:
    """What came of it."""

    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)


def judge(client: Client, created: dict[int, str], logs: list[Path]) -> Verdict:
    """Look at every task that was created, and at what the nodes executed."""
    verdict = Verdict()
    answers: dict[str, Counter[str]] = {"partial": Counter(), "central": Counter()}
    for id_, kind in created.items():
        task = client.task.get(id_)
        status = task.get("status")
        verdict.ends[f"{kind}: {status}"] += 1
        if status is None:
            verdict.lost.append(f"task {id_} is gone: {task}")
        elif status in ("pending", "initializing", "active"):
            runs = client.run.from_task(id_)["data"]
            states = [(run["id"], run["status"], run["started_at"]) for run in runs]
            verdict.stuck.append(f"task {id_} is {status}: {states}")
        elif status == "completed":
            results = [item["result"] for item in client.result.from_task(id_)["data"]]
            if not all(results):
                verdict.lost.append(f"task {id_} completed without a result")
            answers[kind][json.dumps(sorted(results))] += 1
        else:
            for run in client.run.from_task(id_)["data"]:
                if run["status"] not in ("completed", "failed") and not run["log"]:
                    verdict.lost.append(
                        f"run {run['id']} ended as {run['status']}, nobody says why"
                    )
    for kind, seen in answers.items():
        if len(seen) > 1:
            verdict.lost.append(f"{kind} tasks have different answers: {dict(seen)}")
    verdict.twice = executed_again(logs)
    return verdict


def executed_again(logs: list[Path]) -> list[str]:
    """Runs that were started again although their algorithm had come to its end."""
    ended: set[str] = set()
    again = []
    for run, step in (found for log in logs for found in STEP.findall(log.read_text())):
        if step != "started":
            ended.add(run)
        elif run in ended:
            again.append(f"run {run}")
    if not ended:
        raise SystemExit("the nodes' logs tell of no execution at all: this script cannot count")
    return again


def main() -> int:
    """Run it; 0 if nothing was lost, stuck or run twice."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--researchers", type=int, default=32)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two kills")
    parser.add_argument("--minutes", type=float, help="create no more tasks after this time")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))  # noqa: S311
    parser.add_argument("--keep", action="store_true", help="leave the demo's folder")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    home = Path(tempfile.mkdtemp(prefix="v6-faults-"))
    with running_demo(home, "--keep", "--nodes", str(arguments.nodes), patience=600) as demo:
        verdict = trial(demo, arguments)
    print(json.dumps(verdict.ends, indent=1, sort_keys=True))
    for name in ("lost", "stuck", "twice"):
        found = getattr(verdict, name)
        print(f"{name}: {len(found)}")
        for line in found[:10]:
            print(f"  {line}")
    print(f"folder: {home}")
    tasks = sum(verdict.ends.values())
    if tasks < arguments.tasks:
        print(f"only {tasks} of {arguments.tasks} tasks were created: this proves nothing")
        return 1
    return 1 if verdict.lost or verdict.stuck or verdict.twice else 0


def trial(demo: Demo, arguments: argparse.Namespace) -> Verdict:
    """Let tasks go through while things are killed, then judge."""
    lock, numbers = threading.Lock(), iter(range(10**9))
    killer = Killer(demo, arguments.every, random.Random(arguments.seed))  # noqa: S311
    done = 0
    latest = math.inf
    if arguments.minutes is not None:
        latest = time.monotonic() + 60 * arguments.minutes

    def next_number() -> int | None:
        nonlocal done
        with lock:
            if done >= arguments.tasks or time.monotonic() > latest:
                return None
            done += 1
            return next(numbers)

    researchers = [Researcher(demo.ready) for _ in range(arguments.researchers)]
    threads = [threading.Thread(target=r.work, args=(next_number,)) for r in researchers]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    # The last tasks have to end in peace: what does not is stuck.
    killer.run(lambda: done < arguments.tasks and time.monotonic() < latest)
    for thread in threads:
        thread.join()
    created = {id_: kind for r in researchers for id_, kind in r.created.items()}
    print(
        f"{len(created)} tasks, killed {dict(killer.killed)} in "
        f"{time.monotonic() - started:.0f} seconds"
    )
    for trouble in [line for r in researchers for line in r.troubles][:10]:
        print(f"  {trouble}")
    client = Researcher(demo.ready).client()
    return judge(client, created, sorted(demo.folder.glob("nodes/*/*.log")))


if __name__ == "__main__":
    sys.exit(main())
