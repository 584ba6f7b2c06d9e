"""The container of an algorithm: its name, labels, files, user, and bounds."""

from __future__ import annotations

import json
import math
import os
import re
import resource
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

from vantage6.node.runtimes import base, files
from vantage6.node.runtimes.base import Limits, RunSpec, StartFailed
from vantage6.node.runtimes.docker.engine import Engine, container_options
from vantage6.node.runtimes.docker.settings import Settings
from vantage6.node.runtimes.encoding import encoded
from vantage6.node.runtimes.mounts import checked
from vantage6.node.runtimes.sandbox.doors import Door
from vantage6.node.runtimes.sandbox.folder import OUTPUT

TYPE = "vantage6-type"
ALGORITHM, HELPER = "algorithm", "algorithm-helper"
_FOLDER, _LIMITS, _DOORS = "vantage6-folder", "vantage6-limits", "vantage6-doors"
_NOBODY = 65534
# In memory, all three together: `scratch_size`. Half of it is where the contract says.
_SCRATCH = {"/mnt/tmp": 0.5, "/tmp": 0.25, "/dev/shm": 0.25}  # noqa: S108 (the algorithm's own)
_FILES_PER_BYTE = 1 / 16384
_FEWEST_FILES = 1024
#: What works without a home of one's own; in plain text, as an image would set them.
_PLAIN = {"HOME": "/tmp", "TMPDIR": "/mnt/tmp"}  # noqa: S108


def prefix(node: str) -> str:
    """How the names of a node's containers begin."""
    return f"vantage6-{re.sub(r'[^a-zA-Z0-9_.-]', '-', node)}"


def name_of(node: str, run_id: int) -> str:
    """Name of a run's container."""
    return f"{prefix(node)}-run-{run_id}"


def node_label(node: str) -> dict[str, str]:
    """Label of all of a node's containers."""
    return {"node": node}


def labels(node: str, spec: RunSpec, doors: Sequence[Door]) -> dict[str, str]:
    """Labels by which a run is found again, with what is needed to go on with it."""
    return {
        **node_label(node),
        TYPE: ALGORITHM,
        "run_id": str(spec.run_id),
        _FOLDER: str(spec.folder.absolute()),
        _LIMITS: json.dumps(asdict(spec.limits)),
        _DOORS: json.dumps([asdict(door) for door in doors]),
    }


def from_labels(found: Mapping[str, str]) -> tuple[int, Path, Limits, list[Door]]:
    """Run id, folder, limits and doors that :func:`labels` wrote.

    Raises
    ------
    ValueError, KeyError, TypeError
        If they are not all there.
    """
    # A container that an earlier version started has no doors.
    doors = [Door(**each) for each in json.loads(found.get(_DOORS, "[]"))]
    limits = Limits(**json.loads(found[_LIMITS]))
    return int(found["run_id"]), Path(found[_FOLDER]), limits, doors


def options(
    engine: Engine,
    settings: Settings,
    node: str,
    spec: RunSpec,
    *,
    image: str,
    given: Sequence[str],
    doors: Sequence[Door],
) -> dict[str, Any]:
    """Arguments of the engine's call that makes the container; its network is none so far.

    Its hosts are to be written before it starts.

    Raises
    ------
    StartFailed
        If a database or a variable cannot be shown to the algorithm.
    """
    limits, inner = spec.limits, f"/mnt/data/task-{spec.run_id:09d}"
    sources = checked(spec.mounts, inner)
    user = _user(settings, engine, [source for source, _ in sources])
    _check_readable(sources, user)
    mounts = [_bind(source, mount.target, not mount.writable) for source, mount in sources]
    mounts += [_bind(spec.folder.absolute() / name, f"{inner}/{name}", True) for name in given]
    mounts.append(_bind(spec.folder.absolute() / OUTPUT, f"{inner}/{OUTPUT}", False))
    mounts.append(_bind(spec.folder.absolute() / files.HOSTS, "/etc/hosts", True))
    scratch = {place: int(limits.scratch_size * share) for place, share in _SCRATCH.items()}
    host = container_options(
        engine,
        "none",
        mounts=mounts,
        read_only=settings.read_only,
        tmpfs={place: _tmpfs(size, engine) for place, size in scratch.items()} | _covers(engine),
        # What is in memory as scratch comes on top of what the algorithm may use.
        mem_limit=limits.memory + limits.scratch_size,
        memswap_limit=limits.memory + limits.scratch_size,
        pids_limit=limits.processes,
        ulimits=_ulimits(limits),
        log_config=LogConfig(
            type=LogConfig.types.JSON,
            config={"max-size": str(2 * limits.log_size), "max-file": "1"},
        ),
        nano_cpus=None if settings.cpus is None else int(settings.cpus * 1e9),
        device_requests=_graphics() if settings.gpu else None,
    )
    environment = {**_PLAIN, **encoded(spec.environment)}
    return {
        "image": image,
        "name": name_of(node, spec.run_id),
        "labels": labels(node, spec, doors),
        "environment": environment,
        "user": user,
        # Another name than the image's would be one more thing that differs between runs.
        "hostname": None,
        "host_config": host,
    }


