"""An image with the algorithm tools, made of this machine's own Python: no registry is needed.

For the demo, and for tests. A site's images are built from a Dockerfile and pulled.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import docker

BASE = "vantage6-local-python"
_PACKAGES = "/usr/local/lib/python"
_ROOMS = ("common", "algorithm", "algorithms")
_TIMEOUT = 600
_START = "from vantage6.algorithm.tools.wrap import wrap_algorithm; wrap_algorithm()"
_SKIPPED = frozenset({"__pycache__", "test", "tests", "site-packages", "dist-packages", "idlelib"})


class NoImage(Exception):
    """The image cannot be made; the message says what is missing."""


def build_average() -> str:
    """Build the image of the lesson's average, under its usual name, with the local engine.

    Returns
    -------
    str
        The image's name.

    Raises
    ------
    NoImage
        If there is no engine, or it cannot build.
    """
    import docker
    from docker.errors import DockerException

    from vantage6.node.config import DEFAULT_IMAGE, DEFAULT_MODULE
    from vantage6.node.runtimes.docker.engine import DEFAULT_HOST, Unreachable, words

    host = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    try:
        client = docker.APIClient(base_url=host, version="auto", timeout=_TIMEOUT)
    except DockerException as error:
        raise NoImage(
            f"There is no container engine at {host}. Start Docker or Podman, name its socket in "
            f"DOCKER_HOST, or use --runtime process ({words(error)})"
        ) from error
    try:
        build(client, f"{DEFAULT_IMAGE}:latest", DEFAULT_MODULE)
    except Unreachable as error:
        raise NoImage(f"The container engine at {host} cannot build: {words(error)}") from error
    finally:
        client.close()
    return DEFAULT_IMAGE


def build(
    client: docker.APIClient, name: str, module: str, *, path: Path | None = None, user: str = ""
) -> str:
    """Build an image whose entry point runs a package, as an algorithm's author would.

    Parameters
    ----------
    client : docker.APIClient
        The engine.
    name : str
        Name of the image, with tag.
    module : str
        The algorithm's package: ``PKG_NAME``.
    path : pathlib.Path, optional
        Folder that contains the package, when it does not come with vantage6.
    user : str
        Whom the image wants to run as; root if empty.

    Returns
    -------
    str
        The image's id.

    Raises
    ------
    NoImage
        If it cannot be made.
    """
    base = _base(client)
    lines = [
        f"FROM {base}",
        f"ENV PATH=/usr/local/bin:/usr/bin:/bin PYTHONPATH={_PACKAGES}",
        f"COPY . {_PACKAGES}",
        f'ENV PKG_NAME="{module}"',
    ]
    if user:
        lines.append(f"USER {user}")
    lines.append(f'CMD ["python", "-c", "{_START}"]')
    sources = [(f"vantage6/{room}", _house() / room) for room in _ROOMS]
    if path is not None:
        sources.append((module.replace(".", "/"), path.joinpath(*module.split("."))))
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        _add_bytes(archive, "Dockerfile", "\n".join(lines).encode())
        for target, folder in sources:
            for file in _files(folder):
                _add_file(archive, file, f"{target}/{file.relative_to(folder)}")
    context.seek(0)
    said = []
    for line in client.build(
        fileobj=context, custom_context=True, tag=name, rm=True, forcerm=True, decode=True
    ):
        if "error" in line:
            raise NoImage(f"The image {name} cannot be built: {line['error']}")
        said.append(str(line.get("stream", "")))
    if not _has(client, name):
        raise NoImage(f"The image {name} was not built: {''.join(said)[-500:]}")
    return str(client.inspect_image(name)["Id"])


class _Archive(tarfile.TarFile):
    """Takes each name once, as the engine wants it."""

    def addfile(self, tarinfo: tarfile.TarInfo, fileobj: IO[bytes] | None = None) -> None:  # type: ignore[override]
        """Add, unless there is one of that name."""
        if tarinfo.name not in self._names():
            self._names().add(tarinfo.name)
            super().addfile(tarinfo, fileobj)

    def _names(self) -> set[str]:
        found: set[str] = self.__dict__.setdefault("taken", set())
        return found


def _base(client: docker.APIClient) -> str:
    """This machine's Python with what algorithms import, unless the engine has it already."""
    packages = _distributions()
    versions = "\n".join(sorted(f"{dist.name}=={dist.version}" for dist in packages))
    recipe = f"{Path(__file__).read_text()}{sys.executable}{sys.version}{versions}"
    fingerprint = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    name = f"{BASE}:{fingerprint}"
    if _has(client, name):
        return name
    content = io.BytesIO()
    with _Archive.open(fileobj=content, mode="w") as archive:
        needed = [path for dist in packages for path in _add_distribution(archive, dist)]
        _add_python(archive, needed)
    client.import_image_from_data(content.getvalue(), repository=name)
    if not _has(client, name):
        raise NoImage("The engine does not take an image made of this machine's Python")
    return name


