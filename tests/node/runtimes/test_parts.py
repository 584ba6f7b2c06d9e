"""The sandbox's small parts, each by itself."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantage6.node.runtimes.base import Limits
from vantage6.node.runtimes.sandbox import linux, seccomp, software
from vantage6.node.runtimes.sandbox.logs import BoundedLog
from vantage6.node.runtimes.sandbox.messages import LineBuffer, encode
from vantage6.node.runtimes.sandbox.request import Bounds, MountRequest, Request, SandboxError
from vantage6.node.runtimes.sandbox.wording import duration, size

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=5),
    st.lists(st.integers(1, 40)),
)
def test_messages_survive_any_cutting_of_the_stream(
    messages: list[dict[str, object]], cuts: list[int]
) -> None:
    stream = b"".join(encode(message) for message in messages)
    buffer, received = LineBuffer(), []
    for cut in cuts:
        received += buffer.feed(stream[:cut])
        stream = stream[cut:]
    assert received + buffer.feed(stream) == messages


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(0, 1000))
def test_a_log_keeps_the_beginning_and_says_that_it_was_cut(
    chunks: list[bytes], limit: int
) -> None:
    reader, writer = os.pipe()
    file = os.memfd_create("log")
    log = BoundedLog(reader, file, limit)
    for chunk in chunks:
        os.write(writer, chunk)
        assert log.drain()
    os.close(writer)
    assert not log.drain()
    everything = b"".join(chunks)
    kept = os.pread(file, 10_000, 0)
    os.close(reader)
    os.close(file)
    assert kept[: min(limit, len(everything))] == everything[:limit]
    assert (kept == everything) == (len(everything) <= limit)
    if len(everything) > limit:
        assert kept[limit:] == f"\n[the log was cut here, after {limit} bytes]\n".encode()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "1 bytes"),
        (1024, "1 KiB"),
        (4 * 1024**3, "4 GiB"),
        (1536 * 1024, "1.5 MiB"),
        (2 * 1024**4, "2 TiB"),
    ],
)
def test_sizes_read_well(number: int, words: str) -> None:
    assert size(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (5400, "1.5 hours"),
        (7 * 86400, "7 days"),
    ],
)
def test_times_read_well(number: int, words: str) -> None:
    assert duration(number) == words


def test_a_request_survives_its_journey() -> None:
    bounds = Bounds(*range(8))
    request = Request(
        run_id=7,
        folder="/f",
        module="m",
        search_path=("/a",),
        mounts=(MountRequest("/s", "/t", True),),
        hidden=("/h",),
        environment={"A": "b"},
        bounds=bounds,
    )
    (arrived,) = LineBuffer().feed(encode(request.to_json()))
    assert Request.from_json(arrived) == request
    assert request.inner_folder == "/mnt/data/task-000000007"


def test_bounds_and_limits_have_the_same_fields() -> None:
    assert set(Bounds.__dataclass_fields__) == set(Limits.__dataclass_fields__)


@given(st.sampled_from(["x86_64", "aarch64"]), st.integers(0, 600), st.integers(0, 2**31))
def test_every_way_through_the_filter_ends_in_an_answer(
    machine: str, number: int, argument: int
) -> None:
    """The program is executed here as the kernel would."""
    before, linux.MACHINE = linux.MACHINE, machine
    try:
        code = seccomp.program()
    finally:
        linux.MACHINE = before
    architecture = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    answer = execute(code, number, architecture, argument)
    assert answer & 0xFFFF0000 in (0x7FFF0000, 0x00050000)
    assert execute(code, number, 0x40000003, argument) == 0x80000000
    column = ["x86_64", "aarch64"].index(machine)
    refused = {
        numbers[column] for table in (seccomp._NOT_PERMITTED, seccomp._UNKNOWN)
        for numbers in table.values()
    }  # fmt: skip
    examined = {
        numbers[column]
        for numbers in (seccomp._CLONE, seccomp._SOCKET, seccomp._SOCKETPAIR, seccomp._PRCTL,
                        seccomp._IOCTL, seccomp._PERSONALITY)
    }  # fmt: skip
    if number in refused:
        assert answer & 0xFFFF0000 == 0x00050000
    elif number not in examined:
        assert answer == 0x7FFF0000


def execute(code: bytes, number: int, architecture: int, argument: int) -> int:
    data = struct.pack("=IIQ6Q", number, architecture, 0, *([argument] * 6))
    accumulator, position = 0, 0
    while True:
        operation, if_true, if_false, value = struct.unpack_from("=HBBI", code, position * 8)
        position += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x15:
                position += if_true if accumulator == value else if_false
            case 0x35:
                position += if_true if accumulator >= value else if_false
            case 0x45:
                position += if_true if accumulator & value else if_false
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(f"unknown operation {operation:#x}")


@pytest.mark.parametrize(
    ("flags", "allowed"),
    [(17, True), (0x3D0F00, True), (0x10000000 | 17, False), (0x20000 | 17, False)],
)
def test_threads_and_processes_may_be_made_but_no_namespaces(flags: int, allowed: bool) -> None:
    before, linux.MACHINE = linux.MACHINE, "x86_64"
    try:
        code = seccomp.program()
    finally:
        linux.MACHINE = before
    assert (execute(code, 56, 0xC000003E, flags) == 0x7FFF0000) is allowed


def test_a_process_with_a_second_thread_is_told_from_one_without() -> None:
    # By an interpreter of its own: this one may have threads.
    program = (
        "import sys, threading; sys.path.insert(0, sys.argv[1]); from sandbox import linux\n"
        "linux.insist_on_one_thread()\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "try: linux.insist_on_one_thread()\n"
        "except OSError as error: print(error.errno)"
    )
    runtimes = Path(linux.__file__).parents[1]
    command = [sys.executable, "-I", "-c", program, str(runtimes)]
    outcome = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60)
    assert int(outcome.stdout) == errno.EINVAL


def test_paths_are_shown_once_and_as_links_resolve_them(tmp_path: Path) -> None:
    real = tmp_path / "python-3.11.7"
    (real / "lib").mkdir(parents=True)
    link = tmp_path / "python-3.11"
    link.symlink_to(real)
    shown = software.narrow([str(link), str(real / "lib"), "/usr/lib", "relative", "/no/such"])
    assert shown == [str(link), str(real)]
    assert software.narrow([str(real / "lib")], shown=[str(real)]) == []


@pytest.mark.parametrize("path", ["/", "/etc", "/home", "/root", "/var"])
def test_places_full_of_other_things_are_never_shown(path: str) -> None:
    with pytest.raises(SandboxError, match="would be able to read"):
        software.narrow([path])


def test_a_package_is_found_without_being_imported(tmp_path: Path) -> None:
    package = tmp_path / "deadly"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')\n")
    assert software.module_paths("deadly.inner", [str(tmp_path)]) == [str(package)]
    assert software.module_paths("not_installed_anywhere", [str(tmp_path)]) == []
