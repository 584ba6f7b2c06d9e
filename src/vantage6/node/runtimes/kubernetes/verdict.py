"""What a Job and its pod say of a run: pure functions of what the API shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from vantage6.node.runtimes import exit_codes
from vantage6.node.runtimes.base import Ended, Limits, RuntimeRefusal, StartFailed, UnknownImage
from vantage6.node.runtimes.kubernetes.manifests import CONTAINER
from vantage6.node.runtimes.sandbox.wording import duration, size

Object = Mapping[str, Any]

_NO_IMAGE = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
    }
)
_NO_CONTAINER = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreStartHookError"}
)
#: The container was made, but its command cannot be executed.
_NO_COMMAND = frozenset({"StartError", "ContainerCannotRun"})
_DEADLINE = "DeadlineExceeded"


def obstacle(  # noqa: PLR0911 (a list of cases reads best as one)
    job: Object, pod: Object | None, image: str
) -> RuntimeRefusal | None:
    """Why a run cannot start; None if nothing speaks against it so far."""
    failed = _failed(job)
    state = container_state(pod)
    waiting, terminated = state.get("waiting") or {}, state.get("terminated") or {}
    reason, message = waiting.get("reason"), str(waiting.get("message") or "")
    if reason in _NO_IMAGE:
        return UnknownImage(f"The image {image} cannot be pulled: {message or reason}")
    if reason in _NO_CONTAINER:
        return StartFailed(f"The cluster refuses {image}: {message or reason}")
    if terminated.get("reason") in _NO_COMMAND:
        return StartFailed(
            f"The cluster refuses {image}: {terminated.get('message') or 'no command'}"
        )
    if terminated:
        return None
    status = (pod or {}).get("status") or {}
    if status.get("phase") == "Failed":
        return StartFailed(f"The cluster did not start it: {_words(status)}")
    if failed is not None:
        return StartFailed(f"The cluster did not start it: {_words(failed)}")
    return None


def has_begun(pod: Object | None) -> bool:
    """Whether the algorithm is being executed, or has been."""
    state = container_state(pod)
    terminated = state.get("terminated")
    if terminated:
        return terminated.get("reason") not in _NO_COMMAND
    return "running" in state


def why_not_yet(pod: Object | None) -> str:
    """What a pod that has not started waits for."""
    if pod is None:
        return (
            "the cluster has made no pod for it (a quota, or a rule for pods): kubectl describe job"
        )
    for condition in pod["status"].get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("message") or condition.get("reason"))
    waiting = container_state(pod).get("waiting") or {}
    return str(waiting.get("message") or waiting.get("reason") or "its pod is pending")


def ended(  # noqa: PLR0911 (likewise)
    job: Object | None, pod: Object | None, limits: Limits
) -> Ended | None:
    """How a run ended that nobody killed; None if it has not ended.

    Parameters
    ----------
    job, pod : mapping or None
        None is one that the cluster no longer has.
    """
    terminated = container_state(pod).get("terminated")
    if terminated and terminated.get("exitCode") == 0:
        return Ended(0)
    failed = _failed(job) if job is not None else None
    if failed is not None and failed.get("reason") == _DEADLINE:
        return Ended(None, f"ran longer than {duration(limits.wall_time)}")
    if pod is None or "deletionTimestamp" in pod["metadata"]:
        # Only the Job can tell why.
        if job is None:
            return _by_container(terminated, limits) if terminated else Ended(None)
        return Ended(None, "was removed from the cluster while it ran") if failed else None
    status = pod["status"]
    if status.get("phase") == "Failed" and status.get("reason"):
        if status["reason"] == _DEADLINE:
            return Ended(None, f"ran longer than {duration(limits.wall_time)}")
        return Ended(None, f"was ended by the cluster: {_words(status)}")
    if terminated:
        return _by_container(terminated, limits)
    if status.get("phase") == "Failed":
        return Ended(None, "was ended by the cluster, which does not say why")
    return Ended(None) if job is None else None


def _by_container(terminated: Object, limits: Limits) -> Ended:
    if terminated.get("reason") == "OOMKilled":
        return Ended(None, f"ran out of memory (limit {size(limits.memory)})")
    return exit_codes.judge(int(terminated.get("exitCode", 0)))


def container_state(pod: Object | None) -> dict[str, Any]:
    """State of the algorithm's container: ``waiting``, ``running`` or ``terminated``."""
    status = (pod or {}).get("status") or {}
    for container in status.get("containerStatuses") or ():
        if container.get("name") == CONTAINER:
            return dict(container.get("state") or {})
    return {}


def image_digest(pod: Object | None) -> str | None:
    """Digest of the image that a pod was really made from."""
    for container in ((pod or {}).get("status") or {}).get("containerStatuses") or ():
        _, at, digest = str(container.get("imageID") or "").rpartition("@")
        if container.get("name") == CONTAINER and at:
            return digest
    return None


def addresses(pod: Object | None) -> list[str]:
    """Network addresses of a pod; those of one that has ended belong to others by now."""
    status = (pod or {}).get("status") or {}
    if status.get("phase") not in ("Pending", "Running"):
        return []
    return [str(each["ip"]) for each in status.get("podIPs") or () if each.get("ip")]


def age(pod: Object | None) -> float:
    """Seconds since the algorithm began, by the cluster's clock and ours; never negative."""
    state = container_state(pod)
    began = (state.get("running") or state.get("terminated") or {}).get("startedAt")
    if not began:
        return 0.0
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(began)).total_seconds())


def _failed(job: Object) -> Object | None:
    for condition in (job.get("status") or {}).get("conditions") or ():
        if (
            condition.get("type") in ("Failed", "FailureTarget")
            and condition.get("status") == "True"
        ):
            return dict(condition)
    return None


def _words(status: Object) -> str:
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    return f"{reason}: {message}" if reason and message else reason or message or "no reason given"
