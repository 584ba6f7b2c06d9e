"""What a supervisor is asked to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .doors import Door


class SandboxError(Exception):
    """The run cannot start; the message says why and what to do."""


@dataclass(frozen=True)
class Bounds:
    """What the run may use: bytes and seconds, as in the node's ``Limits``."""

    memory: int
    cpu_time: int
    wall_time: int
    processes: int
    open_files: int
    output_size: int
    scratch_size: int
    log_size: int


@dataclass(frozen=True)
class MountRequest:
    """A file or folder of the host and where the algorithm sees it."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Request:
    """One run. ``environment`` is encoded already; ``doors`` are for an isolated run only."""

    run_id: int
    folder: str
    module: str
    search_path: tuple[str, ...]
    mounts: tuple[MountRequest, ...]
    hidden: tuple[str, ...]
    environment: Mapping[str, str]
    bounds: Bounds
    doors: tuple[Door, ...] = ()

    @property
    def inner_folder(self) -> str:
        """Where the algorithm sees the run's folder."""
        return f"/mnt/data/task-{self.run_id:09d}"

    @property
    def scratch_folder(self) -> str:
        """Where temporary files go on the host, without a sandbox."""
        return f"{self.folder}/scratch"

    def to_json(self) -> dict[str, Any]:
        """The request as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        """Read what :meth:`to_json` wrote."""
        values = dict(data)
        values["bounds"] = Bounds(**values["bounds"])
        values["mounts"] = tuple(MountRequest(**mount) for mount in values["mounts"])
        values["doors"] = tuple(Door(**door) for door in values["doors"])
        for name in ("search_path", "hidden"):
            values[name] = tuple(values[name])
        return cls(**values)
