"""Which kernel calls an algorithm may not make.

A deny-list: it closes what leads out of namespaces, what has often held kernel bugs, and what
holds memory that no limit counts. Everything that ordinary programs use stays open.
"""

from __future__ import annotations

import errno
import struct

from . import linux

# Numbers on (x86_64, aarch64); None: the architecture has no such call.
_NOT_PERMITTED: dict[str, tuple[int | None, int | None]] = {
    # mounts and roots
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "open_tree_attr": (467, 467),
    # namespaces
    "unshare": (272, 97),
    "setns": (308, 268),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # kernel internals
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "fanotify_init": (300, 262),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "lookup_dcookie": (212, 18),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "set_mempolicy_home_node": (450, 450),
    "syslog": (103, 116),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "_sysctl": (156, None),
    "modify_ldt": (154, None),
    "iopl": (172, None),
    "ioperm": (173, None),
    "vhangup": (153, 58),
    "nfsservctl": (180, 42),
    # keys: the node's session keyring is inherited
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # the machine
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "create_module": (174, None),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
}

# Programs know how to do without these when the kernel says that it has no such call.
_UNKNOWN: dict[str, tuple[int | None, int | None]] = {
    # its flags lie in memory, out of a filter's sight; the C library falls back to clone
    "clone3": (435, 435),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # memory that belongs to no process and no bounded file system
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "msgget": (68, 186),
}

_CLONE = (56, 220)
_SOCKET = (41, 198)
_SOCKETPAIR = (53, 199)
_PRCTL = (157, 167)
_IOCTL = (16, 29)
_FALLOCATE = (285, 47)
_PERSONALITY = (135, 92)

_NEW_NAMESPACES = (
    linux.CLONE_NEWTIME
    | linux.CLONE_NEWNS
    | linux.CLONE_NEWCGROUP
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUSER
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWNET
)
_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6
_REFUSED_REQUESTS = (
    # TIOCSTI, TIOCLINUX: typing into the owner's terminal
    *(0x5412, 0x541C),
    # FS_IOC_RESVSP, _RESVSP64 and _ZERO_RANGE: other names of fallocate's, see there
    *(0x40305828, 0x4030582A, 0x40305839),
)
_KEEP_SIZE, _PUNCH_HOLE = 1, 2

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32_BIT = 0x40000000

_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_ARGUMENTS = 0, 4, 16
_KILL_PROCESS = 0x80000000
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000


def supported() -> bool:
    """Whether the filter knows this machine's architecture."""
    return linux.MACHINE in _MACHINES


def program() -> bytes:
    """Assemble the filter for this machine."""
    column, architecture = _MACHINES[linux.MACHINE]
    code = [
        _step(_LOAD, _OFFSET_ARCHITECTURE),
        _step(_JUMP_EQUAL, architecture, 1, 0),
        _step(_RETURN, _KILL_PROCESS),
        _step(_LOAD, _OFFSET_NUMBER),
    ]
    if linux.MACHINE == "x86_64":
        code += [_step(_JUMP_GREATER_EQUAL, _X32_BIT, 0, 1), _step(_RETURN, _KILL_PROCESS)]
    for table, answer in ((_NOT_PERMITTED, errno.EPERM), (_UNKNOWN, errno.ENOSYS)):
        for numbers in table.values():
            number = numbers[column]
            if number is not None:
                code += _when(number, [_step(_RETURN, _ERRNO | answer)])
    refuse = _step(_RETURN, _ERRNO | errno.EPERM)
    allow = _step(_RETURN, _ALLOW)
    code += _when(
        _CLONE[column],
        [_argument(0), _step(_JUMP_ANY_BIT, _NEW_NAMESPACES, 0, 1), refuse, allow],
    )
    for call in (_SOCKET, _SOCKETPAIR):
        known = [_step(_JUMP_EQUAL, family, len(_FAMILIES) - index, 0) for index, family in
                 enumerate(_FAMILIES)]  # fmt: skip
        unsupported = _step(_RETURN, _ERRNO | errno.EAFNOSUPPORT)
        code += _when(call[column], [_argument(0), *known, unsupported, allow])
    # An algorithm must not outlive its supervisor.
    code += _when(
        _PRCTL[column],
        [_argument(0), _step(_JUMP_EQUAL, linux.PR_SET_PDEATHSIG, 0, 1), refuse, allow],
    )
    requests = [
        _step(_JUMP_EQUAL, request, len(_REFUSED_REQUESTS) - index, 0)
        for index, request in enumerate(_REFUSED_REQUESTS)
    ]
    code += _when(_IOCTL[column], [_argument(1), *requests, allow, refuse])
    # Blocks behind a file's end take up the disk, and no limit to its size counts them.
    code += _when(
        _FALLOCATE[column],
        [
            _argument(1),
            _step(_JUMP_ANY_BIT, _PUNCH_HOLE, 1, 0),
            _step(_JUMP_ANY_BIT, _KEEP_SIZE, 1, 0),
            allow,
            _step(_RETURN, _ERRNO | errno.EOPNOTSUPP),
        ],
    )
    code += _when(
        _PERSONALITY[column],
        [
            _argument(0),
            _step(_JUMP_EQUAL, 0, 2, 0),
            _step(_JUMP_EQUAL, 0xFFFFFFFF, 1, 0),
            refuse,
            allow,
        ],
    )
    return b"".join([*code, allow])


def _step(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, value)


def _argument(index: int) -> bytes:
    # The low half: both architectures are little-endian.
    return _step(_LOAD, _OFFSET_ARGUMENTS + 8 * index)


def _when(number: int, body: list[bytes]) -> list[bytes]:
    """Run `body`, which must return, when the call has this number."""
    return [_step(_JUMP_EQUAL, number, 0, len(body)), *body]
