"""A small forward proxy, as a process of its own: ``CONNECT`` and plain requests, with a log.

    python forward_proxy.py PORT LOG [USER:PASSWORD]

Each line of the log is the first line of a request, and whether it was let through.
"""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit


class ForwardProxy:
    """One that runs: where it is, and what was asked of it."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log

    @property
    def asked(self) -> list[str]:
        """One line per request: ``ok`` or ``refused``, method, what it names."""
        return self._log.read_text().splitlines()


@contextmanager
def forward_proxy(folder: Path, credentials: str = "") -> Iterator[ForwardProxy]:
    """Run one; with credentials it wants these."""
    log, place = folder / "proxy.log", folder / "proxy.port"
    log.touch()
    place.unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, __file__, str(place), str(log), credentials])
    try:
        deadline = time.monotonic() + 30
        while not (place.exists() and place.read_text()):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield ForwardProxy(int(place.read_text()), log)
    finally:
        process.kill()
        process.wait(10)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()


async def _serve(place: Path, log: Path, credentials: str) -> None:
    wanted = "Basic " + base64.b64encode(credentials.encode()).decode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *headers = head.split("\r\n")
            method, address, version = line.split(" ")
            given = [h.partition(": ")[2] for h in headers if h.lower().startswith("proxy-auth")]
            let = not credentials or given == [wanted]
            with log.open("a") as file:
                file.write(f"{'ok' if let else 'refused'} {method} {address}\n")
            if not let:
                writer.write(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b"Proxy-Authenticate: Basic realm=site\r\n"
                    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
                )
                return
            url = urlsplit(f"//{address}" if method == "CONNECT" else address)
            # Every name is this machine: only the proxy can resolve those of the tests.
            there, to_there = await asyncio.open_connection("127.0.0.1", url.port or 80)
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                kept = [h for h in headers if h and not h.lower().startswith(("proxy-", "conn"))]
                path = f"{url.path}?{url.query}" if url.query else url.path
                lines = [f"{method} {path} {version}", *kept, "Connection: close", "", ""]
                to_there.write("\r\n".join(lines).encode("latin-1"))
            await asyncio.gather(_copy(reader, to_there), _copy(there, writer))
            to_there.close()
        except (OSError, asyncio.IncompleteReadError):
            pass  # one of the two has gone
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    place.write_text(str(server.sockets[0].getsockname()[1]))  # noqa: ASYNC240
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
