"""From ``task.create`` to the results at the client, beside the bars of the design.

Three nodes in the process runtime on this machine. Each round trip is measured twice: after a
pause, as somebody meets it who asks a question and reads the answer, and back to back, when the
nodes still clear up after one task and prepare for the next while they work on another. Prints
milliseconds and ratios; asserts that the answers are there, not that they are fast: a busy machine
is no fault of the code.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from demos import log_in, running_demo

WARM_UP = 3
# Seconds of rest before a round trip, and what it is called then.
PAUSES = {0.4: "after a pause", 0.0: "back to back"}
# Median in milliseconds.
BARS = {"partial_average": 60.0, "central_average": 200.0}


def milliseconds(action: Callable[[], object], rounds: int, pause: float = 0.0) -> list[float]:
    """Sorted times of an action, after a warm-up; with seconds of rest before each."""
    for _ in range(WARM_UP):
        action()
    times = []
    for _ in range(rounds):
        time.sleep(pause)
        started = time.perf_counter()
        action()
        times.append((time.perf_counter() - started) * 1000)
    return sorted(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    with (
        tempfile.TemporaryDirectory() as home,
        running_demo(Path(home), "--nodes", "3") as running,
    ):
        demo = running.ready
        client = log_in(demo)
        organizations = [organization["id"] for organization in demo["organizations"]]

        def round_trip(method: str, asked: list[int]) -> None:
            task: dict[str, Any] = client.task.create(
                collaboration=demo["collaboration"]["id"],
                organizations=asked,
                name="benchmark",
                image="harbor2.vantage6.ai/demo/average",
                description="",
                input_={"method": method, "kwargs": {"column_name": "age"}},
                databases=[{"label": "default"}],
            )
            with contextlib.redirect_stdout(io.StringIO()):  # its line about each task
                results = client.wait_for_results(task["id"])["data"]
            assert len(results) == len(asked)
            assert all(result["result"] for result in results)

        request = statistics.median(milliseconds(client.util.get_server_version, rounds))
        print(f"one request (GET /version): median {request:.1f} ms, n={rounds}")
        for method, bar in BARS.items():
            asked = organizations if method == "partial_average" else organizations[:1]
            for pause, manner in PAUSES.items():
                times = milliseconds(lambda m=method, a=asked: round_trip(m, a), rounds, pause)
                median = statistics.median(times)
                print(
                    f"{method}, {manner}: median {median:.0f} ms,"
                    f" 90 % {times[int(rounds * 0.9)]:.0f} ms, worst {times[-1]:.0f} ms;"
                    f" {median / bar:.2f} of its bar ({bar:.0f} ms),"
                    f" {median / request:.0f} requests"
                )


if __name__ == "__main__":
    main()
