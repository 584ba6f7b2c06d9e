"""The commands of ``v6 node``. Everything they need is imported when one runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from vantage6.cli.entry import require
from vantage6.cli.node import station
from vantage6.cli.node.options import ConfigFile, Name, System

node = typer.Typer(
    help="Manage your vantage6 node instances. A node is a process: no container engine needed.",
    no_args_is_help=True,
)
node.add_typer(station.policy, name="policy")
node.add_typer(station.audit, name="audit")
node.add_typer(station.data, name="data")
node.command()(station.doctor)

Attach = Annotated[
    bool, typer.Option("--attach/--detach", help="Show the log after the start. [default: detach]")
]
Force = Annotated[bool, typer.Option("-f", "--force", help="Do not ask.")]
Image = Annotated[str | None, typer.Option("-i", "--image", hidden=True)]
Keep = Annotated[bool, typer.Option("--keep/--auto-remove", hidden=True)]
ForceMount = Annotated[bool, typer.Option("--force-db-mount", hidden=True)]
MountSource = Annotated[str, typer.Option("--mount-src", hidden=True)]


@node.command()
def new(
    name: Name = None,
    system: System = False,
    api_key: Annotated[str | None, typer.Option(help="Key the node logs in with.")] = None,
    server_url: Annotated[
        str | None,
        typer.Option(help="With scheme, without port.", show_default="http://localhost"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Port the server listens on.",
            show_default="443 with https, else 7601",
        ),
    ] = None,
    api_path: Annotated[
        str | None, typer.Option(help="Where the server's API begins.", show_default="/api")
    ] = None,
    task_dir: Annotated[
        str | None,
        typer.Option(
            help="Written down for other versions; this one uses state_dir.",
            show_default="the node's data folder",
        ),
    ] = None,
    database: Annotated[
        list[str] | None, typer.Option(help="LABEL:TYPE:URI; more than one is possible.")
    ] = None,
    allowed_algorithm: Annotated[
        list[str] | None, typer.Option(help="Image or pattern; more than one is possible.")
    ] = None,
    allowed_store: Annotated[
        list[str] | None, typer.Option(help="URL or pattern; more than one is possible.")
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(help="DEBUG, INFO, WARNING, ERROR or CRITICAL.", show_default="INFO"),
    ] = None,
    encryption: Annotated[
        bool | None,
        typer.Option(
            "--encryption/--no-encryption",
            help="As in the collaboration.",
            show_default="as the server says",
        ),
    ] = None,
    private_key: Annotated[
        str | None,
        typer.Option(
            help="Path of the organization's key (PEM), if encrypted.",
            show_default="private_key.pem in the node's data folder",
        ),
    ] = None,
    non_interactive: Annotated[
        bool, typer.Option("--non-interactive", help="Ask nothing: take defaults.")
    ] = False,
) -> None:
    """Make a configuration, asking what is not given as an option."""
    require("node")
    from vantage6.cli.node.wizard import Given
    from vantage6.cli.node.wizard import new as make

    given = Given(
        api_key=api_key,
        server_url=server_url,
        port=port,
        api_path=api_path,
        task_dir=task_dir,
        databases=database or [],
        algorithms=allowed_algorithm or [],
        stores=allowed_store or [],
        log_level=log_level,
        encryption=encryption,
        private_key=private_key,
    )
    make(name, system, given, interactive=not non_interactive)


@node.command("list")
def list_nodes() -> None:
    """All nodes of this machine, and whether they run."""
    require("node")
    from vantage6.cli.node.instances import everything
    from vantage6.common.messages import warning

    instances, failed = everything()
    colours = sys.stdout.isatty()
    line = "-" * 53
    typer.echo("\nName                     Status          System/User\n" + line)
    for each in instances:
        up = each.holder() is not None
        status = f"{'Running' if up else 'Not running':<16}"
        if colours:
            status = typer.style(status, fg="green" if up else "red")
        typer.echo(f"{each.name:<25}{status}{each.scope.capitalize():<7}")
    typer.echo(line)
    if failed:
        warning(f"Failed imports: {len(failed)}")
        for path in failed:
            warning(f"  {path}: 'v6 node doctor -c {path}' says what is wrong")


@node.command()
def files(name: Name = None, system: System = False, config: ConfigFile = None) -> None:
    """Where a node's configuration, log and data are."""
    require("node")
    from vantage6.cli.node.instances import find
    from vantage6.common.messages import info

    instance = find(name, config, system)
    info(f"Configuration file = {instance.path}")
    info(f"Log file           = {instance.config.log_file}")
    info(f"data folders       = {instance.config.folder}")
    info("Database labels and files")
    for database in instance.config.databases:
        info(f" - {database.label:15} = {database.shown_uri} (type: {database.type})")


