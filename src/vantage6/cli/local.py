"""`vserver-local`: what the reference offers inside a server's container."""

from __future__ import annotations

import typer

from vantage6.cli.server import commands, database

server = typer.Typer(
    help="Import data into a server's database, or look into it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
server.command("import")(database.import_file)
server.command("shell")(commands.shell)
server.command("version")(commands.version)
