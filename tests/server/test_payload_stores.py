"""The stores of payloads by themselves, and by configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from vantage6.server.config import ConfigurationError, ServerConfig
from vantage6.server.payloads.cloud import CloudStore, read_connection_string
from vantage6.server.payloads.folder import FolderStore
from vantage6.server.payloads.store import NoSuchPayload, PayloadStore


def _memory_store() -> PayloadStore:
    from obstore.store import MemoryStore

    return CloudStore(MemoryStore())


@pytest.fixture(params=["folder", "cloud"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PayloadStore:
    return FolderStore(tmp_path / "deep" / "down") if request.param == "folder" else _memory_store()


async def _pieces(*pieces: bytes | Exception) -> Any:
    for piece in pieces:
        if isinstance(piece, Exception):
            raise piece
        yield piece


async def _read(store: PayloadStore, name: str) -> bytes:
    return b"".join([piece async for piece in await store.open(name)])


def test_a_store_keeps_hands_out_and_deletes(store: PayloadStore) -> None:
    async def scene() -> None:
        content = os.urandom(20_000_000)
        pieces = [content[start : start + 999_999] for start in range(0, len(content), 999_999)]
        await store.put("one", _pieces(*pieces))
        await store.put("none", _pieces())
        assert await _read(store, "one") == content
        assert await _read(store, "none") == b""
        for _ in range(2):
            await store.delete("one")
        with pytest.raises(NoSuchPayload):
            await store.open("one")

    _run(scene)


def test_a_store_keeps_nothing_of_what_breaks_off(store: PayloadStore) -> None:
    async def scene() -> None:
        with pytest.raises(KeyError, match="gone"):
            await store.put("one", _pieces(b"x" * 9_000_000, KeyError("gone")))
        with pytest.raises(NoSuchPayload):
            await store.open("one")

    _run(scene)


def _run(scene: Any) -> None:
    import anyio

    anyio.run(scene)


def test_connection_strings_of_azure() -> None:
    assert read_connection_string(
        "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=a2V5==;"
        "EndpointSuffix=core.windows.net"
    ) == {
        "account_name": "me",
        "account_key": "a2V5==",
        "endpoint": "https://me.blob.core.windows.net",
    }
    assert read_connection_string("UseDevelopmentStorage=true")["account_name"]
    for wrong in ("", "nonsense", "AccountName=me"):
        with pytest.raises(ValueError, match="it holds"):
            read_connection_string(wrong)


@pytest.mark.parametrize(
    "section",
    [
        {"container_name": "c", "connection_string": "UseDevelopmentStorage=true"},
        {
            "type": "azure",
            "container_name": "c",
            "tenant_id": "t",
            "client_id": "i",
            "client_secret": "s",
            "storage_account_name": "a",
        },
        {"type": "s3", "container_name": "c", "access_key_id": "a", "secret_access_key": "b"},
        {"type": "s3", "container_name": "c", "endpoint": "http://localhost:9000"},
        {"type": "folder", "path": "/srv/payloads"},
    ],
)
def test_stores_by_configuration(section: dict[str, Any]) -> None:
    config = ServerConfig(large_result_store=section)
    assert config.large_result_store is not None
    config.open_payload_store()


def test_a_store_that_is_described_wrongly_is_refused_without_its_secrets(tmp_path: Path) -> None:
    for section, words in (
        ("{container_name: c}", "connection_string"),
        ("{connection_string: UseDevelopmentStorage=true}", "container_name"),
        ("{container_name: c, connection_string: hidden}", "AccountName"),
        ("{type: s3, container_name: c, access_key_id: hidden}", "secret_access_key"),
        ("{type: folder}", "path"),
        ("{type: tape}", "type"),
    ):
        path = tmp_path / "server.yaml"
        path.write_text(f"large_result_store: {section}")
        with pytest.raises(ConfigurationError, match=words) as raised:
            ServerConfig.load(path)
        assert "hidden" not in str(raised.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore.store", None)
    config = ServerConfig(large_result_store={"type": "gcs", "container_name": "c"})
    with pytest.raises(ConfigurationError, match=r"pip install 'vantage6\[cloud\]'"):
        config.open_payload_store()


def test_no_store_is_configured_by_an_empty_section() -> None:
    assert ServerConfig(large_result_store={}).large_result_store is None
