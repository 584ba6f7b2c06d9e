"""The docker runtime's list of kernel calls, beside that of the process runtime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vantage6.node.runtimes.docker import kernel_calls
from vantage6.node.runtimes.sandbox import seccomp

#: A container has queues and shared memory of its own, and they count as its memory.
ONLY_IN_CONTAINERS = {"shmget", "shmat", "shmctl", "semget", "msgget"}


@pytest.fixture(scope="module")
def profile() -> dict[str, Any]:
    option = kernel_calls.security_option(Path("/nowhere"), podman=False)
    found: dict[str, Any] = json.loads(option.removeprefix("seccomp="))
    return found


def allowed(profile: dict[str, Any]) -> set[str]:
    return {
        name
        for rule in profile["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW" and "args" not in rule
        for name in rule["names"]
    }


def test_what_the_process_runtime_refuses_no_container_may_call(profile: dict[str, Any]) -> None:
    refused = {*seccomp._NOT_PERMITTED, *seccomp._UNKNOWN}
    assert refused & allowed(profile) == ONLY_IN_CONTAINERS


def test_what_is_not_listed_is_refused_as_unknown(profile: dict[str, Any]) -> None:
    assert (profile["defaultAction"], profile["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 38)
    assert not {"clone", "socket", "socketpair", "personality"} & allowed(profile)
    # 32-bit programs would have numbers of their own.
    assert all(each["subArchitectures"] == [] for each in profile["archMap"])


def test_no_call_is_both_allowed_and_refused(profile: dict[str, Any]) -> None:
    others = [rule for rule in profile["syscalls"] if rule["action"] != "SCMP_ACT_ALLOW"]
    refused = [name for rule in others for name in rule["names"]]
    assert len(refused) == len(set(refused))
    assert not set(refused) & allowed(profile)
    assert all(rule["errnoRet"] in (1, 38) for rule in others)


def test_podman_gets_a_file(tmp_path: Path, profile: dict[str, Any]) -> None:
    option = kernel_calls.security_option(tmp_path / "node", podman=True)
    assert option == f"seccomp={tmp_path}/node/seccomp.json"
    assert json.loads(Path(option.removeprefix("seccomp=")).read_text()) == profile
    assert (tmp_path / "node").stat().st_mode & 0o777 == 0o700
