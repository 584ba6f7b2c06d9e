"""The objects of a run, and those that must be there before any run: pure functions of settings.

``deploy/kubernetes/`` holds what :func:`network_policies` and :data:`RIGHTS` say, as files.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vantage6.node.runtimes.base import Limits, Mount, RunSpec, StartFailed
from vantage6.node.runtimes.encoding import encoded
from vantage6.node.runtimes.kubernetes.settings import Settings, Volume
from vantage6.node.runtimes.mounts import checked
from vantage6.node.runtimes.sandbox.folder import OUTPUT

Manifest = dict[str, Any]

TYPE, NODE, RUN = "vantage6-type", "node", "run_id"
#: Labels by which network policies tell algorithms from the node.
ALGORITHM, OWN = {TYPE: "algorithm"}, {TYPE: "node"}
_FOLDER, _LIMITS, _MARK = "vantage6-folder", "vantage6-limits", "vantage6-start"
CONTAINER = "algorithm"
#: Label of a namespace that lets in only pods without any rights.
POD_SECURITY = ("pod-security.kubernetes.io/enforce", "restricted")
#: Group, resource, name if it is one only, and verbs: what a node may do in its namespace.
RIGHTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("batch", "jobs", "", ("create", "delete", "get", "list", "patch", "watch")),
    ("", "pods", "", ("list", "watch")),
    ("", "pods/log", "", ("get",)),
    ("", "secrets", "", ("create",)),
    ("", "namespaces", "{namespace}", ("get",)),
    ("", "services", "{service}", ("get",)),
    ("", "persistentvolumeclaims", "", ("get",)),
    ("networking.k8s.io", "networkpolicies", "", ("list",)),
)
# In memory, all three together: `scratch_size`. Half of it is where the contract says.
_SCRATCH = {
    "tmp-of-run": ("/mnt/tmp", 0.5),
    "tmp": ("/tmp", 0.25),  # noqa: S108 (the algorithm's own)
    "shm": ("/dev/shm", 0.25),  # noqa: S108
}
#: What works without a home of one's own; in plain text, as an image would set them.
_PLAIN = {"HOME": "/tmp", "TMPDIR": "/mnt/tmp"}  # noqa: S108
#: Of the machine's disk: a run's log, which the cluster itself keeps short.
_DISK = 1024**3
#: Bytes that a Secret can hold, with room for its names.
_LARGEST_SECRET = 1000 * 1024
_LONGEST_NAME = 52


@dataclass(frozen=True)
class Found:
    """What a Job tells of the run it was made for."""

    run_id: int
    folder: Path
    limits: Limits


def label_of(node: str) -> str:
    """The node's name as a label can hold it."""
    return re.sub(r"[^a-zA-Z0-9_.-]", "-", node)[:63].strip("_.-") or "node"


def name_of(node: str, run_id: int) -> str:
    """Name of a run's Job."""
    end = f"-run-{run_id}"
    start = f"vantage6-{re.sub(r'[^a-z0-9-]', '-', node.lower())}"
    return start[: _LONGEST_NAME - len(end)].rstrip("-") + end


def selector(node: str) -> str:
    """What selects all Jobs and pods of a node."""
    return f"{NODE}={label_of(node)},{TYPE}={ALGORITHM[TYPE]}"


def labels(node: str, run_id: int) -> dict[str, str]:
    """Labels of a run's objects."""
    return {**ALGORITHM, NODE: label_of(node), RUN: str(run_id)}


def found(job: Mapping[str, Any]) -> Found:
    """What :func:`job` wrote into a Job to go on with it.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is not all there.
    """
    metadata = job["metadata"]
    notes = metadata["annotations"]
    limits = Limits(**json.loads(notes[_LIMITS]))
    return Found(int(metadata["labels"][RUN]), Path(notes[_FOLDER]), limits)


