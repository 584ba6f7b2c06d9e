"""An algorithm tries to see or touch what is not its own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from vantage6.node.runtimes.base import Mount, StartFailed
from vantage6.node.runtimes.process import Registration

pytestmark = pytest.mark.anyio

SECRET = "API-KEY-5c9e1c3e"


async def test_nothing_of_the_host_is_visible_but_software_and_the_run(run: Any) -> None:
    outcome = await run("everything_below", "/")
    inner = outcome.inner_folder
    devices = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom")}
    links = {f"/dev/{name}" for name in ("stdin", "stdout", "stderr")}
    own = {f"{inner}/{name}" for name in ("input", "output", "token")}
    software = tuple(f"{folder}/" for folder in (sys.prefix, sys.base_prefix))
    outside = [
        path
        for path in outcome.result
        if path not in devices | links | own and not path.startswith(software)
    ]
    assert [path for path in outside if "/tests/node/runtimes/algorithms/" not in path] == []


async def test_a_database_that_only_its_owner_may_read_is_readable(
    run: Any, tmp_path: Path
) -> None:
    database = tmp_path / "own.csv"
    database.write_text("mine")
    database.chmod(0o600)
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "one").write_text("first scan")
    (folder / "one").chmod(0o600)
    folder.chmod(0o700)
    mounts = [Mount(database, "/mnt/default.csv"), Mount(folder, "/mnt/scans")]
    assert (await run("read", "/mnt/default.csv", mounts=mounts)).result == "ok: mine"
    assert (await run("read", "/mnt/scans/one", mounts=mounts)).result == "ok: first scan"
    assert (await run("folder", "/mnt/scans", mounts=mounts)).result == ["one"]


async def test_a_writable_folder_keeps_its_owner(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir(mode=0o700)
    mounts = [Mount(folder, "/mnt/scans", writable=True)]
    assert (await run("write", "/mnt/scans/new", "text", mounts=mounts)).result == "ok: 4"
    assert (folder / "new").read_text() == "text"
    assert (folder / "new").stat().st_uid == os.geteuid()


async def test_programs_that_give_root_rights_do_not(run: Any) -> None:
    code, _, _ = (await run("run_program", "/usr/bin/su", "-c", "id")).result
    assert code != 0


CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x20000
CALLS = {
    "unshare": ({"x86_64": 272, "aarch64": 97}, (CLONE_NEWUSER,), "EPERM"),
    "setns": ({"x86_64": 308, "aarch64": 268}, (0, 0), "EPERM"),
    "clone": ({"x86_64": 56, "aarch64": 220}, (CLONE_NEWUSER | 17, 0, 0, 0, 0), "EPERM"),
    "clone3": ({"x86_64": 435, "aarch64": 435}, (0, 0), "ENOSYS"),
    "ptrace": ({"x86_64": 101, "aarch64": 117}, (0, 0, 0, 0), "EPERM"),
    "process_vm_readv": ({"x86_64": 310, "aarch64": 270}, (1, 0, 0, 0, 0, 0), "EPERM"),
    "bpf": ({"x86_64": 321, "aarch64": 280}, (0, 0, 0), "EPERM"),
    "perf_event_open": ({"x86_64": 298, "aarch64": 241}, (0, 0, 0, 0, 0), "EPERM"),
    "userfaultfd": ({"x86_64": 323, "aarch64": 282}, (0,), "EPERM"),
    "keyctl": ({"x86_64": 250, "aarch64": 219}, (0, -3, 1), "EPERM"),
    "open_by_handle_at": ({"x86_64": 304, "aarch64": 265}, (0, 0, 0), "EPERM"),
    "open_tree": ({"x86_64": 428, "aarch64": 428}, (0, 0, 1), "EPERM"),
    "fsopen": ({"x86_64": 430, "aarch64": 430}, (0, 0), "EPERM"),
    "kexec_load": ({"x86_64": 246, "aarch64": 104}, (0, 0, 0, 0), "EPERM"),
    "reboot": ({"x86_64": 169, "aarch64": 142}, (0, 0, 0, 0), "EPERM"),
    "io_uring_setup": ({"x86_64": 425, "aarch64": 425}, (1, 0), "ENOSYS"),
    "memfd_create": ({"x86_64": 319, "aarch64": 279}, (0, 0), "ENOSYS"),
    "shmget": ({"x86_64": 29, "aarch64": 194}, (0, 4096, 0o1600), "ENOSYS"),
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_dangerous_kernel_call_is_refused(run: Any, name: str) -> None:
    numbers, arguments, answer = CALLS[name]
    assert (await run("call", numbers, *arguments)).result == answer


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="a second way to call on x86_64 only")
async def test_the_other_call_interface_is_deadly(run: Any) -> None:
    outcome = await run("call", {"x86_64": 0x40000000 + 39})
    assert outcome.ended.exit_code == 128 + 31
    assert outcome.ended.reason == "crashed with signal SIGSYS"


@pytest.mark.parametrize(
    ("family", "kind"),
    [(socket.AF_NETLINK, socket.SOCK_RAW), (socket.AF_PACKET, socket.SOCK_RAW), (40, 1), (38, 5)],
    ids=["netlink", "packet", "vsock", "crypto"],
)
async def test_other_kinds_of_sockets_do_not_exist(run: Any, family: int, kind: int) -> None:
    assert (await run("special_socket", int(family), int(kind))).result == "EAFNOSUPPORT"


async def test_its_life_stays_tied_to_its_supervisor(run: Any) -> None:
    assert (await run("outlive_parent")).result == "EPERM"


@pytest.mark.parametrize(
    "path", ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/kcore", "/proc/kmsg"]
)
async def test_the_kernels_switches_are_out_of_reach(run: Any, path: str) -> None:
    assert (await run("write", path, "x")).result in ("ENOENT", "EROFS")
    assert (await run("read", path)).result == "ENOENT"


async def test_the_nodes_memory_is_not_inherited(run: Any) -> None:
    secret = "".join(["only ", "the ", "node ", "knows ", str(os.getpid())])
    assert (await run("search_memory", [ord(letter) - 1 for letter in secret])).result == 0


async def test_runs_draw_different_random_numbers(run: Any) -> None:
    first, second = (await run("random_numbers")).result, (await run("random_numbers")).result
    assert all(one != other for one, other in zip(first, second, strict=True))


async def test_files_of_the_node_among_the_software_are_covered(
    helpers: Any, start: Any, tmp_path: Path
) -> None:
    """A folder of packages is shown to algorithms; what the node keeps there must not be."""
    software, state, key = tmp_path, tmp_path / "state", tmp_path / "key.pem"
    shutil.copytree(helpers.algorithms / "escape_artist", software / "nosy")
    state.mkdir()
    (state / "journal.sqlite").write_text(SECRET)
    key.write_text(SECRET)
    runtime = helpers.make_runtime(
        algorithms={"nosy": Registration("nosy", path=software)}, hidden=[state, key], preload=()
    )
    await runtime.open()
    seen = {}
    try:
        for method, path in (("folder", software), ("folder", state), ("read", key)):
            execution, spec = await start(method, str(path), runtime=runtime, image="nosy")
            outcome = helpers.outcome_of(spec, await execution.wait())
            seen[path] = outcome.result
        # The folder that holds the runs of this very node lies there as well.
        runs = spec.folder.parent
        execution, spec = await start("folder", str(runs), runtime=runtime, image="nosy")
        seen[runs] = helpers.outcome_of(spec, await execution.wait()).result
    finally:
        await runtime.close()
    assert len(list(runs.iterdir())) == 4
    assert seen == {
        software: ["key.pem", "nosy", "runs", "state"],
        state: [],
        key: "ok: ",
        runs: [],
    }


async def test_a_node_that_lives_where_the_software_is_cannot_be_hidden(
    helpers: Any, start: Any, tmp_path: Path
) -> None:
    shutil.copytree(helpers.algorithms / "escape_artist", tmp_path / "nosy")
    runtime = helpers.make_runtime(
        algorithms={"nosy": Registration("nosy", path=tmp_path)}, hidden=[tmp_path], preload=()
    )
    await runtime.open()
    try:
        with pytest.raises(StartFailed, match="Keep the node's files elsewhere"):
            await start("nothing", runtime=runtime, image="nosy")
    finally:
        await runtime.close()


def _home() -> Path:
    home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    return home if home.is_dir() else Path("/")


async def test_a_home_folder_is_never_shown_as_software(helpers: Any, start: Any) -> None:
    runtime = helpers.make_runtime(
        algorithms={"nosy": Registration("escape_artist", path=_home())}, preload=()
    )
    await runtime.open()
    try:
        with pytest.raises(StartFailed, match="would be able to read"):
            await start("nothing", runtime=runtime, image="nosy")
    finally:
        await runtime.close()
