"""Organizations as this node deals with them: their names, and what is sealed for and by them."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from vantage6.common.encryption import CryptorBase, DummyCryptor, RSACryptor
from vantage6.common.transforms import Transform
from vantage6.node.connection import Connection, Identity, Refused

log = logging.getLogger(__name__)

_CACHE_SECONDS = 60.0
_PAGE = 100
#: From this many bytes on, encoding would hold up everything else the node does.
_LARGE = 256 * 1024


class NoUsableKey(Exception):
    """Nothing can be encrypted for an organization; the message names it and says why."""


@dataclass(frozen=True)
class Organization:
    """What the node knows of an organization."""

    id: int
    name: str
    public_key: str
    #: For authenticated encryption; empty if there are none.
    authenticated_keys: str = ""


class Organizations:
    """Names and keys of organizations, asked of the server and remembered for a minute.

    Parameters
    ----------
    connection : Connection
        To ask the server.
    identity : Identity
        Who this node is.
    cryptor : CryptorBase
        Encrypts, and decrypts as this node's organization.
    """

    def __init__(self, connection: Connection, identity: Identity, cryptor: CryptorBase) -> None:
        self._connection = connection
        self._identity = identity
        self._cryptor = cryptor
        self._known: dict[int, tuple[float, Organization]] = {}

    @property
    def encrypted(self) -> bool:
        """Whether inputs and results are encrypted."""
        return not isinstance(self._cryptor, DummyCryptor)

    async def get(self, id_: int) -> Organization:
        """Look an organization up, waiting for the server as long as it takes.

        Raises
        ------
        Refused
            If there is none, or this node may not see it.
        """
        known = self._known.get(id_)
        if known is not None and time.monotonic() - known[0] < _CACHE_SECONDS:
            return known[1]
        found = _read(await self._connection.get(f"/organization/{id_}"))
        self._known[id_] = (time.monotonic(), found)
        return found

    async def members(self, collaboration: int) -> list[Organization]:
        """The organizations of a collaboration.

        Raises
        ------
        Refused
            If this node may not see them.
        """
        found: list[Organization] = []
        page = 1
        while True:
            answer = await self._connection.get(
                "/organization",
                {"collaboration_id": collaboration, "per_page": _PAGE, "page": page},
            )
            found += [_read(each) for each in answer["data"]]
            if not answer["links"].get("next"):
                return found
            page += 1

    async def open(self, text: str) -> bytes:
        """Decode, and where needed decrypt, what was sent to this organization.

        Raises
        ------
        ValueError
            If it is not for this organization, or not in the contract's form.
        """
        if not self.encrypted and len(text) < _LARGE:
            return self._cryptor.decrypt(text)
        return await asyncio.to_thread(self._cryptor.decrypt, text)

    async def seal(self, data: bytes, receiver: int) -> str:
        """Encode, and where needed encrypt, data for an organization.

        Raises
        ------
        NoUsableKey
            If the collaboration is encrypted and the receiver has no usable public key.
        """
        if not self.encrypted:
            if len(data) < _LARGE:
                return self._cryptor.bytes_to_str(data)
            return await asyncio.to_thread(self._cryptor.bytes_to_str, data)
        key = await self._key(receiver)
        try:
            sealed = await asyncio.to_thread(self._cryptor.encrypt_bytes_to_str, data, key)
        except ValueError as error:
            raise self._unusable(receiver, error) from error
        return sealed if isinstance(sealed, str) else sealed.decode("ascii")

    async def _key(self, receiver: int) -> str:
        try:
            organization = await self.get(receiver)
        except Refused as error:
            raise NoUsableKey(f"organization {receiver} cannot be looked up: {error}") from error
        if not organization.public_key:
            self._known.pop(receiver, None)
            raise NoUsableKey(
                f"organization '{organization.name}' has no public key, and the collaboration is "
                "encrypted; one of its members must set up encryption once"
            )
        return organization.public_key

    def _unusable(self, receiver: int, error: ValueError) -> NoUsableKey:
        _, organization = self._known.pop(receiver, (0.0, None))
        name = f"'{organization.name}'" if organization else str(receiver)
        return NoUsableKey(f"the public key of organization {name} is not usable: {error}")

    def opener(self) -> Transform:
        """Decrypts, or decodes, a payload in the form of the payload store."""
        return self._cryptor.decryptor()

    async def sealer(self, public_key: str) -> Transform:
        """Encrypts, or encodes, a payload for the payload store.

        Raises
        ------
        ValueError
            If the public key is needed, and not usable.
        """
        return await asyncio.to_thread(self._cryptor.encryptor, public_key)

    async def sealer_for(self, receiver: int) -> Transform:
        """Likewise, for an organization.

        Raises
        ------
        NoUsableKey
            If the collaboration is encrypted and the receiver has no usable public key.
        """
        key = await self._key(receiver) if self.encrypted else ""
        try:
            return await self.sealer(key)
        except ValueError as error:
            raise self._unusable(receiver, error) from error

    async def publish_key(self, authenticated_keys: str = "") -> None:
        """Make the server's copy of this organization's public keys those in use here.

        Parameters
        ----------
        authenticated_keys : str
            Those for authenticated encryption; none if this node does not use it.

        Raises
        ------
        Refused
            If the server does not take it.
        """
        if not isinstance(self._cryptor, RSACryptor):
            return
        own = self._identity.organization_id
        organization = await self.get(own)
        await self._publish_authenticated_keys(organization, authenticated_keys)
        stored = organization.public_key
        if self._cryptor.verify_public_key(stored):
            log.info("The server has this organization's public key")
            return
        if stored:
            log.critical(
                "The server holds another public key of organization '%s' than this node's "
                "private key belongs to. It is replaced now: what was encrypted for the old key "
                "can no longer be read with the new one",
                self._identity.organization_name,
            )
        await self._connection.call(
            "PATCH", f"/organization/{own}", body={"public_key": self._cryptor.public_key_str}
        )
        self._known.pop(own, None)
        log.info("Public key stored at the server")

    async def _publish_authenticated_keys(self, own: Organization, keys: str) -> None:
        if own.authenticated_keys == keys:
            return
        if own.authenticated_keys and keys:
            log.critical(
                "The server holds other keys for authenticated encryption of organization '%s' "
                "than belong to this node's private key. They are replaced now; whoever knows the "
                "old ones refuses the new ones until they have been told the new fingerprint",
                own.name,
            )
        path = f"/organization/{own.id}"
        try:
            answer = await self._connection.call("PATCH", path, body={"authenticated_keys": keys})
        except Refused as error:
            if error.status_code != 400:
                raise
            answer = {}
        self._known.pop(own.id, None)
        if _read_keys(answer) != keys:
            log.warning(
                "The server does not distribute keys for authenticated encryption: it is not a "
                "server of this software"
            )


def _read(answer: dict[str, Any]) -> Organization:
    public_key = answer.get("public_key") or ""
    return Organization(answer["id"], answer["name"], public_key, _read_keys(answer))


def _read_keys(answer: dict[str, Any]) -> str:
    keys = answer.get("authenticated_keys")
    return keys if isinstance(keys, str) else ""
