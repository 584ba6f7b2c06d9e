"""What is wrong with a node, and what to do about it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from vantage6.common.encryption import RSACryptor
from vantage6.node import data_check
from vantage6.node.config import Database, NodeConfig
from vantage6.node.connection import (
    Connection,
    Identity,
    LoginRefused,
    Refused,
    ServerTrouble,
)
from vantage6.node.decisions import verify
from vantage6.node.http import Http, NoAnswer
from vantage6.node.journal import Journal, JournalError
from vantage6.node.runtimes.base import Runtime, RuntimeUnavailable
from vantage6.node.tunnels import Tunnel, TunnelDown, Tunnels

_LITTLE_SPACE = 1024**3
#: Seconds that two clocks may differ: tokens are valid from the second they are made.
_SKEW = 60.0

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``remedy`` says what to do unless all is well."""

    about: str
    level: Level
    text: str
    remedy: str = ""


async def examine(config: NodeConfig, runtime: Runtime, *, running: bool) -> AsyncIterator[Finding]:
    """Look at everything a node needs; nothing is changed.

    Parameters
    ----------
    running : bool
        Whether the node runs now; its files are then left alone.
    """
    yield _folder(config)
    yield _secrets(config)
    if not running:
        yield _journal(config)
    yield _decisions(config)
    yield await _runtime(config, runtime)
    for tunnel in Tunnels(config.ssh_tunnels, config.beside(".")):
        yield await _tunnel(tunnel)
    async for database, found in data_check.check_all(config):
        yield _database(database, found)
    yield _policies(config)
    yield await _server(config)
    async for finding in _login(config):
        yield finding


def _folder(config: NodeConfig) -> Finding:
    folder = config.folder
    there = folder
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK):
        return Finding(
            "state folder", "error", f"cannot write to {folder}", "chown it, or set state_dir"
        )
    free = shutil.disk_usage(there).free
    if free < _LITTLE_SPACE:
        return Finding(
            "state folder",
            "warning",
            f"{free / 1024**2:.0f} MB are left on the disk of {folder}",
            "make room: results are kept there until they are delivered",
        )
    return Finding("state folder", "ok", f"{folder}, {free / 1024**3:.1f} GB free")


def _secrets(config: NodeConfig) -> Finding:
    if config.path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        return Finding(
            "configuration",
            "warning",
            f"others can read {config.path}, and the API key in it",
            f"chmod 600 {config.path}",
        )
    return Finding("configuration", "ok", f"{config.path}")


def _journal(config: NodeConfig) -> Finding:
    path = config.folder / "journal.sqlite"
    if not path.exists():
        return Finding("journal", "ok", "none yet")
    try:
        with Journal(path) as journal:
            count = len(journal.entries())
    except JournalError as error:
        return Finding("journal", "error", str(error), "see above")
    return Finding("journal", "ok", f"{count} runs to be finished or delivered")


def _decisions(config: NodeConfig) -> Finding:
    verified = verify(config.decisions)
    if verified.flaws:
        flaw = verified.flaws[0]
        return Finding(
            "decision log",
            "error",
            f"{flaw.place}: {flaw.problem}",
            "v6 node audit verify tells all; keep the folder, and find out who changed it",
        )
    return Finding("decision log", "ok", f"{verified.lines} lines, unbroken")


async def _runtime(config: NodeConfig, runtime: Runtime) -> Finding:
    about = f"runtime {config.runtime}"
    try:
        await runtime.open()
    except RuntimeUnavailable as error:
        remedy = "the message says what is missing"
        if config.runtime == "process":
            remedy = "see docs/security/process-sandbox.md; process.sandbox: none does without"
        if config.runtime == "kubernetes":
            remedy = "docs/kubernetes.md has all that a namespace needs"
        return Finding(about, "error", str(error), remedy)
    finally:
        await runtime.close()
    if config.runtime == "process" and config.process.sandbox == "none":
        return Finding(
            about,
            "warning",
            "algorithms run without a sandbox and can do whatever the node can",
            "set process.sandbox: required",
        )
    if config.runtime == "kubernetes":
        return Finding(
            about,
            "warning",
            "the namespace is as it must be, but this runtime has been tested against an imitation "
            "of a cluster's API only, never on a cluster",
            "try it as docs/kubernetes.md says before it meets real data",
        )
    return Finding(about, "ok", "works")


