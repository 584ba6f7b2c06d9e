"""An algorithm tries to see or touch what is not its own."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import platform
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from vantage6.node.runtimes.base import Ended, Mount

pytestmark = pytest.mark.anyio

SECRET = "API-KEY-5c9e1c3e"
REFUSED = {"EROFS", "EBUSY", "EPERM", "EACCES", "ENOTDIR", "EXDEV"}


async def test_another_database_cannot_be_read(run: Any, tmp_path: Path) -> None:
    own, other = tmp_path / "own.csv", tmp_path / "other.csv"
    own.write_text("mine")
    other.write_text(SECRET)
    mounts = [Mount(own, "/mnt/data/default.csv")]
    paths = ["/mnt/data/default.csv", str(other), "/mnt/data/other.csv"]
    outcome = await run("several", [["read", path] for path in paths], mounts=mounts)
    assert outcome.result == ["ok: mine", "ENOENT", "ENOENT"], outcome


async def test_secrets_of_the_machine_are_not_there(run: Any) -> None:
    paths = ["/etc/shadow", "/etc/sudoers", "/root/.bashrc", "/var/log/syslog"]
    outcome = await run("several", [["read", path] for path in paths])
    assert outcome.result == ["ENOENT"] * len(paths), outcome


async def test_the_nodes_configuration_is_not_there(run: Any, tmp_path: Path) -> None:
    config = tmp_path / "node.yaml"
    config.write_text(f"api_key: {SECRET}")
    config.chmod(0o666)
    assert (await run("read", str(config))).result == "ENOENT"


async def test_the_nodes_environment_does_not_reach_the_algorithm(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("V6_TEST_SECRET", SECRET)
    outcome = await run("several", [["environment"], ["first_environment"]])
    now, first = outcome.result
    assert now["PKG_NAME"] == "escape_artist"
    assert first.startswith("ok: ")
    assert SECRET not in json.dumps([now, first])


async def test_the_environment_is_only_what_was_asked_for(run: Any) -> None:
    outcome = await run("environment", environment={"MY_SETTING": "5"})
    allowed = {"PATH", "LANG", "HOME", "TMPDIR", "PKG_NAME", "MY_SETTING", "TEMPORARY_FOLDER"}
    allowed |= {"INPUT_FILE", "OUTPUT_FILE", "TOKEN_FILE", "LC_CTYPE"}
    # What images and engines set.
    allowed |= {"PYTHONPATH", "HOSTNAME", "TERM", "container"}
    allowed |= {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
    assert set(outcome.result) <= allowed
    assert outcome.result["MY_SETTING"] == "5"
    assert outcome.result["PKG_NAME"] == "escape_artist"


async def test_only_scratch_and_the_result_are_writable(run: Any) -> None:
    outcome = await run("writable_places")
    devices = {f"/dev/{name}" for name in ("full", "null", "random", "urandom", "zero", "tty")}
    # Of the container alone, and in its memory.
    devices |= {"/dev/mqueue", "/dev/pts/ptmx", "/run", "/var/tmp"}
    places = {"/dev/shm", "/mnt/tmp", "/tmp", f"{outcome.inner_folder}/output"}
    # A checkout below /tmp is shown inside the scratch, below folders that are scratch too.
    scratch = {str(above) for above in Path(__file__).parents if above.is_relative_to("/tmp/")}
    found = set(outcome.result) - (scratch - {"/tmp"})
    assert places <= found
    assert found <= places | devices


async def test_input_and_token_cannot_be_changed(run: Any) -> None:
    attempts = [["change_own", variable] for variable in ("INPUT_FILE", "TOKEN_FILE")]
    outcome = await run("several", attempts)
    for answers in outcome.result:
        assert REFUSED.issuperset(answers), outcome
        assert len(answers) == 4
    assert json.loads((outcome.folder / "input").read_bytes())["args"] == [attempts]
    assert (outcome.folder / "token").read_text() == "the.run.token"


async def test_the_runs_files_belong_to_the_node_again_afterwards(run: Any) -> None:
    outcome = await run("nothing")
    names = {"input", "token", "output", "stdout", "stderr", "exit.json"}
    assert {path.name for path in outcome.folder.iterdir()} == names
    for path in outcome.folder.iterdir():
        assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (os.geteuid(), 0o600)


async def test_a_database_cannot_be_changed(run: Any, tmp_path: Path) -> None:
    database = tmp_path / "own.csv"
    database.write_text("mine")
    database.chmod(0o666)
    mounts = [Mount(database, "/mnt/data/default.csv")]
    outcome = await run("write", "/mnt/data/default.csv", "changed", mounts=mounts)
    assert outcome.result == "EROFS"
    assert database.read_text() == "mine"


async def test_a_link_in_a_database_folder_leads_nowhere(run: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "link").symlink_to(secret)
    outcome = await run("read", "/mnt/scans/link", mounts=[Mount(folder, "/mnt/scans")])
    assert outcome.result == "ENOENT"


async def test_no_descriptor_of_the_node_is_left_open(run: Any) -> None:
    outcome = await run("descriptors")
    kinds = sorted(name.split(":")[0] for name in outcome.result)
    assert kinds == ["/dev/null", "pipe", "pipe"]


async def test_no_process_of_the_machine_is_visible(run: Any) -> None:
    assert (await run("processes")).result == ["1"]


async def test_signals_reach_nobody_else(run: Any) -> None:
    outcome = await run("signal_everybody")
    assert outcome.ended.exit_code == 0, outcome
    assert outcome.result == ["ESRCH", "no parent"]


async def test_the_algorithm_is_nobody(run: Any) -> None:
    me = (await run("who_am_i")).result
    assert 0 not in me["uid"]
    assert 0 not in me["gid"]
    assert 0 not in me["groups"] or os.geteuid() != 0
    assert {me[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (me["NoNewPrivs"], me["Seccomp"], me["pid"]) == ("1", "2", 1)
    assert me["host"] != socket.gethostname()


async def test_it_cannot_become_root(run: Any) -> None:
    answers = (await run("become_root")).result
    # In a user namespace there is no root to become.
    assert all(answer in ("EPERM", "EINVAL") for answer in answers)


async def test_it_cannot_mount_or_make_devices(run: Any) -> None:
    outcome = await run("several", [["mount_something"], ["make_device"]])
    assert outcome.result == ["EPERM", "EPERM"], outcome


CLONE_NEWUSER, ADDR_NO_RANDOMIZE = 0x10000000, 0x40000
#: What no algorithm may ask of the kernel: number on each kind of machine, and arguments with
#: which it would do something (none: all zero).
CALLS = {
    "mount": ({"x86_64": 165, "aarch64": 40}, ()),
    "umount2": ({"x86_64": 166, "aarch64": 39}, ()),
    "pivot_root": ({"x86_64": 155, "aarch64": 41}, ()),
    "chroot": ({"x86_64": 161, "aarch64": 51}, ()),
    "open_tree": ({"x86_64": 428, "aarch64": 428}, (0, 0, 1)),
    "move_mount": ({"x86_64": 429, "aarch64": 429}, ()),
    "fsopen": ({"x86_64": 430, "aarch64": 430}, ()),
    "fsconfig": ({"x86_64": 431, "aarch64": 431}, ()),
    "fsmount": ({"x86_64": 432, "aarch64": 432}, ()),
    "fspick": ({"x86_64": 433, "aarch64": 433}, ()),
    "mount_setattr": ({"x86_64": 442, "aarch64": 442}, ()),
    "statmount": ({"x86_64": 457, "aarch64": 457}, ()),
    "listmount": ({"x86_64": 458, "aarch64": 458}, ()),
    "open_tree_attr": ({"x86_64": 467, "aarch64": 467}, ()),
    "unshare": ({"x86_64": 272, "aarch64": 97}, (CLONE_NEWUSER,)),
    "setns": ({"x86_64": 308, "aarch64": 268}, ()),
    "ptrace": ({"x86_64": 101, "aarch64": 117}, (0, 0, 0, 0)),
    "process_vm_readv": ({"x86_64": 310, "aarch64": 270}, (1, 0, 0, 0, 0, 0)),
    "process_vm_writev": ({"x86_64": 311, "aarch64": 271}, (1, 0, 0, 0, 0, 0)),
    "kcmp": ({"x86_64": 312, "aarch64": 272}, (1, 1, 0, 0, 0)),
    "pidfd_getfd": ({"x86_64": 438, "aarch64": 438}, ()),
    "process_madvise": ({"x86_64": 440, "aarch64": 440}, ()),
    "process_mrelease": ({"x86_64": 448, "aarch64": 448}, ()),
    "migrate_pages": ({"x86_64": 256, "aarch64": 238}, ()),
    "move_pages": ({"x86_64": 279, "aarch64": 239}, ()),
    "bpf": ({"x86_64": 321, "aarch64": 280}, ()),
    "perf_event_open": ({"x86_64": 298, "aarch64": 241}, ()),
    "userfaultfd": ({"x86_64": 323, "aarch64": 282}, ()),
    "fanotify_init": ({"x86_64": 300, "aarch64": 262}, ()),
    "open_by_handle_at": ({"x86_64": 304, "aarch64": 265}, ()),
    "name_to_handle_at": ({"x86_64": 303, "aarch64": 264}, ()),
    "lookup_dcookie": ({"x86_64": 212, "aarch64": 18}, ()),
    "mbind": ({"x86_64": 237, "aarch64": 235}, ()),
    "set_mempolicy": ({"x86_64": 238, "aarch64": 237}, ()),
    "set_mempolicy_home_node": ({"x86_64": 450, "aarch64": 450}, ()),
    "syslog": ({"x86_64": 103, "aarch64": 116}, ()),
    "uselib": ({"x86_64": 134}, ()),
    "ustat": ({"x86_64": 136}, ()),
    "sysfs": ({"x86_64": 139}, ()),
    "_sysctl": ({"x86_64": 156}, ()),
    "modify_ldt": ({"x86_64": 154}, ()),
    "iopl": ({"x86_64": 172}, ()),
    "ioperm": ({"x86_64": 173}, ()),
    "vhangup": ({"x86_64": 153, "aarch64": 58}, ()),
    "nfsservctl": ({"x86_64": 180, "aarch64": 42}, ()),
    "add_key": ({"x86_64": 248, "aarch64": 217}, ()),
    "request_key": ({"x86_64": 249, "aarch64": 218}, ()),
    "keyctl": ({"x86_64": 250, "aarch64": 219}, (0, -3, 1)),
    "kexec_load": ({"x86_64": 246, "aarch64": 104}, ()),
    "kexec_file_load": ({"x86_64": 320, "aarch64": 294}, ()),
    "create_module": ({"x86_64": 174}, ()),
    "init_module": ({"x86_64": 175, "aarch64": 105}, ()),
    "finit_module": ({"x86_64": 313, "aarch64": 273}, ()),
    "delete_module": ({"x86_64": 176, "aarch64": 106}, ()),
    "reboot": ({"x86_64": 169, "aarch64": 142}, ()),
    "swapon": ({"x86_64": 167, "aarch64": 224}, ()),
    "swapoff": ({"x86_64": 168, "aarch64": 225}, ()),
    "acct": ({"x86_64": 163, "aarch64": 89}, ()),
    "quotactl": ({"x86_64": 179, "aarch64": 60}, ()),
    "quotactl_fd": ({"x86_64": 443, "aarch64": 443}, ()),
    "settimeofday": ({"x86_64": 164, "aarch64": 170}, ()),
    "clock_adjtime": ({"x86_64": 305, "aarch64": 266}, ()),
    "sethostname": ({"x86_64": 170, "aarch64": 161}, ()),
    "setdomainname": ({"x86_64": 171, "aarch64": 162}, ()),
    # One of its flags makes a user namespace; the other says not to randomise addresses.
    "clone": ({"x86_64": 56, "aarch64": 220}, (CLONE_NEWUSER | 17, 0, 0, 0, 0)),
    "personality": ({"x86_64": 135, "aarch64": 92}, (ADDR_NO_RANDOMIZE,)),
    "clock_settime": ({"x86_64": 227, "aarch64": 112}, ()),
    "clone3": ({"x86_64": 435, "aarch64": 435}, (0, 0)),
    "io_uring_setup": ({"x86_64": 425, "aarch64": 425}, ()),
    "io_uring_enter": ({"x86_64": 426, "aarch64": 426}, ()),
    "io_uring_register": ({"x86_64": 427, "aarch64": 427}, ()),
    "memfd_create": ({"x86_64": 319, "aarch64": 279}, (0, 0)),
    "memfd_secret": ({"x86_64": 447, "aarch64": 447}, ()),
}


async def test_dangerous_kernel_calls_are_refused(run: Any) -> None:
    machine = platform.machine()
    here = {name: call for name, call in CALLS.items() if machine in call[0]}
    calls = {
        name: [numbers, *(arguments or [0] * 6)] for name, (numbers, arguments) in here.items()
    }
    answers = (await run("make_calls", calls)).result
    assert answers.keys() == here.keys()
    assert {name: answer for name, answer in answers.items() if answer[0] != "E"} == {}
    unfiltered = {name: it for name, it in answers.items() if it not in ("EPERM", "ENOSYS")}
    assert unfiltered == {}


async def test_calls_of_another_kind_of_program_are_no_way_round(run: Any) -> None:
    """32-bit programs number their calls differently: a filter must not mistake one for another."""
    answers = (await run("calls_of_other_kinds")).result
    assert set(answers) <= {"SIGSYS", "SIGSEGV", "ENOSYS", "no such machine"}, answers


OTHER_SOCKETS = {
    "vsock": (40, socket.SOCK_STREAM, 0),
    "alg": (38, socket.SOCK_SEQPACKET, 0),
    "packet": (17, socket.SOCK_DGRAM, 0),
    "netfilter": (16, socket.SOCK_RAW, 12),
    "can": (29, socket.SOCK_RAW, 1),
    "bluetooth": (31, socket.SOCK_RAW, 1),
    "xdp": (44, socket.SOCK_RAW, 0),
}


async def test_other_kinds_of_sockets_are_refused(run: Any) -> None:
    attempts = [["special_socket", *map(int, kind)] for kind in OTHER_SOCKETS.values()]
    answers = dict(zip(OTHER_SOCKETS, (await run("several", attempts)).result, strict=True))
    assert set(answers.values()) <= {"EAFNOSUPPORT", "ENOSYS", "EPERM"}, answers


async def test_the_kernels_switches_cannot_be_turned(run: Any) -> None:
    paths = ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"]
    outcome = await run("several", [["write", path, "x"] for path in paths])
    assert len(outcome.result) == len(paths)
    assert set(outcome.result) <= REFUSED | {"ENOENT"}, outcome


async def test_the_output_cannot_be_put_in_the_place_of_something_else(run: Any) -> None:
    outcome = await run("replace_output", "/etc/passwd")
    assert REFUSED.issuperset(json.loads(outcome.stdout.splitlines()[-2])), outcome
    output = outcome.folder / "output"
    assert output.is_file()
    assert not output.is_symlink()


async def test_the_engine_and_the_node_are_not_there(run: Any) -> None:
    paths = ["/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock"]
    paths += ["/run/node.sock", "/run/containerd/containerd.sock"]
    outcome = await run("several", [["connect_unix", path] for path in paths])
    assert outcome.result == ["ENOENT"] * len(paths), outcome


async def test_raw_sockets_are_refused(run: Any) -> None:
    raw, icmp = int(socket.SOCK_RAW), int(socket.IPPROTO_ICMP)
    outcome = await run("special_socket", int(socket.AF_INET), raw, icmp)
    assert outcome.result == "EPERM"


async def test_the_internet_and_the_machines_services_are_out_of_reach(run: Any) -> None:
    """The server, another node's proxy and the cloud's metadata are such services."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("", 0)) as open_:
        own_address = _address_of_this_machine()
        port, open_port = server.getsockname()[1], open_.getsockname()[1]
        targets = [
            ["1.1.1.1", 443],
            ["169.254.169.254", 80],
            ["127.0.0.1", port],
            ["127.0.0.1", open_port],
            [own_address, open_port],
            *([f"172.{number}.0.1", open_port] for number in (17, 18)),
            ["10.88.0.1", open_port],
            ["::1", open_port],
        ]
        attempts = [["connect_all", targets], ["look_up", "example.org"]]
        answers, looked_up = (await run("several", attempts)).result
        assert set(answers) <= {"ENETUNREACH", "ECONNREFUSED", "EADDRNOTAVAIL"}, answers
        assert len(answers) == len(targets)
        for listener in (server, open_):
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()
    assert "ok" not in looked_up


