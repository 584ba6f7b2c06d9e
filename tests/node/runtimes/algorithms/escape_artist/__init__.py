"""An algorithm that tries to get out, written as an outside author would write it.

Each function makes one kind of attempt and returns what came of it: ``"ok: …"`` or the error.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_remembered: list[bytes] = []


def _outcome(attempt: Callable[[], Any]) -> str:
    try:
        return f"ok: {attempt()}"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)


def nothing() -> None:
    return None


def several(attempts: list[list[Any]]) -> list[Any]:
    """Make several attempts, each a method's name and its arguments, in one run."""
    return [globals()[name](*arguments) for name, *arguments in attempts]


def read(path: str) -> str:
    def attempt() -> str:
        with open(path, "rb") as file:
            return file.read(65536).decode("utf-8", errors="replace")

    return _outcome(attempt)


def write(path: str, text: str) -> str:
    def attempt() -> int:
        with open(path, "w") as file:
            return file.write(text)

    return _outcome(attempt)


def change_own(variable: str) -> list[str]:
    """Try to change, remove and replace a file that the node handed over."""
    path = os.environ[variable]
    return [
        write(path, "changed"),
        _outcome(lambda: os.chmod(path, 0o600)),
        _outcome(lambda: os.unlink(path)),
        _outcome(lambda: os.rename("/tmp", path)),
    ]


def folder(path: str) -> str | list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def everything_below(path: str) -> list[str]:
    """Every file that can be found, except in the software."""
    found = []
    skipped = {"/proc", "/usr", "/etc", sys.prefix, sys.base_prefix, *sys.path}
    for parent, folders, files in os.walk(path):
        folders[:] = [name for name in folders if os.path.join(parent, name) not in skipped]
        found += [os.path.join(parent, name) for name in files]
    return sorted(found)


def writable_places() -> list[str]:
    found = []
    for parent, folders, files in os.walk("/"):
        if parent == "/":
            folders[:] = [name for name in folders if name != "proc"]
        places = [parent, *(os.path.join(parent, name) for name in files)]
        found += [
            place for place in places if not os.path.islink(place) and os.access(place, os.W_OK)
        ]
    return sorted(found)


def environment() -> dict[str, str]:
    return dict(os.environ)


def first_environment() -> str:
    return read("/proc/self/environ")


def descriptors() -> list[str]:
    return [os.readlink(f"/proc/self/fd/{name}") for name in _open_descriptors()]


def _open_descriptors() -> list[str]:
    names = os.listdir("/proc/self/fd")
    return [name for name in names if os.path.lexists(f"/proc/self/fd/{name}")]


def processes() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdecimal()]


def connect(host: str, port: int) -> str:
    def attempt() -> str:
        with socket.create_connection((host, port), timeout=20) as sock:
            return sock.recv(100).decode()

    return _outcome(attempt)


def connect_all(targets: list[tuple[str, int]]) -> list[str]:
    from concurrent.futures import ThreadPoolExecutor

    # All at once: an address where nobody is takes seconds to say so.
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda target: connect(*target), targets))


def connect_gateways(port: int) -> list[str]:
    """Try the machine where it would be: at the first and last addresses of each network."""
    import ipaddress

    found = []
    for line in read("/proc/net/fib_trie").splitlines():
        word = line.split("|-- ")[-1].strip()
        if "|-- " in line and not word.startswith(("127.", "0.")):
            net = ipaddress.ip_network(f"{word}/16", strict=False)
            near = ipaddress.ip_network(f"{word}/24", strict=False)
            found += [str(net[1]), str(net[-2]), str(near[1]), str(near[-2])]
    return connect_all([(host, port) for host in sorted(set(found))])


def connect_unix(address: str) -> str:
    def attempt() -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(address)

    return _outcome(attempt)


def open_ports() -> list[int]:
    """Every port of this machine that something listens on, as the kernel lists them."""
    found = []
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/self/net/{protocol}") as table:
            for line in table.read().splitlines()[1:]:
                _, local, _, state = line.split()[:4]
                if state == "0A" or protocol.startswith("udp"):
                    found.append(int(local.rpartition(":")[2], 16))
    return sorted(found)


def answering_ports(ports: list[int]) -> list[int]:
    """Those of these ports of this machine that take a connection."""
    found = []
    for port in ports:
        with socket.socket() as sock:
            # A connection to itself may come about by chance.
            reached = sock.connect_ex(("127.0.0.1", port)) == 0
            if reached and sock.getsockname() != sock.getpeername():
                found.append(port)
    return found


def look_up(name: str) -> str:
    return _outcome(lambda: socket.getaddrinfo(name, 80))


