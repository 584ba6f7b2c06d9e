"""Are the keys in order: this organization's, here and at the server, and those of the others?

Nothing is changed, neither here nor at the server.
"""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from vantage6.common.encryption import DummyCryptor, RSACryptor
from vantage6.common.sealing import Correspondence, KnownKeys, OwnKeys, PublicKeys, SealError
from vantage6.common.sealing.known import Peer
from vantage6.node.config import NodeConfig
from vantage6.node.connection import Connection, Identity
from vantage6.node.findings import Finding, Level
from vantage6.node.organizations import Organization, Organizations

_PLAIN, _SEALED = "encryption", "authenticated encryption"
#: Organizations that are named one by one.
_MOST_NAMES = 10


async def check(
    config: NodeConfig, identity: Identity, connection: Connection, *, running: bool
) -> AsyncIterator[Finding]:
    """Look at everything that encryption needs.

    Parameters
    ----------
    running : bool
        Whether the node runs now: then what it publishes at its start must be at the server.

    Raises
    ------
    Refused, ServerTrouble
        If the server does not tell what keys there are.
    """
    settings = config.encryption
    if identity.encrypted != settings.enabled:
        yield Finding(
            _PLAIN,
            "error",
            f"the collaboration is {'' if identity.encrypted else 'not '}encrypted, but "
            f"encryption.enabled is {str(settings.enabled).lower()}",
            f"set it to {str(identity.encrypted).lower()}",
        )
        return
    if not settings.enabled:
        yield Finding(_PLAIN, "ok", "not encrypted, here and in the collaboration")
        return
    path = config.private_key
    try:
        cryptor = RSACryptor(path)
    except (OSError, ValueError) as error:
        yield _unusable(path, error)
        return
    members = await Organizations(connection, identity, DummyCryptor()).members(
        identity.collaboration_id
    )
    own = next(each for each in members if each.id == identity.organization_id)
    others = [each for each in members if each.id != identity.organization_id]
    namesakes = [each for each in others if cryptor.verify_public_key(each.public_key)]
    if namesakes:
        yield Finding(
            _PLAIN,
            "error",
            f"{path} is the private key of another organization, '{namesakes[0].name}' "
            f"({namesakes[0].id}), not of '{own.name}'",
            "set encryption.private_key to this organization's own, and start no node before",
        )
        return
    yield _own_key(path, cryptor, own, running=running)
    if _open_to_others(path, stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH):
        yield Finding(_PLAIN, "warning", f"others can use {path}", f"chmod 600 {path}")
    if keyless := [each for each in others if not each.public_key]:
        yield Finding(
            _PLAIN,
            "warning",
            f"{_names(keyless)} no public key: nothing can be encrypted for them",
            "their nodes publish it when they start with encryption.enabled: true; or one of "
            "their members sets up encryption once",
        )
    if settings.authenticated or settings.require_authenticated:
        for finding in _authenticated(config, cryptor, own, others, running=running):
            yield finding
    elif own.authenticated_keys:
        yield Finding(
            _SEALED,
            "warning",
            "switched off here, but the server still has this organization's keys for it, and "
            "others use them",
            "restart the node, which withdraws them; or set encryption.authenticated: true",
        )


def _unusable(path: Path, error: Exception) -> Finding:
    if isinstance(error, PermissionError):
        remedy = f"let the node's user read it: chown and chmod 600 {path}"
        return Finding(_PLAIN, "error", f"{path} may not be read by this user", remedy)
    if isinstance(error, FileNotFoundError):
        text = f"there is no private key at {path}"
        remedy = (
            "put the organization's key there, or set encryption.private_key to where it is; only "
            "an organization that has none yet: v6 node create-private-key"
        )
        return Finding(_PLAIN, "error", text, remedy)
    remedy = "restore it from a backup, or set encryption.private_key to the right file"
    return Finding(_PLAIN, "error", str(error), remedy)


def _own_key(path: Path, cryptor: RSACryptor, own: Organization, *, running: bool) -> Finding:
    if not own.public_key:
        if running:
            return Finding(
                _PLAIN,
                "error",
                f"the key is {path}, but the server has no public key of '{own.name}'",
                "restart the node, which publishes it; its log says if the server refuses it",
            )
        text = f"the key is {path}; its public half goes to the server when the node starts"
        return Finding(_PLAIN, "ok", text)
    if cryptor.verify_public_key(own.public_key):
        return Finding(_PLAIN, "ok", f"the key is {path}; the server has its public half")
    if running:
        return Finding(
            _PLAIN,
            "error",
            f"the server's public key of '{own.name}' does not belong to {path}: what is sent to "
            "this node cannot be read",
            "all nodes and users of an organization need the same private key. Find out who "
            "uploaded the other one; with the right file in place, restart the node",
        )
    return Finding(
        _PLAIN,
        "warning",
        f"the server's public key of '{own.name}' does not belong to {path}; the node replaces it "
        "when it starts",
        "make sure first that this is the organization's key, and that its other nodes and users "
        "have it too: what was encrypted for the other one cannot be read with it",
    )


