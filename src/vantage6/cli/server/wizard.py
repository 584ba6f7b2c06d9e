"""`v6 server new`: questions, or options in their place."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
import yaml

from vantage6.cli.asking import answered, valid_name
from vantage6.cli.demo.folder import write_private
from vantage6.cli.instances import scope_of
from vantage6.cli.server.configuration import KIND, Name, System
from vantage6.common.globals import DEFAULT_API_PATH, Ports
from vantage6.common.messages import error, info, warning
from vantage6.common.places import config_folder

_LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
_COMMUNITY_STORE = {"name": "Community store", "url": "https://store.cotopaxi.vantage6.ai"}
_QUIET = [
    "urllib3",
    "socketIO-client",
    "socketio.server",
    "engineio.server",
    "sqlalchemy.engine",
    "requests_oauthlib.oauth2_session",
]
_VPN = {
    "url": "URL of the VPN server:",
    "portal_username": "Username of the VPN portal:",
    "portal_userpass": "Password of the VPN portal:",
    "client_id": "Client id of the VPN server:",
    "client_secret": "Client secret of the VPN server:",
    "redirect_url": "Redirect URL of the VPN server:",
}

Answer = typer.Option(show_default=False)


class Asking:
    """Answers by option, by a person at the terminal, or else by default."""

    def __init__(self, *, defaults: bool) -> None:
        self._defaults = defaults
        if not defaults and not sys.stdin.isatty():
            error("Nobody is here to answer questions. To take the defaults, add --defaults")
            raise typer.Exit(1)

    def _ask(self, given: Any, default: Any, question: Callable[[], Any]) -> Any:
        if given is not None:
            return given
        if self._defaults:
            return default
        return answered(question())

    def text(self, question: str, default: str = "", given: str | None = None) -> str:
        """One line."""
        import questionary

        answer: str = self._ask(given, default, lambda: questionary.text(question, default=default))
        return answer

    def number(self, question: str, default: int, given: int | None = None) -> int:
        """A port."""
        import questionary

        def check(text: str) -> bool | str:
            return (text.isdigit() and int(text) < 65536) or "Please enter a number below 65536"

        asked = self._ask(
            given,
            default,
            lambda: questionary.text(question, default=str(default), validate=check),
        )
        return int(asked)

    def choice(self, question: str, choices: list[str], default: str, given: str | None) -> str:
        """One of several."""
        import questionary

        answer: str = self._ask(
            given, default, lambda: questionary.select(question, choices=choices, default=default)
        )
        return answer

    def confirm(self, question: str, default: bool, given: bool | None = None) -> bool:
        """Yes or no."""
        import questionary

        answer: bool = self._ask(
            given, default, lambda: questionary.confirm(question, default=default)
        )
        return answer


def new(
    name: Name = None,
    system: System = True,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Ask nothing: defaults where no option is given.")
    ] = False,
    description: Annotated[str | None, Answer] = None,
    ip: Annotated[str | None, Answer] = None,
    port: Annotated[int | None, typer.Option("-p", "--port", min=0, max=65535)] = None,
    uri: Annotated[str | None, typer.Option(help="Database URI.")] = None,
    allow_drop_all: Annotated[
        bool | None, typer.Option("--allow-drop-all/--no-drop-all", show_default=False)
    ] = None,
    log_level: Annotated[str | None, typer.Option(help=", ".join(_LEVELS))] = None,
    jwt_secret: Annotated[
        bool | None, typer.Option("--jwt-secret/--no-jwt-secret", show_default=False)
    ] = None,
    two_factor: Annotated[
        bool | None, typer.Option("--two-factor/--no-two-factor", show_default=False)
    ] = None,
    server_url: Annotated[str | None, typer.Option(help="As users see it.")] = None,
    rabbitmq_uri: Annotated[str | None, Answer] = None,
    community_store: Annotated[
        bool | None, typer.Option("--community-store/--no-community-store", show_default=False)
    ] = None,
    store: Annotated[
        list[str] | None, typer.Option(help="NAME=URL of an algorithm store; repeatable.")
    ] = None,
) -> None:
    """Create a new server configuration."""
    asking = Asking(defaults=defaults)
    name = valid_name(name or asking.text("Please enter a configuration-name:"))
    folder = config_folder(KIND, scope_of(system=system))
    path = folder / f"{name}.yaml"
    if path.exists():
        error(f"Configuration {name} already exists!")
        raise typer.Exit(1)
    _make_folder(folder)
    if log_level is not None and log_level not in _LEVELS:
        error(f"'{log_level}' is no log level: {', '.join(_LEVELS)}")
        raise typer.Exit(1)

    config: dict[str, Any] = {
        "description": asking.text("Enter a human-readable description:", given=description),
        "ip": asking.text("ip:", "0.0.0.0", ip),  # noqa: S104 (the contract's default)
        "port": asking.number(
            "Enter port to which the server listens:", Ports.DEV_SERVER.value, port
        ),
        "api_path": DEFAULT_API_PATH,
        "uri": asking.text("Database URI:", "sqlite:///default.sqlite", uri),
        "allow_drop_all": asking.confirm("Allowed to drop all tables:", False, allow_drop_all),
        "logging": _logging(
            asking.choice("Which level of logging would you like?", _LEVELS, "INFO", log_level),
            f"{name}.log",
        ),
    }
    if asking.confirm("Do you want a constant JWT secret?", True, jwt_secret):
        config["jwt_secret_key"] = secrets.token_hex(32)
    if asking.confirm("Do you want to enforce two-factor authentication?", False, two_factor):
        config["two_factor_auth"] = True
    config["server_url"] = asking.text(
        "What is the server url exposed to the users?",
        f"http://localhost:{config['port']}{DEFAULT_API_PATH}",
        server_url,
    )
    if not defaults and asking.confirm("Do you want to add a VPN server?", False):
        config["vpn_server"] = {
            key: asking.text(question, "http://localhost" if key == "redirect_url" else "")
            for key, question in _VPN.items()
        }
    if rabbitmq_uri is not None or (
        not defaults and asking.confirm("Do you want to add a RabbitMQ message queue?", False)
    ):
        address = asking.text("Enter the URI for your RabbitMQ:", given=rabbitmq_uri)
        config["rabbitmq"] = {"uri": address, "start_with_server": False}
    if stores := _stores(asking, community_store, store, defaults=defaults):
        config["algorithm_stores"] = stores

    write_private(path, yaml.safe_dump(config, default_flow_style=False, sort_keys=True))
    info(f"New configuration created: {path}")
    info(f"You can start the server by running v6 server start{'' if system else ' --user'}")


def _make_folder(folder: Any) -> None:
    if not folder.exists():
        warning(f"Configuration directory {folder} does not exist, creating it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        error(f"Cannot write configuration file to {folder}. Exiting...")
        error("Try to create it in the user folders: v6 server new --user")
        raise typer.Exit(1)


def _logging(level: str, file: str) -> dict[str, Any]:
    return {
        "level": level,
        "file": file,
        "use_console": True,
        "backup_count": 5,
        "max_size": 1024,
        "format": "%(asctime)s - %(name)-14s - %(levelname)-8s - %(message)s",
        "datefmt": "%Y-%m-%d %H:%M:%S",
        "loggers": [{"name": logger, "level": "warning"} for logger in _QUIET],
    }


def _stores(
    asking: Asking, community: bool | None, given: list[str] | None, *, defaults: bool
) -> list[dict[str, str]]:
    stores = []
    if asking.confirm("Do you want to make the community store available?", False, community):
        stores.append(dict(_COMMUNITY_STORE))
    for text in given or []:
        name, separator, url = text.partition("=")
        if not separator:
            error(f"--store '{text}' must be NAME=URL")
            raise typer.Exit(1)
        stores.append({"name": name, "url": url})
    while not defaults and not given:
        if not asking.confirm("Do you want to add more algorithm stores?", False):
            break
        stores.append(
            {
                "name": asking.text("Enter the name of the store:"),
                "url": asking.text("Enter the URL of the store:"),
            }
        )
    return stores
