"""A Docker engine of a test's own, to be killed, stopped for a while, and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import docker

#: As in ``.ci/engine``: without a firewall, or with the plainest storage, where there is no other.
_OPTIONS = (
    [],
    ["--iptables=false", "--bridge=none"],
    ["--iptables=false", "--bridge=none", "--storage-driver=vfs"],
)


_ATTEMPTS = 4


class OwnEngine:
    """Starts at once; everything it left is removed at the end."""

    def __init__(self) -> None:
        # Short: the address of a socket may not be long.
        self.folder = Path(tempfile.mkdtemp(prefix="v6-engine-"))
        self.host = f"unix://{self.folder}/socket"
        self._process: subprocess.Popen[bytes] | None = None
        self._options: list[str] | None = None

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> str:
        """Start it, for the first time or again; gives why it does not work, or nothing."""
        if shutil.which("dockerd") is None:
            return "dockerd is not installed"
        # Its parts wait only so long for each other: on a busy machine it may take another attempt.
        for options in _OPTIONS if self._options is None else [self._options] * _ATTEMPTS:
            (self.folder / "pid").unlink(missing_ok=True)
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [
                        *("dockerd", "--host", self.host, "--pidfile", f"{self.folder}/pid"),
                        *("--data-root", f"{self.folder}/data"),
                        *("--exec-root", f"{self.folder}/exec", *options),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            if self._answers():
                self._options = options
                return ""
            self._process.kill()
            self._process.wait()
        return f"dockerd does not start: {self.log[-500:]}"

    def client(self) -> Any:
        """The engine's calls."""
        return docker.APIClient(base_url=self.host, version="auto", timeout=60)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the engine's own process."""
        assert self._process is not None
        self._process.send_signal(number)
        if number is signal.SIGKILL:
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._end_leftovers()
        subprocess.run(["umount", "--lazy", *self._mounts()], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            # Not by the library, which leaves its socket open when there is nobody.
            with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
                probe.settimeout(5)
                probe.connect(self.host.removeprefix("unix://"))
                probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                if b" 200 " in probe.recv(100):
                    return True
            time.sleep(0.1)
        return False

    def _end_leftovers(self) -> None:
        """Containers' keepers outlive an engine that was killed."""
        for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                ours = str(self.folder).encode() in cmdline.read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            pid = int(cmdline.parent.name)
            if ours and pid != os.getpid():
                os.kill(pid, signal.SIGKILL)

    def _mounts(self) -> list[str]:
        places = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
        return [place for place in places if place.startswith(f"{self.folder}/")]
