"""Images of algorithms on upstream's algorithm tools, as a Dockerfile on its base makes them.

That base cannot be had here; it holds Python 3.10 and the package, and so does this one.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import docker
import docker.errors

from peers import ALGORITHM_TOOLS, SERVICES_PYTHON, peer_python

_PACKAGES = "/usr/local/lib/algorithm"
_SKIPPED = frozenset({"test", "tests", "idlelib", "ensurepip", "lib2to3", "tkinter", "pip"})
# What upstream's documentation has its algorithms' images end with.
_DOCKERFILE = """\
FROM {base}
ENV PYTHONPATH={packages}:/app PATH=/usr/local/bin:/usr/bin:/bin
COPY . /app
ENV PKG_NAME={module}
CMD python -c "from vantage6.algorithm.tools.wrap import wrap_algorithm; wrap_algorithm()"
"""


def build_upstream_image(host: str, name: str, module: str, path: Path) -> None:
    """Build an image with an algorithm.

    Parameters
    ----------
    host : str
        The engine's socket.
    name : str
        Of the image, with tag.
    module : str
        The algorithm's package.
    path : pathlib.Path
        Folder that contains the package.

    Raises
    ------
    PeerUnavailable
        If the tools cannot be installed.
    """
    python = peer_python(ALGORITHM_TOOLS, version=SERVICES_PYTHON)
    lock = Path(tempfile.gettempdir()) / "vantage6-test-upstream-image.lock"
    client = docker.APIClient(base_url=host, version="auto", timeout=600)
    try:
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            recipe = _DOCKERFILE.format(
                base=_base(client, python), packages=_PACKAGES, module=module
            )
            context = io.BytesIO()
            with tarfile.open(fileobj=context, mode="w") as archive:
                _add_bytes(archive, "Dockerfile", recipe.encode())
                archive.add(path / module, module)
            context.seek(0)
            said = list(
                client.build(fileobj=context, custom_context=True, tag=name, rm=True, decode=True)
            )
        assert not any("error" in line for line in said), said
    finally:
        client.close()


def _base(client: docker.APIClient, python: Path) -> str:
    """This machine's Python and the package, unless the engine has them already."""
    key = hashlib.sha256(f"{python}{Path(__file__).read_text()}".encode()).hexdigest()[:12]
    name = f"vantage6-test-upstream-tools:{key}"
    try:
        client.inspect_image(name)
    except docker.errors.ImageNotFound:
        pass
    else:
        return name
    with tempfile.NamedTemporaryFile() as content:
        with tarfile.open(fileobj=content, mode="w") as archive:
            _add_python(archive, python)
        content.flush()
        client.import_image_from_file(content.name, repository=name)
    return name


def _add_python(archive: tarfile.TarFile, python: Path) -> None:
    program, shell = python.resolve(), Path("/bin/sh").resolve()
    (packages,) = python.parents[1].glob("lib/python*/site-packages")
    library = program.parents[1] / "lib" / packages.parent.name
    objects = [program, shell]
    for folder, target in ((library, str(library)), (packages, _PACKAGES)):
        for file in _files(folder):
            archive.add(file, f"{target}/{file.relative_to(folder)}")
            if ".so" in file.suffixes:
                objects.append(file)
    # Each is found by the name it is asked for under, which may be a link to it.
    asked = {name: Path(name) for name in _libraries(objects, packages)}
    asked |= {"/usr/bin/python": program, "/usr/bin/sh": shell}
    links = {"/bin": "usr/bin", "/lib": "usr/lib", "/lib64": "usr/lib64"}
    for name, path in asked.items():
        merged = str(Path(name).parent.resolve() / Path(name).name)
        if merged != str(path.resolve()):
            links[merged] = str(path.resolve())
    for file in sorted({path.resolve() for path in asked.values()}):
        archive.add(file)
    for link, target in links.items():
        entry = tarfile.TarInfo(link.lstrip("/"))
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        archive.addfile(entry)
    for folder, mode in (("tmp", 0o1777), ("mnt", 0o755), ("root", 0o755)):
        entry = tarfile.TarInfo(folder)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        archive.addfile(entry)
    _add_bytes(archive, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        left_out = {"site-packages"} | (_SKIPPED if Path(parent) == folder else set())
        folders[:] = [name for name in folders if name not in left_out]
        yield from (Path(parent) / name for name in names if not name.endswith(".a"))


def _libraries(objects: Iterable[Path], packages: Path) -> set[str]:
    """Libraries of this machine that files need; what packages bring along they find themselves."""
    done = subprocess.run(
        ["ldd", *map(str, objects)], capture_output=True, text=True, timeout=120, check=False
    )
    found = re.findall(r"(?:=> |^\s+)(/\S+) \(0x", done.stdout, re.MULTILINE)
    return {name for name in found if not Path(name).is_relative_to(packages)}


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    archive.addfile(entry, io.BytesIO(content))
