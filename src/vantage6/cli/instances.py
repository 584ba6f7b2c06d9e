"""Instances: a configuration file with its folders, found by name or by path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from vantage6.cli.asking import choose, leave
from vantage6.common.globals import APPNAME, InstanceType
from vantage6.common.places import Scope, config_folder, data_folder, log_folder

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
    def scope(self) -> Scope:
        """Whose it is."""
        return scope_of(system=self.system)

    @property
    def data(self) -> Path:
        """The data folder."""
        return data_folder(self.kind, self.scope) / self.name

    @property
    def log(self) -> Path:
        """The log folder."""
        return log_folder(self.kind, self.scope) / self.name

    @property
    def log_name(self) -> str:
        """Name of the log file."""
        return f"{self.kind.value}_{self.scope}.log"

    @property
    def full_name(self) -> str:
        """The name among all that runs on this machine."""
        ending = "" if self.kind is InstanceType.NODE else f"-{self.kind.value}"
        return f"{APPNAME}-{self.name}-{self.scope}{ending}"


def scope_of(*, system: bool) -> Scope:
    """The scope that ``--system`` or ``--user`` stands for."""
    return "system" if system else "user"


def instances(kind: InstanceType, *, system: bool) -> list[Instance]:
    """All configurations of a scope."""
    folder = config_folder(kind, scope_of(system=system))
    return [Instance(kind, path, system, True) for path in sorted(folder.glob("*.yaml"))]


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
        return choose_among(
            instances(kind, system=system), "Select the configuration you want to use:"
        )
    scope = scope_of(system=system)
    paths = [folder / f"{name}.yaml" for folder in (config_folder(kind, scope), Path.cwd())]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        leave(f"Configuration {name} does not exist in the {scope} folders!")
    return Instance(kind, path, system, True)


def choose_among(among: list[Instance], question: str) -> Instance:
    """Have somebody choose.

    Raises
    ------
    typer.Exit
        If there is nothing to choose from, or nobody to ask.
    """
    by_title = {item.full_name: item for item in among}
    chosen: Instance = choose(question, by_title, [item.name for item in among])
    return chosen


def _at(kind: InstanceType, config: Path, *, system: bool) -> Instance:
    for system_wide in (True, False):
        if config.parent == config_folder(kind, scope_of(system=system_wide)):
            return Instance(kind, config, system_wide, True)
    return Instance(kind, config, system, False)
