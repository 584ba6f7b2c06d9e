"""Long texts taken out of a JSON document while it comes in.

A document that is read in one piece keeps the interpreter, and with it everybody else, for as long
as that takes: most of a second for 100 MB. Of such a document nearly all is one text. It is cut
out piece by piece, a name is left in its place, and what remains is read as ever.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

#: Bytes of a text that is left where it is.
SHORT = 256 * 1024
# After so many braces, commas, texts … the rest is left as it is: looking at each takes time.
_MOST_STEPS = 200_000

_STRUCTURE = re.compile(rb'[{}\[\],:"]')
_WITHIN = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
# Base64, the separator of encrypted messages, and the beginning of an escape.
_ENCODED = (
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=$_- \\"  # as in task bodies
)
_ENCODED_TEXT = re.compile(r"[A-Za-z0-9+/=$_\s-]*", re.ASCII)
#: Left in place of a text that is no base64, for which it will be refused.
_NOT_ENCODED = b"!"
_LONGEST_ESCAPE = 6


@dataclass(frozen=True)
class LongText:
    """A text of ASCII characters in pieces, the first of them longer than any header."""

    pieces: Sequence[bytes]

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    def whole(self) -> str:
        """In one piece."""
        return b"".join(self.pieces).decode("ascii")


class Cutter:
    """Cuts long texts out of a JSON document.

    Parameters
    ----------
    key : str
        The key whose values are meant.
    depth : int
        How many brackets are open there; others of that name are left alone.
    refused
        Whether a text that is neither base64 nor encrypted will be refused anyway: ``!`` then
        takes its place. Otherwise it is left where it is.
    """

    def __init__(self, key: str, depth: int, *, refused: bool) -> None:
        self._refused = refused
        self._key = key.encode()
        self._where = depth
        self._prefix = secrets.token_hex(16)
        #: What was cut out, by the name left in its place. Nobody can guess the names.
        self.texts: dict[str, LongText] = {}
        self._rest = bytearray()
        self._steps = 0
        self._depth = 0
        self._within = False
        self._meant = False
        self._last = b""
        # Where in the rest the present text begins.
        self._begin = 0
        self._carry = b""
        self._cut: _Cut | None = None

    def feed(self, chunk: bytes) -> None:
        """Take the next part of the document."""
        if self._carry:
            chunk, self._carry = self._carry + chunk, b""
        at = 0
        while at < len(chunk):
            if self._steps > _MOST_STEPS and self._cut is None:
                self._rest += chunk[at:]
                return
            self._steps += 1
            at = self._in_text(chunk, at) if self._within else self._between(chunk, at)

    def finish(self) -> bytes:
        """The document without what was cut out."""
        return bytes(self._rest) + self._carry

    def _between(self, chunk: bytes, at: int) -> int:
        found = _STRUCTURE.search(chunk, at)
        if found is None:
            self._rest += chunk[at:]
            return len(chunk)
        self._rest += chunk[at : found.end()]
        sign = found.group()
        if sign == b'"':
            self._within, self._begin = True, len(self._rest)
        elif sign == b":":
            self._meant = self._last == self._key and self._depth == self._where
        else:
            self._meant = False
            self._depth += (sign in b"{[") - (sign in b"}]")
        return found.end()

    def _in_text(self, chunk: bytes, at: int) -> int:
        if b"\\" in chunk:
            match = _WITHIN.match(chunk, at)
            end = match.end() if match else at
        else:
            end = chunk.find(b'"', at)
            end = len(chunk) if end < 0 else end
        piece = chunk[at:end]
        if self._cut is not None:
            self._cut.take(piece)
        else:
            self._rest += piece
            if self._meant and len(self._rest) - self._begin > SHORT:
                self._cut = _Cut()
                self._cut.take(bytes(self._rest[self._begin :]))
                del self._rest[self._begin :]
        if self._cut is not None and not self._cut.encoded and not self._refused:
            self._put_back(self._cut)
        if end == len(chunk):
            return end
        if chunk[end : end + 1] == b"\\":  # an escape that goes on in the next part
            self._carry = chunk[end:]
            return len(chunk)
        self._end_text()
        return end + 1

    def _put_back(self, cut: _Cut) -> None:
        self._rest += cut.as_json()
        self._cut, self._meant = None, False

    def _end_text(self) -> None:
        if self._cut is not None:
            cut, self._cut = self._cut, None
            text = cut.finish()
            if text is None and not self._refused:
                self._rest += cut.as_json()
            elif text is None:
                self._rest += _NOT_ENCODED
            else:
                name = f"{self._prefix}{len(self.texts)}"
                self.texts[name] = text
                self._rest += name.encode()
        self._last = bytes(self._rest[self._begin : self._begin + len(self._key) + 1])
        self._rest += b'"'
        self._within = self._meant = False


class _Cut:
    """A text that is being cut out."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held = b""
        self.encoded = True

    def take(self, piece: bytes) -> None:
        """Take more of it, unless it is no base64."""
        if not self.encoded:
            return
        piece, self._held = self._held + piece, b""
        if b"\\" in piece:
            last = piece.rfind(b"\\")
            if piece[last : last + 2] == b"\\u" and len(piece) - last < _LONGEST_ESCAPE:
                piece, self._held = piece[:last], piece[last:]
        plain = _plain(piece)
        if plain is None:
            self.encoded, self._held = False, piece + self._held
        elif plain:
            self._pieces.append(plain)

    def finish(self) -> LongText | None:
        """The text; None if it is no base64."""
        if self._held:  # an escape that is none
            self.encoded = False
        return LongText(self._pieces) if self.encoded else None

    def as_json(self) -> bytes:
        """What was taken so far, as it may stand in the document."""
        pieces = [json.dumps(piece.decode("ascii"))[1:-1].encode() for piece in self._pieces]
        return b"".join(pieces) + self._held


def _plain(piece: bytes) -> bytes | None:
    """A part of a JSON text without its escapes; None if there is something else than base64."""
    if piece.translate(None, _ENCODED):
        return None
    if b"\\" not in piece:
        return piece
    try:
        text = json.loads(b'"' + piece + b'"')
    except ValueError:
        return None
    return text.encode() if _ENCODED_TEXT.fullmatch(text) else None