def look_up_oneself() -> str:
    return look_up(socket.gethostname())


def knock_until_told(host: str, port: int) -> str:
    """Connect again and again, over any refusal, until somebody says something."""
    print("knocking", flush=True)
    while True:
        try:
            with socket.create_connection((host, port), timeout=20) as sock:
                if told := sock.recv(100).decode():
                    return told
        except OSError:
            time.sleep(0.05)


def special_socket(family: int, kind: int, protocol: int = 0) -> str:
    return _outcome(lambda: socket.socket(family, kind, protocol).close())


def call(numbers: dict[str, int], *arguments: int) -> str:
    """Make a kernel call by its number on this machine."""

    def attempt() -> int:
        values = [ctypes.c_long(value) for value in arguments]
        result = _libc.syscall(ctypes.c_long(numbers[platform.machine()]), *values)
        if result < 0:
            raise OSError(ctypes.get_errno(), "")
        return int(result)

    return _outcome(attempt)


def make_calls(calls: dict[str, list[Any]]) -> dict[str, str]:
    return {name: call(*arguments) for name, arguments in calls.items()}


def _in_child(attempt: Callable[[], None]) -> str:
    """How a child ends that makes an attempt: by which signal, or how it went."""
    child = os.fork()
    if child == 0:
        try:
            attempt()
        except OSError as error:
            os._exit(1 if error.errno == errno.ENOSYS else 2)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return ("made", "ENOSYS", "refused otherwise")[os.WEXITSTATUS(status)]


def calls_of_other_kinds() -> list[str]:
    """Ask for the process id (20) and a namespace (unshare, 310) as 32-bit and x32 programs do."""
    if platform.machine() != "x86_64":
        return ["no such machine"]

    def as_32_bit(number: int, argument: int) -> Callable[[], None]:
        def attempt() -> None:
            # push rbx; mov eax, number; mov ebx, argument; int 0x80; pop rbx; ret
            code = b"\x53\xb8" + number.to_bytes(4, "little")
            code += b"\xbb" + argument.to_bytes(4, "little") + b"\xcd\x80\x5b\xc3"
            page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            page.write(code)
            address = ctypes.addressof(ctypes.c_char.from_buffer(page))
            answer = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
            if answer < 0:
                raise OSError(-answer, "")

        return attempt

    def as_x32() -> None:
        if _libc.syscall(ctypes.c_long(0x40000000 | 272), ctypes.c_long(0x10000000)) < 0:
            raise OSError(ctypes.get_errno(), "")

    return [_in_child(as_32_bit(20, 0)), _in_child(as_32_bit(310, 0x10000000)), _in_child(as_x32)]


def mount_something() -> str:
    def attempt() -> None:
        if _libc.mount(b"none", b"/tmp", b"tmpfs", ctypes.c_ulong(0), None) < 0:
            raise OSError(ctypes.get_errno(), "")

    return _outcome(attempt)


def make_device() -> str:
    return _outcome(lambda: os.mknod("/tmp/disk", 0o600 | 0o060000, os.makedev(254, 0)))


def become_root() -> list[str]:
    return [
        _outcome(lambda: os.setuid(0)),
        _outcome(lambda: os.setresuid(0, 0, 0)),
        _outcome(lambda: os.chroot("/tmp")),
    ]


def who_am_i() -> dict[str, Any]:
    status = dict(
        line.split(":\t", 1) for line in read("/proc/self/status")[4:].splitlines() if ":\t" in line
    )
    wanted = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
    return {
        "uid": os.getresuid(),
        "gid": os.getresgid(),
        "groups": os.getgroups(),
        "pid": os.getpid(),
        "host": socket.gethostname(),
        **{name: status[name].strip() for name in wanted},
    }


def signal_everybody() -> list[str]:
    return [
        _outcome(lambda: os.kill(-1, signal.SIGTERM)),
        _outcome(lambda: os.kill(os.getppid(), signal.SIGKILL)) if os.getppid() else "no parent",
    ]


def outlive_parent() -> str:
    """Try to undo what ties this process's life to its supervisor's."""

    def attempt() -> None:
        if _libc.prctl(1, ctypes.c_ulong(0), 0, 0, 0) < 0:
            raise OSError(ctypes.get_errno(), "")

    return _outcome(attempt)


