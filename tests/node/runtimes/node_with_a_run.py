"""A node in small, to be killed: starts two runs that leave daemons, then waits."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any


async def start(marker: str, folder: Path) -> tuple[Any, list[Any]]:
    location = Path(__file__).with_name("conftest.py")
    spec = importlib.util.spec_from_file_location("conftest_of_runtimes", location)
    assert spec is not None
    assert spec.loader is not None
    fixtures = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = fixtures
    spec.loader.exec_module(fixtures)
    runtime = fixtures.make_runtime(preload=(marker,))
    await runtime.open()
    specs = [fixtures.make_spec(folder, "daemon_and_wait") for _ in range(2)]
    return runtime, [await runtime.start(each) for each in specs]


def main(marker: str, folder: Path) -> None:
    loop = asyncio.new_event_loop()
    runtime, executions = loop.run_until_complete(start(marker, folder))
    logs = list(folder.glob("*/stdout"))
    while not all("waiting" in log.read_text() for log in logs):
        time.sleep(0.01)
    print("running", flush=True)
    loop.run_until_complete(executions[0].wait())
    loop.run_until_complete(runtime.close())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
