"""The container engine: its calls, in threads, and its refusals in words."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import docker
import requests
from docker.errors import APIError, DockerException
from docker.types import Ulimit

from vantage6.node.runtimes.base import RuntimeUnavailable
from vantage6.node.runtimes.docker import kernel_calls

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_HOST = "unix:///var/run/docker.sock"
#: Seconds until an engine that does not answer a question, or an order to kill, counts as away.
#: What a healthy one answers in milliseconds takes seconds on a machine that is out of breath.
_ANSWER_SECONDS = 20
_MOST_WORDS = 300
#: Of one user in all containers; what one run may start is bounded otherwise.
_MOST_PROCESSES = 32768

#: What a call raises when the engine cannot be reached.
Unreachable = (requests.exceptions.RequestException, DockerException)


class Engine:
    """A container engine.

    Parameters
    ----------
    host : str, optional
        Its socket; by default ``DOCKER_HOST``, or where Docker has it.
    folder : pathlib.Path
        The node's own, which the engine sees under the same path.

    Attributes
    ----------
    api : docker.APIClient
        Its calls that are answered soon: questions, and orders to kill. A limit of time holds.
    patient : docker.APIClient
        Its calls that may take long and must not be given up half-way: what makes, starts and
        removes. They end when the engine answers, or ends. Whoever waits decides how long, and
        sees to what comes of them later.
    kernel_calls : str
        Option by which a container gets the filter of kernel calls. Known once it is open.
    rootless : bool
        Whether it runs as an ordinary user.
    podman : bool
        Whether it is Podman.
    """

    def __init__(self, host: str | None, folder: Path) -> None:
        self.host = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        self._folder = folder
        self.kernel_calls = ""
        self.rootless = False
        self.podman = False
        self._clients: tuple[docker.APIClient, docker.APIClient] | None = None

    @property
    def api(self) -> docker.APIClient:
        """The engine's calls that are answered soon."""
        return self._opened()[0]

    @property
    def patient(self) -> docker.APIClient:
        """The engine's calls that may take long."""
        return self._opened()[1]

    def _opened(self) -> tuple[docker.APIClient, docker.APIClient]:
        if self._clients is None:
            raise RuntimeUnavailable("The container engine has not been opened")
        return self._clients

    async def open(self) -> None:
        """Connect.

        Raises
        ------
        RuntimeUnavailable
            If there is no engine, or it cannot keep the limits of runs.
        """
        try:
            self._clients = await self.call(self._connect)
            info = await self.call(self.api.info)
            version = await self.call(self.api.version)
        except Unreachable as error:
            self.close()
            if is_silent(error):
                raise RuntimeUnavailable(
                    f"The container engine at {self.host} does not answer within {_ANSWER_SECONDS} "
                    "seconds: it hangs, or the machine is overloaded. Restart the engine; its log "
                    "may say why"
                ) from error
            raise RuntimeUnavailable(
                f"The container engine at {self.host} cannot be used: {error}. Start it, let this "
                "user use its socket, or set docker.host"
            ) from error
        components = version.get("Components") or ()
        self.podman = any("podman" in str(each.get("Name", "")).lower() for each in components)
        problem = self._problem(info)
        if problem:
            self.close()
            raise RuntimeUnavailable(f"The container engine at {self.host} {problem}")
        try:
            self.kernel_calls = kernel_calls.security_option(self._folder, podman=self.podman)
        except OSError as error:
            self.close()
            raise RuntimeUnavailable(
                f"The node's folder {self._folder} cannot be used: {error}"
            ) from error

    def _problem(self, info: Mapping[str, Any]) -> str:
        """What keeps this engine from isolating and limiting runs, or nothing."""
        options = info.get("SecurityOptions") or ()
        # Docker tells by an option, Podman by a key of its own.
        self.rootless = bool(info.get("Rootless")) or any("rootless" in each for each in options)
        lacking = [
            name
            for name, key in (("memory", "MemoryLimit"), ("processes", "PidsLimit"))
            if not info.get(key)
        ]
        if lacking or (self.rootless and str(info.get("CgroupVersion")) == "1"):
            return (
                f"cannot limit the {' and '.join(lacking) or 'memory and processes'} of "
                "containers; it needs control groups (version 2 for an engine without root rights)"
            )
        if self.rootless and info.get("CgroupDriver") != "systemd":
            # Podman says that it has limits, takes them, and sets none.
            return (
                "cannot limit the memory and processes of containers: without root rights it gets "
                f"control groups from systemd only, and it uses {info.get('CgroupDriver')}. Let "
                "the user's systemd start it (loginctl enable-linger USER; systemctl --user enable "
                "--now podman.socket; on Debian with the package dbus-user-session)"
            )
        if not any("seccomp" in option for option in options):
            return "has no seccomp filter for kernel calls"
        if info.get("Architecture") not in kernel_calls.MACHINES:
            known = ", ".join(sorted(kernel_calls.MACHINES))
            return (
                f"runs on a machine ({info.get('Architecture')}) whose kernel calls cannot be "
                f"filtered; it can be one of {known}"
            )
        return ""

    def close(self) -> None:
        """Disconnect."""
        clients, self._clients = self._clients, None
        for client in clients or ():
            client.close()

    async def call(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make one of the engine's calls without holding up the event loop, or the node's end.

        In a thread of its own: calls that an engine which hangs does not answer are in nobody's
        way.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: Exception | None) -> None:
            if answer.done():
                return
            if error is None:
                answer.set_result(cast(T, result))
            else:
                answer.set_exception(error)

        def work() -> None:
            result: T | None = None
            problem: Exception | None = None
            try:
                result = action(*args, **kwargs)
            except Exception as error:
                problem = error
            with contextlib.suppress(RuntimeError):  # the loop has ended with the node
                loop.call_soon_threadsafe(settle, result, problem)

        threading.Thread(target=work, name="engine", daemon=True).start()
        return await answer

    def _connect(self) -> tuple[docker.APIClient, docker.APIClient]:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_ANSWER_SECONDS)
            try:
                # The library would leave its own socket open when there is nobody.
                probe.connect(self.host.removeprefix("unix://"))
            except OSError as error:
                raise DockerException(error.strerror or str(error)) from error
        quick = docker.APIClient(base_url=self.host, version="auto", timeout=_ANSWER_SECONDS)
        version = quick.api_version
        return quick, docker.APIClient(base_url=self.host, version=version, timeout=None)


