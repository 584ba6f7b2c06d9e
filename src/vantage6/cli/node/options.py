"""Options that several commands of ``v6 node`` have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str | None, typer.Option("-n", "--name", help="Name of the configuration.")]
System = Annotated[
    bool,
    typer.Option(
        "--system/--user", help="Configurations of the machine, or your own. [default: user]"
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        help="Path to a configuration file, in place of a name.",
        exists=True,
        dir_okay=False,
        readable=True,
        resolve_path=True,
    ),
]
