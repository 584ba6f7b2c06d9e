"""From the supervisor's child to the algorithm: give up every right, then run the wrapper."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from . import limits, linux, rootfs
from .groundwork import Groundwork
from .identity import Identity
from .messages import Connection
from .rehearsal import rehearse
from .request import Bounds

WRAPPER = "vantage6.algorithm.tools.wrap"


@dataclass(frozen=True)
class Inside:
    """What the child is born with; without a sandbox, ``identity`` and ``stage`` are None.

    ``stdout``, ``stderr`` and ``handshake`` are descriptors.
    """

    identity: Identity | None
    stage: str | None
    stdout: int
    stderr: int
    handshake: int
    groundwork: Groundwork


def become_algorithm(inside: Inside, work: Callable[[], int]) -> None:
    """Wait for orders, turn this process into the algorithm, wait for the word; never returns.

    Descriptors of the supervisor are closed before anything of the algorithm's is executed.
    """
    code = 1
    try:
        supervisor = _keep_only(inside)
        orders = supervisor.receive()
        if orders == {"event": "rehearse"}:
            rehearse()
            orders = supervisor.receive()
        if orders is None:
            return
        try:
            _confine(inside, orders)
        except OSError as error:
            text = error.strerror or str(error)
            supervisor.send({"event": "failed", "errno": error.errno, "text": text})
            return
        supervisor.send({"event": "ready"})
        go = supervisor.receive()
        supervisor.close()
        if go is not None:
            code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def run_wrapper() -> int:
    """Run the wrapper as ``python -c`` would, and give its exit code."""
    code = 1
    try:
        importlib.import_module(WRAPPER).wrap_algorithm()
        code = 0
    except SystemExit as exit_:
        code = _exit_code(exit_)
    except BaseException:
        traceback.print_exc()
    # What the interpreter does at its end, without the slow dismantling of all modules.
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        code = code or 120
    return code


def _keep_only(inside: Inside) -> Connection:
    """Close all descriptors but the standard ones and the handshake."""
    for descriptor, place in ((inside.stdout, 1), (inside.stderr, 2)):
        os.dup2(descriptor, place)
    handshake = 3
    os.dup2(inside.handshake, handshake)
    linux.close_from(handshake + 1)
    return Connection(socket.socket(fileno=handshake))


def _confine(inside: Inside, orders: Mapping[str, Any]) -> None:
    # A second thread would keep the rights that are given up below.
    linux.insist_on_one_thread()
    # Else a signal to its own group would reach the supervisor.
    os.setpgid(0, 0)
    if inside.stage is not None:
        rootfs.enter(inside.stage)
    # Anew, as the one in use is a file of the host.
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    _refresh_interpreter(orders["environment"], orders["search_path"])
    os.chdir(orders["work_folder"])
    os.umask(0o022)
    isolated = inside.identity is not None
    bounds = Bounds(**orders["bounds"])
    limits.apply(bounds, inside.groundwork.baseline, count_processes=isolated)
    if inside.identity is not None:
        _give_up_rights(inside.identity)
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    # Only now: a change of user would have undone it.
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    if isolated:
        linux.install_filter(inside.groundwork.filter)


def _give_up_rights(identity: Identity) -> None:
    linux.drop_capability_bounds()
    if identity.separate:
        os.setgroups([])
        os.setresgid(identity.group, identity.group, identity.group)
        os.setresuid(identity.user, identity.user, identity.user)
    linux.drop_capabilities()
    # Else the process's own files in /proc would belong to root.
    linux.prctl(linux.PR_SET_DUMPABLE, 1)


def _refresh_interpreter(environment: Mapping[str, str], search_path: Sequence[str]) -> None:
    """Make the warm parent's interpreter look like one that has just been started."""
    for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c"]
    sys.modules["__main__"] = ModuleType("__main__")
    sys.path[:0] = search_path
    sys.dont_write_bytecode = True
    tempfile.tempdir = None
    gc.enable()


def reseed() -> None:
    """Draw new seeds for generators that would give every child the same numbers.

    In the warm parent, after each fork: the same noise in two results would give it away.
    """
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _exit_code(exit_: SystemExit) -> int:
    if exit_.code is None:
        return 0
    if isinstance(exit_.code, int):
        return exit_.code & 0xFF
    print(exit_.code, file=sys.stderr)
    return 1
