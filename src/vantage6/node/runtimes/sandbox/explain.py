"""Why this machine does not give us a sandbox, and what to do about it."""

from __future__ import annotations

import errno
import os
import platform
import re

from . import linux, seccomp

_OLDEST = (5, 12)
_OR_ELSE = "To run algorithms without a sandbox, set `process: {sandbox: none}`"
_SWITCHES = (
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "the kernel forbids user namespaces to ordinary users; "
        "run `sysctl -w kernel.unprivileged_userns_clone=1` as root",
    ),
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "the kernel allows no user namespaces; "
        "run `sysctl -w user.max_user_namespaces=10000` as root",
    ),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor forbids user namespaces to ordinary programs; "
        "run `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` as root, or run the node "
        "as a system service",
    ),
)


def missing() -> str | None:
    """What can be seen to be missing without trying; None if nothing."""
    release = platform.release()
    match = re.match(r"(\d+)\.(\d+)", release)
    if platform.system() != "Linux" or match is None:
        return f"The sandbox needs Linux; this is {platform.system()}. {_OR_ELSE}"
    if (int(match[1]), int(match[2])) < _OLDEST:
        return f"The sandbox needs Linux 5.12 or newer; this is {release}. {_OR_ELSE}"
    if not seccomp.supported():
        return f"The sandbox does not know processors of type {linux.MACHINE}. {_OR_ELSE}"
    return None


def explain(error: OSError) -> str:
    """A refusal of the kernel in words, with the remedy."""
    cause = error.strerror or str(error)
    if error.errno in (errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EUSERS):
        cause += "; " + _remedy()
    elif error.errno in (errno.ENOSYS, errno.EINVAL):
        cause += "; this kernel lacks what the sandbox needs (Linux 5.12, namespaces, seccomp)"
    return f"The sandbox cannot be made: {cause}"


def _remedy() -> str:
    if os.geteuid() != 0:
        for path, value, remedy in _SWITCHES:
            try:
                with open(path, encoding="ascii") as file:
                    if file.read().strip() == value:
                        return remedy
            except OSError:
                continue
        return (
            "the kernel or the container this node runs in forbids user namespaces "
            "(for Docker: start it with --security-opt seccomp=unconfined)"
        )
    return (
        "root lacks CAP_SYS_ADMIN or CAP_NET_ADMIN here, as in a container without privileges "
        "(start the container with --user 10001 and --security-opt seccomp=unconfined, or as root "
        "with --cap-add NET_ADMIN and --cap-add SYS_ADMIN and --security-opt seccomp=unconfined)"
    )


def or_else(reason: str) -> str:
    """A reason with what the node's owner can do instead."""
    return reason if _OR_ELSE in reason else f"{reason}. {_OR_ELSE}"