def words(error: Exception) -> str:
    """What the engine says about a failure, on one line without addresses of its own."""
    if is_silent(error):
        return "the container engine does not answer"
    text = str(error.explanation if isinstance(error, APIError) else error)
    text = re.sub(r"\s+", " ", text).strip()
    # Everything before is the way the refusal took through the engine's parts.
    text = re.sub(r"^.*(?:OCI runtime create failed|runc create failed): ", "", text)
    return text[-_MOST_WORDS:].rstrip(".")


def is_gone(error: Exception) -> bool:
    """Whether a call failed because what it was about is not there (any more)."""
    return isinstance(error, APIError) and error.response is not None and error.status_code == 404


def is_away(error: BaseException | None) -> bool:
    """Whether a call failed because there is no engine just now, or one that says nothing."""
    return isinstance(
        error,
        requests.exceptions.ConnectionError
        | requests.exceptions.Timeout
        | requests.exceptions.ChunkedEncodingError,
    )


def is_silent(error: BaseException | None) -> bool:
    """Whether a call failed because the engine, which is there, did not answer in time."""
    while error is not None:
        if isinstance(error, requests.exceptions.Timeout | TimeoutError):
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False


def container_options(
    engine: Engine, name: str, ulimits: Sequence[Ulimit], **host: Any
) -> dict[str, Any]:
    """What every container of a node has in common: no rights at all.

    Parameters
    ----------
    engine : Engine
        Where it is to run.
    name : str
        Of its network: ``none``, or that of another container.
    ulimits : sequence of Ulimit
        Bounds of each of its processes.
    **host
        Further options of the engine's host configuration.
    """
    config = engine.api.create_host_config(
        cap_drop=["ALL"],
        security_opt=["no-new-privileges", engine.kernel_calls],
        restart_policy={"Name": "no"},
        ulimits=[*ulimits, *_no_more_processes(engine)],
        **host,
    )
    join(config, name, engine)
    return dict(config)


def join(config: dict[str, Any], network: str, engine: Engine) -> None:
    """Put a container that is to be made into a network.

    Rootless Podman lets it in only if both are in the same namespace of users as well; in that,
    the node is who it is outside.
    """
    config["NetworkMode"] = network
    if engine.podman and engine.rootless:
        # Set here, for the library knows Docker's values only.
        config["UsernsMode"] = network if network.startswith("container:") else "keep-id"


def _no_more_processes(engine: Engine) -> list[Ulimit]:
    """Podman asks for more processes than some machines grant even to root."""
    if not engine.podman:
        return []
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    most = _MOST_PROCESSES if hard == resource.RLIM_INFINITY else min(hard, _MOST_PROCESSES)
    return [Ulimit(name="nproc", soft=most, hard=most)]