def _address_of_this_machine() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(sock.getsockname()[0])


async def test_sockets_of_the_machine_are_out_of_reach(run: Any, tmp_path: Path) -> None:
    path, name = str(tmp_path / "docker.sock"), f"\0vantage6-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as file, socket.socket(socket.AF_UNIX) as abstract:
        for sock, address in ((file, path), (abstract, name)):
            sock.bind(address)
            sock.listen()
        outcome = await run("several", [["connect_unix", path], ["connect_unix", name]])
        assert outcome.result == ["ENOENT", "ECONNREFUSED"], outcome


async def test_a_run_reaches_its_own_proxy_and_no_others(start: Any, runtime: Any) -> None:
    address, port = runtime.proxy_address(None)
    host = address.removeprefix("http://")
    started = [await start("connect", host, port) for _ in range(2)]
    for number, (execution, _) in enumerate(started):
        connection, _ = await asyncio.get_running_loop().sock_accept(execution.proxy_socket)
        with connection:
            await asyncio.get_running_loop().sock_sendall(connection, f"proxy {number}".encode())
    for number, (execution, spec) in enumerate(started):
        await execution.wait()
        assert json.loads((spec.folder / "output").read_bytes()) == f"ok: proxy {number}"


async def test_nothing_but_the_proxy_listens_in_its_network(run: Any, runtime: Any) -> None:
    proxy = runtime.proxy_address(None)[1]
    # What the kernel lists, and what answers: the first thousands of ports, and the proxy's.
    outcome = await run("several", [["open_ports"], ["answering_ports", list(range(1, 10_000))]])
    assert outcome.result == [[proxy], [proxy]], outcome


