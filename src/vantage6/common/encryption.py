"""End-to-end encryption of inputs and results between organizations.

The format is the contract's: a fresh AES-256 key in CTR mode per message, wrapped with the
receiving organization's RSA key (PKCS#1 v1.5). Text form: ``b64(key)$b64(iv)$b64(ciphertext)``;
binary form: the same two parts, then raw ciphertext.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from vantage6.common import base64s_to_bytes, bytes_to_base64s
from vantage6.common.transforms import (
    Decoder,
    Decryptor,
    Encoder,
    Encryptor,
    Transform,
    through,
)

SEPARATOR = "$"
SHARED_ENCRYPT_KEY_LENGTH = 32
IV_LENGTH = 16
RSA_BITS = 4096


class CryptorBase:
    """What encrypts for, and decrypts as, an organization."""

    @staticmethod
    def bytes_to_str(data: bytes) -> str:
        """Base64 text of bytes."""
        return bytes_to_base64s(data)

    @staticmethod
    def str_to_bytes(data: str) -> bytes:
        """Bytes of base64 text."""
        return base64s_to_bytes(data)

    def encrypt_bytes_to_str(
        self, data: bytes, pubkey_base64: str, skip_base64_encoding_of_msg: bool = False
    ) -> str | bytes:
        """Encrypt for the holder of a public key."""
        raise NotImplementedError

    def decrypt(self, data: str | bytes) -> bytes:
        """Decrypt what was encrypted for this organization."""
        raise NotImplementedError

    def encryptor(self, pubkey_base64: str | None = None) -> Transform:
        """Encrypts a stream for the holder of a public key, to the contract's blob form."""
        raise NotImplementedError

    def decryptor(self) -> Transform:
        """Decrypts a stream in the contract's blob form."""
        raise NotImplementedError

    def encrypt_stream(
        self, stream: Iterable[bytes], pubkey_base64s: str | None = None
    ) -> Iterator[bytes]:
        """Encrypt chunk by chunk; the output is the blob form of the contract.

        Raises
        ------
        ValueError
            If the public key is needed, and missing or unusable.
        """
        yield from through(self.encryptor(pubkey_base64s), stream)

    def decrypt_stream(self, stream: Iterable[bytes]) -> Iterator[bytes]:
        """Decrypt the blob form chunk by chunk.

        Raises
        ------
        ValueError
            If the stream is not in that form, or not meant for this key.
        """
        yield from through(self.decryptor(), stream)


class DummyCryptor(CryptorBase):
    """For collaborations without encryption: base64 only."""

    def encrypt_bytes_to_str(
        self, data: bytes, pubkey_base64: str, skip_base64_encoding_of_msg: bool = False
    ) -> str:
        """Base64 text of the data; key and flag are ignored."""
        return bytes_to_base64s(data)

    def decrypt(self, data: str | bytes) -> bytes:
        """Bytes of base64 text.

        Raises
        ------
        ValueError
            If the data are neither text nor bytes, or not base64.
        """
        if isinstance(data, bytes):
            data = data.decode("utf-8")
        if not isinstance(data, str):
            raise ValueError(f"Expected text or bytes to decrypt, got {type(data).__name__}")
        return base64s_to_bytes(data)

    def encryptor(self, pubkey_base64: str | None = None) -> Transform:
        """Encodes to base64; the key is ignored."""
        return Encoder()

    def decryptor(self) -> Transform:
        """Decodes base64."""
        return Decoder()


