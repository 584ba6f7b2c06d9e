"""What a server holds in memory: only what it uses, and not what it has used."""

from __future__ import annotations

import json
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import httpx2 as httpx

from servers import free_port

# Installed here, and of use to other servers or to other roles.
UNUSED = {
    "aio_pika",
    "aiohttp",
    "docker",
    "kombu",
    "obstore",
    "pandas",
    "pyarrow",
    "pygments",
    "qrcode",
    "redis",
    "requests",
    "vantage6.client",
    "vantage6.node",
}
SERVE = """
import json, sys
from vantage6.server.config import ServerConfig
from vantage6.server.main import serve
try:
    serve(ServerConfig(uri=sys.argv[1], ip="127.0.0.1", port=int(sys.argv[2])))
except KeyboardInterrupt:
    pass  # uvicorn passes a signal on when it has stopped
print(json.dumps(sorted(sys.modules)))
"""
HASH = """
import threading
from vantage6.common.heap import give_back, share_one_heap
from vantage6.server.auth.passwords import hash_password

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

share_one_heap()
before = resident()
def hash_some():
    for _ in range(4):
        hash_password("aA1!aA1!")
threads = [threading.Thread(target=hash_some) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
give_back()
print(resident() - before)
"""


def imported_by_a_server(folder: Path) -> set[str]:
    """Names of the modules that a server has imported which started, answered and stopped."""
    port = free_port()
    uri = f"sqlite:///{folder / 'server.sqlite'}"
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, uri, str(port)], stdout=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=5)
                break
            except httpx.TransportError:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    return set(json.loads(output.splitlines()[-1]))


def test_a_server_imports_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    assert not imported_by_a_server(tmp_path) & UNUSED
    assert "alembic" not in imported_by_a_server(tmp_path), "there was nothing to migrate"


def test_memory_of_hashes_goes_back_to_the_system(lacking: Callable[[str], NoReturn]) -> None:
    if platform.libc_ver()[0] != "glibc":
        lacking("this C library is not glibc")
    done = subprocess.run([sys.executable, "-c", HASH], check=True, capture_output=True, text=True)
    assert float(done.stdout) < 10, "one hash takes 19 MiB"
