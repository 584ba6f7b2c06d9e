"""Payloads on their way, piece by piece: encoded, decoded, encrypted, decrypted.

Each transform takes pieces of any size and holds next to nothing back.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SEPARATOR = b"$"
#: Bytes (or characters) that are worked on at a time; a multiple of 3 and of 4.
PIECE = 768 * 1024
# base64 of 684 + 24 characters for RSA 4096; anything longer than this is not a header.
_MAX_HEADER = 8192
#: More bytes than key and initial value take before an encrypted message.
_WRAPPED_KEY = 2048


class Transform(Protocol):
    """What turns one stream into another."""

    def update(self, piece: bytes) -> bytes:
        """What can be said after a piece; maybe nothing yet.

        Raises
        ------
        ValueError
            If the stream is not of the expected form.
        """

    def finish(self) -> bytes:
        """What is left to say.

        Raises
        ------
        ValueError
            If the stream ended too early.
        """


class Encoder:
    """Bytes to base64 that is one valid text."""

    def __init__(self) -> None:
        self._rest = b""

    def update(self, piece: bytes) -> bytes:
        """Encode what makes whole groups."""
        data = self._rest + piece
        cut = len(data) - len(data) % 3
        self._rest = data[cut:]
        return base64.b64encode(data[:cut])

    def finish(self) -> bytes:
        """Encode the last bytes, with padding."""
        return base64.b64encode(self._rest)


class Decoder:
    """Base64 to bytes."""

    def __init__(self) -> None:
        self._rest = b""

    def update(self, piece: bytes) -> bytes:
        """Decode what makes whole groups."""
        data = self._rest + piece.translate(None, b"\r\n")
        cut = len(data) - len(data) % 4
        self._rest = data[cut:]
        return base64.b64decode(data[:cut], validate=True)

    def finish(self) -> bytes:
        """Decode the last characters, of which there should be none."""
        return base64.b64decode(self._rest, validate=True)


class Encryptor:
    """Bytes to the contract's binary form: header, then ciphertext (AES-256 in CTR mode)."""

    def __init__(self, header: bytes, key: bytes, iv: bytes) -> None:
        self._header = header
        self._cipher = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()

    def update(self, piece: bytes) -> bytes:
        """Encrypt a piece."""
        return self._after_header(self._cipher.update(piece))

    def finish(self) -> bytes:
        """The header, if there was nothing to encrypt."""
        return self._after_header(self._cipher.finalize())

    def _after_header(self, sealed: bytes) -> bytes:
        header, self._header = self._header, b""
        return header + sealed if header else sealed


class Decryptor:
    """The contract's binary form to bytes.

    Parameters
    ----------
    unwrap : callable
        Gives the key that a header wraps.
    """

    def __init__(self, unwrap: Callable[[bytes], bytes]) -> None:
        self._unwrap = unwrap
        self._head = b""
        self._cipher: Callable[[bytes], bytes] | None = None

    def update(self, piece: bytes) -> bytes:
        """Decrypt a piece, once the header is complete."""
        if self._cipher is not None:
            return self._cipher(piece)
        self._head += piece
        parts = self._head.split(SEPARATOR, 2)
        if len(parts) < 3:
            if len(self._head) > _MAX_HEADER:
                raise ValueError("Not an encrypted stream: no header found")
            return b""
        wrapped, iv, rest = parts
        self._head = b""
        key = self._unwrap(wrapped)
        cipher = Cipher(algorithms.AES(key), modes.CTR(base64.b64decode(iv))).decryptor()
        self._cipher = cipher.update
        return cipher.update(rest)

    def finish(self) -> bytes:
        """Nothing; the header has to be complete."""
        if self._cipher is None:
            raise ValueError("Encrypted stream ended inside its header")
        return b""


def through(transform: Transform, stream: Iterable[bytes]) -> Iterator[bytes]:
    """Hand a stream through a transform."""
    for piece in stream:
        if made := transform.update(piece):
            yield made
    if made := transform.finish():
        yield made


def blob_form(text: str | Iterable[bytes]) -> Iterator[bytes]:
    """The string form of an input or result, encrypted or not, as the payload store has it.

    Parameters
    ----------
    text
        As one text, or as pieces of which the first is longer than any header.

    Raises
    ------
    ValueError
        If it is neither base64 nor an encrypted message.
    """
    pieces = iter(_cut(text) if isinstance(text, str) else text)
    first = next(pieces, b"")
    start = first.find(b"$", first.find(b"$", 0, _MAX_HEADER) + 1, _MAX_HEADER) + 1
    encrypted = start > 0
    if encrypted:
        yield first[:start]
        first = first[start:]
    decoder = Decoder()
    for piece in chain((first,), pieces):
        yield decoder.update(piece) if encrypted else piece
    if encrypted and (rest := decoder.finish()):
        yield rest


def _cut(text: str) -> Iterator[bytes]:
    for begin in range(0, len(text), PIECE):
        yield text[begin : begin + PIECE].encode("ascii")


def fits_inline(size: int, limit: int) -> bool:
    """Whether so many plain bytes fit into so many of base64, encrypted or not."""
    return size <= limit * 3 // 4 - _WRAPPED_KEY


def in_pieces(stream: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Put small pieces together and cut large ones, to `size` bytes each but the last."""
    held = bytearray()
    for piece in stream:
        view = memoryview(piece)
        while len(held) + len(view) >= size:
            cut = size - len(held)
            held += view[:cut]
            view = view[cut:]
            yield bytes(held)
            held.clear()
        held += view
    if held:
        yield bytes(held)