class RSACryptor(CryptorBase):
    """Encrypts for other organizations and decrypts with this one's private key.

    Parameters
    ----------
    private_key_file : pathlib.Path
        PEM file with an RSA private key without passphrase.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds no such key.
    """

    def __init__(self, private_key_file: Path | str) -> None:
        path = Path(private_key_file)
        if not path.is_file():
            raise FileNotFoundError(f"Private key file {path} not found.")
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (TypeError, ValueError, UnsupportedAlgorithm) as error:
            raise ValueError(
                f"{path} holds no usable private key (PEM, RSA, without passphrase): {error}"
            ) from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError(f"{path} holds a private key that is not RSA")
        self.private_key = key

    @staticmethod
    def create_new_rsa_key(path: Path) -> rsa.RSAPrivateKey:
        """Make a 4096-bit key and write it as PEM, readable by its owner only."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(pem)
        return key

    @staticmethod
    def create_public_key_bytes(private_key: rsa.RSAPrivateKey) -> bytes:
        """PEM (SubjectPublicKeyInfo) of a private key's public half."""
        return private_key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def public_key_bytes(self) -> bytes:
        """PEM of the public key."""
        return self.create_public_key_bytes(self.private_key)

    @property
    def public_key_str(self) -> str:
        """The public key as the server stores it: base64 of the PEM."""
        return bytes_to_base64s(self.public_key_bytes)

    def verify_public_key(self, pubkey_base64: str) -> bool:
        """Whether a public key, as the server stores it, belongs to this private key."""
        try:
            return base64s_to_bytes(pubkey_base64) == self.public_key_bytes
        except ValueError:
            return False

    def encrypt_bytes_to_str(
        self, data: bytes, pubkey_base64: str, skip_base64_encoding_of_msg: bool = False
    ) -> str | bytes:
        """Encrypt for the holder of a public key.

        Parameters
        ----------
        data : bytes
            The plain text.
        pubkey_base64 : str
            The receiver's public key as the server stores it.
        skip_base64_encoding_of_msg : bool
            True gives the binary form, as bytes.

        Raises
        ------
        ValueError
            If the public key is missing or unusable.
        """
        key, iv = os.urandom(SHARED_ENCRYPT_KEY_LENGTH), os.urandom(IV_LENGTH)
        header = _header(key, iv, pubkey_base64)
        encryptor = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
        body = encryptor.update(data) + encryptor.finalize()
        if skip_base64_encoding_of_msg:
            return header + body
        return header.decode("ascii") + bytes_to_base64s(body)

    def decrypt(self, data: str | bytes) -> bytes:
        """Decrypt the text form (str) or the binary form (bytes).

        The web page wraps the key and the message in base64 once more; both are recognised.

        Raises
        ------
        ValueError
            If the message is not in this format or not meant for this key.
        """
        separator: bytes = SEPARATOR.encode()
        raw = data.encode("ascii") if isinstance(data, str) else data
        parts = raw.split(separator, 2)
        if len(parts) != 3:
            raise ValueError("Not an encrypted message: expected three parts separated by '$'")
        key, iv = self._unwrap(parts[0]), base64.b64decode(parts[1])
        body = base64.b64decode(parts[2]) if isinstance(data, str) else parts[2]
        decryptor = Cipher(algorithms.AES(key), modes.CTR(iv)).decryptor()
        plain = decryptor.update(body) + decryptor.finalize()
        return _undo_page_base64(plain) if isinstance(data, str) else plain

    def encryptor(self, pubkey_base64: str | None = None) -> Transform:
        """Encrypts a stream: the header first, then raw ciphertext.

        Raises
        ------
        ValueError
            If the public key is missing or unusable.
        """
        key, iv = os.urandom(SHARED_ENCRYPT_KEY_LENGTH), os.urandom(IV_LENGTH)
        return Encryptor(_header(key, iv, pubkey_base64 or ""), key, iv)

    def decryptor(self) -> Transform:
        """Decrypts a stream that begins with a header for this key."""
        return Decryptor(self._unwrap)

    def _unwrap(self, wrapped: bytes) -> bytes:
        try:
            key = self.private_key.decrypt(base64.b64decode(wrapped), padding.PKCS1v15())
        except (ValueError, binascii.Error) as error:
            raise ValueError("The message was not encrypted for this private key") from error
        # The page wraps base64 text; 32 random bytes are practically never valid UTF-8.
        with contextlib.suppress(UnicodeDecodeError, binascii.Error):
            key = base64.b64decode(key.decode("utf-8"))
        if len(key) != SHARED_ENCRYPT_KEY_LENGTH:
            raise ValueError("The message was not encrypted for this private key")
        return key


def _header(key: bytes, iv: bytes, pubkey_base64: str) -> bytes:
    try:
        public_key = load_pem_public_key(base64s_to_bytes(pubkey_base64))
        if not isinstance(public_key, rsa.RSAPublicKey):
            raise ValueError("not an RSA key")
        wrapped = public_key.encrypt(key, padding.PKCS1v15())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("Invalid public key provided for encryption.") from error
    separator = SEPARATOR.encode()
    return base64.b64encode(wrapped) + separator + base64.b64encode(iv) + separator


def _undo_page_base64(plain: bytes) -> bytes:
    """The page encodes once more; undo that only where it leads to JSON."""
    if not plain or _is_json(plain):
        return plain
    try:
        decoded = base64.b64decode(plain, validate=True)
    except ValueError:
        return plain
    return decoded if _is_json(decoded) else plain


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True
