"""What the node's owner may choose about Jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Volume:
    """A folder of the node that lies on a volume claim; ``sub_path`` is where on the claim."""

    path: Path
    claim: str
    sub_path: str = ""


@dataclass(frozen=True)
class Settings:
    """How Jobs are run.

    Parameters
    ----------
    claim : str
        Volume claim on which the node's folder of runs lies.
    claim_path : str
        Where on the claim that folder is.
    volumes : sequence of Volume
        Folders in which databases may lie.
    databases : sequence of pathlib.Path
        Files and folders that runs may ask for: each must lie in one of `volumes`.
    api : str, optional
        Address of the cluster's API; by default what a pod's environment says.
    namespace, token_file, ca_file : optional
        By default what a pod's service account says.
    service : str
        Service under whose address algorithms reach the node.
    proxy_port : int
        Port of the node's pod on which it serves them.
    user, group : int
        Who algorithms are; never 0.
    cpus : float
        Processors that one run may use.
    gpu : bool
        Whether a run gets one graphics processor.
    pull_always : bool
        Whether an image is asked for at its registry before each run.
    image_pull_secrets : sequence of str
        Secrets with logins at registries.
    node_selector : mapping of str to str
        Labels of the machines that runs may be on.
    start_time : int
        Seconds until a run that the cluster has not started has failed to start.
    keep_finished : int
        Seconds that the cluster keeps a Job that ended while the node was away.
    """

    claim: str
    claim_path: str = "runs"
    volumes: Sequence[Volume] = ()
    databases: Sequence[Path] = ()
    api: str | None = None
    namespace: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    service: str = "vantage6-node"
    proxy_port: int = 8080
    user: int = 65534
    group: int = 65534
    cpus: float = 1.0
    gpu: bool = False
    pull_always: bool = True
    image_pull_secrets: Sequence[str] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    start_time: int = 1800
    keep_finished: int = 7 * 86400
