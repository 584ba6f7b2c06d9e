"""A place to run one algorithm, and the process that waits in it.

It is made before it is known for which run, so that a run can begin at once; then furnished with
the run's own files.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict

from . import linux, rootfs
from .doors import hosts_file
from .folder import OUTPUT, RunFolder
from .groundwork import Groundwork
from .identity import Identity, UserLease, become_mapped_user
from .inside import Inside, become_algorithm
from .messages import PROXY_PORT, Connection
from .places import check_place
from .request import MountRequest, Request, SandboxError
from .software import NEVER_SHOWN, module_paths, narrow

_NAMESPACES = (
    linux.CLONE_NEWNS
    | linux.CLONE_NEWNET
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWCGROUP
    | linux.CLONE_NEWPID
)
_BACKLOG = 128
_HOME = "/tmp"  # noqa: S108 (the algorithm's own)
#: Threads of numerical libraries; they read these when they are loaded, in the warm parent.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Cell:
    """Namespaces, user, network, the beginnings of a file system; and a process that waits.

    Turns the calling process into the supervisor of that process.

    Parameters
    ----------
    groundwork : Groundwork
        What the warm parent knows.
    work : callable
        What the process shall do when it is let go; gives its exit code.

    Attributes
    ----------
    listener : socket.socket or None
        Listens in the cell's network.
    doors : list of socket.socket
        Listen there too, in the order of the request's doors, once it is furnished.
    pid : int
        The waiting process.
    stdout, stderr : int
        What it writes, to be read.
    host_proc : int
        The machine's own ``/proc``, opened before it went out of sight.

    Raises
    ------
    SandboxError, OSError
        If the kernel refuses.
    """

    def __init__(self, groundwork: Groundwork, work: Callable[[], int]) -> None:
        self._groundwork = groundwork
        self._lease: UserLease | None = None
        self._identity: Identity | None = None
        self._stage: str | None = None
        self.listener: socket.socket | None = None
        self.doors: list[socket.socket] = []
        self.host_proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if groundwork.isolated:
            self._isolate(groundwork.software)
        else:
            # What an algorithm leaves behind becomes ours to end.
            linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        self._fork(work)

    @property
    def isolated(self) -> bool:
        """Whether there is a sandbox."""
        return self._groundwork.isolated

    def furnish(self, request: Request, folder: RunFolder, output: int) -> None:
        """Bring in what belongs to the run, and have the process give up its rights.

        Raises
        ------
        SandboxError
            If something the run asks for cannot be given.
        OSError
            If the kernel refuses.
        """
        home = _HOME
        if self._stage is None or self._identity is None:
            home = request.scratch_folder
            os.makedirs(home, mode=0o700, exist_ok=True)
        else:
            mounts = tuple(_checked(mount, request) for mount in request.mounts)
            packages = narrow(
                [*request.search_path, *module_paths(request.module, request.search_path)],
                shown=self._groundwork.software,
            )
            if self._lease is not None:
                folder.hand_over(output, self._identity.user, self._identity.group)
            own = tuple(
                MountRequest(f"{folder.path}/{name}", f"{request.inner_folder}/{name}", writable)
                for name, writable in (*((name, False) for name in folder.given()), (OUTPUT, True))
            )
            hidden = (*request.hidden, *NEVER_SHOWN, os.path.dirname(folder.path))
            view = rootfs.View(
                identity=self._identity,
                software=self._groundwork.software,
                packages=tuple(packages),
                hidden=hidden,
                own=own,
                mounts=mounts,
                scratch_size=request.bounds.scratch_size,
                hosts=hosts_file(request.doors),
            )
            rootfs.furnish(self._stage, view)
            self.doors = [_listen(door.address, door.port) for door in request.doors]
        self._handshake.send(
            {
                "bounds": asdict(request.bounds),
                "environment": {**_environment(home), **request.environment},
                "search_path": request.search_path,
                "work_folder": home,
            }
        )
        answer = self._handshake.receive()
        if answer is None:
            raise SandboxError("The algorithm's process died before it could begin")
        if answer["event"] != "ready":
            raise OSError(answer["errno"], answer["text"])

    def rehearse(self) -> None:
        """Have the process get ready for the first things it will do, while nobody waits.

        What it will write to, it then has its own copy of.
        """
        self._handshake.send({"event": "rehearse"})

    def begin(self) -> None:
        """Let the algorithm start."""
        self._handshake.send({"event": "go"})
        self._handshake.close()

    def end(self) -> None:
        """Kill the process, before it has begun; do nothing if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _isolate(self, software: tuple[str, ...]) -> None:
        if os.geteuid() == 0:
            # While still in the machine's network, where the names of leases live.
            self._lease = UserLease.take()
            self._identity = Identity(self._lease.user, self._lease.user, separate=True)
        else:
            self._identity = become_mapped_user()
        linux.unshare(_NAMESPACES)
        # Of the host's, only this would be left to see.
        socket.sethostname("algorithm")
        linux.raise_loopback()
        # The node accepts on this socket from where it is, so nothing has to lead out.
        self.listener = _listen("127.0.0.1", PROXY_PORT)
        self._stage = rootfs.begin(self._identity, software)

    def _fork(self, work: Callable[[], int]) -> None:
        ours, theirs = socket.socketpair()
        self.stdout, out_write = os.pipe()
        self.stderr, err_write = os.pipe()
        inside = Inside(
            identity=self._identity,
            stage=self._stage,
            stdout=out_write,
            stderr=err_write,
            handshake=theirs.fileno(),
            groundwork=self._groundwork,
        )
        self.pid = os.fork()
        if self.pid == 0:
            become_algorithm(inside, work)
        for descriptor in (out_write, err_write):
            os.close(descriptor)
        theirs.close()
        self._handshake = Connection(ours)
        # If memory runs out on the machine, the kernel shall take the algorithm first.
        with contextlib.suppress(ProcessLookupError):
            linux.write_file(f"{self.pid}/oom_score_adj", "1000", folder=self.host_proc)


def _listen(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((address, port))
    listener.listen(_BACKLOG)
    return listener


def _checked(mount: MountRequest, request: Request) -> MountRequest:
    check_place(mount.target, request.inner_folder)
    return mount


def _environment(home: str) -> dict[str, str]:
    """What an image would have set."""
    return {
        "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": home,
        "TMPDIR": home,
        **{name: os.environ[name] for name in _THREADS if name in os.environ},
    }
