"""What ``v6 demo`` does, from the empty folder to the last process stopped."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from vantage6.cli.demo.configuration import write_node_config, write_server_config
from vantage6.cli.demo.errors import DemoError
from vantage6.cli.demo.folder import (
    Folder,
    State,
    new_state,
    open_folder,
    write_json,
    write_private,
)
from vantage6.cli.demo.network import Network, Node, Organization
from vantage6.cli.demo.ports import HOST, reserved_port
from vantage6.cli.demo.report import Report
from vantage6.cli.demo.supervisor import Child, Supervisor, v6_command
from vantage6.common.globals import DEFAULT_API_PATH
from vantage6.common.transport import NoAnswer, connect

if TYPE_CHECKING:
    from vantage6.client import Client

URL = f"http://{HOST}"
DEFAULT_NODES = 3
_POLL = 0.02
_START_TIMEOUT = 60.0
_MAX_DEATHS = 3


@dataclass(frozen=True)
class Options:
    """The command line; None where it says nothing."""

    nodes: int | None = None
    port: int = 0
    data_dir: Path | None = None
    encrypted: bool | None = None
    authenticated: bool = False
    runtime: Literal["process", "docker"] = "process"
    ready_file: Path | None = None
    exit: bool = False
    keep: bool = False


class _Stop(BaseException):
    """Someone asked the demo to stop."""


def run(options: Options) -> int:
    """Run a demo.

    Returns
    -------
    int
        Exit code: 0 when the lesson's answers agree with the pooled one, 1 when they do not or
        the demo could not start, 130 when it was stopped before it was ready.
    """
    report = Report()
    # The demo talks to this machine only; a proxy for the outside must not come in between.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = f"{HOST},localhost"
    _raise_on_signals()
    try:
        with (
            open_folder(options.data_dir, keep=options.keep) as folder,
            reserved_port(options.port) as port,
        ):
            return _Demo(options, folder, port, report).run()
    except DemoError as error:
        report.failed(error)
        return 1
    except _Stop:
        report.stopped_early()
        return 130
    finally:
        report.ended(options.data_dir is not None or options.keep)


class _Demo:
    def __init__(self, options: Options, folder: Folder, port: int, report: Report) -> None:
        self.options = options
        self.folder = folder
        self.port = port
        self.report = report
        self._ready: dict[str, Any] | None = None
        self._ready_lock = threading.Lock()
        self._children: list[Child] = []
        self._runtime: dict[str, Any] = {}

    def run(self) -> int:
        state = self._state()
        public_keys: dict[int, str] = {}
        if state.encrypted and state.network is None:
            self.report.making_keys(state.nodes)
            # Processes are forked for it, which goes only before the first thread is started.
            from vantage6.cli.demo.population import make_keys

            public_keys = make_keys(self.folder, state.nodes)
        # Whoever waits for these must not find those of an earlier demo.
        for path in self._ready_files():
            path.unlink(missing_ok=True)
        write_server_config(self.folder, state, self.port)
        write_private(self.folder.root_password, state.root_password)
        self.report.starting(self.folder.root, self.port, asked_for=self.options.port)

        with self._supervisor() as servers:
            server = self._start_server(servers)
            # What takes time and needs no server is done while that starts.
            if state.network is None:
                self._write_tables(state)
            self._try_runtime()
            from vantage6.cli.demo.population import ROOT, make_people, make_sites

            self._wait_for_server(server)
            root, root_organization = self._log_in(ROOT, state.root_password)
            with self._supervisor() as nodes:
                if state.network is not None:
                    network = state.network
                    self._start_nodes(nodes, network.nodes, network.organizations)
                else:
                    sites = make_sites(root, self.folder, state, public_keys)
                    self._start_nodes(nodes, sites.nodes, sites.organizations)
                    network = state.network = make_people(
                        root, self.folder, state, sites, root_organization
                    )
                    self.folder.save(state)
                self.report.populated(network)
                self._wait_for_nodes(root, [server, *nodes.children], network)
                self._write_ready(network)
                return self._teach(network)

    def _state(self) -> State:
        options, state = self.options, self.folder.load()
        if state is None:
            state = new_state(options.nodes or DEFAULT_NODES, encrypted=bool(options.encrypted))
        for name, wanted, found in (
            ("--nodes", options.nodes, state.nodes),
            ("--encrypted", options.encrypted, state.encrypted),
        ):
            if wanted is not None and wanted != found:
                raise DemoError(
                    f"{self.folder.root} holds an earlier demo made with {state.nodes} nodes,"
                    f" {'encrypted' if state.encrypted else 'unencrypted'}. Leave {name} out to"
                    " take it up again, or choose another --data-dir."
                )
        if options.authenticated and not state.encrypted:
            raise DemoError("--authenticated is about encryption: add --encrypted.")
        if not self.folder.database.exists():
            state.network = None
        if state.network is None:
            # Nothing yet, or a set-up that was interrupted half-way.
            self.folder.forget_server()
            self.folder.save(state)
        return state

    def _supervisor(self) -> Supervisor:
        return Supervisor(on_start=self._on_start, on_death=self.report.child_died)

    def _on_start(self, child: Child) -> None:
        self.report.child_started(child)
        self._update_ready()

    def _start_server(self, supervisor: Supervisor) -> Child:
        server = Child(
            "server",
            v6_command("server", "start", "-c", str(self.folder.server_config)),
            self.folder.log("server"),
            {"V6_INIT_SUPER_PASS_FILE": str(self.folder.root_password)},
        )
        self._children.append(server)
        supervisor.start(server)
        return server

    def _write_tables(self, state: State) -> None:
        from vantage6.cli.demo.patients import write_patient_table

        for site in range(state.nodes):
            write_patient_table(self.folder.table(site), site, state.nodes)

    def _try_runtime(self) -> None:
        if self.options.runtime == "docker":
            self._build_image()
            return
        from vantage6.node.runtimes.process import sandbox_available

        why_not = sandbox_available()
        sandbox = "required" if why_not is None else "none"
        self._runtime = {"runtime": "process", "process": {"sandbox": sandbox}}
        self.report.sandbox(why_not)

    def _build_image(self) -> None:
        from vantage6.cli.demo.image import NoImage, build_average

        try:
            image = build_average()
        except NoImage as problem:
            raise DemoError(str(problem)) from problem
        self._runtime = {
            "runtime": "docker",
            # The image is of this machine; there is nowhere to pull it from.
            "docker": {"pull": "missing"},
            "policies": {"allowed_algorithms": [image]},
        }
        self.report.image(image)

    def _start_nodes(
        self, supervisor: Supervisor, nodes: list[Node], organizations: list[Organization]
    ) -> None:
        for site, (node, organization) in enumerate(zip(nodes, organizations, strict=True)):
            write_node_config(
                self.folder,
                site,
                node,
                organization,
                port=self.port,
                authenticated=self.options.authenticated,
                runtime=self._runtime,
            )
            child = Child(
                f"node-{site + 1}",
                v6_command("node", "start", "-c", node.config),
                self.folder.log(f"node-{site + 1}"),
            )
            self._children.append(child)
            supervisor.start(child)

    def _wait_for_server(self, server: Child) -> None:
        with connect(f"{URL}:{self.port}{DEFAULT_API_PATH}") as api:
            for _ in _waiting_for([server], "to answer"):
                try:
                    if api.get("/health").is_success:
                        return
                except NoAnswer:
                    continue

    def _wait_for_nodes(self, root: Client, children: list[Child], network: Network) -> None:
        for _ in _waiting_for(children, "to come online"):
            listed = root.node.list(
                collaboration=network.collaboration.id,
                is_online=True,
                fields=["id"],
                per_page=len(network.nodes),
            )
            if len(listed) == len(network.nodes):
                self.report.nodes_online(len(listed))
                return

    def _write_ready(self, network: Network) -> None:
        self._ready = {
            "server": {"url": URL, "port": self.port, "api_path": DEFAULT_API_PATH},
            **network.to_json(),
        }
        self._update_ready()

    def _update_ready(self) -> None:
        """Write the ready file with the process ids of now, once there is something to write."""
        with self._ready_lock:
            if self._ready is None:
                return
            server, *nodes = self._children
            pids = {
                "server": server.pid,
                "nodes": {
                    node["id"]: child.pid
                    for node, child in zip(self._ready["nodes"], nodes, strict=True)
                },
            }
            for path in self._ready_files():
                write_json(path, {**self._ready, "pids": pids})

    def _ready_files(self) -> list[Path]:
        asked_for = self.options.ready_file
        return [self.folder.ready, *([asked_for] if asked_for else [])]

    def _teach(self, network: Network) -> int:
        from vantage6.cli.demo.lesson import run_lesson

        login = network.login("Researcher")
        client, organization = self._log_in(login.username, login.password)
        client.setup_encryption(network.organization(organization).private_key)
        started = time.perf_counter()
        outcome = run_lesson(client, network, at=organization)
        self.report.lesson(outcome, time.perf_counter() - started)
        if self.options.exit:
            return 0 if outcome.agrees else 1
        self.report.connect(network, self.port, self.folder)
        try:
            while True:
                signal.pause()
        except _Stop:
            return 0 if outcome.agrees else 1

    def _log_in(self, username: str, password: str) -> tuple[Client, int]:
        """Log in; returns the client and the id of the organization it acts for."""
        from vantage6.client import Client
        from vantage6.common.exceptions import AuthenticationException

        client = Client(URL, self.port, DEFAULT_API_PATH, log_level="error")
        try:
            client.authenticate(username, password)
        except AuthenticationException as error:
            raise DemoError(
                f"{username} cannot log in: {error}. If the password was changed since this folder"
                " was made, choose another --data-dir, or empty this one."
            ) from error
        if client.whoami is None:
            raise DemoError(f"{username} is logged in, but the server does not say as whom.")
        return client, client.whoami.organization_id


def _waiting_for(children: list[Child], what: str) -> Iterator[None]:
    """Yield until the caller is content.

    Raises
    ------
    DemoError
        If a child keeps dying, or it takes too long.
    """
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        yield
        for child in children:
            if child.deaths >= _MAX_DEATHS:
                raise DemoError(f"{child.name} does not start. Its log ends with:\n{child.tail()}")
        if time.monotonic() > deadline:
            names = ", ".join(child.name for child in children)
            tails = "\n".join(f"--- {child.log}\n{child.tail()}" for child in children)
            raise DemoError(f"Waited {_START_TIMEOUT:.0f} s for {names} {what}.\n{tails}")
        time.sleep(_POLL)


def _raise_on_signals() -> None:
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        # Once is enough: stopping takes seconds at most and must not be cut short.
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise _Stop

    for each in signals:
        signal.signal(each, stop)