def search_memory(marker: list[int]) -> int:
    """How often a text occurs in this process's memory.

    It is given as numbers minus one and never put together, so that the search does not find
    itself: each piece of memory is shifted by one before it is looked at.
    """
    needle = bytes(marker)
    minus_one = bytes((number - 1) % 256 for number in range(256))
    count = 0
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as memory:
        for line in maps.read().splitlines():
            area, rights = line.split()[:2]
            begin, end = (int(part, 16) for part in area.split("-"))
            if not rights.startswith("rw") or end - begin > 256 * 1024**2:
                continue
            try:
                memory.seek(begin)
                count += memory.read(end - begin).translate(minus_one).count(needle)
            except OSError:
                continue
    return count


def remember(marker: list[int]) -> int:
    _remembered.extend(bytes(number + 1 for number in marker) * 1000 for _ in range(100))
    return len(_remembered)


def random_numbers() -> list[Any]:
    import numpy as np

    return [random.random(), float(np.random.random())]  # noqa: S311 (a test of luck)


def fork_bomb(attempts: int) -> dict[str, int]:
    started, refused = 0, 0
    for _ in range(attempts):
        try:
            pid = os.fork()
        except OSError:
            refused += 1
            continue
        if pid == 0:
            # Each child tries to be a bomb as well.
            while True:
                try:
                    if os.fork() == 0:
                        time.sleep(60)
                except OSError:
                    time.sleep(60)
        started += 1
    return {"started": started, "refused": refused}


def _call_oneself(name: str) -> None:
    """The kernel's name of this process, and of those it forks from now on."""
    if name and _libc.prctl(15, name.encode(), 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "")


def start_daemon(name: str = "") -> int:
    """Double fork, new session, every signal ignored, standard streams kept open."""
    _call_oneself(name)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            while True:
                time.sleep(60)
        os._exit(0)
    os.wait()
    return len(processes())


def daemon_and_wait(name: str = "") -> None:
    start_daemon(name)
    print("waiting", flush=True)
    time.sleep(600)


def fill(path: str, megabytes: int) -> dict[str, Any]:
    """Write until refused."""
    written = 0
    block = b"x" * 1024 * 1024
    try:
        with open(path, "wb", buffering=0) as file:
            for _ in range(megabytes):
                written += file.write(block)
    except OSError as error:
        return {"written": written, "error": errno.errorcode[error.errno or 0]}
    return {"written": written, "error": None}


def fill_everywhere(megabytes: int) -> int:
    """Bytes that fit into all writable places together, in many files."""
    total = 0
    for place in ("/tmp", "/dev/shm", "/mnt/tmp"):
        for number in range(20):
            total += fill(f"{place}/{number}", megabytes)["written"]
    return total


def many_files(number: int) -> int:
    for made in range(number):
        try:
            open(f"/tmp/{made}", "w").close()
        except OSError:
            return made
    return number


def fill_output(megabytes: int) -> dict[str, Any]:
    outcome = fill(os.environ["OUTPUT_FILE"], megabytes)
    time.sleep(0.5)
    os._exit(0 if outcome["error"] is None else 3)


def garbage(size: int) -> None:
    with open(os.environ["OUTPUT_FILE"], "wb") as file:
        file.write(bytes(number % 256 for number in range(size)))
    os._exit(0)


def replace_output(path: str) -> None:
    """Put a link to something else in the place of the output."""
    output = os.environ["OUTPUT_FILE"]
    answers = [
        _outcome(lambda: os.unlink(output)),
        _outcome(lambda: os.rename(output, f"{output}.old")),
        _outcome(lambda: os.symlink(path, f"{os.path.dirname(output)}/input2")),
    ]
    import json

    print(json.dumps(answers), flush=True)


def big_result(size: int) -> str:
    return "x" * size


def allocate(megabytes: int) -> int:
    return len(bytearray(megabytes * 1024**2))


def allocate_in_many(processes: int, megabytes: int) -> None:
    for _ in range(processes):
        if os.fork() == 0:
            block = bytearray(megabytes * 1024**2)
            block[::4096] = b"x" * len(block[::4096])
            time.sleep(60)
    time.sleep(60)


def allocate_shared(megabytes: int) -> None:
    block = mmap.mmap(-1, megabytes * 1024**2)
    for offset in range(0, len(block), 4096):
        block[offset] = 1
    time.sleep(60)


def spin() -> None:
    while True:
        pass


def spin_in_many(processes: int, name: str = "") -> None:
    _call_oneself(name)
    for _ in range(processes):
        try:
            if os.fork() == 0:
                spin()
        except OSError:
            break
    time.sleep(600)


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "woke up"


def wait_for_word(path: str) -> str:
    """Wait until a file appears, then say what it holds."""
    while not os.path.exists(path):
        time.sleep(0.01)
    return read(path)


def say(text: str) -> str:
    print(text, flush=True)
    print(text, file=sys.stderr, flush=True)
    return text


