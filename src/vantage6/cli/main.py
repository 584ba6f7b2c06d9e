"""The command tree. Everything a command needs is imported when it runs: `v6 --help` is instant."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vantage6.cli.entry import require
from vantage6.cli.node.commands import node
from vantage6.cli.server.commands import server

app = typer.Typer(
    name="v6",
    help="Federated analysis: servers, nodes, and a network to try.",
    no_args_is_help=True,
    add_completion=False,
    # What a service writes goes to a log file, where boxes are in the way.
    pretty_exceptions_enable=False,
)
app.add_typer(server, name="server")
app.add_typer(node, name="node")

ConfigFile = Annotated[
    Path,
    typer.Option(
        "-c",
        "--config",
        help="Path to a configuration file.",
        exists=True,
        dir_okay=False,
        readable=True,
        resolve_path=True,
    ),
]


class RuntimeName(StrEnum):
    """What a demo's nodes run algorithms with."""

    PROCESS = "process"
    DOCKER = "docker"


@app.command()
def version() -> None:
    """Print the version of vantage6."""
    from vantage6.common import __version__

    typer.echo(__version__)


@app.command()
def demo(
    nodes: Annotated[
        int | None,
        typer.Option(min=1, help="How many nodes take part. [default: 3]", show_default=False),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535,
            help="Port of the server; 0 takes 7601, or a free one if that is in use.",
        ),
    ] = 0,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Folder for everything the demo writes. One that an earlier demo left is taken up"
            " again. Without it: a temporary folder, removed at the end.",
        ),
    ] = None,
    encrypted: Annotated[
        bool | None,
        typer.Option(
            "--encrypted/--unencrypted",
            help="Whether inputs and results are encrypted. [default: unencrypted]",
            show_default=False,
        ),
    ] = None,
    authenticated: Annotated[
        bool,
        typer.Option(
            "--authenticated",
            help="With --encrypted: in such a way that the server cannot alter anything either.",
        ),
    ] = False,
    runtime: Annotated[
        RuntimeName, typer.Option(help="What the nodes run algorithms with.")
    ] = RuntimeName.PROCESS,
    ready_file: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="Write addresses, logins and process ids here as JSON once all nodes are online.",
        ),
    ] = None,
    exit_: Annotated[
        bool, typer.Option("--exit", help="End after the lesson instead of staying up.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the temporary folder when the demo ends.")
    ] = False,
) -> None:
    """A server and some nodes with made-up patients, and an average over all of them."""
    require("server", "node")
    from vantage6.cli.demo.command import Options, run

    options = Options(
        nodes=nodes,
        port=port,
        data_dir=data_dir,
        encrypted=encrypted,
        authenticated=authenticated,
        runtime=runtime.value,
        ready_file=ready_file,
        exit=exit_,
        keep=keep,
    )
    raise typer.Exit(run(options))