def _authenticated(
    config: NodeConfig,
    cryptor: RSACryptor,
    own: Organization,
    others: list[Organization],
    *,
    running: bool,
) -> Iterator[Finding]:
    settings = config.encryption
    try:
        keys = OwnKeys.derive(cryptor.private_key)
    except SealError as error:
        yield Finding(
            _SEALED,
            "error" if settings.require_authenticated else "warning",
            f"not possible: {error}",
            "give every node and user of the organization the new key; what was encrypted for the "
            "old one cannot be read with it",
        )
        return
    yield _published(keys, own, running=running)
    known = _Unchanged(config.known_keys, config.api_url)
    if known.path.exists() and _open_to_others(known.path, stat.S_IWGRP | stat.S_IWOTH):
        text = f"others can change {known.path}, which says whose keys are trusted"
        yield Finding(_SEALED, "warning", text, f"chmod 600 {known.path}")
    correspondence = Correspondence(
        keys,
        own.id,
        known,
        required=settings.require_authenticated,
        trusted=settings.trusted,
        how_to_forget="v6 node keys --forget <organization id>, at this node",
    )
    try:
        yield from _others(correspondence, others)
    except SealError as error:
        remedy = "restore it from a backup: without it changed keys and replay go unnoticed"
        yield Finding(_SEALED, "error", str(error), remedy)


def _published(keys: OwnKeys, own: Organization, *, running: bool) -> Finding:
    fingerprint = keys.public.fingerprint
    if own.authenticated_keys == keys.public.text:
        text = f"the server publishes this organization's keys; fingerprint {fingerprint}"
        return Finding(_SEALED, "ok", text)
    other = "no keys"
    if own.authenticated_keys:
        other = f"other keys ({_fingerprint(own.authenticated_keys)})"
    text = f"the server publishes {other} of '{own.name}', whose private key has {fingerprint}"
    if running:
        return Finding(
            _SEALED,
            "error",
            text,
            "restart the node, which publishes them; its log says if the server, as one of other "
            "software, does not distribute them"
            if not own.authenticated_keys
            else "all nodes of an organization need the same private key: find out which one "
            "published the other keys, then restart this node",
        )
    if not own.authenticated_keys:
        return Finding(_SEALED, "ok", f"{text}: the node publishes them when it starts")
    return Finding(
        _SEALED,
        "warning",
        f"{text}; the node replaces them when it starts",
        "make sure first that this is the organization's key. Whoever knows the other keys refuses "
        "these until they have been told the fingerprint",
    )


def _others(correspondence: Correspondence, others: list[Organization]) -> Iterator[Finding]:
    lacking, met, unmet = [], 0, []
    for each in others:
        peer = correspondence.known.peer(each.id)
        strict = correspondence.required and correspondence.trusted
        first = peer is None and not strict and each.id not in correspondence.trusted
        if first and each.authenticated_keys:
            unmet.append(f"'{each.name}' ({each.id}) {_fingerprint(each.authenticated_keys)}")
            continue
        if first and not each.authenticated_keys:
            lacking.append(each)
            continue
        try:
            correspondence.keys_of(each.id, each.authenticated_keys)
        except SealError as error:
            yield Finding(
                _SEALED,
                "error",
                f"'{each.name}': {error}. Until then its inputs are refused here, and results for "
                "it are not sent",
                "when its fingerprint has been compared: put it into encryption.trusted, or have "
                f"the old one forgotten (v6 node keys --forget {each.id})",
            )
        else:
            met += 1
    if unmet:
        yield Finding(
            _SEALED,
            "warning",
            f"not met yet, and trusted when they are: {'; '.join(unmet[:_MOST_NAMES])}",
            "compare the fingerprints by telephone, and put them into encryption.trusted",
        )
    if lacking:
        fate = "what comes from and goes to them is in the contract's format, which a server can "
        fate += "alter, replay and swap"
        remedy = "have them set encryption.authenticated: true at their nodes and restart them"
        if correspondence.required:
            fate = "what comes from them is refused here (require_authenticated), and results for "
            fate += "them are not sent"
            remedy += ", or turn off encryption.require_authenticated here"
        level: Level = "error" if correspondence.required else "warning"
        text = f"{_names(lacking)} no keys for it: {fate}"
        yield Finding(_SEALED, level, text, remedy)
    if met:
        yield Finding(_SEALED, "ok", f"the keys of {met} other organizations are as they are known")


class _Unchanged(KnownKeys):
    """What is known, for somebody who only looks: nothing is remembered."""

    def pin(self, organization: int, keys: PublicKeys, *, replace: bool = False) -> Peer:
        before = self.peer(organization)
        return Peer(organization, keys, "") if before is None or replace else before


def _fingerprint(published: str) -> str:
    try:
        return PublicKeys.read(published).fingerprint
    except SealError:
        return "of an unknown version"


def _names(organizations: list[Organization]) -> str:
    named = [f"'{each.name}' ({each.id})" for each in organizations[:_MOST_NAMES]]
    more = len(organizations) - len(named)
    verb = "has" if len(organizations) == 1 else "have"
    return f"{', '.join(named)}{f' and {more} more' if more else ''} {verb}"


def _open_to_others(path: Path, bits: int) -> bool:
    return bool(path.stat().st_mode & bits)