def _user(settings: Settings, engine: Engine, sources: Sequence[Path]) -> str | None:
    """Who the algorithm is: never root, unless the node's owner leaves it to the image."""
    if settings.user == "image":
        return None
    if settings.user != "auto":
        return settings.user
    uid, gid = os.geteuid(), os.getegid()
    if engine.rootless and not engine.podman:
        return f"{_NOBODY}:{_NOBODY}"
    if uid == 0:
        # Whoever the data belong to may read them; nothing else of theirs is there.
        owners = [source.stat() for source in sources]
        owner = next((each for each in owners if each.st_uid and each.st_gid), None)
        uid, gid = (owner.st_uid, owner.st_gid) if owner else (_NOBODY, _NOBODY)
    return f"{uid}:{gid}"


def _check_readable(sources: Sequence[tuple[Path, base.Mount]], user: str | None) -> None:
    if user is None:
        return
    uid, _, gid = user.partition(":")
    for source, mount in sources:
        status = source.stat()
        bits = status.st_mode & (stat.S_IROTH)
        if str(status.st_uid) == uid:
            bits = status.st_mode & stat.S_IRUSR
        elif str(status.st_gid) == gid:
            bits = status.st_mode & stat.S_IRGRP
        if not bits:
            raise StartFailed(
                f"The database at {mount.target} cannot be read by the user that algorithms are "
                f"run as ({user}); let it be read by that user, or set docker.user"
            )


def _bind(source: Path, target: str, read_only: bool) -> Mount:
    mount = Mount(target, str(source), type="bind", read_only=read_only, propagation="rprivate")
    if read_only:
        # Read-only does not hold for file systems that are mounted further below.
        mount["BindOptions"]["NonRecursive"] = True
    return mount


def _covers(engine: Engine) -> dict[str, str]:
    """What is laid over what the engine shows and must not.

    Rootless Podman shows the machine's control groups, and lets those of the node's user be
    written, who the algorithm is outside.
    """
    if not (engine.podman and engine.rootless):
        return {}
    return {"/sys/fs/cgroup": "ro,noexec,nosuid,nodev,mode=555,size=4096,notmpcopyup"}


def _tmpfs(size: int, engine: Engine) -> str:
    options = f"rw,exec,nosuid,nodev,mode=1777,size={max(size, 4096)}"
    if engine.podman:
        return options  # it knows no bound for the number of files; their memory is bounded
    files = max(_FEWEST_FILES, math.ceil(size * _FILES_PER_BYTE))
    return f"{options},nr_inodes={files}"


def _ulimits(limits: Limits) -> list[Ulimit]:
    # One over the limit tells a result that is too large from one that just fits.
    largest = max(limits.output_size, limits.scratch_size) + 1
    return [
        Ulimit(name="nofile", soft=limits.open_files, hard=limits.open_files),
        Ulimit(name="fsize", soft=largest, hard=largest),
        Ulimit(name="cpu", soft=limits.cpu_time, hard=limits.cpu_time + 1),
        # A kernel that pipes cores to a program heeds no limit but 1, which forbids files too.
        Ulimit(name="core", soft=1, hard=1),
    ]


def bound_afterwards(container: str, pid: int, limits: Limits) -> bool:
    """Bound what has just started, where the engine does not heed the bounds of its call.

    Parameters
    ----------
    container : str
        The engine's id of it.
    pid : int
        Its first process; what that has started before is not bounded.

    Returns
    -------
    bool
        False if it is not this user's, or cannot be seen from here.
    """
    try:
        if container not in Path(f"/proc/{pid}/cgroup").read_text():
            return False  # a number from another namespace: somebody else's process
        for each in _ulimits(limits):
            kind = getattr(resource, f"RLIMIT_{each.name.upper()}")
            resource.prlimit(pid, kind, (each.soft, each.hard))
    except (FileNotFoundError, ProcessLookupError):
        return pid == 0 or not Path(f"/proc/{pid}").exists()  # it has ended
    except PermissionError:
        return False
    return True


def _graphics() -> list[DeviceRequest]:
    return [DeviceRequest(count=-1, capabilities=[["gpu"]])]
