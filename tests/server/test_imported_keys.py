"""API keys with the bcrypt hashes of an imported database."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import bcrypt
import pytest
from sqlalchemy import select, update

from vantage6.server.auth import imported_keys
from vantage6.server.auth.passwords import hash_api_key
from vantage6.server.model.tables import Node

KNOWN = "123e4567-e89b-12d3-a456-426614174000"


def imported(server: Any, keys: list[str]) -> list[int]:
    """Nodes as an import leaves them; cheap hashes, of which many can be made in a test."""
    collaboration = server.collaboration()
    ids = []
    for key in keys:
        node = server.node(server.organization(), collaboration)
        hashed = bcrypt.hashpw(key.encode(), bcrypt.gensalt(rounds=4)).decode()
        with server.services.database.write() as db:
            db.execute(update(Node).where(Node.id == node.id).values(api_key_hash=hashed))
        ids.append(node.id)
    return ids


def login(server: Any, key: str) -> Any:
    return server.http.post("/api/token/node", json={"api_key": key})


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that keys are compared with."""
    seen: list[str] = []
    original = bcrypt.checkpw

    def note(key: bytes, hashed: bytes) -> bool:
        seen.append(hashed.decode())
        return original(key, hashed)

    monkeypatch.setattr("vantage6.server.auth.imported_keys.bcrypt.checkpw", note)
    return seen


def test_the_first_login_gives_a_node_a_hash_of_ours(server: Any, compared: list[str]) -> None:
    keys = [str(uuid.uuid4()) for _ in range(3)]
    ids = imported(server, keys)
    answer = login(server, keys[1])
    assert answer.status_code == 200
    assert answer.json()["node_url"] == f"/api/node/{ids[1]}"
    assert server.rows(select(Node.api_key_hash).where(Node.id == ids[1])) == [
        hash_api_key(keys[1])
    ]
    del compared[:]
    with server.statements() as statements:
        assert login(server, keys[1]).status_code == 200
    assert compared == []
    assert len([s for s in statements if "api_key_hash" in s]) == 1
    # The others are as they were, and in any case of letters.
    assert login(server, keys[0].upper()).status_code == 200
    assert login(server, keys[2]).status_code == 200


def test_a_wrong_key_is_compared_with_each_hash_once(server: Any, compared: list[str]) -> None:
    imported(server, [str(uuid.uuid4()) for _ in range(4)])
    for _ in range(3):
        assert login(server, KNOWN).status_code == 401
    assert len(compared) == 4
    # Nodes that are imported later are compared with too.
    imported(server, [KNOWN])
    assert login(server, KNOWN).status_code == 200
    assert len(compared) == 5


def test_without_imported_nodes_nothing_is_compared(server: Any, compared: list[str]) -> None:
    server.node(server.organization(), server.collaboration(), name="of ours")
    assert login(server, KNOWN).status_code == 401
    assert compared == []


def test_a_key_that_was_reset_meanwhile_no_longer_works(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    [id_] = imported(server, [KNOWN])

    def reset(_: bytes, __: bytes) -> bool:
        with server.services.database.write() as db:
            db.execute(update(Node).where(Node.id == id_).values(api_key_hash="0" * 64))
        return True

    monkeypatch.setattr("vantage6.server.auth.imported_keys.bcrypt.checkpw", reset)
    assert login(server, KNOWN).status_code == 401
    assert server.rows(select(Node.api_key_hash).where(Node.id == id_)) == ["0" * 64]


def test_all_nodes_at_once_are_all_let_in(server: Any, compared: list[str]) -> None:
    keys = [str(uuid.uuid4()) for _ in range(12)]
    imported(server, keys)
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda key=key: answers.append(login(server, key).status_code))
        for key in keys * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 24
    # Each search leaves a hash fewer to the next: never more than half of all pairs.
    assert len(compared) <= 12 * 13 // 2


def test_a_flood_of_wrong_keys_has_bounds(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    imported(server, [KNOWN])
    monkeypatch.setattr(imported_keys, "_LONGEST_QUEUE", 2)
    monkeypatch.setattr(imported_keys, "_WAIT_SECONDS", 0.2)
    free = threading.Event()

    def slowly(_: bytes, __: bytes) -> bool:
        free.wait(30)
        return False

    monkeypatch.setattr("vantage6.server.auth.imported_keys.bcrypt.checkpw", slowly)
    for _ in range(4):
        began = time.monotonic()
        refused = login(server, str(uuid.uuid4()))
        assert refused.status_code == 503
        assert "try again later" in refused.json()["msg"]
        assert time.monotonic() - began < 20
    # Meanwhile all others are served.
    assert server.http.get("/api/health").status_code == 200
    free.set()
