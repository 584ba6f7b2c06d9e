"""``v6 node doctor`` about keys, beside a real server: all is well, or not, in each way."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from demos import Demo
from vantage6.common.sealing import KnownKeys, PublicKeys
from vantage6.node import key_check
from vantage6.node.config import NodeConfig
from vantage6.node.connection import Connection
from vantage6.node.doctor import examine
from vantage6.node.findings import Finding
from vantage6.node.main import make_runtime

pytestmark = pytest.mark.anyio
NOBODYS = PublicKeys(b"v" * 32, b"s" * 32)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def configure(sealed_demo: Demo, tmp_path: Path) -> Callable[..., NodeConfig]:
    """The first node's configuration with other keys; a copy of what it knows."""
    original = yaml.safe_load((sealed_demo.folder / "nodes" / "node-1.yaml").read_text())

    def change(**encryption: Any) -> NodeConfig:
        content = original | {
            "encryption": original["encryption"] | encryption,
            "directories": {"log": str(tmp_path)},
            "state_dir": str(tmp_path / "state"),
        }
        (tmp_path / "state").mkdir(exist_ok=True)
        path = tmp_path / "node.yaml"
        path.touch(0o600)
        path.write_text(yaml.safe_dump(content))
        return NodeConfig.load(path)

    return change


@contextmanager
def at_the_server(demo: Demo, number: int, column: str, value: str | None) -> Iterator[None]:
    """Have the server say something else of an organization for a while."""
    id_ = demo.ready["organizations"][number]["id"]
    (path,) = (each for each in demo.folder.rglob("*.sqlite") if each.parent.name == "server")
    change = f"UPDATE organization SET {column} = ? WHERE id = ?"  # noqa: S608 (a test's column)

    def put(new: str | None) -> str | None:
        with closing(sqlite3.connect(path, timeout=30)) as db, db:
            query = f"SELECT {column} FROM organization WHERE id = ?"  # noqa: S608
            before: str | None = db.execute(query, (id_,)).fetchone()[0]
            db.execute(change, (new, id_))
        return before

    before = put(value)
    try:
        yield
    finally:
        put(before)


async def look(config: NodeConfig, *, running: bool = False) -> list[Finding]:
    key = config.api_key.get_secret_value()
    async with Connection(config.base_url, config.api_url, key) as connection:
        await connection.login()
        identity = await connection.identify()
        found = key_check.check(config, identity, connection, running=running)
        return [each async for each in found]


def said(findings: list[Finding], level: str, words: str) -> Finding:
    found = [each for each in findings if each.level == level and words in each.text]
    assert len(found) == 1, findings
    assert found[0].level == "ok" or found[0].remedy
    return found[0]


async def test_all_is_well(sealed_demo: Demo, configure: Any) -> None:
    config = configure()
    known = KnownKeys(config.known_keys, config.api_url)
    for organization in sealed_demo.ready["organizations"][1:]:
        published = await _published(config, organization["id"])
        known.pin(organization["id"], PublicKeys.read(published))
    findings = await look(config, running=True)
    assert {each.level for each in findings} == {"ok"}
    said(findings, "ok", "the server has its public half")
    said(findings, "ok", "the server publishes this organization's keys; fingerprint")
    others = len(sealed_demo.ready["organizations"]) - 1
    said(findings, "ok", f"the keys of {others} other organizations are as they are known")


async def _published(config: NodeConfig, organization: int) -> str:
    key = config.api_key.get_secret_value()
    async with Connection(config.base_url, config.api_url, key) as connection:
        await connection.login()
        answer = await connection.get(f"/organization/{organization}")
    return str(answer["authenticated_keys"])


async def test_a_private_key_that_cannot_be_used(configure: Any, tmp_path: Path) -> None:
    missing = said(await look(configure(private_key=str(tmp_path / "no.pem"))), "error", "no.pem")
    assert "v6 node create-private-key" in missing.remedy
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    said(await look(configure(private_key=str(junk))), "error", "holds no usable private key")


