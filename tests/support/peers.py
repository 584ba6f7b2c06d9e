"""Upstream packages in virtual environments of their own, made once and kept; upstream services.

They are run as they are, from the outside: nothing of them is imported here.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parents[2] / ".cache" / "peers"
PYTHON = "3.11"
#: The upstream services do not work with newer ones: 3.11 changed how enumerations are formatted,
#: and every request that asks for a permission ends in a 500.
SERVICES_PYTHON = "3.10"
UPSTREAM = "4.15.2"

#: The server's distribution does not name the package it needs itself, nor a driver for PostgreSQL.
SERVER = (
    f"vantage6-server=={UPSTREAM}",
    f"vantage6-backend-common=={UPSTREAM}",
    "psycopg2-binary==2.9.10",
    "uwsgi==2.0.31",
)
STORE = (
    f"vantage6-algorithm-store=={UPSTREAM}",
    f"vantage6-backend-common=={UPSTREAM}",
    "uwsgi==2.0.31",
)

#: Nor does the node's.
NODE = (f"vantage6-node=={UPSTREAM}", "flask==3.1.2")
ALGORITHM_TOOLS = f"vantage6-algorithm-tools=={UPSTREAM}"

START_TIMEOUT = 90.0


class PeerUnavailable(Exception):
    """The environment could not be made; the message says why."""


def peer_python(*requirements: str, version: str = PYTHON) -> Path:
    """Interpreter of an environment that holds exact versions of packages.

    Parameters
    ----------
    *requirements : str
        For example ``vantage6-client==4.15.2``; they name the environment.
    version : str
        Of Python.

    Raises
    ------
    PeerUnavailable
        If the packages cannot be had.
    """
    name = "_".join(sorted(requirements)).replace("==", "-")
    home = PEERS / f"{name}-py{version}"
    PEERS.mkdir(parents=True, exist_ok=True)
    with (PEERS / f"{home.name}.lock").open("w") as lock:
        # Tests run in several processes; one of them makes the environment.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            interpreter = _interpreter(version)
            _run("uv", "venv", "--quiet", "--clear", "--python", interpreter, str(home))
            python = str(home / "bin" / "python")
            _run("uv", "pip", "install", "--quiet", "--python", python, *requirements)
            (home / "complete").touch()
    return home / "bin" / "python"


def _interpreter(version: str) -> str:
    """A Python of this version: pyenv keeps those it is not told to use off the path."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    kept = sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
    return str(kept[-1]) if kept else version


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerUnavailable(f"{' '.join(command)}: {error}") from error
    if done.returncode != 0:
        raise PeerUnavailable(f"{' '.join(command)}: {done.stderr.strip()}")


@dataclass(frozen=True)
class Service:
    """An upstream web service that answers.

    Attributes
    ----------
    port : int
    database : Path
        Its SQLite file, unless it was given another database.
    output : Path
        What it has printed.
    """

    port: int
    secret: str
    database: Path
    output: Path

    @property
    def url(self) -> str:
        """Address of its API."""
        return f"http://127.0.0.1:{self.port}/api"


@contextmanager
def upstream_server(
    folder: Path,
    mail_port: int | None = None,
    uri: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """Run the unmodified upstream server; its user ``root`` has the password ``root``.

    Parameters
    ----------
    folder : Path
        For its configuration, database and log.
    mail_port : int, optional
        Where it may send mails.
    uri : str, optional
        Its database, if that is to be another than a new SQLite file.
    environment : mapping, optional
        Further variables.

    Raises
    ------
    PeerUnavailable
        If it cannot be installed or does not start.
    """
    python = peer_python(*SERVER, version=SERVICES_PYTHON)
    configuration: dict[str, Any] = {"dev": {"host_uri": "127.0.0.1"}}
    if mail_port is not None:
        configuration["smtp"] = {
            "server": "127.0.0.1",
            "port": mail_port,
            "username": None,
            "password": None,
            "MAIL_USE_TLS": False,
            "MAIL_USE_SSL": False,
        }
    if uri is not None:
        configuration["uri"] = uri
    module = "vantage6.server.wsgi"
    with _service(python, module, folder / "server", configuration, environment) as service:
        yield service


@contextmanager
def upstream_store(
    folder: Path, server: str, certificates: Path | None = None
) -> Iterator[Service]:
    """Run the unmodified upstream algorithm store, with the server's ``root`` as its root.

    Parameters
    ----------
    folder : Path
        For its configuration, database and log.
    server : str
        Address of the API of the server whose users it knows.
    certificates : Path, optional
        Those it trusts, when it asks a registry for an image.

    Raises
    ------
    PeerUnavailable
        If it cannot be installed or does not start.
    """
    python = peer_python(*STORE, version=SERVICES_PYTHON)
    configuration = {
        "root_user": {"v6_server_uri": server, "username": "root"},
        "policies": {
            "algorithm_view": "public",
            "allow_localhost": True,
            "assign_review_own_algorithm": True,
        },
        # Without it the store takes 127.0.0.1 for a container of its own.
        "dev": {"host_uri": "http://127.0.0.1"},
    }
    module = "vantage6.algorithm.store.wsgi"
    environment = {"REQUESTS_CA_BUNDLE": str(certificates)} if certificates else {}
    with _service(python, module, folder / "store", configuration, environment) as service:
        yield service


@contextmanager
def _service(
    python: Path,
    module: str,
    folder: Path,
    configuration: dict[str, Any],
    environment: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """Run a WSGI application the way upstream's images do: under uWSGI with gevent."""
    (folder / "home").mkdir(parents=True)
    port, secret = free_port(), str(uuid.uuid4())
    database, output = folder / "db.sqlite", folder / "output.txt"
    file = folder / "v6.yaml"
    # JSON is YAML.
    file.write_text(
        json.dumps(
            {
                "description": "a peer",
                "ip": "127.0.0.1",
                "port": port,
                "uri": f"sqlite:///{database}",
                "allow_drop_all": False,
                "api_path": "/api",
                "jwt_secret_key": secret,
                "logging": {
                    "level": "WARNING",
                    "use_console": True,
                    "backup_count": 1,
                    "max_size": 1024,
                    "format": "%(asctime)s - %(name)-14s - %(levelname)-8s - %(message)s",
                    "datefmt": "%Y-%m-%d %H:%M:%S",
                    "file": "v6.log",
                },
                **configuration,
            }
        )
    )
    home = python.parents[1]
    options = {
        "http": f"127.0.0.1:{port}",
        "gevent": "1000",
        "callable": "app",
        "module": module,
        "virtualenv": str(home),
    }
    switches = (
        *("http-websockets", "http-chunked-input", "http-keepalive"),
        *("master", "die-on-term", "disable-logging"),
    )
    command = [str(home / "bin" / "uwsgi")]
    command += [part for key, value in options.items() for part in (f"--{key}", value)]
    command += [f"--{switch}" for switch in switches] + ["--pyargv", str(file)]
    with output.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, "HOME": str(folder / "home"), **(environment or {})},
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(process, port, output)
        yield Service(port, secret, database, output)
    finally:
        _stop(process)


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        if process.poll() is not None or time.monotonic() > deadline:
            raise PeerUnavailable(f"the service did not start:\n{output.read_text()[-3000:]}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/api/version")
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        finally:
            connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=20)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
