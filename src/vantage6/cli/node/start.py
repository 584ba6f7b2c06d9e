"""What ``v6 node start`` says and does; and which of the running nodes a command means."""

from __future__ import annotations

from pathlib import Path

import typer

from vantage6.cli.asking import choose, leave
from vantage6.cli.node.instances import Instance, everything, find, running
from vantage6.cli.node.process import follow, start_detached
from vantage6.common.messages import info, warning
from vantage6.node.data import Databases


def begin(instance: Instance, *, attach: bool) -> None:
    """Start a node that outlives this command.

    Raises
    ------
    typer.Exit
        If it runs already, or cannot work.
    """
    config = instance.config
    info("Starting node...")
    if instance.holder() is not None:
        leave(f"Node {instance.name} is already running")
    info("Checking that data and log dirs exist")
    config.log_folder.mkdir(parents=True, exist_ok=True)
    for remark in config.remarks():
        warning(f"Configuration: {remark}")
    info("Setting up databases")
    for database in config.databases:
        info(f"  Processing {database.type} database {database.label}:{database.shown_uri}")
    for complaint in Databases(config.databases, config.beside(".")).missing():
        warning(f"  - {complaint}")
    start_detached(instance)
    info("Node was started!")
    info("Please check the node logs to see if the node successfully connects to the server.")
    if attach:
        follow([instance], lambda text: typer.echo(text, nl=False))
    else:
        info(f"To see the logs, run: v6 node attach --name {instance.name}")


def chosen(
    name: str | None, config: Path | None, system: bool, all_: bool, *, question: str, none: str
) -> list[Instance]:
    """The running nodes that are meant; asked for when none is named.

    Raises
    ------
    typer.Exit
        With code 0 if none runs.
    """
    if name is not None or config is not None:
        instance = find(name, config, system)
        if instance.holder() is None:
            warning(f"{instance.name} is not running?!")
            raise typer.Exit(0)
        return [instance]
    up = running(everything()[0])
    if not up:
        warning(none)
        raise typer.Exit(0)
    if all_:
        return up
    return [choose(question, {each.title: each for each in up}, [each.name for each in up])]
