"""Passwords and API keys: policy, hashing, comparison."""

from __future__ import annotations

import hashlib

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# The parameters OWASP's password storage cheat sheet gives for argon2id: 19 MiB, twice, and on one
# core, so that logins that come together each get one.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: What every bcrypt hash begins with, and no other.
_BCRYPT = "$2"
#: Matches bcrypt hashes in SQL.
BCRYPT_PATTERN = f"{_BCRYPT}%"
# Hashes of random texts that nobody kept. Compared against when there is no such user, so that
# both answers take the same time.
_NOBODY = (
    "$argon2id$v=19$m=19456,t=2,p=1$fPJzrEAymz4jEDfmUKoVUQ"
    "$KG8oVyYbBO+Ao6V61hr/mpH2pUD9I7Q4osLCBQFvPRA"
)
_NOBODY_BCRYPT = "$2b$12$feTIrI7rsHYunv9bkejPMux3PPK36od6NgGXR9a6KMvSgw5AWdf4a"

MIN_LENGTH, MAX_LENGTH = 8, 128


def check_policy(password: str) -> str:
    """Return the password if it satisfies the policy.

    Raises
    ------
    ValueError
        Naming every requirement that is not met.
    """
    missing = []
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        missing.append(f"{MIN_LENGTH} to {MAX_LENGTH} characters")
    if not any(c.isdigit() for c in password):
        missing.append("a digit")
    if not any(c.isupper() for c in password):
        missing.append("an upper-case letter")
    if not any(c.islower() for c in password):
        missing.append("a lower-case letter")
    if all(c.isalnum() for c in password):
        missing.append("a special character")
    if missing:
        raise ValueError(f"Password must have {', '.join(missing)}")
    return password


def hash_password(password: str) -> str:
    """Hash with argon2id. Slow and memory-hungry on purpose: not for the event loop."""
    return _hasher.hash(password)


def is_bcrypt(stored: str) -> bool:
    """Whether a hash comes from an imported database."""
    return stored.startswith(_BCRYPT)


def verify_password(password: str, stored: str | None) -> bool:
    """Compare with a stored hash: argon2, or bcrypt from an imported database.

    With no hash (unknown user) it takes as long and is False.
    """
    if stored and is_bcrypt(stored):
        try:
            return bcrypt.checkpw(password.encode()[:72], stored.encode())
        except ValueError:
            return False
    try:
        return _hasher.verify(stored or _NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def take_the_other_time(password: str, stored: str | None) -> None:
    """Spend the time that a hash of the other kind takes.

    While a database has both kinds, a refusal costs both: else the time would tell an imported
    account from one that does not exist.
    """
    imported = stored is not None and is_bcrypt(stored)
    verify_password(password, _NOBODY if imported else _NOBODY_BCRYPT)


def needs_rehash(stored: str) -> bool:
    """Whether a hash is older than today's method or parameters."""
    return is_bcrypt(stored) or _hasher.check_needs_rehash(stored)


def hash_api_key(api_key: str) -> str:
    """Hash of a node's API key, to look it up by.

    A fast hash is enough: an API key has 122 random bits, nobody guesses it. A node that was
    imported has a bcrypt hash until it first logs in, see ``imported_keys.py``.
    """
    return hashlib.sha256(api_key.lower().encode()).hexdigest()
