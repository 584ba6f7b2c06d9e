"""``v6 node new``: the questions, or the options that answer them, and the file they make."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from vantage6.cli.asking import answered, leave, valid_name
from vantage6.cli.instances import scope_of
from vantage6.cli.node.settings import replace
from vantage6.common.configuration import ConfigurationError
from vantage6.common.globals import DATABASE_TYPES, DEFAULT_API_PATH, InstanceType, Ports
from vantage6.common.messages import error, info, warning
from vantage6.common.places import config_folder, data_folder
from vantage6.node.config import NodeConfig
from vantage6.node.data import Databases

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_QUIET = ("urllib3", "requests", "engineio.client", "docker.utils.config", "docker.auth")


@dataclass(frozen=True)
class Given:
    """What was answered beforehand, by options; None is a question that is still open."""

    api_key: str | None = None
    server_url: str | None = None
    port: int | None = None
    api_path: str | None = None
    task_dir: str | None = None
    databases: list[str] = field(default_factory=list)
    algorithms: list[str] = field(default_factory=list)
    stores: list[str] = field(default_factory=list)
    log_level: str | None = None
    encryption: bool | None = None
    private_key: str | None = None


class _Asker:
    """Asks a person, or takes what was given or is the default."""

    def __init__(self, interactive: bool) -> None:
        self.interactive = interactive

    def text(self, question: str, given: str | None, default: str = "") -> str:
        if given is not None:
            return given
        if not self.interactive:
            if not default:
                leave(f"Not answered: '{question}'. Give it as an option, see --help")
            return default
        import questionary

        return str(answered(questionary.text(question, default=default)))

    def select(self, question: str, choices: Sequence[str], given: str | None, default: str) -> str:
        if given is not None or not self.interactive:
            return given or default
        import questionary

        return str(answered(questionary.select(question, choices=choices, default=default)))

    def confirm(self, question: str, *, default: bool) -> bool:
        if not self.interactive:
            return default
        import questionary

        return bool(answered(questionary.confirm(question, default=default)))

    def several(self, question: str, first: str, more: str, given: list[str]) -> list[str]:
        """Texts, as long as there are more."""
        if given or not self.interactive or not self.confirm(first, default=True):
            return list(given)
        found = [self.text(question, None)]
        while self.confirm(more, default=True):
            found.append(self.text(question, None))
        return found


def new(name: str | None, system: bool, given: Given, *, interactive: bool) -> Path:
    """Ask what is open, and write the configuration file.

    Raises
    ------
    typer.Exit
        If there is a configuration of that name, or an answer cannot be used.
    """
    ask = _Asker(interactive and sys.stdin.isatty())
    name = valid_name(ask.text("Please enter a configuration-name:", name))
    scope = scope_of(system=system)
    folder = config_folder(InstanceType.NODE, scope)
    path = folder / f"{name}.yaml"
    if path.exists():
        leave(f"Configuration {name} already exists!")
    _make_writable(folder)
    content = _content(ask, given, data_folder(InstanceType.NODE, scope) / name)
    config = _write_checked(path, content)
    for complaint in Databases(config.databases, config.beside(".")).missing():
        warning(complaint)
    info(f"New configuration created: {path}")
    info(f"You can start the node by running v6 node start{' --system' if system else ''}")
    return path


def _make_writable(folder: Path) -> None:
    try:
        if not folder.exists():
            warning(f"Configuration directory '{folder}' does not exist. Creating it...")
            folder.mkdir(parents=True)
    except OSError as problem:
        leave(f"Cannot make {folder} ({problem.strerror}): use sudo, or --user")
    if not os.access(folder, os.W_OK):
        leave(f"Cannot write to {folder}: use sudo, or --user")


def _content(ask: _Asker, given: Given, data: Path) -> dict[str, Any]:
    api_key = ask.text("Enter given api-key:", given.api_key)
    url = ask.text("The base-URL of the server:", given.server_url, "http://localhost").rstrip("/")
    default_port = Ports.HTTPS.value if url.startswith("https") else Ports.DEV_SERVER.value
    named = str(given.port or urlsplit(url).port or "") or None
    port = ask.text("Enter port to which the server listens:", named, str(default_port))
    api_path = ask.text("Path of the api:", given.api_path, DEFAULT_API_PATH)
    content: dict[str, Any] = {
        "api_key": api_key,
        "server_url": url,
        "port": int(port) if port.isdecimal() else port,
        "api_path": api_path,
        "task_dir": ask.text("Task directory path:", given.task_dir, str(data)),
        "databases": _databases(ask, given),
        "policies": _policies(ask, given),
    }
    content["logging"] = {
        "level": ask.select(
            "Which level of logging would you like?", _LEVELS, given.log_level, "INFO"
        ).upper(),
        "use_console": True,
        "backup_count": 5,
        "max_size": 1024,
        "format": "%(asctime)s - %(name)-14s - %(levelname)-8s - %(message)s",
        "datefmt": "%Y-%m-%d %H:%M:%S",
        "loggers": [{"name": name, "level": "WARNING"} for name in _QUIET],
    }
    host = url if urlsplit(url).port else f"{url}:{port}"
    content["encryption"] = _encryption(ask, given, host + api_path, api_key)
    return content


def _databases(ask: _Asker, given: Given) -> list[dict[str, str]]:
    found = [_database(text) for text in given.databases]
    if found:
        return found
    while ask.interactive and ask.confirm("Do you want to add a database?", default=True):
        label = ask.text("Enter unique label for the database:", None, "default")
        uri = ask.text("Database URI:", None)
        kind = ask.select("Database type:", DATABASE_TYPES, None, "csv")
        found.append({"label": label, "uri": _from_here(uri), "type": kind})
    return found


def _from_here(uri: str) -> str:
    """A path as it is seen from the current folder; the file counts from its own."""
    path = Path(uri)
    return str(path.absolute()) if uri and "://" not in uri and path.exists() else uri


def _database(text: str) -> dict[str, str]:
    label, first, rest = text.partition(":")
    kind, second, uri = rest.partition(":")
    if not (first and second and uri):
        leave(f"--database '{text}' must be LABEL:TYPE:URI, such as default:csv:/data/patients.csv")
    return {"label": label, "uri": _from_here(uri), "type": kind}


def _policies(ask: _Asker, given: Given) -> dict[str, Any]:
    if (
        not (given.algorithms or given.stores)
        and ask.interactive
        and not ask.confirm(
            "Do you want to limit the algorithms allowed on your node? This should always be done "
            "for production scenarios.",
            default=True,
        )
    ):
        return {}
    algorithms = ask.several(
        "Enter your algorithm expression:",
        "Do you want to enter a list of allowed algorithms?",
        "Do you want to add another algorithm expression?",
        given.algorithms,
    )
    stores = ask.several(
        "Enter the URL of the algorithm store:",
        "Do you want to allow algorithms from specific algorithm stores?",
        "Do you want to add another algorithm store?",
        given.stores,
    )
    policies: dict[str, Any] = {}
    if algorithms:
        policies["allowed_algorithms"] = algorithms
    if stores:
        policies["allowed_algorithm_stores"] = stores
    if algorithms and stores:
        both = ask.confirm(
            "Must an algorithm be both in the list and in one of the stores?", default=True
        )
        policies["allow_either_whitelist_or_store"] = not both
    return policies


def _encryption(ask: _Asker, given: Given, url: str, api_key: str) -> dict[str, Any]:
    enabled = given.encryption
    if enabled is None:
        enabled = _collaboration_is_encrypted(ask, url, api_key)
    if enabled is None:
        enabled = ask.confirm("Enable encryption?", default=True)
        if not ask.interactive:
            warning(
                "What the collaboration says of encryption is not known: it is taken as encrypted. "
                "Otherwise give --no-encryption"
            )
    key = given.private_key or ""
    if enabled and not key and ask.interactive:
        key = ask.text("Path to private key file:", None)
    return {"enabled": enabled, "private_key": key}


def _collaboration_is_encrypted(ask: _Asker, url: str, api_key: str) -> bool | None:
    """What the collaboration says; None if it cannot be asked."""
    import asyncio

    from vantage6.node.connection import Connection, LoginRefused, Refused, ServerTrouble

    async def look() -> bool:
        parts = urlsplit(url)
        async with Connection(
            f"{parts.scheme}://{parts.netloc}", url.rstrip("/"), api_key
        ) as connection:
            await connection.login()
            return (await connection.identify()).encrypted

    try:
        encrypted = asyncio.run(look())
    except (LoginRefused, Refused, ServerTrouble, ValueError, OSError) as problem:
        error(f"Could not authenticate with server: {problem}")
        if ask.interactive and ask.confirm("Do you want to abort?", default=True):
            leave("Aborted by user!")
        return None
    state = "enabled" if encrypted else "disabled"
    if ask.interactive and not ask.confirm(
        f"Encryption is {state} for this collaboration. Accept?", default=True
    ):
        warning("A node must say what its collaboration says: it is kept")
    return encrypted


def _write_checked(path: Path, content: dict[str, Any]) -> NodeConfig:
    """Write the file if a node could work with it."""
    text = yaml.safe_dump(content, sort_keys=True, allow_unicode=True)
    replace(path, text)
    try:
        return NodeConfig.load(path)
    except ConfigurationError as problem:
        path.unlink()
        leave(str(problem).replace(f"{path} cannot be used", "The answers cannot be used"))