async def test_a_private_key_that_others_can_read(
    sealed_demo: Demo, configure: Any, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.pem"
    shutil.copy(configure().private_key, copy)
    copy.chmod(0o644)
    findings = await look(configure(private_key=str(copy)))
    assert said(findings, "warning", "others can use").remedy == f"chmod 600 {copy}"
    said(findings, "ok", "the server has its public half")


async def test_a_private_key_that_is_not_the_organizations(
    sealed_demo: Demo, configure: Any, tmp_path: Path
) -> None:
    theirs = yaml.safe_load((sealed_demo.folder / "nodes" / "node-2.yaml").read_text())
    path = theirs["encryption"]["private_key"]
    name = sealed_demo.ready["organizations"][1]["name"]
    said(await look(configure(private_key=path)), "error", f"another organization, '{name}'")

    new = tmp_path / "new.pem"
    new.touch(0o600)
    key = rsa.generate_private_key(65537, 2048)
    new.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    before = await look(configure(private_key=str(new)))
    said(before, "warning", "the node replaces it when it starts")
    said(before, "warning", "the node replaces them when it starts")
    running = await look(configure(private_key=str(new)), running=True)
    said(running, "error", "what is sent to this node cannot be read")
    said(running, "error", "the server publishes other keys")


async def test_a_private_key_too_short_for_authenticated_encryption(
    configure: Any, tmp_path: Path
) -> None:
    weak = tmp_path / "weak.pem"
    weak.touch(0o600)
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 (that it is weak is the point)
    weak.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    said(await look(configure(private_key=str(weak))), "warning", "at least 2048")
    required = configure(private_key=str(weak), require_authenticated=True)
    said(await look(required), "error", "at least 2048")


async def test_a_server_without_this_organizations_keys(sealed_demo: Demo, configure: Any) -> None:
    with at_the_server(sealed_demo, 0, "authenticated_keys", None):
        said(await look(configure()), "ok", "the node publishes them when it starts")
        said(await look(configure(), running=True), "error", "the server publishes no keys")
    with at_the_server(sealed_demo, 0, "public_key", ""):
        said(await look(configure(), running=True), "error", "the server has no public key")
    said(await look(configure(authenticated=False)), "warning", "switched off here, but")


async def test_other_organizations_without_keys_or_with_other_ones(
    sealed_demo: Demo, configure: Any
) -> None:
    other = sealed_demo.ready["organizations"][1]
    shown = f"'{other['name']}' ({other['id']}) has"
    with at_the_server(sealed_demo, 1, "authenticated_keys", None):
        lacking = said(await look(configure()), "warning", f"{shown} no keys for it")
        assert "encryption.authenticated: true" in lacking.remedy
        said(await look(configure(require_authenticated=True)), "error", f"{shown} no keys for it")
    with at_the_server(sealed_demo, 1, "public_key", ""):
        said(await look(configure()), "warning", f"{shown} no public key")

    config = configure()
    new = said(await look(config), "warning", "not met yet, and trusted when they are")
    assert "by telephone" in new.remedy
    assert not config.known_keys.exists()  # nothing is changed
    KnownKeys(config.known_keys, config.api_url).pin(other["id"], NOBODYS)
    changed = said(await look(config), "error", NOBODYS.fingerprint)
    assert f"v6 node keys --forget {other['id']}" in changed.remedy
    with at_the_server(sealed_demo, 1, "authenticated_keys", None):
        said(await look(config), "error", f"'{other['name']}': ")
    trusting = configure(trusted={other["id"]: NOBODYS.fingerprint})
    said(await look(trusting), "error", "the fingerprint to trust is")
    config.known_keys.chmod(0o666)
    said(await look(config), "warning", "which says whose keys are trusted")
    config.known_keys.write_text("junk" * 1000)
    assert "restore it" in said(await look(config), "error", "known_keys.sqlite").remedy


async def test_a_node_that_runs_elsewhere_too(configure: Any) -> None:
    """The demo's own first node is online, in another folder."""
    config = configure()
    runtime = make_runtime(config)
    findings = [each async for each in examine(config, runtime, running=False)]
    elsewhere = said(findings, "warning", "the server says that it is online")
    assert "find the other and stop it" in elsewhere.remedy
