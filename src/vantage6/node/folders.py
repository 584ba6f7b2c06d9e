"""Where a run's files are: a folder per attempt, so nothing of an earlier one gets mixed in."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Collection
from pathlib import Path

log = logging.getLogger(__name__)


class RunFolders:
    """Folders of runs, below one that belongs to this node alone.

    Parameters
    ----------
    root : pathlib.Path
        Made if absent.
    """

    def __init__(self, root: Path) -> None:
        self._runs = root / "runs"
        for folder in (root, self._runs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def of(self, run_id: int, attempt: int) -> Path:
        """The folder of one attempt."""
        return self._runs / f"{run_id}.{attempt}"

    def make(self, run_id: int, attempt: int, input_: bytes) -> Path:
        """Make the folder of an attempt, with the run's input in it."""
        folder = self.of(run_id, attempt)
        if folder.exists():
            _remove(folder)
        folder.mkdir(mode=0o700)
        _write(folder / "input", input_)
        return folder

    def write_token(self, folder: Path, token: str) -> None:
        """Put a run's token where the algorithm finds it."""
        _write(folder / "token", token.encode("ascii"))

    def remove(self, run_id: int) -> None:
        """Remove all files of a run."""
        for folder in self._runs.glob(f"{run_id}.*"):
            _remove(folder)

    def sweep(self, keep: Collection[int]) -> None:
        """Remove what no run needs any more.

        Parameters
        ----------
        keep : collection of int
            Runs whose folders are still needed.
        """
        needed = {str(run_id) for run_id in keep}
        for folder in self._runs.iterdir():
            if folder.name.partition(".")[0] not in needed:
                _remove(folder)


def _write(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)


def _remove(folder: Path) -> None:
    """Remove a folder that an algorithm could write to, whatever permissions it left there."""
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink(missing_ok=True)
        return
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for path, _, _ in os.walk(folder):
            Path(path).chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        log.warning("The folder %s could not be removed; remove it by hand", folder)