async def test_a_name_leads_to_its_own_runs_door_and_no_others(start: Any, helpers: Any) -> None:
    loop = asyncio.get_running_loop()
    started = [
        await start("connect_all", [list(door) for door in helpers.doors], doors=helpers.doors)
        for _ in range(2)
    ]
    for number, (execution, _) in enumerate(started):
        assert set(execution.doors) == set(helpers.doors)
        for (host, port), door in execution.doors.items():
            async with asyncio.timeout(30):
                connection, _ = await loop.sock_accept(door)
            with connection:
                await loop.sock_sendall(connection, f"{number} {host} {port}".encode())
    for number, (execution, spec) in enumerate(started):
        await execution.wait()
        assert json.loads((spec.folder / "output").read_bytes()) == [
            f"ok: {number} {host} {port}" for host, port in helpers.doors
        ]


async def test_what_is_not_the_runs_own_door_is_shut(
    run: Any, start: Any, runtime: Any, helpers: Any
) -> None:
    """It knows no other names; and at the addresses that these have elsewhere nobody listens."""
    mine = helpers.doors[0]
    proxy = runtime.proxy_address(None)[1]
    everybodys, _ = await start("sleep", 60, doors=helpers.doors)
    places = [door.getsockname() for door in everybodys.doors.values()]
    attempts = [
        ["open_ports"],
        ["connect_all", [["other.hospital", 5432], ["web", 80]]],
        ["connect_all", [["dbtunnel", 5431], ["proxyserver", 5432], ["localhost", 5432]]],
        ["look_up", "proxyserver"],
        ["write", "/etc/hosts", "127.0.0.1 web"],
    ]
    outcome = await run("several", attempts, doors=[mine])
    assert outcome.ended == Ended(0), outcome
    ports, unknown, shut, own, write = outcome.result
    assert ports == sorted([proxy, mine[1]])
    assert not [answer for answer in unknown if answer.startswith(("ok", "ECONNREFUSED"))], unknown
    assert shut == ["ECONNREFUSED"] * 3
    assert own.startswith("ok")
    assert write in REFUSED
    none = await run("several", [["open_ports"], ["look_up", "dbtunnel"], ["connect_all", places]])
    ports, unknown, shut = none.result
    assert ports == [proxy]
    assert "ok" not in unknown
    assert shut == ["ECONNREFUSED"] * len(places)
    # Nor does anybody on the machine itself.
    for place in places:
        with socket.socket() as knock:
            assert knock.connect_ex(place) == errno.ECONNREFUSED