def _has(client: docker.APIClient, name: str) -> bool:
    from docker.errors import ImageNotFound

    try:
        client.inspect_image(name)
    except ImageNotFound:
        return False
    return True


def _house() -> Path:
    return Path(__file__).parents[2]


def _distributions() -> list[importlib.metadata.Distribution]:
    """What ``vantage6[algorithm]`` installs, itself excepted."""
    found: dict[str, importlib.metadata.Distribution] = {}
    wanted = [("vantage6", "algorithm")]
    while wanted:
        name, extra = wanted.pop()
        try:
            dist = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform, or of an extra that was not asked for
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        found[key] = dist
        for requirement in dist.requires or ():
            what, _, condition = requirement.partition(";")
            if "extra" in condition and f'"{extra}"' not in condition.replace("'", '"'):
                continue
            match = re.match(r"\s*([\w.-]+)\s*(?:\[([\w,-]+)\])?", what)
            if match:
                wanted.append((match[1], match[2] or ""))
    del found["vantage6"]
    return list(found.values())


def _add_distribution(
    archive: tarfile.TarFile, dist: importlib.metadata.Distribution
) -> list[Path]:
    """Add a package; gives its libraries, which need others of this machine."""
    libraries = []
    for file in dist.files or ():
        if file.parts[0] == ".." or not _SKIPPED.isdisjoint(file.parts):
            continue
        path = Path(str(file.locate()))
        if path.is_file():
            _add_file(archive, path, f"{_PACKAGES[1:]}/{file}")
            if ".so" in path.suffixes:
                libraries.append(path)
    return libraries


def _add_python(archive: tarfile.TarFile, libraries: Iterable[Path]) -> None:
    python = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib", vars={"base": sys.base_prefix})).resolve()
    modules = list(_files(library))
    shell = Path("/bin/sh").resolve()
    objects = [python, shell, *(file for file in modules if ".so" in file.suffixes)]
    asked = _asked_names([*objects, *libraries])
    files = {*modules, python, shell, *(Path(name).resolve() for name in asked)}
    for file in sorted(files):
        _add_file(archive, file, str(file.resolve())[1:])
    links = {"usr/bin/python": str(python), "usr/bin/python3": str(python)}
    if shell.parent != Path("/bin"):
        links["usr/bin/sh"] = str(shell)
    for name in ("bin", "lib", "lib64"):
        if os.path.islink(f"/{name}"):
            links[name] = os.readlink(f"/{name}")
    # Libraries are found by the names they are asked for under.
    links |= {_merged(name)[1:]: str(Path(name).resolve()) for name in asked}
    for link, target in links.items():
        if f"/{link}" != target:
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    _add_bytes(archive, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    _add_bytes(archive, "etc/group", b"root:x:0:\n")
    for name, mode in (("tmp", 0o1777), ("mnt", 0o755), ("root", 0o755)):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        archive.addfile(entry)


def _add_file(archive: tarfile.TarFile, path: Path, name: str) -> None:
    """Add a file, with what Python has compiled of it: the image is read-only when it runs."""
    archive.add(path, name, filter=_plain)
    if path.suffix == ".py":
        compiled = Path(importlib.util.cache_from_source(str(path)))
        if compiled.exists():
            parent = name.rpartition("/")[0]
            archive.add(compiled, f"{parent}/__pycache__/{compiled.name}", filter=_plain)


def _merged(path: str) -> str:
    """Where a path leads when ``/lib`` and the like are links."""
    return str(Path(path).parent.resolve() / Path(path).name)


def _asked_names(objects: Iterable[Path]) -> set[str]:
    command = ["ldd", *(str(path) for path in objects)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise NoImage(f"ldd is needed to find this Python's libraries: {error}") from error
    found = set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", done.stdout, re.MULTILINE))
    # What packages bring along they find by themselves.
    return {name for name in found if "site-packages" not in name}


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        for name in names:
            if not name.endswith((".pyc", ".a")):
                yield Path(parent) / name


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode |= 0o444 | (0o111 if entry.mode & 0o100 else 0)
    return entry


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    archive.addfile(entry, io.BytesIO(content))
