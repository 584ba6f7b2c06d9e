"""Which parts of the machine's software an algorithm sees."""

from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Iterable, Sequence

from .request import SandboxError

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_STORES = ("/nix/store", "/gnu/store")
# Never shown as a whole: what people and services keep there is not software.
_TOO_BROAD = ("/", "/etc", "/home", "/mnt", "/opt", "/root", "/run", "/srv", "/tmp", "/var")  # noqa: S108
# Where the contract keeps a system node's files.
NEVER_SHOWN = ("/usr/local/share/vantage6", "/usr/local/etc")


def is_within(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def interpreter_paths() -> list[str]:
    """Folders and files that this interpreter needs, beyond those of the system.

    Raises
    ------
    SandboxError
        If one of them is a place such as a home folder, which no algorithm may see.
    """
    wanted = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *sys.path]
    wanted.append(os.path.dirname(os.path.realpath(sys.executable)))
    executable = os.path.realpath(sys.executable)
    wanted += [store for store in _STORES if is_within(executable, store)]
    return narrow(wanted)


def module_paths(module: str, search_path: Sequence[str]) -> list[str]:
    """Where a package lies, found without importing any of it; [] if it is not installed."""
    name = module.partition(".")[0]
    spec = importlib.machinery.PathFinder.find_spec(name, [*search_path, *sys.path])
    if spec is None:
        # An editable installation may have a finder of its own.
        finders = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]
        found = (finder.find_spec(name, None) for finder in finders)
        spec = next((each for each in found if each is not None), None)
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return list(spec.submodule_search_locations)
    return [spec.origin] if spec.origin else []


def narrow(paths: Iterable[str], shown: Sequence[str] = ()) -> list[str]:
    """Existing paths, also as links resolve them, without those that others contain.

    Those that `shown` contains are left out as well.

    Raises
    ------
    SandboxError
        If one of them is too broad to be shown.
    """
    found: list[str] = []
    for path in paths:
        if path and os.path.isabs(path) and os.path.exists(path):
            found += [os.path.normpath(path), os.path.realpath(path)]
    kept: list[str] = []
    for path in sorted(set(found)):
        if any(is_within(path, folder) for folder in (*SYSTEM, *shown, *kept)):
            continue
        if path in _TOO_BROAD or is_within(os.path.expanduser("~root"), path) or is_home(path):
            raise SandboxError(
                f"Python's search path contains {path}, all of which algorithms would be able to "
                f"read. Install the algorithm's packages into a virtual environment of their own "
                f"instead ({sys.executable})"
            )
        kept.append(path)
    return kept


def is_home(path: str) -> bool:
    """Whether a path is, or contains, this user's home folder."""
    home = os.path.realpath(os.path.expanduser("~"))
    return home != "/" and is_within(home, path)


def hides(shown: Sequence[str], secret: str) -> str | None:
    """Name the shown folder that contains a path which must not be seen, if any."""
    return next((folder for folder in (*SYSTEM, *shown) if is_within(secret, folder)), None)
