"""Judging a run by files that were in an algorithm's hands."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vantage6.common.task_status import TaskStatus
from vantage6.node.outcome import (
    NotAFile,
    Sharing,
    TooLarge,
    conclude,
    read_exit,
    read_file,
    read_text,
)
from vantage6.node.runtimes.base import Ended, Limits


def run(folder: Path, ended: Ended, output: bytes = b"1", **limits: int) -> tuple[str, str, bytes]:
    (folder / "output").write_bytes(output)
    judged = conclude(ended, folder, Limits(**limits), Sharing(), "Utrecht")
    return judged.status, judged.log, judged.result


def test_a_good_end(tmp_path: Path) -> None:
    (tmp_path / "stdout").write_text("info > done\n")
    assert run(tmp_path, Ended(0)) == ("completed", "info > done\n", b"1")


@pytest.mark.parametrize(
    ("ended", "status", "words"),
    [
        (Ended(1), "crashed", "the algorithm crashed (exit code 1)"),
        (Ended(137), "crashed", "exit code 137"),
        (Ended(-9), "crashed", "signal 9 (SIGKILL)"),
        (Ended(-99), "crashed", "signal 99"),
        (Ended(None, "ran out of memory"), "crashed", "stopped: ran out of memory."),
        (Ended(None), "unknown error", "nobody knows why"),
    ],
)
def test_a_bad_end_names_organization_and_cause(
    tmp_path: Path, ended: Ended, status: str, words: str
) -> None:
    judged = run(tmp_path, ended)
    assert judged[0] == status
    assert judged[1].startswith("Organization 'Utrecht': ")
    assert words in judged[1]
    assert judged[2] == b"1"  # whatever was written is sent, as in the contract


def test_an_empty_result_is_remarked_upon(tmp_path: Path) -> None:
    assert run(tmp_path, Ended(0), b"") == (
        "completed",
        "The algorithm ended without writing a result.",
        b"",
    )


def test_a_result_that_is_too_large_is_not_sent(tmp_path: Path) -> None:
    status, words, result = run(tmp_path, Ended(0), b"x" * 11, output_size=10)
    assert (status, result) == ("crashed", b"")
    assert "result is too large: 11 bytes, more than the 10 bytes allowed" in words


def test_a_link_to_somebody_elses_file_is_no_output(tmp_path: Path) -> None:
    secret = tmp_path / "api_key"
    secret.write_text("hunter2")
    for name in ("output", "stdout", "stderr", "exit.json"):
        (tmp_path / name).symlink_to(secret)
    judged = conclude(Ended(0), tmp_path, Limits(), Sharing(stderr=True), "Utrecht")
    assert judged.status is TaskStatus.CRASHED
    assert judged.result == b""
    assert "hunter2" not in judged.log
    assert read_exit(tmp_path) is None


def test_pipes_sockets_folders_and_devices_are_no_output(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name in ("pipe", "folder", "socket", "missing"):
            with pytest.raises(NotAFile):
                read_file(tmp_path / name, 10)
            assert read_text(tmp_path / name, 10) == ""
    with pytest.raises(NotAFile):
        read_file(Path("/dev/zero"), 10)


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1024**4)
    with pytest.raises(TooLarge):
        read_file(path, 1024)


def test_long_logs_lose_their_beginning_and_say_so(tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    path.write_text("a" * 100 + "b" * 10)
    assert read_text(path, 10) == "[… 100 bytes cut]\nbbbbbbbbbb"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_whatever_an_algorithm_prints_becomes_text_that_a_database_takes(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(content)
    text = read_text(path, 1000)
    assert "\x00" not in text
    text.encode("utf-8")
    if b"\x00" not in content:
        assert text == content.decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("content", "ended"),
    [
        ({"exit_code": 0, "reason": None}, Ended(0)),
        ({"exit_code": None, "reason": "killed"}, Ended(None, "killed")),
        ({"exit_code": "0", "reason": None}, None),
        ({"exit_code": 0}, None),
        ([], None),
    ],
)
def test_how_a_run_ended_is_read_back(tmp_path: Path, content: object, ended: Ended | None) -> None:
    (tmp_path / "exit.json").write_text(json.dumps(content))
    assert read_exit(tmp_path) == ended


def test_a_half_written_note_of_the_end_is_none(tmp_path: Path) -> None:
    (tmp_path / "exit.json").write_text('{"exit_code": 0, "rea')
    assert read_exit(tmp_path) is None
