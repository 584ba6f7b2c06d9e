"""`v6 server`: one instance from its configuration to its removal."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vantage6.cli import log_tail, service
from vantage6.cli.asking import answered
from vantage6.cli.entry import require
from vantage6.cli.instances import Instance, choose_among, instances
from vantage6.cli.parent import Parent, die_with_parent
from vantage6.cli.server import database
from vantage6.cli.server.configuration import KIND, Config, Name, System, load, open_server
from vantage6.cli.server.wizard import new
from vantage6.common.messages import error, info, warning

if TYPE_CHECKING:
    from vantage6.server.config import ServerConfig

_START_SECONDS = 60.0

server = typer.Typer(help="Manage your vantage6 server instances.", no_args_is_help=True)
server.command("new")(new)
server.command("import")(database.import_file)
server.command("import-database")(database.import_database)
server.command("backup")(database.backup)
server.command("restore")(database.restore)

_Docker = Annotated[str | None, typer.Option(hidden=True)]
_Switch = Annotated[bool, typer.Option(hidden=True)]

# What the reference starts in containers, and what to do here.
_INSTEAD = {
    "image": "install the version you want: pip install 'vantage6[server]==<version>'",
    "mount_src": "install from the folder with the code: pip install -e <folder>",
    "with_rabbitmq": "start RabbitMQ yourself, such as `apt install rabbitmq-server`, and name it "
    "in the configuration (rabbitmq: {uri: amqp://user:password@host:5672/})",
    "with_prometheus": "set `prometheus: {enabled: true}` in the configuration, and let a "
    "Prometheus of your own read the exporter's port",
    "with_ui": "serve the page with a web server of your own",
}


@server.command()
def start(
    name: Name = None,
    config: Config = None,
    system: System = True,
    ip: Annotated[str | None, typer.Option(help="Address to listen at.")] = None,
    port: Annotated[
        int | None, typer.Option("-p", "--port", min=0, max=65535, help="Port to listen at.")
    ] = None,
    attach: Annotated[
        bool,
        typer.Option("--attach/--detach", help="Stay in the foreground, or in the background."),
    ] = True,
    image: Annotated[str | None, typer.Option("-i", "--image", hidden=True)] = None,
    mount_src: _Docker = None,
    with_rabbitmq: _Switch = False,
    rabbitmq_image: _Docker = None,
    with_prometheus: _Switch = False,
    prometheus_image: _Docker = None,
    with_ui: _Switch = False,
    ui_port: Annotated[int | None, typer.Option(hidden=True)] = None,
    keep: Annotated[bool, typer.Option("--keep/--auto-remove", hidden=True)] = False,
    with_parent: Parent = None,
) -> None:
    """Start the server in the foreground; Ctrl-C or SIGTERM stops it."""
    die_with_parent(with_parent)
    asked = {
        "image": image,
        "mount_src": mount_src,
        "with_rabbitmq": with_rabbitmq or rabbitmq_image,
        "with_prometheus": with_prometheus or prometheus_image,
        "with_ui": with_ui or ui_port,
    }
    for option in (option for option, value in asked.items() if value):
        error(f"--{option.replace('_', '-')}: this server needs no Docker; {_INSTEAD[option]}")
        raise typer.Exit(1)
    instance, settings = open_server(name, config, system=system)
    changes = {"ip": ip, "port": port}
    settings = settings.model_copy(
        update={key: value for key, value in changes.items() if value is not None}
    )
    if not attach:
        _start_in_background(instance, settings, ip, port)
        return
    from vantage6.server.main import serve

    # Any number of processes can work on one PostgreSQL, but only one on an SQLite file.
    shared = not settings.uri.startswith("sqlite")
    with service.hold(settings.data_folder, f"Server {instance.name}", shared=shared):
        serve(settings, log_name=instance.log_name)


def _start_in_background(
    instance: Instance, settings: ServerConfig, ip: str | None, port: int | None
) -> None:
    folder = settings.data_folder
    if service.process_of(folder) is not None:
        error(f"Server {instance.name} is already running")
        raise typer.Exit(1)
    out = (settings.directories.log or folder) / f"{KIND.value}_{instance.scope}.out"
    out.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [sys.executable, "-m", "vantage6.cli", "server", "start", "-c", str(instance.config)]
    command.append("--system" if instance.system else "--user")
    command += ["--ip", ip] if ip else []
    command += ["--port", str(port)] if port is not None else []
    # It holds the first password of root.
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    with open(descriptor, "wb") as console:
        process = subprocess.Popen(  # noqa: S603 (our own command)
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
        )
    until = time.monotonic() + _START_SECONDS
    # Not another service that has the port: only the process that holds the folder counts.
    while service.process_of(folder) != process.pid or not _listens(settings):
        if process.poll() is not None:
            typer.echo(out.read_text(errors="replace"), nl=False)
            error(f"The server did not start; what it said is in {out}")
            raise typer.Exit(1)
        if time.monotonic() > until:
            error(f"The server does not answer yet (process {process.pid}); see {out}")
            raise typer.Exit(1)
        time.sleep(0.1)
    info(f"Success! process id = {process.pid}")
    info(f"What it said at its start, such as the first password of root: {out}")
    scope = "" if instance.system else " --user"
    info(f"To see the logs, run: v6 server attach --name {instance.name}{scope}")


def _listens(settings: ServerConfig) -> bool:
    import socket

    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.ip, settings.ip)  # noqa: S104
    try:
        socket.create_connection((host, settings.port), timeout=1).close()
    except OSError:
        return False
    return True


def _running(*, system: bool) -> list[tuple[Instance, Path]]:
    """The instances that run, with the folder each holds."""
    from vantage6.common.configuration import ConfigurationError

    found = []
    for instance in instances(KIND, system=system):
        try:
            folder = load(instance).data_folder
        except ConfigurationError:
            continue
        if service.process_of(folder) is not None:
            found.append((instance, folder))
    return found


@server.command()
def stop(
    name: Name = None,
    config: Config = None,
    system: System = True,
    all_: Annotated[bool, typer.Option("--all", help="Stop all servers.")] = False,
) -> None:
    """Stop one or all running servers."""
    require("server")
    if config is not None or name is not None:
        instance, settings = open_server(name, config, system=system)
        chosen = [(instance, settings.data_folder)]
    else:
        running = _running(system=system)
        if not running:
            warning("No servers are currently running.")
            return
        if all_:
            chosen = running
        else:
            one = choose_among([item for item, _ in running], "Select the server you wish to stop:")
            chosen = [(item, folder) for item, folder in running if item == one]
    for instance, folder in chosen:
        if service.stop(folder):
            info(f"Stopped the {instance.full_name} server.")
        else:
            warning(f"{instance.full_name} is not running?!")


@server.command()
def attach(name: Name = None, system: System = True) -> None:
    """Show the server logs in the current console."""
    require("server")
    if name is None:
        running = [instance for instance, _ in _running(system=system)]
        if not running:
            warning("No servers are currently running. Cannot show any logs!")
            return
        name = choose_among(running, "Select the server you wish to attach:").name
    instance, settings = open_server(name, None, system=system)
    log = (settings.directories.log or instance.log) / instance.log_name
    if not log.is_file():
        error(f"There is no log file {log}")
        raise typer.Exit(1)

    def runs() -> bool:
        return service.process_of(settings.data_folder) is not None

    ended = log_tail.follow([log], runs, lambda text: typer.echo(text, nl=False))
    if not ended and runs():
        info("Note that your server is still running! Shut it down with 'v6 server stop'")


@server.command("list")
def list_() -> None:
    """List all server configurations."""
    require("server")
    from vantage6.common.configuration import ConfigurationError

    failed = 0
    typer.echo(f"\n{'Name':<25}{'Status':<25}System/User\n{'-' * 85}")
    for system in (True, False):
        for instance in instances(KIND, system=system):
            try:
                settings = load(instance)
            except ConfigurationError:
                failed += 1
                continue
            running = service.process_of(settings.data_folder) is not None
            status = typer.style(
                f"{'Running' if running else 'Not running':<25}", fg="green" if running else "red"
            )
            typer.echo(f"{instance.name:<25}{status}{instance.scope.capitalize():<7}")
    typer.echo("-" * 85)
    if failed:
        warning(f"Failed imports: {failed}")


@server.command()
def files(name: Name = None, config: Config = None, system: System = True) -> None:
    """Print the location of important server files."""
    instance, settings = open_server(name, config, system=system)
    log = settings.directories.log
    info(f"Configuration file = {instance.config}")
    info(f"Log file           = {log / instance.log_name if log else '(the console)'}")
    info(f"Database           = {_shown(settings)}")


def _shown(settings: ServerConfig) -> str:
    """The database's address without its password."""
    from sqlalchemy import make_url

    return make_url(settings.database_uri).render_as_string(hide_password=True)


