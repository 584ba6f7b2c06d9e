"""Our node as a process, for a configuration that a test has made up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from network_site import Network, Site, online

START_SECONDS = 60


@contextmanager
def our_node(
    folder: Path, network: Network, site: Site, *, name: str, engine: str = "", **keys: Any
) -> Iterator[Path]:
    """Run a site's node until it is stopped as an administrator would; gives its log.

    Parameters
    ----------
    folder : pathlib.Path
        For what it keeps.
    name : str
        Of the configuration.
    engine : str
        Socket of the engine that runs algorithms; without one they are processes.
    **keys
        More of its configuration.
    """
    home = folder / name
    home.mkdir(parents=True)
    runtime: dict[str, Any] = {"runtime": "process"}
    if engine:
        # Images are built on the spot: there is nowhere to pull them from.
        runtime = {"runtime": "docker", "docker": {"host": engine, "pull": "missing"}}
    directories = {"data": str(home / "data"), "log": str(home / "log")}
    config = home / f"{name}.yaml"
    document = network.node_config(site, directories=directories, **runtime, **keys)
    config.write_text(yaml.safe_dump(document))
    config.chmod(0o600)
    output = home / "output.txt"
    with output.open("wb") as out:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "vantage6.cli", "node", "start", "--foreground"),
                *("-c", str(config)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HOME": str(home)},
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not online(network, site):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the node did not start:\n{output.read_text()}", pytrace=False)
            time.sleep(0.1)
        yield output
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
    assert code == 0, output.read_text()
