"""Instances: a configuration file with its folders, found by name or by path."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from vantage6.common.globals import APPNAME, InstanceType
from vantage6.common.messages import error, info

_SYSTEM_CONFIG = Path("/etc") / APPNAME
_SYSTEM_DATA = Path("/usr/local/share") / APPNAME
_NAME = re.compile(r"^[a-zA-Z0-9_.-]+$")

NameOption = Annotated[
    str | None, typer.Option("-n", "--name", help="Name of the configuration.", show_default=False)
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        help="Path to a configuration file; instead of a name.",
        exists=True,
        dir_okay=False,
        readable=True,
        resolve_path=True,
        show_default=False,
    ),
]
SystemOption = Annotated[
    bool,
    typer.Option("--system/--user", help="Folders of the whole system, or of the current user."),
]


@dataclass(frozen=True)
class Instance:
    """A configuration file and the folders that go with it, unless it names others."""

    kind: InstanceType
    config: Path
    system: bool
    #: Whether it lies in a configuration folder, or was given as a path.
    named: bool

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.config.stem

    @property
    def scope(self) -> str:
        """``system`` or ``user``."""
        return "system" if self.system else "user"

    @property
    def data(self) -> Path:
        """The data folder."""
        return data_folder(self.kind, system=self.system) / self.name

    @property
    def log(self) -> Path:
        """The log folder."""
        if self.system:
            return self.data
        return _user("XDG_CACHE_HOME", ".cache") / "log" / self.kind.value / self.name

    @property
    def log_name(self) -> str:
        """Name of the log file."""
        return f"{self.kind.value}_{self.scope}.log"

    @property
    def full_name(self) -> str:
        """The name among all that runs on this machine."""
        ending = "" if self.kind is InstanceType.NODE else f"-{self.kind.value}"
        return f"{APPNAME}-{self.name}-{self.scope}{ending}"


def _user(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / APPNAME


def config_folder(kind: InstanceType, *, system: bool) -> Path:
    """Where configuration files of a kind lie."""
    return (_SYSTEM_CONFIG if system else _user("XDG_CONFIG_HOME", ".config")) / kind.value


def data_folder(kind: InstanceType, *, system: bool) -> Path:
    """Where the data folders of all instances of a kind lie."""
    return (_SYSTEM_DATA if system else _user("XDG_DATA_HOME", ".local/share")) / kind.value


def instances(kind: InstanceType, *, system: bool) -> list[Instance]:
    """All configurations of a scope."""
    folder = config_folder(kind, system=system)
    return [Instance(kind, path, system, True) for path in sorted(folder.glob("*.yaml"))]


def checked_name(name: str) -> str:
    """A name for a configuration, spaces replaced.

    Raises
    ------
    typer.Exit
        If it has characters that are not allowed.
    """
    if " " in name:
        name = name.replace(" ", "-")
        info(f"Replaced spaces from configuration name: {name}")
    if not _NAME.match(name):
        error(
            f"Name '{name}' is not allowed. Please use only letters, digits, dots, underscores and "
            "hyphens"
        )
        raise typer.Exit(1)
    return name


def find(
    kind: InstanceType, name: str | None, config: Path | None = None, *, system: bool
) -> Instance:
    """The instance that options name; without any, the one that is chosen at the terminal.

    Raises
    ------
    typer.Exit
        If there is none.
    """
    if config is not None:
        return _at(kind, config, system=system)
    if name is None:
        return choose(instances(kind, system=system), "Select the configuration you want to use:")
    for folder in (config_folder(kind, system=system), Path.cwd()):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return Instance(kind, path, system, True)
    scope = "system" if system else "user"
    error(f"Configuration {name} does not exist in the {scope} folders!")
    raise typer.Exit(1)


def _at(kind: InstanceType, config: Path, *, system: bool) -> Instance:
    for scope in (True, False):
        if config.parent == config_folder(kind, system=scope):
            return Instance(kind, config, scope, True)
    return Instance(kind, config, system, False)


def choose(among: list[Instance], question: str) -> Instance:
    """Have somebody choose.

    Raises
    ------
    typer.Exit
        If there is nothing to choose from, or nobody to ask.
    """
    if not among:
        error("No configurations could be found!")
        raise typer.Exit(1)
    if not sys.stdin.isatty():
        names = ", ".join(instance.name for instance in among)
        error(f"Which one? Please give --name, one of: {names}")
        raise typer.Exit(1)
    import questionary

    chosen = questionary.select(question, choices=[item.full_name for item in among]).ask()
    if chosen is None:
        aborted()
    return next(item for item in among if item.full_name == chosen)


def aborted() -> None:
    """Somebody pressed Ctrl-C at a question."""
    error("Aborted by user!")
    raise typer.Exit(1)
