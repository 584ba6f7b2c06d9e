"""Runs registered algorithm packages as sandboxed processes, from a warm parent.

See ``docs/security/process-sandbox.md`` for what is isolated, and what is not.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from vantage6.node.runtimes.base import (
    Execution,
    RunSpec,
    RuntimeUnavailable,
    StartFailed,
    UnknownImage,
)
from vantage6.node.runtimes.encoding import PACKAGE_VARIABLE, encoded, validated
from vantage6.node.runtimes.process_execution import (
    NoSupervisor,
    ProcessExecution,
    listen_on_loopback,
)
from vantage6.node.runtimes.sandbox.doors import lay
from vantage6.node.runtimes.sandbox.messages import PROXY_PORT
from vantage6.node.runtimes.sandbox.request import Bounds, MountRequest, Request
from vantage6.node.runtimes.warm_parent import WarmParent, sandbox_available

__all__ = ["DEFAULT_PRELOAD", "ProcessRuntime", "Registration", "sandbox_available"]

_log = logging.getLogger(__name__)

DEFAULT_PRELOAD = (
    "numpy",
    "pandas",
    "pyarrow",
    "pyarrow.parquet",
    "vantage6.algorithm.client",
    "vantage6.algorithm.tools.decorators",
)
_ATTEMPTS = 2
_TEMPORARY_FOLDER = "/mnt/tmp"
#: The contract's variables that hold a path.
_OF_FILES = frozenset({"INPUT_FILE", "OUTPUT_FILE", "TOKEN_FILE", "TEMPORARY_FOLDER"})
_OF_DATABASES = "_DATABASE_URI"


@dataclass(frozen=True)
class Registration:
    """What an image name stands for.

    Parameters
    ----------
    module : str
        The algorithm's Python package, as an image's ``PKG_NAME`` would name it.
    python : pathlib.Path, optional
        Interpreter of the virtual environment it is installed in; by default the node's own.
    path : pathlib.Path, optional
        Folder that contains the package, when it is not installed.
    """

    module: str
    python: Path | None = None
    path: Path | None = None


class ProcessRuntime:
    """Runs algorithms as processes of this machine.

    Parameters
    ----------
    algorithms : mapping of str to Registration
        The images that can be run. A name without tag stands for ``latest`` as well.
    preload : sequence of str
        Modules imported once, ahead of all runs; never an algorithm's own.
    sandbox : {"required", "none"}
        ``"none"`` runs algorithms with all the rights of the node.
    interpreter : pathlib.Path, optional
        Runs what is registered without a ``python``; by default the one running this.
    hidden : sequence of pathlib.Path
        Files and folders no algorithm may see even if they lie among the machine's software:
        the node's configuration, state, keys, databases. (A run's own databases and folder
        show at their places all the same.)
    threads : int
        Threads of numerical libraries in each algorithm.
    standby : bool
        Whether cells are kept ready for the next runs of each interpreter.
    """

    name = "process"

    def __init__(
        self,
        algorithms: Mapping[str, Registration],
        *,
        preload: Sequence[str] = DEFAULT_PRELOAD,
        sandbox: Literal["required", "none"] = "required",
        interpreter: Path | None = None,
        hidden: Sequence[Path] = (),
        threads: int = 1,
        standby: bool = True,
    ) -> None:
        self._standby = standby
        self._algorithms = {_canonical(image): entry for image, entry in algorithms.items()}
        self._isolated = sandbox != "none"
        self._interpreter = interpreter or Path(sys.executable)
        self._hidden = tuple(str(path) for path in hidden)
        self._executions: set[ProcessExecution] = set()
        self._listeners: dict[int, socket.socket] = {}
        pythons = {self._python(entry) for entry in algorithms.values()} | {self._interpreter}
        self._parents = {
            python: WarmParent(python, preload, threads=threads, isolated=self._isolated)
            for python in pythons
        }

    async def open(self) -> None:
        """Start the warm parents, and try the sandbox.

        Raises
        ------
        RuntimeUnavailable
            If an interpreter does not start, or the sandbox is required and cannot be made.
        """
        checks = [asyncio.to_thread(self._problem, python) for python in self._parents]
        starts = [parent.open() for parent in self._parents.values()]
        outcomes = await asyncio.gather(*checks, *starts, return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                await self.close()
                if isinstance(outcome, BaseException):
                    raise outcome
                raise RuntimeUnavailable(outcome)
        if self._standby:
            for parent in self._parents.values():
                parent.prepare_spares_soon()
        if not self._isolated:
            _log.warning(
                "Algorithms run WITHOUT A SANDBOX (process.sandbox is none): they can read and "
                "change whatever this node can"
            )

    async def close(self) -> None:
        """Kill whatever still runs and leave nothing behind.

        The runs have no end on record: a node that starts again runs them anew.
        """
        await asyncio.gather(*(execution.abandon() for execution in tuple(self._executions)))
        await asyncio.gather(*(parent.close() for parent in self._parents.values()))
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()

    def proxy_address(self, spec: RunSpec) -> tuple[str, int]:
        """Host URL (with scheme) and port under which an algorithm reaches the proxy.

        Without a sandbox this reserves a port for the run; :meth:`start` uses it.
        """
        if self._isolated:
            return "http://127.0.0.1", PROXY_PORT
        listener = self._listeners.get(spec.run_id)
        if listener is None:
            listener = self._listeners[spec.run_id] = listen_on_loopback()
        return "http://127.0.0.1", int(listener.getsockname()[1])

    async def start(self, spec: RunSpec) -> Execution:
        """Start a run; returns when the algorithm is being executed.

        Raises
        ------
        UnknownImage
            If no algorithm is registered for the image.
        StartFailed
            If the sandbox could not be made for it; nothing was executed.
        """
        entry = self._find(spec.image)
        request = self._request(spec, entry)
        parent = self._parents[self._python(entry)]
        spare = parent.take_spare()
        try:
            if spare is not None:
                try:
                    return await self._attempt(spec, request, spare)
                except (NoSupervisor, StartFailed) as problem:
                    # It may have died, or not know of a disk that came later.
                    _log.debug("Run %s does without what was prepared: %s", spec.run_id, problem)
            for _ in range(_ATTEMPTS):
                try:
                    return await self._attempt(spec, request, await parent.connect())
                except NoSupervisor:
                    _log.warning("Run %s lost its supervisor at once; trying again", spec.run_id)
        except RuntimeUnavailable as error:
            raise StartFailed(str(error)) from error
        finally:
            if self._standby:
                parent.prepare_spares_soon()
        raise StartFailed(f"Supervisors of algorithms die before they can start {spec.image}")

    async def _attempt(
        self, spec: RunSpec, request: Request, connection: socket.socket
    ) -> ProcessExecution:
        execution = ProcessExecution(
            spec.run_id,
            spec.folder,
            connection,
            self._listeners.get(spec.run_id),
            self._executions.discard,
            [door.target for door in request.doors],
        )
        self._executions.add(execution)
        try:
            await execution.prepare(request.to_json())
        except BaseException:
            execution.let_go()
            if self._isolated and execution.proxy_socket is not None:
                execution.proxy_socket.close()
            for door in execution.doors.values():
                door.close()
            raise
        # From here on the listener belongs to whoever serves on it.
        self._listeners.pop(spec.run_id, None)
        execution.begin()
        return execution

    async def running(self) -> AsyncIterator[Execution]:
        """Nothing: algorithms end with the node that started them."""
        nothing: tuple[Execution, ...] = ()
        for execution in nothing:
            yield execution

    def _problem(self, python: Path) -> str | None:
        return sandbox_available(python) if self._isolated else None

    def _python(self, entry: Registration) -> Path:
        return entry.python or self._interpreter

    def _find(self, image: str) -> Registration:
        entry = self._algorithms.get(_canonical(image))
        if entry is None:
            known = ", ".join(sorted(self._algorithms)) or "none"
            raise UnknownImage(
                f"This node has no algorithm for the image {image}. Its algorithms are: {known}"
            )
        return entry

    def _request(self, spec: RunSpec, entry: Registration) -> Request:
        folder = spec.folder.resolve()
        mounts = tuple(
            MountRequest(str(mount.source.absolute()), mount.target, mount.writable)
            for mount in spec.mounts
        )
        request = Request(
            run_id=spec.run_id,
            folder=str(folder),
            module=entry.module,
            search_path=(str(entry.path.absolute()),) if entry.path else (),
            mounts=mounts,
            hidden=self._hidden,
            environment={},
            bounds=Bounds(**asdict(spec.limits)),
            # Without a network of its own, a name would mean the same to the whole machine.
            doors=lay(spec.doors) if self._isolated else (),
        )
        values = validated(spec.environment)
        if not self._isolated:
            values = _with_host_paths(values, request)
        return replace(request, environment={**encoded(values), PACKAGE_VARIABLE: entry.module})


def _canonical(image: str) -> str:
    """The name without a tag that says no more than its absence; digests stay."""
    name, colon, tag = image.rpartition(":")
    if colon and tag == "latest" and "@" not in image:
        return name
    return image


def _with_host_paths(values: Mapping[str, str], request: Request) -> dict[str, str]:
    """Without a file system of its own an algorithm needs the host's names of its files.

    Only what holds a path is changed, never what merely mentions one, as a query may.
    """
    places = {mount.target: mount.source for mount in request.mounts}
    places[request.inner_folder] = request.folder
    places[_TEMPORARY_FOLDER] = request.scratch_folder
    longest_first = sorted(places, key=len, reverse=True)
    # The address of a file may begin with a scheme: three slashes, or two and the path's own.
    pattern = re.compile(
        f"((?:[a-z0-9+.-]+:///?)?)({'|'.join(map(re.escape, longest_first))})(?=/|$)"
    )
    return {
        name: pattern.sub(lambda match: match[1] + places[match[2]], value, count=1)
        if (name in _OF_FILES or name.endswith(_OF_DATABASES)) and pattern.match(value)
        else value
        for name, value in values.items()
    }
