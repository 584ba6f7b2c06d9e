"""What is wrong with a node, and what to do about it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from uuid import UUID

from aiohttp import ClientConnectorCertificateError, ClientConnectorSSLError

from vantage6.node import data_check, key_check
from vantage6.node.config import Database, NodeConfig
from vantage6.node.connection import (
    Connection,
    Identity,
    LoginRefused,
    Refused,
    ServerTrouble,
)
from vantage6.node.decisions import verify
from vantage6.node.findings import Finding
from vantage6.node.http import Http, NoAnswer
from vantage6.node.journal import Journal, JournalError
from vantage6.node.runtimes.base import Runtime, RuntimeUnavailable
from vantage6.node.tunnels import Tunnel, TunnelDown, Tunnels

_LITTLE_SPACE, _NO_SPACE = 1024**3, 50 * 1024**2
_FEW_FILES = 1000
#: Seconds that two clocks may differ: tokens are valid from the second they are made.
_SKEW = 60.0


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
    async for finding in _login(config, running=running):
        yield finding


def _folder(config: NodeConfig) -> Finding:
    folder = config.folder
    there = folder
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK):
        return Finding(
            "state folder",
            "error",
            f"cannot write to {folder}",
            "chown it to the node's user, mount its disk writable, or set state_dir",
        )
    free, files = shutil.disk_usage(there).free, os.statvfs(there)
    if files.f_files and files.f_favail < _FEW_FILES:
        return Finding(
            "state folder",
            "error",
            f"{files.f_favail} more files fit on the disk of {folder} (inodes)",
            "remove files there: no run can begin before",
        )
    if free < _LITTLE_SPACE:
        full = free < _NO_SPACE
        return Finding(
            "state folder",
            "error" if full else "warning",
            f"{free / 1024**2:.0f} MB are left on the disk of {folder}"
            + (": no run can begin, and no result be kept" if full else ""),
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
        remedy = "restore it from a backup; or, if no result is missed, move it away: runs that "
        remedy += "the server still wants then start anew"
        return Finding("journal", "error", str(error), remedy)
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
        remedy = f"once that is done: v6 node doctor -c {config.path}"
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
        remedy = "put that right in the configuration or at the database; v6 node data check looks "
        return Finding(about, "error", found.problem, f"{remedy}again")
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
            _way_to_server(error),
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


async def _presence(connection: Connection, identity: Identity) -> Finding:
    """Whether somebody else is this node, which does not run here."""
    node = await connection.get(f"/node/{identity.node_id}", attempts=3)
    if node.get("status") != "online":
        return Finding("presence", "ok", "the server says that the node is offline, as it is here")
    return Finding(
        "presence",
        "warning",
        "the node does not run here, but the server says that it is online: another node uses this "
        "API key (or this one ended less than a minute ago)",
        "do not start this one: find the other and stop it, or register a node of its own",
    )


def _way_to_server(error: NoAnswer) -> str:
    cause = error.__cause__
    if isinstance(cause, ClientConnectorCertificateError):
        return (
            "if the certificate is the site's own or the server's, set ca_file; if its name is "
            "another one, set server_url to that; the message also tells if it has expired"
        )
    if isinstance(cause, ClientConnectorSSLError):
        return "what listens there does not speak HTTPS: set server_url to http://, or correct port"
    return (
        "check server_url, port and api_path, the firewall, and outgoing_proxy or HTTPS_PROXY if "
        "there is one"
    )


def _is_key(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


async def _login(config: NodeConfig, *, running: bool) -> AsyncIterator[Finding]:
    if not _is_key(config.api_key.get_secret_value()):
        yield Finding(
            "API key",
            "error",
            "what is configured as api_key is no API key: these look like "
            "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
            "copy it once more, whole: v6 node set-api-key",
        )
        return
    identity: Identity | None = None
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
            if not running:
                yield await _presence(connection, identity)
            async for finding in key_check.check(config, identity, connection, running=running):
                yield finding
    except (LoginRefused, Refused) as error:
        if identity is None:
            remedy = "have the key reset, then: v6 node set-api-key"
            yield Finding("API key", "error", str(error), remedy)
        else:
            remedy = (
                "what this node's role may see at the server was changed: ask its administrator"
            )
            yield Finding("encryption", "error", f"not looked at: {error}", remedy)
    except ServerTrouble as error:
        about = "API key" if identity is None else "encryption"
        yield Finding(about, "error", f"not tried: {error}", "see 'server'")
