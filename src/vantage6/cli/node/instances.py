"""Which nodes there are on this machine, and which of them run."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import typer

from vantage6.common.configuration import ConfigurationError
from vantage6.common.globals import InstanceType
from vantage6.common.messages import error, info
from vantage6.common.places import Scope, config_folder
from vantage6.node.config import NodeConfig
from vantage6.node.lock import Holder, holder_of

_NAME = re.compile(r"[a-zA-Z0-9_.-]+")
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


def leave(message: str) -> NoReturn:
    """Say what is wrong, and end with code 1."""
    error(message)
    raise typer.Exit(1)


def scope_of(system: bool) -> Scope:
    """The scope that ``--system`` or ``--user`` stands for."""
    return "system" if system else "user"


def valid_name(name: str) -> str:
    """Check the name of a configuration; spaces become hyphens.

    Raises
    ------
    typer.Exit
        If it holds characters that it may not.
    """
    if " " in name:
        name = name.replace(" ", "-")
        info(f"Replaced spaces from configuration name: {name}")
    if not _NAME.fullmatch(name) or name in (".", ".."):
        leave(
            f"Name '{name}' is not allowed. Please use only the following characters: a-zA-Z0-9_.-"
        )
    return name


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
    scope = scope_of(system)
    if name is not None:
        name = valid_name(name)
        for folder in (config_folder(InstanceType.NODE, scope), Path.cwd()):
            path = folder / f"{name}.yaml"
            if path.is_file():
                return path
        leave(f"The configuration {name} could not be found.")
    paths = files(scope)
    if not paths:
        leave("No configurations could be found!")
    return Path(choose(CHOOSE, {path.stem: path for path in paths}))


def running(instances: Sequence[Instance]) -> list[Instance]:
    """Those that run."""
    return [instance for instance in instances if instance.holder() is not None]


def choose(question: str, choices: dict[str, Any]) -> Any:
    """Have a person choose one.

    Raises
    ------
    typer.Exit
        If there is nobody to ask, or they give up.
    """
    if not sys.stdin.isatty():
        leave(f"Say which with --name; there are: {', '.join(choices)}")
    import questionary

    return choices[answered(questionary.select(question, choices=list(choices)))]


def answered(question: Any) -> Any:
    """Put a question of questionary's; giving up ends the command.

    Raises
    ------
    typer.Exit
        If it is not answered.
    """
    answer = question.ask(kbi_msg="")
    if answer is None:
        leave("Aborted by user!")
    return answer


def confirmed(question: str) -> bool:
    """Ask for a yes; nobody to ask is a no."""
    if not sys.stdin.isatty():
        info(f"{question} Nobody is there to answer: add --force")
        return False
    import questionary

    return bool(answered(questionary.confirm(question, default=False)))
