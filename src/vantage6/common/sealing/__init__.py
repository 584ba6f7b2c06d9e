"""Authenticated encryption between organizations whose software is ours.

Beside the contract's RSA format, which a server can alter, replay and swap. What protects what is
in ``docs/security/authenticated-encryption.md``.
"""

from __future__ import annotations

from vantage6.common.sealing.correspondence import Correspondence
from vantage6.common.sealing.either import Either
from vantage6.common.sealing.errors import NotForUs, SealError
from vantage6.common.sealing.keys import OwnKeys, PublicKeys
from vantage6.common.sealing.known import KnownKeys
from vantage6.common.sealing.letter import Envelope, Opener, Sealer, is_sealed

__all__ = [
    "Correspondence",
    "Either",
    "Envelope",
    "KnownKeys",
    "NotForUs",
    "Opener",
    "OwnKeys",
    "PublicKeys",
    "SealError",
    "Sealer",
    "is_sealed",
]
