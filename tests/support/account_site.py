"""A server in this process that mails by STARTTLS, after logging in to the mail server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from mailbox_server import Mailbox, certificate, mail_server
from vantage6.server.app import Application
from vantage6.server.config import ServerConfig, Smtp

#: Root's password at first.
ROOT = "Wachtw00rd!"


@dataclass
class Site:
    """The server's configuration, which may be changed meanwhile, its port, and the mailbox."""

    config: ServerConfig
    port: int
    box: Mailbox


@contextmanager
def account_site(folder: Path) -> Iterator[Site]:
    """Run it, with its files in a folder."""
    password = folder / "password"
    password.write_text(ROOT)
    context, ca_file = certificate(folder)
    with (
        pytest.MonkeyPatch.context() as patch,
        mail_server(starttls=context, login=("v6", "secret")) as box,
    ):
        patch.setenv("V6_INIT_SUPER_PASS_FILE", str(password))
        smtp = Smtp(
            server="127.0.0.1", port=box.port, username="v6", password="secret", ca_file=ca_file
        )
        app = Application(ServerConfig(uri=f"sqlite:///{folder / 'server.sqlite'}", smtp=smtp))
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
        thread = threading.Thread(target=server.run)
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        try:
            port = server.servers[0].sockets[0].getsockname()[1]
            yield Site(app.services.config, port, box)
        finally:
            server.should_exit = True
            thread.join(60)
