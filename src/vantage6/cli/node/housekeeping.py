"""Remove what is no longer needed: a node as a whole, or what runs left behind."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from vantage6.cli.asking import confirmed, leave
from vantage6.cli.node.instances import Instance
from vantage6.common.messages import info, warning
from vantage6.node.folders import RunFolders
from vantage6.node.journal import Journal, JournalError
from vantage6.node.lock import exclusive

_OWN = ("journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "lock")


def remove(instance: Instance, *, force: bool) -> None:
    """Remove a node for good, its configuration too; never databases, or what it decided.

    Raises
    ------
    typer.Exit
        If it runs, or nobody confirms.
    """
    if instance.holder() is not None:
        leave(f"Node {instance.name} is running. Please stop the node first!")
    if not force and not confirmed(
        "This node will be deleted permanently including its configuration. Are you sure?"
    ):
        leave("Nothing was removed.")
    config = instance.config
    state, logs = config.folder, config.log_folder
    if (state / "runs").is_dir():
        shutil.rmtree(state / "runs")
    for name in _OWN:
        (state / name).unlink(missing_ok=True)
    for path in [*logs.glob(f"{config.log_file.name}*"), logs / "start.log"]:
        path.unlink(missing_ok=True)
    instance.path.unlink()
    for folder in (state, logs):
        # Others may keep things there too: the key, for one.
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    if config.decisions.is_dir():
        warning(f"The log of what this node decided is kept: {config.decisions}")
    info(f"Removed node {instance.name}.")


def clean(instances: Sequence[Instance], *, force: bool) -> None:
    """Remove files of runs that no stopped node needs any more.

    Raises
    ------
    typer.Exit
        If a journal cannot be read.
    """
    stopped = [each for each in instances if each.holder() is None]
    folders = [each for each in stopped if (each.config.folder / "runs").is_dir()]
    for each in folders:
        info(f"Runs of node {each.name}: {each.config.folder / 'runs'}")
    if not folders:
        info("There is nothing to clean: nodes that run clean up by themselves.")
        return
    if not force and not confirmed("Are you sure?"):
        info("Cancelled, no files were removed.")
        return
    for each in folders:
        folder = each.config.folder
        try:
            with exclusive(folder), Journal(folder / "journal.sqlite") as journal:
                keep = {entry.ticket.run_id for entry in journal.entries()}
                RunFolders(folder).sweep(keep)
        except JournalError as problem:
            leave(str(problem))
    info("Temporary files removed successfully.")
