"""Execute a command as the user nobody, who must be able to read this interpreter and project.

In a mount namespace of its own, so that folders which only root may enter (such as a home that
holds them) can be replaced by ones that show nothing but the interpreter and this project.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from vantage6.node.runtimes.sandbox import linux

NOBODY = 65534
HOUSE = Path(__file__).parents[3]
NEEDED = {Path(sys.base_prefix), Path(sys.prefix), HOUSE}


def closed_ancestor(path: Path) -> Path | None:
    """The outermost folder above a path that others may not enter."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def main(command: list[str]) -> None:
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    shown = {needed: closed_ancestor(needed) for needed in NEEDED}
    # All are taken hold of before the first folder is covered: one may lie in the same as another.
    trees = {needed: linux.clone_tree(str(needed)) for needed, closed in shown.items() if closed}
    for closed in {closed for closed in shown.values() if closed}:
        linux.mount("open", str(closed), "tmpfs", 0, "mode=0755")
    for needed in sorted(trees):
        # One that lies inside another is there already.
        if not needed.exists():
            needed.mkdir(parents=True, mode=0o755)
            linux.attach_tree(trees[needed], str(needed))
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    os.execve(command[0], command, environment)  # noqa: S606 (a test's own command)


if __name__ == "__main__":
    main(sys.argv[1:])
