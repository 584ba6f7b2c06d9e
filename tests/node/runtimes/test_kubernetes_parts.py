"""The kubernetes runtime's small parts, each by itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantage6.node.runtimes.base import Ended, Limits
from vantage6.node.runtimes.kubernetes import verdict
from vantage6.node.runtimes.kubernetes.door import _plain
from vantage6.node.runtimes.kubernetes.words import Lines

LINES = st.lists(st.binary(max_size=100).filter(lambda line: b"\n" not in line), max_size=8)


def stamped(lines: list[bytes], first: int = 0) -> bytes:
    return b"".join(
        f"2026-01-01T00:00:00.{number:09d}Z ".encode() + line + b"\n"
        for number, line in enumerate(lines, start=first)
    )


def fed(lines: Lines, stream: bytes, cuts: list[int]) -> bytes:
    text = []
    for cut in cuts:
        text.append(lines.feed(stream[:cut]))
        stream = stream[cut:]
    return b"".join([*text, lines.feed(stream)])


@given(LINES, st.lists(st.integers(1, 40)))
def test_times_are_taken_off_however_the_log_is_cut(lines: list[bytes], cuts: list[int]) -> None:
    assert fed(Lines(), stamped(lines), cuts) == b"".join(line + b"\n" for line in lines)


@given(LINES, LINES, LINES, st.lists(st.integers(1, 40)))
def test_what_comes_again_is_left_out(
    old: list[bytes], again: list[bytes], new: list[bytes], cuts: list[int]
) -> None:
    before, after = [*old, *again], [*again, *new]
    lines = Lines()
    text = fed(lines, stamped(before), [])
    lines.begin_again()
    text += fed(lines, stamped(after, first=len(old)), cuts)
    assert text == b"".join(line + b"\n" for line in [*old, *again, *new])


def test_a_log_without_times_is_not_held_in_memory() -> None:
    lines = Lines()
    for _ in range(100):
        lines.feed(b"x" * 1000)
    assert lines._head is None


def pod(phase: str, state: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    statuses = [{"name": "sidecar", "state": {"running": {}}}]
    if state is not None:
        statuses.append({"name": "algorithm", "state": state})
    return {"metadata": {}, "status": {"phase": phase, "containerStatuses": statuses} | more}


def test_another_container_of_the_pod_says_nothing_of_the_algorithm() -> None:
    """As a mesh puts one into every pod."""
    assert verdict.container_state(pod("Running")) == {}
    assert not verdict.has_begun(pod("Running"))
    assert verdict.ended({}, pod("Running"), Limits()) is None


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (pod("Failed", reason="NodeShutdown"), "was ended by the cluster: NodeShutdown"),
        (pod("Failed", reason="DeadlineExceeded"), "ran longer than 7 days"),
        (pod("Failed"), "was ended by the cluster, which does not say why"),
    ],
)
def test_a_pod_that_failed_without_its_container_says_why(
    found: dict[str, Any], expected: str
) -> None:
    assert verdict.ended({}, found, Limits()) == Ended(None, expected)


def test_a_result_that_is_complete_counts_whatever_came_after() -> None:
    done = pod("Succeeded", {"terminated": {"exitCode": 0}})
    done["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    late = {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    for job in ({}, late, None):
        assert verdict.ended(job, done, Limits()) == Ended(0)


def test_a_pod_that_has_ended_has_no_address() -> None:
    ips = [{"ip": "10.0.0.7"}, {"ip": "fd00::7"}]
    assert verdict.addresses(pod("Running", podIPs=ips)) == ["10.0.0.7", "fd00::7"]
    assert verdict.addresses(pod("Succeeded", podIPs=ips)) == []
    assert verdict.addresses(None) == []


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("10.0.0.7", "10.0.0.7"),
        ("FD00:0::7", "fd00::7"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_an_address_is_the_same_however_it_is_written(written: str, plain: str) -> None:
    assert _plain(written) == plain