def is_same(there: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    """Whether an object is the very one that a start made, rather than another of its name."""
    marks = [(each["metadata"].get("annotations") or {}).get(_MARK) for each in (there, made)]
    return marks[0] is not None and marks[0] == marks[1]


def job(settings: Settings, node: str, spec: RunSpec, mark: str) -> Manifest:
    """The Job of a run: suspended, so that nothing is executed before all it needs is there.

    Parameters
    ----------
    mark : str
        Tells this start from others of the same run.

    Raises
    ------
    StartFailed
        If a database cannot be shown to the algorithm.
    """
    limits = spec.limits
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name_of(node, spec.run_id),
            "labels": labels(node, spec.run_id),
            "annotations": {
                _FOLDER: str(spec.folder.absolute()),
                _LIMITS: json.dumps(asdict(limits)),
                _MARK: mark,
            },
        },
        "spec": {
            "suspend": True,
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            # The node is more exact; this is for when it is away.
            "activeDeadlineSeconds": limits.wall_time + settings.start_time,
            "ttlSecondsAfterFinished": settings.keep_finished,
            "template": {
                "metadata": {"labels": labels(node, spec.run_id)},
                "spec": _pod(settings, node, spec, mark),
            },
        },
    }


def secret(node: str, spec: RunSpec, mark: str, owner: Mapping[str, Any]) -> Manifest:
    """The run's token and environment, which go with the Job.

    Parameters
    ----------
    owner : mapping
        The Job as the cluster has it.

    Raises
    ------
    StartFailed
        If a variable cannot be handed to the algorithm, or all together are too large.
    """
    variables = encoded(spec.environment)
    for name in variables:
        if not name.isascii():
            raise StartFailed(
                f"Environment variable {name!r} cannot be set in a cluster: not ASCII"
            )
    content = {_variable(name): value for name, value in variables.items()}
    content[_TOKEN] = (spec.folder / "token").read_text()
    if sum(len(key) + len(value) for key, value in content.items()) > _LARGEST_SECRET:
        raise StartFailed(
            "The environment of the run is too large for a cluster, which takes 1000 KiB"
        )
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret_name(node, spec.run_id, mark),
            "labels": labels(node, spec.run_id),
            "annotations": {_MARK: mark},
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": owner["metadata"]["name"],
                    "uid": owner["metadata"]["uid"],
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "type": "Opaque",
        "immutable": True,
        "stringData": content,
    }


def secret_name(node: str, run_id: int, mark: str) -> str:
    """Name of a run's Secret."""
    return f"{name_of(node, run_id)}-{mark}"


def network_policies(proxy_port: int) -> list[Manifest]:
    """What must be in the namespace: pods reach nothing, and algorithms the node's proxy."""
    return [
        _policy("vantage6-nothing", {}, ["Ingress", "Egress"]),
        _policy(
            "vantage6-algorithm",
            {"matchLabels": ALGORITHM},
            ["Ingress", "Egress"],
            egress=[
                {
                    "to": [{"podSelector": {"matchLabels": OWN}}],
                    "ports": [{"protocol": "TCP", "port": proxy_port}],
                }
            ],
        ),
    ]


def _policy(name: str, pods: Manifest, types: list[str], **rules: Any) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": pods, "policyTypes": types, **rules},
    }


def _pod(settings: Settings, node: str, spec: RunSpec, mark: str) -> Manifest:
    volumes, mounts = _volumes(settings, node, spec, mark)
    pod: Manifest = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "shareProcessNamespace": False,
        # Names are for the node's proxy to look up.
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["127.0.0.1"]},
        # Zero would make the pod vanish from the API before it has ended.
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": settings.user,
            "runAsGroup": settings.group,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(settings, node, spec, mark, mounts)],
        "volumes": volumes,
    }
    if settings.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    if settings.node_selector:
        pod["nodeSelector"] = dict(settings.node_selector)
    return pod


