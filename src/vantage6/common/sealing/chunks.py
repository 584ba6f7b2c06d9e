"""A stream in chunks that can be neither altered, reordered, dropped nor cut off: STREAM.

Each chunk of 64 KiB is sealed by AES-256-GCM. Its nonce is its number (11 bytes, big-endian) and
one byte that is 1 in the last chunk only. Only an empty message has an empty last chunk, so there
is one way to write each message.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vantage6.common.sealing.errors import SealError

CHUNK = 64 * 1024
TAG = 16


class _Numbered:
    """What both directions share: the buffer and the nonces. A key serves one message only."""

    def __init__(self, key: bytes, size: int) -> None:
        self._cipher = AESGCM(key)
        self._size = size
        self._number = 0
        self._held = bytearray()

    def _work(self, chunk: bytes, nonce: bytes) -> bytes:
        raise NotImplementedError

    def _next(self, chunk: bytes, *, last: bool) -> bytes:
        nonce = self._number.to_bytes(11, "big") + bytes([last])
        self._number += 1
        return self._work(chunk, nonce)

    def update(self, piece: bytes) -> bytes:
        """What can be said after a piece: all whole chunks but one, which may be the last."""
        self._held += piece
        size, made, start = self._size, [], 0
        while len(self._held) - start > size:
            made.append(self._next(bytes(self._held[start : start + size]), last=False))
            start += size
        del self._held[:start]
        return b"".join(made)

    def finish(self) -> bytes:
        """The last chunk."""
        return self._next(bytes(self._held), last=True)


class ChunkSealer(_Numbered):
    """Seals a stream under a key that is used for nothing else."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key, CHUNK)

    def _work(self, chunk: bytes, nonce: bytes) -> bytes:
        return self._cipher.encrypt(nonce, chunk, None)


class ChunkOpener(_Numbered):
    """Opens a stream; hands out nothing that has not been verified.

    Raises
    ------
    SealError
        By `update` and `finish`, when the stream is not what was sealed.
    """

    def __init__(self, key: bytes) -> None:
        super().__init__(key, CHUNK + TAG)

    def _work(self, chunk: bytes, nonce: bytes) -> bytes:
        try:
            plain = self._cipher.decrypt(nonce, chunk, None)
        except (InvalidTag, ValueError) as error:
            raise SealError(
                "The payload was altered or cut off on its way, by the server or by whoever has "
                "access to it; it is not used"
            ) from error
        if not plain and self._number > 1:
            raise SealError("The payload ends in a way in which nobody seals; it is not used")
        return plain
