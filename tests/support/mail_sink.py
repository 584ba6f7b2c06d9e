"""A mail server that delivers to a folder: one file per mail, in the order of arrival."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path


class _Session(socketserver.StreamRequestHandler):
    """One sender: as much of SMTP (RFC 5321) as a mail needs."""

    def handle(self) -> None:
        self.say("220 sink")
        for line in self.rfile:
            command = line.split(None, 1)[0].upper() if line.strip() else b""
            if command == b"DATA":
                self.say("354 go on")
                self.keep()
            elif command == b"QUIT":
                self.say("221 bye")
                return
            self.say("250 fine")

    def keep(self) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        sink = self.server
        assert isinstance(sink, _Sink)
        # Complete as soon as it has its name.
        number = next(sink.numbers)
        draft = sink.folder / f"{number:04d}.draft"
        draft.write_bytes(b"".join(lines))
        draft.rename(sink.folder / f"{number:04d}.eml")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class _Sink(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.folder = folder
        self.numbers = count()


@contextmanager
def mail_sink(folder: Path) -> Iterator[int]:
    """Take mails for as long as the block lasts; yields the port."""
    folder.mkdir(parents=True, exist_ok=True)
    with _Sink(folder) as sink:
        thread = threading.Thread(target=sink.serve_forever)
        thread.start()
        try:
            yield int(sink.server_address[1])
        finally:
            sink.shutdown()
            thread.join(timeout=10)
