"""The warm parent: imports once, forks for every run.

It is executed by the node with a clean environment (never forked from it), reads nothing of any
run, and imports nothing that belongs to an algorithm: all of that happens in its children. It
ends when the node's end of its channel closes, for whatever reason.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Sequence

from . import messages
from .explain import missing, or_else
from .folder import STDERR
from .groundwork import Groundwork
from .inside import WRAPPER, reseed, run_wrapper
from .rehearsal import rehearse
from .request import Bounds, Request, SandboxError
from .supervisor import supervise

_TRIAL_BOUNDS = Bounds(
    memory=1024**3,
    cpu_time=60,
    wall_time=60,
    processes=16,
    open_files=64,
    output_size=1024**2,
    scratch_size=1024**2,
    log_size=1024**2,
)


def main(arguments: Sequence[str]) -> None:
    """Serve on a channel, or (``--try``) say whether a sandbox can be made."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--try", dest="trial", action="store_true")
    parser.add_argument("--channel", type=int)
    parser.add_argument("--preload", default="")
    parser.add_argument("--sandbox", choices=["required", "none"], default="required")
    options = parser.parse_args(arguments)
    if options.trial:
        reason = try_out()
        print(json.dumps({"reason": or_else(reason) if reason else None}))
        return
    preload = [name for name in options.preload.split(",") if name]
    isolated = options.sandbox == "required"
    serve(socket.socket(fileno=options.channel), preload, isolated=isolated)


def serve(channel: socket.socket, preload: Sequence[str], *, isolated: bool) -> None:
    """Import, tell the node, then fork a supervisor for each connection that arrives."""
    # An interrupt in a terminal is meant for the node, which then ends us in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    failures = {**_import_all([*preload, WRAPPER]), **rehearse(10)}
    try:
        groundwork = Groundwork.lay(isolated=isolated)
    except SandboxError as error:
        channel.send(json.dumps({"failures": {"sandbox": str(error)}}).encode())
        return
    channel.send(json.dumps({"failures": failures}).encode())
    # Children are waited for by nobody; those that wait for theirs undo this.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # Children shall not copy memory merely because a collector walks over it.
    gc.collect()
    gc.freeze()
    gc.disable()
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, len(messages.RUN), 1)
        if not data:
            return
        for descriptor in descriptors:
            _fork_supervisor(channel, socket.socket(fileno=descriptor), groundwork)
            reseed()


def _fork_supervisor(
    channel: socket.socket, control: socket.socket, groundwork: Groundwork
) -> None:
    try:
        pid = os.fork()
    except OSError as error:
        text = f"This machine starts no further process ({error}); try again later"
        messages.Connection(control).send({"event": "failed", "message": text})
        control.close()
        return
    if pid == 0:
        channel.close()
        _supervise_and_exit(control, groundwork)
    control.close()


def _supervise_and_exit(
    control: socket.socket,
    groundwork: Groundwork,
    work: Callable[[], int] = run_wrapper,
) -> None:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)
        os.umask(0o022)
        supervise(control, groundwork, work)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _import_all(names: Iterable[str]) -> dict[str, str]:
    """Import what can be; give the reasons of those that cannot."""
    failures = {}
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            failures[name] = f"{type(error).__name__}: {error}"
    return failures


def try_out() -> str | None:
    """Make a sandbox and run nothing of anybody's in it; the reason if that is impossible."""
    reason = missing()
    if reason is not None:
        return reason
    try:
        groundwork = Groundwork.lay(isolated=True)
    except SandboxError as error:
        return str(error)
    with tempfile.TemporaryDirectory(prefix="vantage6-trial-") as parent:
        folder = os.path.join(os.path.realpath(parent), "run")
        os.mkdir(folder, 0o700)
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            _supervise_and_exit(theirs, groundwork, _read_software)
        theirs.close()
        try:
            return _converse(messages.Connection(ours), folder)
        finally:
            ours.close()
            os.waitpid(pid, 0)


def _converse(connection: messages.Connection, folder: str) -> str | None:
    request = Request(
        run_id=0,
        folder=folder,
        module="",
        search_path=(),
        mounts=(),
        hidden=(),
        environment={},
        bounds=_TRIAL_BOUNDS,
    )
    connection.send(request.to_json())
    answer = connection.receive() or {"event": "failed", "message": "The trial ended early"}
    if answer["event"] == "failed":
        return str(answer["message"])
    connection.send({"event": "go"})
    end = connection.receive() or {"exit_code": None, "reason": "its supervisor died"}
    if end["exit_code"] == 0:
        return None
    with open(os.path.join(folder, STDERR), encoding="utf-8", errors="replace") as file:
        return f"A trial run failed ({end['reason'] or 'see below'}): {file.read().strip()}"


def _read_software() -> int:
    """Check, as an algorithm, that Python's own files can be read."""
    for path in (sys.prefix, sys.base_prefix, *sys.path):
        try:
            if os.path.isdir(path):
                os.listdir(path)
        except PermissionError:
            print(
                f"{path} can only be read by its owner, but algorithms run as another user: "
                f"run `chmod -R o+rX {path}`",
                file=sys.stderr,
            )
            return 1
    return 0
