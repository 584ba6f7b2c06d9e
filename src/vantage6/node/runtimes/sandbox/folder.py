"""The run's own folder on the host, as a supervisor uses it."""

from __future__ import annotations

import contextlib
import json
import os

from .request import SandboxError

OUTPUT, STDOUT, STDERR, EXIT = "output", "stdout", "stderr", "exit.json"
_GIVEN = ("input", "token")
_OWN = 0o600


class RunFolder:
    """Holds the folder open, so that it stays reachable from within another root."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SandboxError(f"The run's folder {path} cannot be opened: {error}") from error
        self._owned: list[int] = []

    def prepare(self) -> tuple[int, int, int]:
        """Remove what an earlier attempt left; create output and logs anew.

        Returns
        -------
        tuple of int
            Descriptors of output, stdout and stderr.

        Raises
        ------
        SandboxError
            If the folder cannot be written to.
        """
        try:
            for name in (EXIT, OUTPUT, STDOUT, STDERR):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=self._descriptor)
            output, stdout, stderr = (self._create(name) for name in (OUTPUT, STDOUT, STDERR))
        except OSError as error:
            raise SandboxError(
                f"The run's folder {self.path} cannot be written to: {error.strerror}"
            ) from error
        return output, stdout, stderr

    def given(self) -> list[str]:
        """Names of the files the node put there for the algorithm."""
        return [name for name in _GIVEN if os.path.exists(os.path.join(self.path, name))]

    def hand_over(self, output: int, user: int, group: int) -> None:
        """Make input, token and output belong to the algorithm."""
        for name in self.given():
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=self._descriptor)
            os.fchown(descriptor, user, group)
            self._owned.append(descriptor)
        os.fchown(output, user, group)
        self._owned.append(os.dup(output))

    def take_back(self, output: int) -> None:
        """Make them the node's again, whatever rights the algorithm gave to its output."""
        os.fchmod(output, _OWN)
        for descriptor in self._owned:
            os.fchown(descriptor, os.geteuid(), os.getegid())
            os.close(descriptor)
        self._owned.clear()

    def write_exit(self, exit_code: int | None, reason: str | None) -> None:
        """Write how the run ended, all at once.

        It outlives the death of any process. It need not outlive a power cut: a node that then
        finds no readable file takes the run as lost and starts it anew.
        """
        temporary = f".{EXIT}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, _OWN, dir_fd=self._descriptor)
        try:
            os.write(descriptor, json.dumps({"exit_code": exit_code, "reason": reason}).encode())
        finally:
            os.close(descriptor)
        os.rename(temporary, EXIT, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def close(self) -> None:
        """Let go of the folder, in a process that goes on."""
        os.close(self._descriptor)

    def _create(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return os.open(name, flags, _OWN, dir_fd=self._descriptor)
