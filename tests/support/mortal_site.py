"""A server and nodes as processes that can be made to die at a named point, and started again."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import yaml

from servers import free_port
from vantage6.cli.demo.configuration import write_server_config
from vantage6.cli.demo.folder import Folder, new_state, write_private
from vantage6.cli.demo.population import make_sites
from vantage6.client import Client

PATIENT = "example.org/patient"
ALGORITHMS = Path(__file__).parents[1] / "e2e" / "algorithms"
_MORTAL = Path(__file__).with_name("mortal.py")
_PASSWORD = "Researcher-1!"
#: How long anything may take on a machine that is busy, in seconds.
PATIENCE = 100.0


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait until a condition gives something, and give that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)
    return found


@dataclass
class Mortal:
    """A process that dies on order."""

    arguments: list[str]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    #: In front of the interpreter.
    prefix: list[str] = field(default_factory=list)
    pid: int = 0
    _maker: subprocess.Popen[bytes] | None = None

    @property
    def orders(self) -> Path:
        """The file that names where to die."""
        return self.folder / "orders"

    @property
    def ledger(self) -> Path:
        """The file that tells what was let go."""
        return self.folder / "ledger"

    @property
    def output(self) -> str:
        """What it and its predecessors have printed."""
        return (self.folder / "output").read_text()

    def start(self) -> Self:
        """Start it, for the first time or again."""
        if self._maker is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in ("ledger", "output"):
                (self.folder / name).touch()
            files = [str(self.folder / name) for name in ("orders", "ledger", "output")]
            self._maker = subprocess.Popen(
                [*self.prefix, sys.executable, str(_MORTAL), *files, *self.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **self.environment},
            )
        assert self._maker.stdin is not None
        self._maker.stdin.write(b"\n")
        self._maker.stdin.flush()
        self.pid = self._heard()
        return self

    def order(self, point: str) -> None:
        """Have it die when it comes to a point."""
        new = self.orders.with_suffix(".new")
        new.write_text(point)
        new.rename(self.orders)

    def died(self) -> None:
        """Wait until it has died as it was ordered."""
        code = self._heard()
        assert code == -signal.SIGKILL, f"it ended with {code}:\n{self.output[-3000:]}"
        assert not self.orders.exists()
        self.pid = 0

    def ended_with(self) -> int:
        """Wait until it has ended by itself; gives its exit code."""
        code = self._heard()
        self.pid = 0
        return code

    def stopped(self) -> None:
        """Wait until it has stopped as it was ordered."""
        until(
            lambda: Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T",
            "it has stopped",
        )
        assert not self.orders.exists()

    def go_on(self) -> None:
        """Let it go on after a stop."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it now."""
        os.kill(self.pid, signal.SIGKILL)
        self.died()

    def end(self) -> int:
        """Stop it as an administrator would; gives its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.ended_with()

    def clear_away(self) -> None:
        """End whatever is left of it."""
        if self._maker is None:
            return
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._maker.communicate(timeout=PATIENCE)

    def _heard(self) -> int:
        assert self._maker is not None
        assert self._maker.stdout is not None
        ready, _, _ = select.select([self._maker.stdout], [], [], PATIENCE)
        assert ready, f"nothing was heard of it:\n{self.output[-3000:]}"
        return int(self._maker.stdout.readline())

    def executions(self, run_id: int) -> int:
        """How often the algorithm of a run was let go."""
        return self.ledger.read_text().count(f"run {run_id} is let go\n")


@dataclass
class MortalSite:
    """A server with nodes of as many organizations in one collaboration, and a researcher."""

    folder: Path
    server: Mortal
    port: int
    nodes: list[Mortal] = field(default_factory=list)
    configs: list[Path] = field(default_factory=list)
    organizations: list[int] = field(default_factory=list)
    collaboration: int = 0
    root: Client = None  # type: ignore[assignment]  # until the server is up
    client: Client = None  # type: ignore[assignment]

    def log_in(self, username: str, password: str) -> Client:
        """A client of somebody, as soon as the server answers."""
        client = Client("http://127.0.0.1", self.port, "/api", log_level="critical")
        until(lambda: _works(lambda: client.authenticate(username, password)), "login")
        client.setup_encryption(None)
        return client

    def log_in_again(self) -> None:
        """Have new clients, when the tokens of the old ones have expired."""
        password = (self.folder / "root-password").read_text()
        self.root = self.log_in("root", password)
        self.client = self.log_in("researcher", _PASSWORD)

    def create(
        self, method: str, *, at: int = 0, databases: Sequence[Any] = (), **kwargs: Any
    ) -> int:
        """Create a task with one run at an organization; gives its id."""
        task = self.client.task.create(
            collaboration=self.collaboration,
            organizations=[self.organizations[at]],
            name="mortal",
            image=PATIENT,
            description="",
            input_={"method": method, "kwargs": kwargs},
            databases=list(databases),
        )
        assert "id" in task, task
        return int(task["id"])

    def run_of(self, task_id: int) -> dict[str, Any]:
        """The one run of a task."""
        runs: list[dict[str, Any]] = self.client.run.from_task(task_id)["data"]
        assert len(runs) == 1, runs
        return runs[0]

    def answer(self, task_id: int, seconds: float = PATIENCE) -> Any:
        """The result of a task with one run that has to complete."""
        results = self.client.wait_for_results(task_id, timeout=seconds)["data"]
        run = self.run_of(task_id)
        assert run["status"] == "completed", run
        return json.loads(results[0]["result"])

    def online(self) -> None:
        """Wait until all nodes are."""
        until(
            lambda: (
                len(self.root.node.list(is_online=True, fields=["id"], per_page=10))
                == len(self.nodes)
            ),
            "nodes online",
        )

    def runs_left(self, node: int = 0) -> list[str]:
        """Names of the run folders that a node still has."""
        state = Path(yaml.safe_load(self.configs[node].read_text())["state_dir"])
        return [path.name for path in (state / "runs").iterdir()]


def _works(action: Callable[[], Any]) -> bool:
    try:
        action()
    except Exception:
        return False
    return True


def write_node(site: MortalSite, number: int, api_key: str, **keys: Any) -> Path:
    """Write the configuration of a node; ``port`` is where it finds the server."""
    folder = site.folder / f"node-{number}"
    folder.mkdir(exist_ok=True)
    path = folder / "node.yaml"
    document = {
        "api_key": api_key,
        "server_url": "http://127.0.0.1",
        "port": site.port,
        "api_path": "/api",
        "databases": [],
        "encryption": {"enabled": False},
        "state_dir": str(folder / "state"),
        "directories": {"log": str(folder / "log")},
        "process": {
            "algorithms": {PATIENT: {"module": "patient", "path": str(ALGORITHMS)}},
            "preload": [],
        },
        **keys,
    }
    write_private(path, yaml.safe_dump(document))
    return path


@contextmanager
def mortal_site(
    root: Path,
    *,
    nodes: int = 1,
    port: int = 0,
    server_environment: Mapping[str, str] = MappingProxyType({}),
    node_environment: Mapping[str, str] = MappingProxyType({}),
    node_prefix: Sequence[str] = (),
    **node_keys: Any,
) -> Iterator[MortalSite]:
    """Start a server and nodes; all are stopped at the end, and must stop properly.

    Further keyword arguments go into the nodes' configuration.
    """
    state, folder = new_state(nodes, encrypted=False), Folder(root)
    port = port or free_port()
    write_server_config(folder, state, port)
    write_private(folder.root_password, state.root_password)
    server = Mortal(
        ["server", "start", "-c", str(folder.server_config)],
        root / "server-process",
        {"V6_INIT_SUPER_PASS_FILE": str(folder.root_password), **server_environment},
    )
    site = MortalSite(root, server.start(), port)
    try:
        site.root = site.log_in("root", state.root_password)
        made = make_sites(site.root, folder, state, {})
        site.organizations = [each.id for each in made.organizations]
        site.collaboration = made.collaboration.id
        roles = site.root.role.list(fields=["id", "name"], per_page=100)
        role = next(each["id"] for each in roles if each["name"] == "Researcher")
        site.root.user.create(
            username="researcher",
            firstname="R",
            lastname="R",
            password=_PASSWORD,
            email="r@example.org",
            organization=site.organizations[0],
            roles=[role],
        )
        site.client = site.log_in("researcher", _PASSWORD)
        for number, registered in enumerate(made.nodes):
            config = write_node(site, number, registered.api_key, **node_keys)
            site.configs.append(config)
            arguments = ["node", "start", "-c", str(config)]
            process = root / f"node-{number}" / "process"
            node = Mortal(arguments, process, dict(node_environment), list(node_prefix))
            site.nodes.append(node.start())
        site.online()
        yield site
        codes = [each.end() for each in (*site.nodes, site.server)]
        # A server ends by the signal that it was sent, when everything is done.
        assert codes == [*[0] * len(site.nodes), -signal.SIGTERM]
    finally:
        for each in (*site.nodes, site.server):
            each.clear_away()
