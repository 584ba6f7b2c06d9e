"""The sealed format: ``v6a1$<base64 of the head>$<body>``.

The head says from whom, to whom and what for, wraps the body's key for the receiver (HPKE, RFC
9180: X25519, HKDF-SHA256, AES-256-GCM) and is signed by the sender (Ed25519). The body is
:mod:`.chunks`, under a key that depends on every byte of the head. In JSON the body is base64, in
the payload store it is raw, as in the contract's format: servers treat both alike.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vantage6.common.sealing.chunks import ChunkOpener, ChunkSealer
from vantage6.common.sealing.errors import NotForUs, SealError
from vantage6.common.sealing.keys import OwnKeys, PublicKeys

#: Decoded as base64 it is never UTF-8, so a server does not take it for plain text.
MARK = "v6a1"
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_START = f"{MARK}$".encode()
_KEY, _SIGNATURE = 32, 64
_WRAPPED = 32 + _KEY + 16
#: Characters of a head's base64; ours have about 1000.
_MAX_HEAD = 8000
_SIGNED = b"vantage6 sealed letter v1: signature\0"
_WRAPPING = b"vantage6 sealed letter v1: key\0"
_BODY = b"vantage6 sealed letter v1: body\0"


def fresh_nonce() -> str:
    """128 random bits that name one letter, in hexadecimal."""
    return os.urandom(16).hex()


@dataclass(frozen=True)
class Envelope:
    """What a letter is bound to: it is refused in any other place.

    ``collaboration``, ``sender`` and ``receiver`` are ids (the latter two of organizations).
    An input has ``image`` and ``databases``, digests as :func:`digest` makes them (the databases
    None where they are not known when it is sealed), and ``parent``, the task that made the
    subtask. A result has ``task``, ``run`` and ``answers``, the nonce of its input (None if that
    was not sealed).
    """

    kind: Literal["input", "result"]
    collaboration: int
    sender: int
    receiver: int
    nonce: str = field(default_factory=fresh_nonce)
    image: str | None = None
    databases: str | None = None
    parent: int | None = None
    task: int | None = None
    run: int | None = None
    answers: str | None = None


#: Decides on a letter by its envelope and its sender's keys; raises :class:`SealError`.
Check = Callable[[Envelope, PublicKeys], None]


def digest(value: Any) -> str:
    """A value's digest; the same for whatever is the same JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(text.encode()).hexdigest()


def is_sealed(message: str | bytes) -> bool:
    """Whether a message, or its beginning, is in the sealed format."""
    start = message[: len(_START)]
    return (start.encode("utf-8", "replace") if isinstance(start, str) else start) == _START


class Sealer:
    """Seals a stream; the result is in the form of the payload store.

    Parameters
    ----------
    envelope : Envelope
        What the letter is bound to.
    own : OwnKeys
        The sender's.
    receiver : PublicKeys
        The receiver's.
    """

    def __init__(self, envelope: Envelope, own: OwnKeys, receiver: PublicKeys) -> None:
        content_key = os.urandom(_KEY)
        statement = json.dumps(
            {**asdict(envelope), "from": own.public.text, "to": receiver.fingerprint},
            separators=(",", ":"),
        ).encode()
        wrapped = SUITE.encrypt(
            content_key, X25519PublicKey.from_public_bytes(receiver.sealing), _WRAPPING + statement
        )
        signed = statement + wrapped
        head = signed + own.signing.sign(_SIGNED + signed)
        self._head = _START + base64.b64encode(head) + b"$"
        self._body = ChunkSealer(_body_key(content_key, head))

    def update(self, piece: bytes) -> bytes:
        """Seal a piece."""
        return self._after_head(self._body.update(piece))

    def finish(self) -> bytes:
        """Seal what is left, and say that it is all."""
        return self._after_head(self._body.finish())

    def text(self, data: bytes) -> str:
        """The whole letter as it goes into JSON."""
        body = self._body.update(data) + self._body.finish()
        return (self._head + base64.b64encode(body)).decode("ascii")

    def _after_head(self, body: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + body


class Opener:
    """Opens a letter in the form of the payload store.

    Parameters
    ----------
    own : OwnKeys
        The receiver's.
    check : callable
        Is asked about the letter after its signature was verified and before it is opened.

    Raises
    ------
    NotForUs
        If it is sealed for other keys.
    SealError
        If it is not what its sender sealed, or `check` says so.
    """

    def __init__(self, own: OwnKeys, check: Check) -> None:
        self._own = own
        self._check = check
        self._held = b""
        self._body: ChunkOpener | None = None

    def update(self, piece: bytes) -> bytes:
        """Open a piece, once the head is complete."""
        if self._body is not None:
            return self._body.update(piece)
        self._held += piece
        end = self._held.find(b"$", len(_START))
        if end < 0:
            if len(self._held) > _MAX_HEAD:
                raise SealError("The payload begins like a sealed one, but has no head")
            return b""
        head, rest = self._held[len(_START) : end], self._held[end + 1 :]
        self._held = b""
        self._body = ChunkOpener(self._content_key(head))
        return self._body.update(rest)

    def finish(self) -> bytes:
        """Open what is left, and see that it is all."""
        if self._body is None:
            raise SealError("The payload was cut off inside its head")
        return self._body.finish()

    def text(self, message: str) -> bytes:
        """Open a whole letter as it is in JSON."""
        head, _, body = message.removeprefix(f"{MARK}$").partition("$")
        opener = ChunkOpener(self._content_key(head.encode("utf-8", "replace")))
        sealed = _decoded(body.encode("utf-8", "replace"))
        return opener.update(sealed) + opener.finish()

    def _content_key(self, encoded: bytes) -> bytes:
        head = _decoded(encoded)
        signed, signature = head[:-_SIGNATURE], head[-_SIGNATURE:]
        statement, wrapped = signed[:-_WRAPPED], signed[-_WRAPPED:]
        envelope, sender, to = _read(statement)
        try:
            Ed25519PublicKey.from_public_bytes(sender.verifying).verify(signature, _SIGNED + signed)
        except (InvalidSignature, ValueError) as error:
            raise SealError(
                "The sender's signature does not fit the letter: it was altered on its way"
            ) from error
        if to != self._own.public.fingerprint:
            raise NotForUs(f"It is sealed for the keys {to}, not for those of this organization")
        self._check(envelope, sender)
        try:
            key = SUITE.decrypt(wrapped, self._own.opening, _WRAPPING + statement)
        except (InvalidTag, ValueError) as error:
            raise SealError("The letter's key cannot be opened: it was altered") from error
        return _body_key(key, head)


def _body_key(content_key: bytes, head: bytes) -> bytes:
    salt = sha256(head).digest()
    return HKDF(hashes.SHA256(), _KEY, salt=salt, info=_BODY).derive(content_key)


def _decoded(text: bytes) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise SealError("The letter is not in the sealed format: it was altered") from error
    # The last character may have bits that no byte gets: there is one way to write each letter.
    if base64.b64encode(raw) != text:
        raise SealError("The letter is not in the sealed format: it was altered")
    return raw


def _read(statement: bytes) -> tuple[Envelope, PublicKeys, str]:
    """What a head states; nothing of it is true before the signature is verified."""
    try:
        stated = json.loads(statement)
        sender, to = PublicKeys.read(stated.pop("from")), str(stated.pop("to"))
        if set(stated) != {each.name for each in fields(Envelope)}:
            raise SealError("The letter is of an unknown version: upgrade vantage6")
        return Envelope(**stated), sender, to
    except SealError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SealError("The letter is not in the sealed format: it was altered") from error
