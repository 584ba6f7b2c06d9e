"""Start a node that outlives the command, stop it, read its log."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vantage6.cli import log_tail
from vantage6.cli.asking import leave
from vantage6.cli.node.instances import Instance, running
from vantage6.common.messages import info, warning
from vantage6.node.lock import Holder, holder_of

#: Seconds a node may take to find out whether it can work, and to end if it cannot.
_START, _ENDING = 60.0, 10.0
#: Seconds a node may take to stop; algorithms are ended first.
_STOP = 60.0
_POLL = 0.05
_UNIT = re.compile(r"/([^/]*vantage6[^/]*\.service)(?:/|$)")


def is_supervised() -> bool:
    """Whether systemd or a container started this very process, and watches it."""
    return os.getpid() == 1 or os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())


def start_detached(instance: Instance) -> int:
    """Start a node as a process of its own; returns its id once it works or waits for its server.

    Raises
    ------
    typer.Exit
        If it ended at once; what it said is passed on.
    """
    words = instance.config.log_folder / "start.log"
    words.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "vantage6.cli", "node", "start", "--foreground", "--quiet"]
    with words.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 (our own command)
            [*command, "--config", str(instance.path.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def holder() -> Holder | None:
        return instance.holder()

    def has_ended() -> bool:
        return process.poll() is not None

    _wait(_START, lambda: has_ended() or bool((found := holder()) and found.ready))
    if holder() is None:
        # It lets go of its folder before it ends.
        _wait(_ENDING, has_ended)
    if has_ended():
        said = words.read_text(errors="replace").strip()
        leave(f"The node could not be started: {said or f'exit code {process.returncode}'}")
    if holder() is None:
        process.kill()
        process.wait()
        leave(f"The node did not start within {_START:.0f} seconds; see {words}")
    # It lives on; nobody here waits for its end.
    process.returncode = 0
    return process.pid


def stop(instance: Instance, *, force: bool) -> None:
    """Stop a node and wait for its end.

    Raises
    ------
    typer.Exit
        If it cannot be stopped from here, or does not stop.
    """
    holder = instance.holder()
    if holder is None:
        warning(f"{instance.name} is not running?!")
        return
    if holder.pid is None or not holder.can_be_signalled:
        leave(f"Node {instance.name} runs in a container: stop it with the engine that started it")
    unit = _systemd_unit(holder.pid)
    if unit is not None:
        leave(f"Node {instance.name} is run by systemd: systemctl stop {unit}")
    if force:
        warning("Forcing the node to stop: its runs start anew when it is started again")
    _signal(instance, holder, signal.SIGKILL if force else signal.SIGTERM)
    if not _wait(_STOP, lambda: holder_of(instance.config.folder) is None):
        leave(
            f"Node {instance.name} (process {holder.pid}) has not stopped within {_STOP:.0f} "
            "seconds. Look at its log, or use --force"
        )
    info(f"Stopped the {instance.title} Node.")


def follow(instances: Sequence[Instance], out: Callable[[str], None]) -> None:
    """Show the logs of nodes until they stop, or until Ctrl-C.

    Parameters
    ----------
    out : callable
        Takes text as it comes.
    """
    files = [each.config.log_file for each in instances]
    if log_tail.follow(files, lambda: bool(running(instances)), out):
        info("The node has stopped.")
    else:
        info("Note that your node is still running! Shut it down with 'v6 node stop'")


def _signal(instance: Instance, holder: Holder, number: signal.Signals) -> None:
    """Signal the holder, and never a process that got its number meanwhile."""
    pid = holder.pid or 0
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if holder_of(instance.config.folder) != holder:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, number)
        select.select([process], [], [], _STOP)
    except PermissionError:
        leave(f"Node {instance.name} belongs to another user: use that account, or sudo")
    finally:
        os.close(process)


def _systemd_unit(pid: int) -> str | None:
    """The vantage6 unit a process belongs to; systemd would start it again at once."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
    except OSError:
        return None
    found = _UNIT.search(groups)
    return found[1] if found else None


def _wait(seconds: float, condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(_POLL)
    return True
