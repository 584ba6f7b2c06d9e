"""Clients of a server that only exists in the test.

`server`
    The server: a `RecordingServer`.
`clock`
    The clients' clock: a `TurnableClock`.
`client`
    Logged in as user 7 (Ada) of organization 3 (Utrecht); the login is not in `server.lines`.
`stranger`
    Not logged in.
`make_client`
    Makes clients with other options.
`key_file`
    A private key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from recording import RecordingServer, TurnableClock
from vantage6.client import Client, UserClient


@pytest.fixture
def clock() -> TurnableClock:
    return TurnableClock()


@pytest.fixture
def server() -> RecordingServer:
    return RecordingServer()


@pytest.fixture
def make_client(
    server: RecordingServer, clock: TurnableClock
) -> Iterator[Callable[..., UserClient]]:
    made: list[UserClient] = []

    def make(**options: Any) -> UserClient:
        made.append(
            Client(
                "http://server",
                5000,
                "/api",
                **{"transport": httpx.MockTransport(server), "clock": clock, **options},
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def stranger(make_client: Callable[..., UserClient]) -> UserClient:
    return make_client()


@pytest.fixture
def client(
    stranger: UserClient, server: RecordingServer, capsys: pytest.CaptureFixture[str]
) -> UserClient:
    stranger.authenticate("ada", "secret")
    server.forget()
    capsys.readouterr()
    return stranger


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small key: making a real one takes seconds."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = tmp_path_factory.mktemp("key") / "private_key.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    return path