def speak_wait_connect(port: int) -> str:
    """Speak before and after the node has been away, then call it."""
    print("before", flush=True)
    for _ in range(600):
        answer = connect("127.0.0.1", port)
        if answer.startswith("ok: hello"):
            print("after", flush=True)
            return answer
        time.sleep(0.2)
    return "never"


def chatter(megabytes: int) -> str:
    line = "y" * 1023 + "\n"
    for _ in range(megabytes * 1024):
        sys.stdout.write(line)
        sys.stderr.write(line)
    return "said it all"


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)
    ctypes.string_at(0)


def leave(code: int) -> None:
    print("leaving", flush=True)
    print("leaving in anger", file=sys.stderr, flush=True)
    os._exit(code)


def open_many(number: int) -> int:
    held = []
    for _ in range(number):
        try:
            held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            break
    for descriptor in held:
        os.close(descriptor)
    return len(held)


def run_program(*command: str) -> list[Any]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [done.returncode, done.stdout, done.stderr]


def use_pool() -> list[int]:
    """What honest authors do: several processes and threads, shared memory, temporary files."""
    import multiprocessing
    import tempfile
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    context = multiprocessing.get_context("fork")
    with ThreadPoolExecutor(4) as threads, ProcessPoolExecutor(2, mp_context=context) as workers:
        first = list(threads.map(abs, [-1, -2]))
        second = list(workers.map(abs, [-3, -4]))
    with tempfile.TemporaryFile() as file:
        file.write(b"12345")
        return [*first, *second, file.tell()]


def use_the_system() -> dict[str, Any]:
    """What other honest programs do: spawn, pipe, share memory, set alarms, map files, watch."""
    import asyncio
    import select
    import sqlite3
    import tempfile
    import threading
    from multiprocessing import get_context, shared_memory

    async def in_a_shell() -> str:
        made = await asyncio.create_subprocess_shell("echo $((6*7))", stdout=subprocess.PIPE)
        return (await made.communicate())[0].decode().strip()

    found: dict[str, Any] = {"shell": asyncio.run(in_a_shell())}
    found["spawned"] = os.waitstatus_to_exitcode(
        os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], {}), 0)[1]
    )
    found["piped"] = _piped("(echo one) | while read word; do echo $word; done")
    memory = shared_memory.SharedMemory(create=True, size=4096)
    with get_context("spawn").Pool(1) as pool:
        found["pool"] = pool.map(abs, [-1, -2])
    memory.close()
    memory.unlink()
    alarms: list[int] = []
    signal.signal(signal.SIGALRM, lambda number, _: alarms.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    select.select([reader], [], [], 0.1)
    os.close(reader)
    os.close(writer)
    found["alarms"] = len(alarms)
    with tempfile.TemporaryDirectory() as place:
        os.mkfifo(f"{place}/fifo")
        with sqlite3.connect(f"{place}/base") as base:
            base.execute("PRAGMA journal_mode=WAL")
            found["sql"] = base.execute("SELECT 6*7").fetchone()[0]
        base.close()
        with open(f"{place}/mapped", "wb+") as file:
            file.truncate(4096)
            with mmap.mmap(file.fileno(), 4096) as mapped:
                mapped[:3] = b"abc"
            os.posix_fallocate(file.fileno(), 0, 8192)
            found["mapped"] = file.read(3).decode()
    local = threading.local()
    threads = [threading.Thread(target=setattr, args=(local, "x", i)) for i in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left, right = socket.socketpair()
    left.close()
    right.close()
    with socket.create_server(("127.0.0.1", 0)) as server:
        found["served"] = _connected(server)
    found["clone3"] = call({"x86_64": 435, "aarch64": 435}, 0, 0)
    return found


def _piped(command: str) -> str:
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _connected(server: socket.socket) -> str:
    with socket.create_connection(server.getsockname()) as caller:
        accepted, _ = server.accept()
        with accepted:
            accepted.sendall(b"hello")
        return caller.recv(10).decode()


def frame_sum(path: str) -> dict[str, Any]:
    """Pandas and Arrow, with their own threads."""
    import pandas as pd

    frame = pd.read_csv(path)
    frame.to_parquet("/tmp/frame.parquet")
    again = pd.read_parquet("/tmp/frame.parquet")
    return {"sum": int(again["n"].sum()), "groups": again.groupby("g")["n"].sum().to_dict()}


def late_output() -> str:
    """Leave a thread and an exit handler behind, as some libraries do."""
    import atexit
    import threading

    atexit.register(lambda: print("at exit"))
    threading.Thread(target=lambda: (time.sleep(0.05), print("thread done"))).start()
    return "returned"
