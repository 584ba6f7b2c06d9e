"""A real OpenSSH server on a port of its own, that lets one key in."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any


class Sshd:
    """An SSH server; it does not run yet.

    Parameters
    ----------
    folder : pathlib.Path
        For its keys, settings and log.
    may_reach : str
        Host and port that it forwards to.

    Raises
    ------
    LookupError
        If there is none on this machine.
    """

    def __init__(self, folder: Path, may_reach: str = "any") -> None:
        self.program = shutil.which("sshd", path="/usr/sbin:/usr/bin")
        if self.program is None:
            raise LookupError("OpenSSH's server is not installed (Debian: openssh-server)")
        self.folder = folder
        self.port = _free_port()
        self.key, self.stranger = self._make_key("client"), self._make_key("stranger")
        host_key = self._make_key("host")
        self.host_key = host_key.with_suffix(".pub").read_text().strip()
        shown = subprocess.run(
            ["ssh-keygen", "-lf", host_key], capture_output=True, text=True, check=True
        )
        self.fingerprint = shown.stdout.split()[1]
        allowed = folder / "authorized_keys"
        shutil.copy(self.key.with_suffix(".pub"), allowed)
        self._settings = folder / "sshd_config"
        self._settings.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {host_key}\n"
            f"AuthorizedKeysFile {allowed}\nStrictModes no\nUsePAM no\nPidFile none\n"
            "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
            f"PermitOpen {may_reach}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns when it listens."""
        Path("/run/sshd").mkdir(exist_ok=True)
        with (self.folder / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.program), "-D", "-e", "-f", str(self._settings)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, (self.folder / "sshd.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self) -> None:
        """End it with all its connections."""
        process, self._process = self._process, None
        if process is None:
            return
        for child in _descendants(process.pid):
            subprocess.run(["kill", "-9", str(child)], check=False)
        process.kill()
        process.wait(10)

    def settings(self, destination: tuple[str, int], **changes: Any) -> dict[str, Any]:
        """A tunnel through it as a node's configuration has it."""
        host, port = destination
        ssh = {
            "host": "127.0.0.1",
            "port": self.port,
            "fingerprint": self.host_key,
            "identity": {"username": getpass.getuser(), "key": str(self.key)},
        } | changes
        return {
            "hostname": "dbtunnel",
            "ssh": ssh,
            "tunnel": {
                "bind": {"ip": "127.0.0.1", "port": 6543},
                "dest": {"ip": host, "port": port},
            },
        }

    def _make_key(self, name: str) -> Path:
        path = self.folder / name
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
        subprocess.run(command, check=True)
        return path


def _descendants(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    children = [int(word) for word in listed.stdout.split()]
    return children + [each for child in children for each in _descendants(child)]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
