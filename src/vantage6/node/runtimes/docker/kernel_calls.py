"""The filter of kernel calls that every container of a node gets, on every engine.

``seccomp.json`` is our own list, in the engines' format. An engine's default is not enough:
Podman's lets user namespaces and keyrings through, Docker's ``ptrace`` and ``memfd_create``.
What is not named there is answered with "no such call", which programs know how to do without.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

#: Machines whose calls the list knows, by the names that engines have for them.
MACHINES = frozenset({"x86_64", "amd64", "aarch64", "arm64"})
_FILE = "seccomp.json"


def security_option(folder: Path, *, podman: bool) -> str:
    """The engine's option that names the filter.

    Parameters
    ----------
    folder : pathlib.Path
        The node's own, which the engine sees under the same path; made if absent.
    podman : bool
        Whether it is Podman, which wants a file where Docker wants the list itself.

    Returns
    -------
    str
        For the engine's ``SecurityOpt``.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    content = json.dumps(json.loads(files(__package__).joinpath(_FILE).read_text()))
    if not podman:
        return f"seccomp={content}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder.absolute() / _FILE
    path.write_text(content)
    return f"seccomp={path}"
