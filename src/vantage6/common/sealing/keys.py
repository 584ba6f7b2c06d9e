"""An organization's further keys: one to sign with (Ed25519), one to be written to (X25519).

They are derived from the organization's RSA private key. So the one PEM file stays all there is to
keep, to copy to a second machine and to lose, and whoever has it has all three keys.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vantage6.common.sealing.errors import SealError

#: With a shorter RSA key whoever factors its public half would have these keys too.
SHORTEST_RSA = 2048
_SALT = b"vantage6 organization keys v1"
_PREFIX = "v6a1:"
_SIZE = 32
#: Characters of a fingerprint, of 5 bits each, and how many are read out at a time.
_FINGERPRINT, _GROUP = 32, 4


@dataclass(frozen=True)
class PublicKeys:
    """What others know of an organization: 32 bytes to verify with, 32 to seal for."""

    verifying: bytes
    sealing: bytes

    @classmethod
    def read(cls, text: str) -> Self:
        """The keys in the text form in which a server distributes them.

        Raises
        ------
        SealError
            If it is not that form.
        """
        try:
            raw = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except (ValueError, binascii.Error):
            raw = b""
        if not text.startswith(_PREFIX) or len(raw) != 2 * _SIZE:
            raise SealError("These are no keys for authenticated encryption of a known version")
        return cls(raw[:_SIZE], raw[_SIZE:])

    @property
    def text(self) -> str:
        """The keys as a server distributes them."""
        return _PREFIX + base64.b64encode(self.verifying + self.sealing).decode("ascii")

    @property
    def fingerprint(self) -> str:
        """160 bits that stand for both keys, to be compared by telephone."""
        digest = hashlib.sha256(_SALT + self.verifying + self.sealing).digest()
        letters = base64.b32encode(digest).decode("ascii")[:_FINGERPRINT]
        return "-".join(letters[i : i + _GROUP] for i in range(0, _FINGERPRINT, _GROUP))


@dataclass(frozen=True, repr=False)
class OwnKeys:
    """An organization's private keys."""

    signing: Ed25519PrivateKey
    opening: X25519PrivateKey

    @classmethod
    def derive(cls, key: rsa.RSAPrivateKey) -> Self:
        """The keys that belong to an RSA key: always the same for the same one.

        Raises
        ------
        SealError
            If the RSA key is too short to build on.
        """
        if key.key_size < SHORTEST_RSA:
            raise SealError(
                f"The organization's RSA key has {key.key_size} bits; authenticated encryption "
                f"needs at least {SHORTEST_RSA}. Make a new key: v6 node create-private-key"
            )
        numbers, half = key.private_numbers(), (key.key_size + 7) // 8
        # The primes, not the file: the same key in another PEM notation gives the same keys.
        secret = b"".join(prime.to_bytes(half, "big") for prime in sorted((numbers.p, numbers.q)))

        def part(name: bytes) -> bytes:
            return HKDF(hashes.SHA256(), _SIZE, salt=_SALT, info=name).derive(secret)

        return cls(
            Ed25519PrivateKey.from_private_bytes(part(b"Ed25519 signing")),
            X25519PrivateKey.from_private_bytes(part(b"X25519 opening")),
        )

    @property
    def public(self) -> PublicKeys:
        """The public halves."""
        return PublicKeys(
            self.signing.public_key().public_bytes_raw(),
            self.opening.public_key().public_bytes_raw(),
        )


def same_fingerprint(one: str, other: str) -> bool:
    """Whether two fingerprints agree, however they were written down."""
    return _bare(one) == _bare(other)


def is_fingerprint(text: str) -> bool:
    """Whether a text can be a fingerprint at all."""
    bare = _bare(text)
    return len(bare) == _FINGERPRINT and set(bare) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


def _bare(text: str) -> str:
    return "".join(text.split()).replace("-", "").upper()
