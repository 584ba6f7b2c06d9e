"""What ``v6 demo`` says."""

from __future__ import annotations

import time
from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vantage6.cli.demo.errors import DemoError
from vantage6.cli.demo.folder import Folder
from vantage6.cli.demo.network import Network
from vantage6.cli.demo.ports import DEFAULT_PORT, HOST
from vantage6.cli.demo.supervisor import Child
from vantage6.common import __version__
from vantage6.common.globals import DEFAULT_API_PATH

if TYPE_CHECKING:
    from vantage6.cli.demo.lesson import Outcome


class Report:
    """Prints to standard output, in colour on a terminal."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._started = time.perf_counter()
        self._root: Path | None = None

    def making_keys(self, count: int) -> None:
        """Keys take seconds to make."""
        self._step("keys", f"making {count} RSA keys of 4096 bits")

    def starting(self, root: Path, port: int, *, asked_for: int) -> None:
        """Where the demo lies and listens."""
        self._root = root
        self._console.print(f"[bold]vantage6 {__version__} demo[/bold] in {escape(str(root))}")
        if not asked_for and port != DEFAULT_PORT:
            self._step("port", f"{DEFAULT_PORT} is in use; taking {port}")

    def populated(self, network: Network) -> None:
        """The server answers and knows everybody."""
        encrypted = "encrypted" if network.collaboration.encrypted else "unencrypted"
        self._step(
            "server",
            f"{_count(network.organizations, 'organization')}, {_count(network.users, 'user')},"
            f" one collaboration ({encrypted})",
        )

    def sandbox(self, why_not: str | None) -> None:
        """Whether algorithms are shut in."""
        if why_not is None:
            self._step("sandbox", "every algorithm runs in one of its own")
            return
        self._step("sandbox", f"[bold red]NOTHING IS SANDBOXED[/bold red]: {escape(why_not)}")
        self._console.print(
            "           This demo goes on because its patients are made up. A real node refuses."
        )

    def image(self, name: str) -> None:
        """What every algorithm runs in."""
        self._step("sandbox", f"every algorithm runs in a container of {escape(name)}")

    def nodes_online(self, count: int) -> None:
        """All nodes are there."""
        self._step("nodes", f"{count} online")

    def lesson(self, outcome: Outcome, seconds: float) -> None:
        """The answer over all sites, beside the pooled one."""
        table = Table(title="Average age, computed where the data are", title_justify="left")
        table.add_column("Organization")
        for heading in ("patients", "with known age", "sum", "average"):
            table.add_column(heading, justify="right")
        for share in outcome.shares:
            table.add_row(
                escape(share.organization),
                f"{share.rows}",
                f"{share.count}",
                f"{share.total:.0f}",
                f"{share.total / share.count:.4f}",
            )
        self._console.print()
        self._console.print(table)
        for name, average in (
            ("Federated, from the sites' sums and counts", outcome.partial),
            ("Federated, by a central function at one site", outcome.central),
            ("Pooled, directly from the tables", outcome.pooled),
        ):
            self._console.print(f"  {name:<46} {average:.10f}")
        verdict = (
            "[green]The answers agree.[/green]"
            if outcome.agrees
            else "[bold red]The answers differ.[/bold red]"
        )
        self._console.print(f"  {verdict} Two tasks took {seconds * 1000:.0f} ms.")

    def connect(self, network: Network, port: int, folder: Folder) -> None:
        """How to go on by hand."""
        table = Table(title="Logins", title_justify="left")
        for heading, no_wrap in (
            ("username", True),
            ("password", True),
            ("role", False),
            ("organization", False),
        ):
            table.add_column(heading, no_wrap=no_wrap)
        names = {each.id: each.name for each in network.organizations}
        for user in network.users:
            table.add_row(
                user.username,
                user.password,
                ", ".join(user.roles),
                escape(names.get(user.organization_id, "root")),
            )
        self._console.print()
        self._console.print(table)
        self._console.print(f"  Server   http://{HOST}:{port}{DEFAULT_API_PATH}")
        self._console.print(f"  Logs     {escape(str(folder.log('server').parent))}")
        if network.collaboration.encrypted:
            self._console.print(f"  Keys     {escape(str(folder.private_key(0).parent))}")
        self._console.print(
            "  Lesson   cd examples/lesson"
            f" && V6_DEMO_READY_FILE={escape(str(folder.ready))} python -i client.py"
        )
        self._console.print("\nRunning. Ctrl-C stops everything.")

    def child_died(self, child: Child, how: str, pause: float) -> None:
        """A process ended unasked."""
        self._step("again", f"{child.name} {how}; starting it again in {pause:.1f} s")

    def child_started(self, child: Child) -> None:
        """It runs again."""
        self._step("again", f"{child.name} runs again as process {child.pid}")

    def failed(self, error: DemoError) -> None:
        """Why the demo cannot go on."""
        self._console.print(f"[bold red]v6 demo:[/bold red] {escape(str(error))}")

    def stopped_early(self) -> None:
        """Stopped before it was ready."""
        self._console.print("Stopped before the demo was ready.")

    def ended(self, kept: bool) -> None:
        """Nothing runs any more."""
        if self._root is None:
            return
        rest = f" {escape(str(self._root))} is kept." if kept else ""
        self._console.print(f"Everything is stopped.{rest}")

    def _step(self, name: str, text: str) -> None:
        elapsed = time.perf_counter() - self._started
        self._console.print(f"  {name:<8} {text} [dim]({elapsed:.1f} s)[/dim]")


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
