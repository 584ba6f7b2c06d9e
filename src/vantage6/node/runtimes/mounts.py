"""Databases as files: where they lie, and where a container shows them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vantage6.node.runtimes.base import Mount, StartFailed
from vantage6.node.runtimes.sandbox.places import check_place
from vantage6.node.runtimes.sandbox.request import SandboxError
from vantage6.node.runtimes.sandbox.software import is_within


def checked(mounts: Sequence[Mount], inner: str) -> list[tuple[Path, Mount]]:
    """Each database with where it really lies.

    Parameters
    ----------
    mounts : sequence of Mount
        What a run is to see.
    inner : str
        Where the run's own files are in the algorithm.

    Raises
    ------
    StartFailed
        If one is missing, or its place is taken.
    """
    places = [mount.target for mount in mounts]
    found = []
    for mount in mounts:
        try:
            check_place(mount.target, inner)
        except SandboxError as error:
            raise StartFailed(str(error)) from error
        if any(is_within(mount.target, other) for other in places if other != mount.target):
            raise StartFailed(
                f"{mount.target} cannot be made in the algorithm's file system. Two databases "
                "may not have the same place or lie within each other"
            )
        source = mount.source.resolve()
        if not (source.is_file() or source.is_dir()):
            raise StartFailed(f"The database {mount.source.name} is missing")
        found.append((source, mount))
    return found
