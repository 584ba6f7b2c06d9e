"""Which nodes there are on this machine, and which of them run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vantage6.cli.asking import choose, leave, valid_name
from vantage6.cli.instances import scope_of
from vantage6.common.configuration import ConfigurationError
from vantage6.common.globals import InstanceType
from vantage6.common.places import Scope, config_folder
from vantage6.node.config import NodeConfig
from vantage6.node.lock import Holder, holder_of

CHOOSE = "Select the configuration you want to use:"


@dataclass(frozen=True)
class Instance:
    """A node's configuration file, loaded."""

    path: Path
    config: NodeConfig

    @property
    def name(self) -> str:
        """The configuration's name."""
        return self.config.name

    @property
    def scope(self) -> Scope:
        """Whose it is."""
        return self.config.scope

    @property
    def title(self) -> str:
        """The name under which it is listed while it runs."""
        return f"vantage6-{self.name}-{self.scope}"

    def holder(self) -> Holder | None:
        """The process it runs as; None when it does not run."""
        try:
            return holder_of(self.config.folder)
        except PermissionError:
            leave(f"{self.config.folder} belongs to another user: use that account, or sudo")


def load(path: Path) -> Instance:
    """Load a configuration file.

    Raises
    ------
    typer.Exit
        If it cannot be used, after saying why.
    """
    try:
        return Instance(path, NodeConfig.load(path))
    except ConfigurationError as problem:
        leave(str(problem))


def files(scope: Scope) -> list[Path]:
    """All configuration files of a scope."""
    try:
        return sorted(config_folder(InstanceType.NODE, scope).glob("*.yaml"))
    except PermissionError:
        return []


def everything() -> tuple[list[Instance], list[Path]]:
    """All configurations, the system's first, and the files that are none."""
    good, bad = [], []
    for scope in ("system", "user"):
        for path in files(scope):
            try:
                good.append(Instance(path, NodeConfig.load(path)))
            except ConfigurationError:
                bad.append(path)
    return good, bad


def find(name: str | None, config: Path | None, system: bool) -> Instance:
    """The configuration that is meant; asked for when it is not named.

    Raises
    ------
    typer.Exit
        If there is none.
    """
    return load(locate(name, config, system))


def locate(name: str | None, config: Path | None, system: bool) -> Path:
    """Like :func:`find`, without loading it."""
    if config is not None:
        return config
    scope = scope_of(system=system)
    if name is not None:
        name = valid_name(name)
        for folder in (config_folder(InstanceType.NODE, scope), Path.cwd()):
            path = folder / f"{name}.yaml"
            if path.is_file():
                return path
        leave(f"The configuration {name} could not be found.")
    return Path(choose(CHOOSE, {path.stem: path for path in files(scope)}))


def running(instances: Sequence[Instance]) -> list[Instance]:
    """Those that run."""
    return [instance for instance in instances if instance.holder() is not None]
