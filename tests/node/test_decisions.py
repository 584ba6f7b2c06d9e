"""The log of decisions: what breaks its chain, what an interrupted write leaves, what it costs."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantage6.node.decisions import DecisionLog, DecisionLogError, Head, entries, verify


def write(folder: Path, count: int, first: int = 1) -> Head:
    with DecisionLog(folder) as log:
        for number in range(first, first + count):
            log.write("asked", run=number, image="é" * number)
        return log.head


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.jsonl")
    return path


def test_the_chain_goes_on_over_restarts_and_months(tmp_path: Path) -> None:
    write(tmp_path, 3)
    path = only_file(tmp_path)
    path.rename(tmp_path / "2020-01.jsonl")
    head = write(tmp_path, 2, first=4)
    verified = verify(tmp_path)
    assert not verified.flaws
    assert (verified.lines, verified.head) == (5, head)
    assert [entry["run"] for entry in entries(tmp_path)] == [1, 2, 3, 4, 5]
    assert [entry["run"] for entry in entries(tmp_path, "2020-01")] == [1, 2, 3]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_clock_that_was_set_back_does_not_write_into_the_past(tmp_path: Path) -> None:
    write(tmp_path, 2)
    only_file(tmp_path).rename(tmp_path / "2999-12.jsonl")
    write(tmp_path, 1, first=3)
    assert only_file(tmp_path).name == "2999-12.jsonl"
    assert not verify(tmp_path).flaws


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_change_to_any_byte_breaks_the_chain(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("log")
    head = write(folder, 4)
    path = only_file(folder)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[at]))
    path.write_bytes(content)
    assert verify(folder, head).flaws


@pytest.mark.parametrize("gone", range(4))
def test_a_line_that_was_removed_is_missed(tmp_path: Path, gone: int) -> None:
    head = write(tmp_path, 4)
    path = only_file(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[gone]
    path.write_bytes(b"".join(lines))
    # The last one only by whoever kept the last hash elsewhere.
    assert bool(verify(tmp_path).flaws) is (gone < 3)
    assert verify(tmp_path, head).flaws


def test_lines_in_another_order_are_missed(tmp_path: Path) -> None:
    write(tmp_path, 4)
    path = only_file(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[2], lines[1], lines[3]]))
    assert verify(tmp_path).flaws


@given(st.integers(1, 10_000))
@settings(max_examples=60, deadline=None)
def test_a_write_cut_off_anywhere_is_repaired_and_told_of(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    write(folder, 3)
    path = only_file(folder)
    content = path.read_bytes()
    last = content.splitlines(keepends=True)[-1]
    cut = cut % (len(last) - 1) + 1
    path.write_bytes(content[:-cut])
    assert verify(folder).flaws
    write(folder, 1, first=9)
    verified = verify(folder)
    assert not verified.flaws
    assert verified.repairs == 1
    lines = list(entries(folder))
    assert [line.get("run") for line in lines] == [1, 2, None, 9]
    assert (folder / lines[2]["kept_as"]).read_bytes() == last[:-cut]


def test_zeros_that_a_power_cut_left_are_repaired(tmp_path: Path) -> None:
    write(tmp_path, 2)
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes() + b"\0" * 300)
    write(tmp_path, 1, first=3)
    assert [line.get("run") for line in entries(tmp_path)] == [1, 2, None, 3]
    assert not verify(tmp_path).flaws


@pytest.mark.parametrize("moment", ["ftruncate", "rename"])
def test_a_node_killed_while_repairing_still_tells_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    write(tmp_path, 2)
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"n":3')

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "rename":
            patch.setattr(DecisionLog, "_tell_of_torn", die)
        else:
            patch.setattr(os, "ftruncate", die)
        with pytest.raises(KeyboardInterrupt):
            DecisionLog(tmp_path)
    write(tmp_path, 1, first=3)
    verified = verify(tmp_path)
    assert not verified.flaws
    assert verified.repairs == 1


def test_a_last_line_that_was_changed_is_no_interrupted_write(tmp_path: Path) -> None:
    write(tmp_path, 2)
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"run":2', b'"run":7'))
    with pytest.raises(DecisionLogError, match="audit verify"):
        DecisionLog(tmp_path)


WRITER = """
import sys
from pathlib import Path
from vantage6.node.decisions import DecisionLog
log = DecisionLog(Path(sys.argv[1]))
number = log.head.number
while True:
    number += 1
    log.write("asked", run=number, image="x" * 400)
    print(number, flush=True)
"""


def test_a_killed_node_loses_no_line_that_it_went_on_from(tmp_path: Path) -> None:
    told = 0
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(30):
                told = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().split()
            told = max([told, *(int(number) for number in rest if number.isdecimal())])
        verified = verify(tmp_path)
        assert not [flaw for flaw in verified.flaws if "completely" not in flaw.problem]
        assert verified.lines >= told


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = DecisionLog(tmp_path)
    log.write("asked", run=1)
    real = os.write

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, line: real(descriptor, line[:20]))
        with pytest.raises(OSError, match="20 of"):
            log.write("asked", run=2)
    log.write("asked", run=3)
    log.close()
    assert [entry["run"] for entry in entries(tmp_path)] == [1, 3]
    assert not verify(tmp_path).flaws


def test_a_line_costs_less_than_a_millisecond(tmp_path: Path) -> None:
    with DecisionLog(tmp_path) as log:
        costs = []
        for number in range(500):
            began = time.perf_counter()
            log.write("asked", run=number, image="example.org/algorithm", databases=["default"])
            costs.append(time.perf_counter() - began)
    assert sorted(costs)[len(costs) // 2] < 0.001
    assert json.loads(only_file(tmp_path).read_bytes().splitlines()[0])["prev"] == "0" * 64


def test_whatever_was_asked_for_the_last_line_is_found_again(tmp_path: Path) -> None:
    for number in range(2):
        with DecisionLog(tmp_path) as log:
            assert log.head.number == number
            log.write("asked", function="a" * 5 * 1024**2, databases=["x" * 5000] * 5000)
    assert not verify(tmp_path).flaws
    assert only_file(tmp_path).stat().st_size < 1024**2


@pytest.mark.parametrize("content", ['{"n":1}', '{"event":1,"n":1,"prev":""}', "[" * 200_000])
def test_a_forged_line_of_another_form_is_named(tmp_path: Path, content: str) -> None:
    digest = hashlib.sha256(content.encode()).hexdigest()
    line = f'{content[:-1]},"hash":"{digest}"}}\n'
    (tmp_path / "2026-01.jsonl").write_text(line)
    assert [flaw.line for flaw in verify(tmp_path).flaws] == [1]
    list(entries(tmp_path))
