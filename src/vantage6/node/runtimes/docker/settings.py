"""What the node's owner may choose about containers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from vantage6.common.addresses import Target


@dataclass(frozen=True)
class Registry:
    """A login at a registry of images."""

    registry: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """How containers are run.

    Parameters
    ----------
    host : str, optional
        The engine's socket, as ``unix:///run/docker.sock``; by default ``DOCKER_HOST``, or where
        Docker has it.
    require_pull : bool
        Whether an image that cannot be pulled must not be run from a local copy.
    pull_always : bool
        Whether an image is pulled before each run, as the contract has it, or only when there is
        no local copy.
    registries : sequence of Registry
        Where to log in.
    user : str
        ``auto`` never runs an algorithm as root; ``image`` leaves it to the image; otherwise
        a numeric ``user:group``.
    read_only : bool
        Whether the image's own file system cannot be written to.
    cpus : float, optional
        Processors that one run may use.
    gpu : bool
        Whether algorithms see the machine's graphics processors.
    services : mapping of str to str
        Alias → name of a container that algorithms can reach.
    doors : collection of (str, int)
        Hosts and ports that some runs reach by name; each run says which.
    """

    host: str | None = None
    require_pull: bool = True
    pull_always: bool = True
    registries: Sequence[Registry] = ()
    user: str = "auto"
    read_only: bool = True
    cpus: float | None = None
    gpu: bool = False
    services: Mapping[str, str] = field(default_factory=dict)
    doors: Collection[Target] = ()
