"""End-to-end encryption against vectors of the 4.15.2 reference, and as round trips.

The key under ``vectors/`` was made for these vectors only.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from vantage6.common import bytes_to_base64s
from vantage6.common.encryption import DummyCryptor, RSACryptor

VECTORS = Path(__file__).parent / "vectors"
VECTOR = json.loads((VECTORS / "encryption.json").read_text())
CRYPTOR = RSACryptor(VECTORS / "private_key.pem")
PUBLIC_KEY = VECTOR["public_key"]


def test_the_public_key_is_that_of_the_vectors() -> None:
    assert CRYPTOR.public_key_str == PUBLIC_KEY
    assert CRYPTOR.verify_public_key(PUBLIC_KEY)
    assert not CRYPTOR.verify_public_key("bm90IGEga2V5")


def test_the_text_form_of_the_reference_is_read() -> None:
    assert json.loads(CRYPTOR.decrypt(VECTOR["text_form"])) == {
        "method": "partial_sum",
        "args": [],
        "kwargs": {"column": "age"},
    }


def blob() -> bytes:
    return VECTOR["blob_header"].encode() + bytes.fromhex(VECTOR["blob_body_hex"])


def test_the_blob_form_of_the_reference_is_read() -> None:
    assert CRYPTOR.decrypt(blob()) == b'{"sum": 1234.5, "n": 42}'


@pytest.mark.parametrize("size", [1, 7, 500, 5000])
def test_the_blob_form_is_read_in_pieces_of_any_size(size: int) -> None:
    data = blob()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert b"".join(CRYPTOR.decrypt_stream(pieces)) == b'{"sum": 1234.5, "n": 42}'


def test_what_the_web_page_encrypts_is_read() -> None:
    assert CRYPTOR.decrypt(VECTOR["page_form"]) == b'{"method":"m"}'


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=300))
def test_blob_round_trip_keeps_every_byte(data: bytes) -> None:
    encrypted = CRYPTOR.encrypt_bytes_to_str(data, PUBLIC_KEY, skip_base64_encoding_of_msg=True)
    assert isinstance(encrypted, bytes)
    assert CRYPTOR.decrypt(encrypted) == data


@settings(max_examples=20, deadline=None)
@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_text_round_trip_keeps_json(value: object) -> None:
    data = json.dumps(value).encode()
    encrypted = CRYPTOR.encrypt_bytes_to_str(data, PUBLIC_KEY)
    assert isinstance(encrypted, str)
    assert encrypted.count("$") == 2
    assert CRYPTOR.decrypt(encrypted) == data


@pytest.mark.parametrize("data", [b"", b"hello", b"abcd", b"\xff\x00\xfe"])
def test_text_round_trip_keeps_what_is_not_json(data: bytes) -> None:
    assert CRYPTOR.decrypt(CRYPTOR.encrypt_bytes_to_str(data, PUBLIC_KEY)) == data


def test_stream_round_trip() -> None:
    data = bytes(range(256)) * 40
    pieces = [data[start : start + 100] for start in range(0, len(data), 100)]
    encrypted = list(CRYPTOR.encrypt_stream(pieces, PUBLIC_KEY))
    assert b"".join(CRYPTOR.decrypt_stream(encrypted)) == data


def test_two_messages_share_neither_key_nor_iv() -> None:
    first, second = (str(CRYPTOR.encrypt_bytes_to_str(b"same", PUBLIC_KEY)) for _ in range(2))
    assert not set(first.split("$")) & set(second.split("$"))


@pytest.mark.parametrize("key", ["", "not base64!", bytes_to_base64s(b"not a key")])
def test_an_unusable_public_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="Invalid public key provided for encryption"):
        CRYPTOR.encrypt_bytes_to_str(b"x", key)


def test_a_message_for_somebody_else_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    other.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    with pytest.raises(ValueError, match="not encrypted for this private key"):
        RSACryptor(other).decrypt(VECTOR["text_form"])


def test_two_cryptors_in_one_process_keep_their_own_keys(tmp_path: Path) -> None:
    path = tmp_path / "new.pem"
    RSACryptor.create_new_rsa_key(path)
    assert RSACryptor(path).public_key_str != CRYPTOR.public_key_str
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "one", "one$two"])
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="three parts"):
        CRYPTOR.decrypt(text)


def test_a_missing_or_useless_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no_such_file"):
        RSACryptor(tmp_path / "no_such_file")
    useless = tmp_path / "useless.pem"
    useless.write_text("hello")
    with pytest.raises(ValueError, match=r"useless\.pem"):
        RSACryptor(useless)


def test_without_encryption_it_is_base64() -> None:
    dummy = DummyCryptor()
    assert dummy.encrypt_bytes_to_str(b'{"sum": 1234.5, "n": 42}', "") == (
        "eyJzdW0iOiAxMjM0LjUsICJuIjogNDJ9"
    )
    assert dummy.decrypt("eyJzdW0iOiAxMjM0LjUsICJuIjogNDJ9") == b'{"sum": 1234.5, "n": 42}'
    assert dummy.decrypt(b"eyJzdW0iOiAxMjM0LjUsICJuIjogNDJ9") == b'{"sum": 1234.5, "n": 42}'


def test_without_encryption_a_stream_is_one_valid_base64_text() -> None:
    assert list(DummyCryptor().encrypt_stream([b"abcd", b"efgh"])) == [b"YWJj", b"ZGVm", b"Z2g="]


@given(st.lists(st.binary(max_size=20)), st.integers(min_value=1, max_value=9))
def test_without_encryption_streams_survive_any_cut(pieces: list[bytes], size: int) -> None:
    dummy = DummyCryptor()
    encoded = b"".join(dummy.encrypt_stream(pieces))
    cut = [encoded[start : start + size] for start in range(0, len(encoded), size)]
    assert b"".join(dummy.decrypt_stream(cut)) == b"".join(pieces)
