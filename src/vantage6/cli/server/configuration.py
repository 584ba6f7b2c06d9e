"""A server's configuration file, with the folders that go without saying."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vantage6.cli.entry import require
from vantage6.cli.instances import ConfigOption, Instance, NameOption, SystemOption, find
from vantage6.common.globals import InstanceType
from vantage6.common.messages import error

if TYPE_CHECKING:
    from vantage6.server.config import ServerConfig

KIND = InstanceType.SERVER

Name = NameOption
Config = ConfigOption
System = SystemOption
File = Annotated[Path, typer.Argument(help="The file.", dir_okay=False, resolve_path=True)]


def open_server(
    name: str | None, config: Path | None, *, system: bool
) -> tuple[Instance, ServerConfig]:
    """The server that options name, and its configuration.

    Raises
    ------
    typer.Exit
        If there is none, or its configuration is not correct.
    """
    require("server")
    from vantage6.common.configuration import ConfigurationError

    instance = find(KIND, name, config, system=system)
    try:
        return instance, load(instance)
    except ConfigurationError as problem:
        error(problem)
        raise typer.Exit(1) from None


def load(instance: Instance) -> ServerConfig:
    """Read a configuration file.

    Of one in a configuration folder the data and log folders need not be named. Of another, data
    lie beside the SQLite file, or else beside the configuration, and the log goes to the console.

    Raises
    ------
    ConfigurationError
        If it is not correct.
    """
    from vantage6.server.config import ServerConfig

    config = ServerConfig.load(instance.config)
    folders = config.directories
    if not instance.named:
        if folders.data is not None or config.uri.startswith("sqlite"):
            return config
        beside = _environment_folder("STATE_DIRECTORY") or instance.config.absolute().parent
        changed = folders.model_copy(update={"data": beside})
        return config.model_copy(update={"directories": changed})
    data, log = folders.data, folders.log
    if data is None and not config.uri.startswith("sqlite:////"):
        # Set by systemd for the units in deploy/.
        data = _environment_folder("STATE_DIRECTORY") or instance.data
    if log is None:
        log = _environment_folder("LOGS_DIRECTORY") or instance.log
        if not _writable(log):
            log = None
    changed = folders.model_copy(update={"data": data, "log": log})
    return config.model_copy(update={"directories": changed})


def _environment_folder(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None


def _writable(folder: Path) -> bool:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(existing, os.W_OK)
