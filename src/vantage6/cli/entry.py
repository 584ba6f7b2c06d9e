"""Where ``v6`` starts, also in an install that has only the client."""

from __future__ import annotations

from importlib.util import find_spec

# One module of each role's own dependencies, by which to tell whether the role is installed.
_MARKS = {"cli": "typer", "server": "fastapi", "node": "aiohttp"}


def require(*roles: str) -> None:
    """Make sure that roles are installed.

    Raises
    ------
    SystemExit
        If one is not; the message says how to install it.
    """
    missing = [role for role in roles if find_spec(_MARKS[role]) is None]
    if missing:
        extras = ",".join(missing)
        raise SystemExit(
            f"v6: this needs a part that is not installed: pip install 'vantage6[{extras}]'"
        )


def main() -> None:
    """Run the command line."""
    require("cli")
    from vantage6.cli.main import app

    app(prog_name="v6")


def vnode() -> None:
    """Run ``v6 node`` under its short name."""
    require("cli")
    from vantage6.cli.node.commands import node

    node(prog_name="vnode")


def vserver() -> None:
    """Run ``v6 server`` under its short name."""
    require("cli")
    from vantage6.cli.server.commands import server

    server(prog_name="vserver")


def vserver_local() -> None:
    """Run what the reference offers inside a server's container."""
    require("cli")
    from vantage6.cli.local import server

    server(prog_name="vserver-local")