async def test_a_door_leads_to_one_host_only(start: Any, helpers: Any) -> None:
    """Of the machine, nothing else is there: neither what listens everywhere nor on loopback."""
    with socket.create_server(("", 0)) as open_, socket.create_server(("127.0.0.1", 0)) as own:
        ports = [open_.getsockname()[1], own.getsockname()[1]]
        targets = [["dbtunnel", port] for port in ports]
        execution, spec = await start("connect_all", targets, doors=helpers.doors)
        await execution.wait()
        assert json.loads((spec.folder / "output").read_bytes()) == ["ECONNREFUSED"] * 2
        for listener in (open_, own):
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()


async def test_a_run_sees_neither_files_nor_memory_of_another(run: Any, start: Any) -> None:
    marker = [ord(letter) - 1 for letter in "what only the first run knows"]
    assert (await run("search_memory", [ord(letter) - 1 for letter in "search_memory"])).result > 0
    await run("remember", marker)
    assert (await run("search_memory", marker)).result == 0
    first, first_spec = await start("wait_for_word", "/tmp/word")
    attempts = [["everything_below", "/mnt"]]
    attempts += [["write", "/tmp/word", "psst"], ["write", "/mnt/tmp/word", "psst"]]
    second = await run("several", attempts)
    found, *wrote = second.result
    assert f"{second.inner_folder}/input" in found
    assert str(first_spec.run_id) not in "".join(found)
    assert wrote == ["ok: 4", "ok: 4"]
    # A checkout or interpreter below /tmp is software, which every algorithm sees.
    software = (Path(__file__), Path(sys.prefix), Path(sys.base_prefix))
    shown = {path.parts[2] for path in software if path.is_relative_to("/tmp")}
    assert set((await run("folder", "/tmp")).result) <= shown
    await asyncio.sleep(0.1)
    assert (await run("processes")).result == ["1"]
    await first.kill("seen enough")