async def _tunnel(tunnel: Tunnel) -> Finding:
    about = f"SSH tunnel {tunnel.name}"
    try:
        await tunnel.probe()
    except TunnelDown as down:
        return Finding(about, "error", str(down), down.remedy)
    if tunnel.readable_by_others():
        return Finding(
            about, "warning", "works, but others can read its private key", "chmod 600 the key"
        )
    return Finding(about, "ok", "works, to the end")


def _database(database: Database, found: data_check.Found) -> Finding:
    about = f"database {database.label}"
    if found.problem:
        return Finding(about, "error", found.problem, "v6 node data check looks again")
    if found.warnings:
        return Finding(about, "warning", "; ".join(found.warnings), "v6 node data check shows more")
    return Finding(about, "ok", f"{database.type}, {len(found.columns)} columns")


def _policies(config: NodeConfig) -> Finding:
    policies = config.policies
    if policies.allowed_algorithms or policies.allowed_algorithm_stores:
        return Finding("policies", "ok", "not every algorithm may run here")
    return Finding(
        "policies",
        "warning",
        "every algorithm may run here",
        "list the ones that may under policies.allowed_algorithms",
    )


async def _server(config: NodeConfig) -> Finding:
    http = Http(config.api_url)
    try:
        answer = await http.request("GET", "/version", read_timeout=20.0)
    except NoAnswer as error:
        return Finding(
            "server",
            "error",
            f"{config.api_url} does not answer: {error}",
            "check server_url, port and api_path, the firewall, and outgoing_proxy or HTTPS_PROXY "
            "if there is one",
        )
    finally:
        await http.close()
    if answer.status != 200:
        return Finding(
            "server",
            "error",
            f"{config.api_url}/version answers {answer.status}",
            "what answers is no vantage6 server: check server_url, port and api_path",
        )
    try:
        skew = (parsedate_to_datetime(answer.headers["Date"]) - datetime.now(UTC)).total_seconds()
    except (KeyError, ValueError):
        return Finding("server", "ok", f"{config.api_url} answers; it does not say what time it is")
    if abs(skew) > _SKEW:
        return Finding(
            "clock",
            "error",
            f"this machine's clock is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} "
            "the server's",
            "set up time synchronisation (systemd-timesyncd, chrony) on both",
        )
    return Finding("server", "ok", f"{config.api_url} answers; the clocks agree")


async def _login(config: NodeConfig) -> AsyncIterator[Finding]:
    try:
        async with Connection(
            config.base_url, config.api_url, config.api_key.get_secret_value()
        ) as connection:
            await connection.login()
            identity = await connection.identify()
            yield Finding(
                "API key",
                "ok",
                f"node '{identity.name}' of organization '{identity.organization_name}'",
            )
            yield await _key(config, identity, connection)
    except (LoginRefused, Refused) as error:
        yield Finding(
            "API key", "error", str(error), "have the key reset, then: v6 node set-api-key"
        )
    except ServerTrouble as error:
        yield Finding("API key", "error", f"not tried: {error}", "see 'server'")


async def _key(config: NodeConfig, identity: Identity, connection: Connection) -> Finding:
    about, enabled = "encryption", config.encryption.enabled
    if identity.encrypted != enabled:
        return Finding(
            about,
            "error",
            f"the collaboration is {'' if identity.encrypted else 'not '}encrypted, but "
            f"encryption.enabled is {str(enabled).lower()}",
            f"set it to {str(identity.encrypted).lower()}",
        )
    if not enabled:
        return Finding(about, "ok", "not encrypted, here and in the collaboration")
    path = config.private_key
    try:
        cryptor = RSACryptor(path)
    except (OSError, ValueError) as error:
        return Finding(
            about, "error", str(error), "v6 node create-private-key, or set encryption.private_key"
        )
    if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        return Finding(about, "warning", f"others can read {path}", f"chmod 600 {path}")
    organization = await connection.get(f"/organization/{identity.organization_id}", attempts=3)
    stored = organization.get("public_key") or ""
    if stored and not cryptor.verify_public_key(stored):
        return Finding(
            about,
            "warning",
            "the server has another public key; this node replaces it when it starts",
            "make sure that this is the organization's key: what was encrypted for the other "
            "one cannot be read with it",
        )
    return Finding(about, "ok", f"the key is {path}")
