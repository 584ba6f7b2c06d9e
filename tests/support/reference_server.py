"""An unmodified reference server (vantage6-server 4.15.2) as a process."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from peers import peer_python

# Its packaging forgets to name the second; the third is its driver for PostgreSQL.
PACKAGES = (
    "vantage6-server==4.15.2",
    "vantage6-backend-common==4.15.2",
    "psycopg2-binary==2.9.10",
)
# 3.11 changed how enumerations are formatted: every request that needs a right ends in a 500.
PYTHON = "3.10"
# What its image does with uWSGI: load the WSGI application, with the configuration as argument.
_SERVE = """
import runpy, sys
from gevent import monkey; monkey.patch_all()
from pathlib import Path
import vantage6.server
from gevent.pywsgi import WSGIServer
port = int(sys.argv.pop())
app = runpy.run_path(str(Path(vantage6.server.__file__).parent / "wsgi.py"))["app"]
WSGIServer(("127.0.0.1", port), app).serve_forever()
"""
_START_SECONDS = 120


@contextmanager
def reference_server(folder: Path, uri: str) -> Iterator[str]:
    """Run one on a database; gives the URL of its API.

    Raises
    ------
    PeerUnavailable
        If it cannot be installed.
    """
    python = peer_python(*PACKAGES, version=PYTHON)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "reference.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "description": "",
                "ip": "127.0.0.1",
                "port": port,
                "api_path": "/api",
                "uri": uri,
                "allow_drop_all": False,
                "jwt_secret_key": "a secret that is long enough for a test",
                "logging": {
                    "level": "INFO",
                    "use_console": True,
                    "file": "reference.log",
                    "backup_count": 1,
                    "max_size": 1024,
                    "format": "%(message)s",
                    "datefmt": "%H:%M:%S",
                    "loggers": [],
                },
                "directories": {"log": str(folder), "data": str(folder)},
            }
        )
    )
    with (folder / "reference.out").open("w") as out:
        process = subprocess.Popen(
            # Far from UTC: times must not depend on where a server stands.
            [str(python), "-c", _SERVE, str(config), str(port)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "TZ": "Pacific/Auckland"},
        )
        try:
            api = f"http://127.0.0.1:{port}/api"
            _wait(f"{api}/health", process, folder / "reference.out")
            yield api
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait(url: str, process: subprocess.Popen[bytes], out: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 (http)
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, out.read_text()
            assert time.monotonic() < until, out.read_text()
            time.sleep(0.2)
        else:
            return
