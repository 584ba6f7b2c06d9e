"""The file system an algorithm sees: software read-only, its own run, nothing else of the host.

Built by the supervisor while it still sees the host's files, in a mount namespace of its own; then
made the root, of both, by the algorithm's process.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from . import linux
from .identity import Identity
from .request import MountRequest, SandboxError
from .software import SYSTEM, hides, is_within

# Read by programs in general: linker, name lookup, time zone, certificates, MIME types.
_ETC = (
    "alternatives",
    "ca-certificates",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "pki/ca-trust/extracted",
    "pki/tls",
    "protocols",
    "services",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
)
_DEVICES = ("null", "zero", "full", "random", "urandom")
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
_SCRATCH = (("tmp", "/tmp"), ("shm", "/dev/shm"), ("job", "/mnt/tmp"))  # noqa: S108 (the names)
# Any folder that exists and holds no databases: the view is put together on top of it.
_STAGES = ("/sys", "/boot", "/srv")
_ROOT_SIZE = 4 * 1024**2
_SCRATCH_FILES = 65536

_READ_ONLY = linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV
_DATA = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV | linux.MOUNT_ATTR_NOEXEC
_DEVICE = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NOEXEC


@dataclass(frozen=True)
class _Piece:
    """A copied tree, where it goes, and whether that is a folder."""

    tree: int
    target: str
    is_folder: bool


@dataclass(frozen=True)
class View:
    """What one algorithm shall see.

    ``software``, ``packages`` (of the algorithm itself) and ``hidden`` are paths of the host;
    ``own`` are files of the run's folder, which belong to the algorithm already; ``mounts`` are
    its databases; ``scratch_size`` is in bytes; ``hosts`` is its ``/etc/hosts``.
    """

    identity: Identity
    software: tuple[str, ...]
    packages: tuple[str, ...]
    hidden: tuple[str, ...]
    own: tuple[MountRequest, ...]
    mounts: tuple[MountRequest, ...]
    scratch_size: int
    hosts: str


def begin(identity: Identity, software: tuple[str, ...]) -> str:
    """Put together what all algorithms see. Call in a new mount namespace.

    Returns
    -------
    str
        Where it is mounted, for :func:`furnish` and :func:`enter`.

    Raises
    ------
    OSError
        If the kernel refuses.
    """
    # What the host mounts from now on shows here, until the algorithm enters.
    linux.mount("", "/", None, linux.MS_REC | linux.MS_SLAVE)
    links: list[tuple[str, str]] = []
    pieces = _system_pieces(links)
    pieces += [_copy(path, path, _READ_ONLY) for path in software]
    pieces += [
        _copy(f"/etc/{name}", f"/etc/{name}", _READ_ONLY)
        for name in _ETC
        if os.path.exists(f"/etc/{name}")
    ]
    pieces += [_copy(f"/dev/{name}", f"/dev/{name}", _DEVICE) for name in _DEVICES]
    stage = next(folder for folder in _STAGES if os.path.isdir(folder))
    flags = linux.MS_NOSUID | linux.MS_NODEV
    linux.mount("vantage6", stage, "tmpfs", flags, f"size={_ROOT_SIZE},mode=0755")
    _lay_out(stage, identity)
    for name, destination in links:
        os.symlink(destination, stage + name)
    # Before the software, some of which may lie in the host's /tmp.
    _add_scratch(stage)
    for piece in pieces:
        _attach(stage, piece)
    return stage


def furnish(stage: str, view: View) -> None:
    """Add what one run sees.

    Raises
    ------
    SandboxError
        If a database cannot be shown.
    OSError
        If the kernel refuses.
    """
    masks = _masks(view)
    pieces = [
        _shared(MountRequest(path, path), view.identity, "algorithm's folder", _READ_ONLY)
        for path in view.packages
    ]
    for own in view.own:
        extra = 0 if own.writable else linux.MOUNT_ATTR_RDONLY
        pieces.append(_copy(own.source, own.target, _DATA | extra))
    for mount in sorted(view.mounts, key=_target):
        attributes = _DATA | (0 if mount.writable else linux.MOUNT_ATTR_RDONLY)
        pieces.append(_shared(mount, view.identity, "database", attributes))
    scratch = linux.MS_REMOUNT | linux.MS_NOSUID | linux.MS_NODEV
    target = stage + _SCRATCH[0][1]
    linux.mount("scratch", target, None, scratch, f"size={view.scratch_size}")
    for piece in pieces:
        _attach(stage, piece)
    for path in masks:
        _mask(stage + path)
    with open(f"{stage}/etc/hosts", "w", encoding="ascii") as file:
        file.write(view.hosts)


def enter(stage: str) -> None:
    """Make a built view the root, for all processes of this mount namespace.

    Call as a member of the new process namespace, which gets its ``/proc``: while the host's is
    still in sight, or the kernel would refuse it to an ordinary user. Where it refuses all the
    same (inside some containers), ``/proc`` stays empty.
    """
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_RDONLY
    try:
        linux.mount("proc", f"{stage}/proc", "proc", flags, "subset=pid")
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
    linux.pivot_root(stage)
    root = linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV
    linux.mount("", "/", None, linux.MS_REMOUNT | linux.MS_BIND | root)


def _target(mount: MountRequest) -> str:
    return mount.target


def _system_pieces(links: list[tuple[str, str]]) -> list[_Piece]:
    pieces = []
    for path in SYSTEM:
        if os.path.islink(path):
            links.append((path, os.readlink(path)))
        elif os.path.isdir(path):
            pieces.append(_copy(path, path, _READ_ONLY))
    return pieces


def _copy(source: str, target: str, attributes: int) -> _Piece:
    tree = linux.clone_tree(source)
    linux.restrict_tree(tree, attributes)
    return _Piece(tree, target, os.path.isdir(source))


def _shared(mount: MountRequest, identity: Identity, what: str, attributes: int) -> _Piece:
    """Copy a tree so that the algorithm may read it, whoever it belongs to."""
    source = os.path.realpath(mount.source)
    try:
        status = os.stat(source)
    except OSError as error:
        raise SandboxError(f"The {what} {mount.source} is missing: {error.strerror}") from error
    is_folder = stat.S_ISDIR(status.st_mode)
    if not (is_folder or stat.S_ISREG(status.st_mode)):
        raise SandboxError(f"The {what} {mount.source} is neither a file nor a folder")
    tree = linux.clone_tree(source)
    piece = _Piece(tree, mount.target, is_folder)
    if not identity.separate:
        if not os.access(source, os.R_OK | (os.X_OK if is_folder else 0)):
            raise SandboxError(
                f"The node's user may not read the {what} {mount.source}; give it that right"
            )
        linux.restrict_tree(tree, attributes)
        return piece
    if not (is_folder or mount.writable) and status.st_mode & stat.S_IROTH:
        linux.restrict_tree(tree, attributes)
        return piece
    owner = (status.st_uid, status.st_gid)
    try:
        with linux.shifted_owner(owner, (identity.user, identity.group)) as namespace:
            linux.restrict_tree(tree, attributes, namespace)
    except OSError as error:
        readable = stat.S_IROTH | (stat.S_IXOTH if is_folder else 0)
        if mount.writable or status.st_mode & readable != readable:
            raise SandboxError(
                f"The file system of the {what} {mount.source} cannot show it to an algorithm "
                f"({error.strerror}). Make it readable for all (chmod -R o+rX), move it to an "
                "ext4, xfs or btrfs file system, or run the node as the user who owns it"
            ) from error
        linux.restrict_tree(tree, attributes)
    return piece


def _masks(view: View) -> list[str]:
    """Paths inside the new root that must be covered, because a shown folder contains them."""
    found: list[str] = []
    shown = (*view.software, *view.packages)
    for path in sorted({os.path.realpath(path) for path in view.hidden}):
        if any(is_within(path, covered) for covered in found):
            continue
        if path in (*SYSTEM, *shown):
            raise SandboxError(
                f"Algorithms need the software in {path}, which also holds files of the node that "
                "they must not see. Keep the node's files elsewhere"
            )
        if os.path.exists(path) and hides(shown, path):
            found.append(path)
    return found


def _mask(path: str) -> None:
    if os.path.isdir(path):
        flags = linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
        linux.mount("hidden", path, "tmpfs", flags, "size=4096,mode=0555")
    elif os.path.exists(path):
        linux.attach_tree(linux.clone_tree("/dev/null"), path)


def _lay_out(stage: str, identity: Identity) -> None:
    for folder in ("/etc", "/dev", "/dev/shm", "/mnt", "/mnt/tmp", "/proc", "/tmp", "/scratch"):  # noqa: S108
        os.mkdir(stage + folder, 0o755)
    for name, destination in _DEVICE_LINKS.items():
        os.symlink(destination, f"{stage}/dev/{name}")
    user, group = identity.user, identity.group
    files = {
        "passwd": (
            f"root:x:0:0:root:/:/usr/sbin/nologin\n"
            f"algorithm:x:{user}:{group}:algorithm:/tmp:/usr/sbin/nologin\n"
        ),
        "group": f"root:x:0:\nalgorithm:x:{group}:\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    }
    for name, content in files.items():
        with open(f"{stage}/etc/{name}", "w", encoding="ascii") as file:
            file.write(content)


def _add_scratch(stage: str) -> None:
    """One file system, shown in three places, so that one limit holds for all; set it later."""
    scratch = f"{stage}/scratch"
    flags = linux.MS_NOSUID | linux.MS_NODEV
    options = f"size={_ROOT_SIZE},nr_inodes={_SCRATCH_FILES},mode=0700"
    linux.mount("scratch", scratch, "tmpfs", flags, options)
    for name, target in _SCRATCH:
        folder = f"{scratch}/{name}"
        os.mkdir(folder)
        os.chmod(folder, 0o1777)  # noqa: S103 (as /tmp is)
        linux.attach_tree(linux.clone_tree(folder), stage + target)
    linux.detach(scratch)
    os.rmdir(scratch)


def _attach(stage: str, piece: _Piece) -> None:
    path = stage + piece.target
    try:
        if piece.is_folder:
            os.makedirs(path, mode=0o755, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as error:
        raise SandboxError(
            f"{piece.target} cannot be made in the algorithm's file system ({error}). "
            "Two databases may not have the same place or lie within each other"
        ) from error
    linux.attach_tree(piece.tree, path)
