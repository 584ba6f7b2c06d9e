"""Start a ``v6 demo`` as a process of its own, look at it, stop it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vantage6.client import Client

START_TIMEOUT = 180.0


@dataclass
class Demo:
    """A demo's process, what it has printed so far, and its folder."""

    process: subprocess.Popen[bytes]
    output: Path
    ready_file: Path
    folder: Path

    @property
    def ready(self) -> dict[str, Any]:
        """The ready file as it is now: process ids change when something is started again."""
        document: dict[str, Any] = json.loads(self.ready_file.read_text())
        return document

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def left_behind(self) -> list[str]:
        """Command lines of processes that still name the demo's folder."""
        found = []
        for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                text = cmdline.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(self.folder) in text and int(cmdline.parent.name) != os.getpid():
                found.append(text)
        return found


#: The fixture `start_demo`: takes options of ``v6 demo``.
StartDemo = Callable[..., AbstractContextManager[Demo]]


@contextmanager
def running_demo(home: Path, *options: str, patience: float = START_TIMEOUT) -> Iterator[Demo]:
    """Start a demo and wait until it has taught its lesson and stays up."""
    folder, ready_file, output = home / "demo", home / "ready.json", home / "output.txt"
    command = [sys.executable, "-m", "vantage6.cli", "demo", "--data-dir", str(folder)]
    with output.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--ready-file", str(ready_file), *options],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    demo = Demo(process, output, ready_file, folder)
    try:
        deadline = time.monotonic() + patience
        while "Ctrl-C stops everything" not in output.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the demo did not start:\n{output.read_text()}", pytrace=False)
            time.sleep(0.02)
        yield demo
    finally:
        if process.poll() is None:
            demo.stop()


def log_in(demo: dict[str, Any], role: str = "Researcher") -> Client:
    """A client of the person with a role, its organization's key set up."""
    user = next(each for each in demo["users"] if role in each["roles"])
    server = demo["server"]
    client = Client(server["url"], server["port"], server["api_path"], log_level="critical")
    client.authenticate(user["username"], user["password"])
    keys = {each["id"]: each.get("private_key") for each in demo["organizations"]}
    client.setup_encryption(keys.get(user["organization_id"]))
    return client
