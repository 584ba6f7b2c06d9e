"""The cryptors, where documentation has long said they are."""

from __future__ import annotations

from vantage6.common.encryption import CryptorBase, DummyCryptor, RSACryptor

__all__ = ["CryptorBase", "DummyCryptor", "RSACryptor"]