@node.command()
def start(
    name: Name = None,
    config: ConfigFile = None,
    system: System = False,
    attach: Attach = False,
    foreground: Annotated[
        bool,
        typer.Option(
            "--foreground",
            help="Run in this very process, until Ctrl-C or SIGTERM; for systemd and containers,"
            " where it is the default.",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", hidden=True)] = False,
    with_parent: Annotated[int | None, typer.Option("--with-parent", hidden=True)] = None,
    image: Image = None,
    keep: Keep = False,
    force_db_mount: ForceMount = False,
    mount_src: MountSource = "",
) -> None:
    """Start a node, which goes on when the command has ended."""
    if with_parent is not None:
        from vantage6.cli.parent import die_with_parent

        die_with_parent(with_parent)
    require("node")
    from vantage6.cli.node.instances import find, locate
    from vantage6.cli.node.process import is_supervised

    if foreground or with_parent is not None or is_supervised():
        from vantage6.node.main import serve

        serve(locate(name, config, system), console=not quiet)
        return
    _say_without_effect(image=image, keep=keep, mount_src=mount_src)
    from vantage6.cli.node.start import begin

    begin(find(name, config, system), attach=attach)


@node.command()
def stop(
    name: Name = None,
    system: System = False,
    all_: Annotated[bool, typer.Option("--all", help="All nodes that run.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Kill at once.")] = False,
    config: ConfigFile = None,
) -> None:
    """Stop nodes; what they execute starts anew at the next start."""
    require("node")
    from vantage6.cli.node.process import stop as end
    from vantage6.cli.node.start import chosen

    for each in chosen(
        name,
        config,
        system,
        all_,
        question="Select the node you wish to stop:",
        none="No nodes are currently running.",
    ):
        end(each, force=force)


@node.command()
def restart(
    name: Name = None,
    system: System = False,
    all_: Annotated[bool, typer.Option("--all", help="All nodes that run.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Kill at once.")] = False,
    attach: Attach = False,
    image: Image = None,
    keep: Keep = False,
    force_db_mount: ForceMount = False,
    mount_src: MountSource = "",
    config: ConfigFile = None,
) -> None:
    """Stop nodes that run, and start them again."""
    require("node")
    from vantage6.cli.asking import leave
    from vantage6.cli.node.process import stop as end
    from vantage6.cli.node.start import begin, chosen

    if all_ and attach:
        leave("Cannot attach logs with --all: restart one node, or leave --attach out")
    _say_without_effect(image=image, keep=keep, mount_src=mount_src)
    for each in chosen(
        name,
        config,
        system,
        all_,
        question="Select the node you wish to restart:",
        none="No nodes are currently running. No action taken.",
    ):
        end(each, force=force)
        begin(each, attach=attach)


@node.command()
def attach(name: Name = None, system: System = False, config: ConfigFile = None) -> None:
    """Show a node's log as it grows, until Ctrl-C."""
    require("node")
    from vantage6.cli.node.process import follow
    from vantage6.cli.node.start import chosen

    instances = chosen(
        name,
        config,
        system,
        False,
        question="Select the node you wish to inspect:",
        none="No nodes are currently running. Cannot show any logs!",
    )
    follow(instances, _print)


@node.command()
def version(name: Name = None, system: System = False, config: ConfigFile = None) -> None:
    """The version of a node that runs, and of this command."""
    require("node")
    from vantage6.cli.node.start import chosen
    from vantage6.common import __version__

    for each in chosen(
        name,
        config,
        system,
        False,
        question="Select the node you wish to inspect:",
        none="No nodes are currently running. Cannot determine their version!",
    ):
        holder = each.holder()
        of_node = (holder.version if holder else None) or "unknown"
        typer.echo(str({"node": f"{of_node}\n", "cli": __version__}))


@node.command("set-api-key")
def set_api_key(
    name: Name = None,
    api_key: Annotated[str | None, typer.Option("--api-key", help="The new key.")] = None,
    system: System = False,
    config: ConfigFile = None,
) -> None:
    """Put another API key into a node's configuration."""
    require("node")
    from vantage6.cli.node.instances import locate
    from vantage6.cli.node.keys import set_api_key as put

    put(locate(name, config, system), api_key)


@node.command("create-private-key")
def create_private_key(
    name: Name = None,
    config: ConfigFile = None,
    system: System = False,
    no_upload: Annotated[
        bool, typer.Option("--no-upload", help="Do not send the public half to the server.")
    ] = False,
    organization_name: Annotated[
        str | None, typer.Option("-o", "--organization-name", help="Do not ask the server.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a key that is there.")
    ] = False,
    mfa: Annotated[bool, typer.Option("--mfa", hidden=True)] = False,
    username: Annotated[
        str | None,
        typer.Option(help="Your user name; the password then may come on standard input."),
    ] = None,
) -> None:
    """Make the private key of an organization."""
    require("node")
    from vantage6.cli.node.instances import find
    from vantage6.cli.node.keys import create_private_key as make

    make(
        find(name, config, system),
        organization=organization_name,
        overwrite=overwrite,
        upload=not no_upload,
        username=username,
    )


@node.command()
def keys(
    name: Name = None,
    system: System = False,
    config: ConfigFile = None,
    forget: Annotated[
        int | None,
        typer.Option("--forget", help="Id of an organization whose keys are to be forgotten."),
    ] = None,
) -> None:
    """Show fingerprints for authenticated encryption: this node's, and those it knows."""
    require("node")
    from vantage6.cli.node.fingerprints import forget_keys, show_keys
    from vantage6.cli.node.instances import find

    instance = find(name, config, system)
    if forget is None:
        show_keys(instance)
    else:
        forget_keys(instance, forget)


@node.command()
def remove(
    name: Name = None, system: System = False, force: Force = False, config: ConfigFile = None
) -> None:
    """Delete a node with its configuration; never its databases."""
    require("node")
    from vantage6.cli.node.housekeeping import remove as delete
    from vantage6.cli.node.instances import find

    delete(find(name, config, system), force=force)


@node.command()
def clean(force: Force = False) -> None:
    """Remove what runs of stopped nodes left behind."""
    require("node")
    from vantage6.cli.node.housekeeping import clean as sweep
    from vantage6.cli.node.instances import everything

    sweep(everything()[0], force=force)


def _print(text: str) -> None:
    typer.echo(text, nl=False)


def _say_without_effect(*, image: str | None, keep: bool, mount_src: str) -> None:
    from vantage6.common.messages import warning

    given = {"--image": image, "--keep": keep, "--mount-src": mount_src}
    for option in [key for key, value in given.items() if value]:
        warning(f"{option} has no effect: the node runs as a process, not in a container")