def _container(
    settings: Settings, node: str, spec: RunSpec, mark: str, mounts: list[Manifest]
) -> Manifest:
    name = secret_name(node, spec.run_id, mark)
    variables: list[Manifest] = [{"name": key, "value": _PLAIN[key]} for key in _PLAIN]
    for key in spec.environment:
        source = {"secretKeyRef": {"name": name, "key": _variable(key)}}
        variables.append({"name": key, "valueFrom": source})
    return {
        "name": CONTAINER,
        "image": spec.image,
        "imagePullPolicy": "Always" if settings.pull_always else "IfNotPresent",
        "env": variables,
        "resources": _resources(settings, spec.limits),
        "securityContext": {
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": mounts,
    }


def _resources(settings: Settings, limits: Limits) -> Manifest:
    amounts = {
        "cpu": f"{math.ceil(settings.cpus * 1000)}m",
        # What is in memory as scratch comes on top of what the algorithm may use.
        "memory": str(limits.memory + limits.scratch_size),
        "ephemeral-storage": str(_DISK),
    }
    if settings.gpu:
        amounts["nvidia.com/gpu"] = "1"
    return {"limits": amounts, "requests": dict(amounts)}


def _volumes(
    settings: Settings, node: str, spec: RunSpec, mark: str
) -> tuple[list[Manifest], list[Manifest]]:
    """Volumes of the pod, and where each shows in the container."""
    inner, attempt = f"/mnt/data/task-{spec.run_id:09d}", spec.folder.name
    on_claim = f"{settings.claim_path.strip('/')}/{attempt}".lstrip("/")
    token = {"secretName": secret_name(node, spec.run_id, mark), "defaultMode": 0o444}
    volumes: list[Manifest] = [
        {"name": "run", "persistentVolumeClaim": {"claimName": settings.claim}},
        {"name": "token", "secret": {**token, "items": [{"key": _TOKEN, "path": "token"}]}},
    ]
    mounts: list[Manifest] = [
        _mount("run", f"{inner}/input", f"{on_claim}/input", read_only=True),
        _mount("run", f"{inner}/{OUTPUT}", f"{on_claim}/{OUTPUT}", read_only=False),
        _mount("token", f"{inner}/token", "token", read_only=True),
    ]
    for name, (place, share) in _SCRATCH.items():
        size = max(int(spec.limits.scratch_size * share), 4096)
        volumes.append({"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": str(size)}})
        mounts.append({"name": name, "mountPath": place})
    claims: dict[str, str] = {}
    for source, mount in checked(spec.mounts, inner):
        if mount.writable:
            raise StartFailed(f"{mount.target}: a cluster shows databases read-only")
        volume, sub_path = _lies_on(settings.volumes, source, mount)
        if volume.claim not in claims:
            claims[volume.claim] = f"data-{len(claims)}"
            claim = {"claimName": volume.claim, "readOnly": True}
            volumes.append({"name": claims[volume.claim], "persistentVolumeClaim": claim})
        shown = _mount(claims[volume.claim], mount.target, sub_path, read_only=True)
        # Read-only does not hold otherwise for file systems that are mounted further below.
        mounts.append({**shown, "recursiveReadOnly": "IfPossible"})
    return volumes, mounts


def _mount(volume: str, place: str, sub_path: str, *, read_only: bool) -> Manifest:
    mount: Manifest = {"name": volume, "mountPath": place, "readOnly": read_only}
    return {**mount, "subPath": sub_path} if sub_path else mount


def _lies_on(volumes: Sequence[Volume], source: Path, mount: Mount) -> tuple[Volume, str]:
    volume = volume_of(volumes, source)
    if volume is None:
        raise StartFailed(
            f"The database at {mount.target} is on no volume claim, so that no run can see it"
        )
    below = source.relative_to(volume.path.resolve())
    parts = [part for part in (*Path(volume.sub_path.strip("/")).parts, *below.parts) if part]
    return volume, "/".join(parts)


def volume_of(volumes: Sequence[Volume], path: Path) -> Volume | None:
    """The innermost of the volumes that a path lies in."""
    lies_in = [each for each in volumes if path.is_relative_to(each.path.resolve())]
    return max(lies_in, key=lambda each: len(each.path.resolve().parts), default=None)


_TOKEN = "token"  # noqa: S105 (a key's name)


def _variable(name: str) -> str:
    """Key of a variable in the Secret: apart from the token's, whatever it is called."""
    return f"env.{name}"
