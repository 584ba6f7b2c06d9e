"""A stream of which it is not known yet whether it is sealed or in the contract's format."""

from __future__ import annotations

from collections.abc import Callable

from vantage6.common.sealing.errors import SealError
from vantage6.common.sealing.letter import MARK, is_sealed
from vantage6.common.transforms import Transform

NOT_USED = (
    "It comes with authenticated encryption, which is not used here (it needs the organization's "
    "private key, and 'authenticated' must not be set to false)"
)
_ENOUGH = len(MARK) + 1


class Either:
    """Opens a stream in whichever of the two formats it turns out to be.

    Parameters
    ----------
    plain : callable
        Makes what opens the contract's format; raises SealError if that will not do.
    sealed : callable, optional
        Makes what opens the sealed format; left out where that is not used.
    """

    def __init__(
        self, plain: Callable[[], Transform], sealed: Callable[[], Transform] | None = None
    ) -> None:
        self._sealed = sealed
        self._plain = plain
        self._held = b""
        self._chosen: Transform | None = None

    def update(self, piece: bytes) -> bytes:
        """Open a piece, once it is clear which format it is."""
        if self._chosen is not None:
            return self._chosen.update(piece)
        self._held += piece
        if len(self._held) < _ENOUGH:
            return b""
        held, self._held = self._held, b""
        return self._choose(held).update(held)

    def finish(self) -> bytes:
        """Open what is left."""
        if self._chosen is None:
            chosen = self._choose(self._held)
            return chosen.update(self._held) + chosen.finish()
        return self._chosen.finish()

    def _choose(self, start: bytes) -> Transform:
        if not is_sealed(start):
            self._chosen = self._plain()
        elif self._sealed is not None:
            self._chosen = self._sealed()
        else:
            raise SealError(NOT_USED)
        return self._chosen
