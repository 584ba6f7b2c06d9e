"""Kernel calls that Python's standard library lacks, by ctypes."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import platform
import signal
import socket
import struct
from collections.abc import Iterator

CLONE_VM = 0x00000100
CLONE_NEWTIME = 0x00000080
CLONE_THREAD = 0x00010000
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MNT_DETACH = 2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_IDMAP = 0x00100000

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_CAPABILITY_VERSION_3 = 0x20080522

# The same numbers on every architecture, as of Linux 5.0.
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_CLOSE_RANGE = 436
_SYS_MOUNT_SETATTR = 442

MACHINE = platform.machine()
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
_HELPER_STACK = ctypes.create_string_buffer(64 * 1024)


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _check(result: int, call: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result


def _syscall(number: int, name: str, *arguments: int | bytes | None) -> int:
    values = [
        ctypes.c_char_p(a) if isinstance(a, bytes) or a is None else ctypes.c_long(a)
        for a in arguments
    ]
    return _check(int(_libc.syscall(ctypes.c_long(number), *values)), name)


def prctl(option: int, argument: int = 0, second: int = 0) -> None:
    """Set an attribute of this process."""
    _check(_libc.prctl(option, argument, second, 0, 0), f"prctl({option})")


def unshare(flags: int) -> None:
    """Leave the namespaces that the flags name for new ones."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def insist_on_one_thread() -> None:
    """Do nothing, if this process has one thread only.

    Raises
    ------
    OSError
        If it has more (unshare(2), ``CLONE_THREAD``).
    """
    unshare(CLONE_THREAD)


def mount(
    source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None
) -> None:
    """Mount a file system, or change the flags of a mount."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        flags,
        data.encode() if data else None,
    )
    _check(result, f"mount {target}")


def detach(target: str) -> None:
    """Unmount once nobody uses it any more."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def pivot_root(folder: str) -> None:
    """Make a mounted folder the root, and let go of the old one."""
    os.chdir(folder)
    _syscall(_SYS_PIVOT_ROOT[MACHINE], "pivot_root", b".", b".")
    # Both lie stacked on "." now; the old root is on top.
    detach(".")
    os.chdir("/")


def clone_tree(path: str) -> int:
    """Take a private copy of the mounts at and below a path; gives a descriptor to attach."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE
    return _syscall(_SYS_OPEN_TREE, f"open_tree {path}", _AT_FDCWD, os.fsencode(path), flags)


def restrict_tree(tree: int, attributes: int, user_namespace: int | None = None) -> None:
    """Set attributes on all mounts of a copied tree, and let later mounts not spread to them.

    With a namespace, shift their owners.
    """
    if user_namespace is not None:
        attributes |= MOUNT_ATTR_IDMAP
    request = struct.pack("=QQQQ", attributes, 0, MS_PRIVATE, user_namespace or 0)
    flags = _AT_EMPTY_PATH | _AT_RECURSIVE
    _syscall(_SYS_MOUNT_SETATTR, "mount_setattr", tree, b"", flags, request, len(request))


def attach_tree(tree: int, target: str) -> None:
    """Put a copied tree at a path and close its descriptor."""
    path = os.fsencode(target)
    _syscall(
        _SYS_MOVE_MOUNT, f"mount {target}", tree, b"", _AT_FDCWD, path, _MOVE_MOUNT_F_EMPTY_PATH
    )
    os.close(tree)


def close_from(first: int) -> None:
    """Close every descriptor from this one on."""
    _syscall(_SYS_CLOSE_RANGE, "close_range", first, 0x7FFFFFFF, 0)


def drop_capability_bounds() -> None:
    """Make sure that nothing this process executes can gain a capability."""
    capability = 0
    # The kernel says where its list ends.
    with contextlib.suppress(OSError):
        while True:
            prctl(PR_CAPBSET_DROP, capability)
            capability += 1
    if capability == 0:
        raise OSError("this process may not drop capabilities from its bounding set")
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)


def drop_capabilities() -> None:
    """Give up every capability this process has."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _syscall(_SYS_CAPSET[MACHINE], "capset", header, bytes(24))


def install_filter(program: bytes) -> None:
    """Load a seccomp program (an array of ``struct sock_filter``)."""
    code = ctypes.create_string_buffer(program, len(program))
    description = _FilterProgram(len(program) // 8, ctypes.addressof(code))
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(description))


def raise_loopback() -> None:
    """Switch on the loopback interface of this network namespace."""
    get_flags, set_flags, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack_from("h", fcntl.ioctl(sock, get_flags, request), 16)[0]
        fcntl.ioctl(sock, set_flags, struct.pack("16sh22x", b"lo", flags | up))


@contextlib.contextmanager
def shifted_owner(owner: tuple[int, int], identity: tuple[int, int]) -> Iterator[int]:
    """Make a user namespace that shows files of `owner` as files of `identity`.

    Both are user and group id. Gives the namespace's descriptor. Needs root.
    """
    # A namespace is born with a process. This one shares our memory and runs nothing but C's
    # `sleep` on a stack of its own, which spares copying a large parent.
    sleep = ctypes.cast(_libc.sleep, ctypes.c_void_p)
    stack_top = ctypes.c_void_p((ctypes.addressof(_HELPER_STACK) + len(_HELPER_STACK)) & ~0xFF)
    flags = CLONE_VM | CLONE_NEWUSER | signal.SIGCHLD
    seconds = ctypes.c_void_p(10)
    pid = _check(_libc.clone(sleep, stack_top, flags, seconds), "clone")
    descriptor = -1
    try:
        for kind, outer, inner in (
            ("uid_map", owner[0], identity[0]),
            ("gid_map", owner[1], identity[1]),
        ):
            write_file(f"/proc/{pid}/{kind}", f"{outer} {inner} 1")
        descriptor = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        yield descriptor
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        if descriptor >= 0:
            os.close(descriptor)


def write_file(path: str, text: str, *, folder: int | None = None) -> None:
    """Write text to an existing file in one call, as files of the kernel want it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