@server.command()
def remove(
    name: Name = None,
    config: Config = None,
    system: System = True,
    force: Annotated[bool, typer.Option("-f", "--force", help="Do not ask.")] = False,
) -> None:
    """Delete a server's configuration and logs; its database is left alone."""
    instance, settings = open_server(name, config, system=system)
    if service.process_of(settings.data_folder) is not None:
        error(f"Server {instance.name} is running. Stop it first: v6 server stop")
        raise typer.Exit(1)
    if not force:
        if not sys.stdin.isatty():
            error("Nobody is here to confirm. To remove it without being asked, add --force")
            raise typer.Exit(1)
        import questionary

        sure = questionary.confirm(
            "This server will be deleted permanently including its configuration. Are you sure?",
            default=False,
        )
        if not answered(sure):
            info("Server will not be deleted")
            return
    instance.config.unlink()
    log = settings.directories.log
    if log is not None and log.is_dir():
        # Not the whole folder: the database may lie in it.
        for file in [*log.glob(f"{instance.log_name}*"), *log.glob(f"{KIND.value}_*.out")]:
            file.unlink()
        if not any(log.iterdir()):
            log.rmdir()
    info(f"Removed {instance.config}. The database was left alone: {_shown(settings)}")


@server.command()
def shell(name: Name = None, config: Config = None, system: System = True) -> None:
    """Open a Python shell with the server's database."""
    _, settings = open_server(name, config, system=system)
    import code

    from vantage6.server.model import tables
    from vantage6.server.model.schema import migrate

    warning("This shell changes the database directly. No rule is checked and nobody is told:")
    warning("use it only if you know what you do, after a backup (v6 server backup)")
    help_ = "`db` has the tables, `with database.read() as session:` or `.write()` a transaction."
    with database.working_on(settings) as opened:
        migrate(opened)
        code.interact(banner=help_, local={"db": tables, "database": opened}, exitmsg="")


@server.command()
def version(name: Name = None, system: System = True) -> None:
    """Return the current version of the server."""
    from vantage6.common import __version__

    # One package: both are always the same.
    typer.echo(str({"server": __version__, "cli": __version__}))
