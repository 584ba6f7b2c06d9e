"""Authenticated encryption: the format, the rules of trust, and what is remembered."""

from __future__ import annotations

import multiprocessing
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from vantage6.common.encryption import RSACryptor
from vantage6.common.sealing import (
    Correspondence,
    Either,
    Envelope,
    KnownKeys,
    NotForUs,
    Opener,
    OwnKeys,
    PublicKeys,
    Sealer,
    SealError,
    is_sealed,
)
from vantage6.common.sealing.chunks import CHUNK, TAG, ChunkOpener, ChunkSealer
from vantage6.common.sealing.correspondence import image_digests
from vantage6.common.transforms import blob_form, through
from vantage6.server.api.task_creation import is_readable

KEY = bytes(range(32))
SERVER = "https://server.example/api"


@cache
def rsa_key(which: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def keys(which: int = 0) -> OwnKeys:
    return OwnKeys.derive(rsa_key(which))


ALICE, BOB, EVE = 1, 2, 3
ENVELOPE = Envelope("input", 7, ALICE, BOB, "00" * 16, image="i", databases="d")


def accept(*_: object) -> None:
    pass


def letter(data: bytes, envelope: Envelope = ENVELOPE) -> str:
    return Sealer(envelope, keys(ALICE), keys(BOB).public).text(data)


def stream(data: bytes) -> bytes:
    return b"".join(through(Sealer(ENVELOPE, keys(ALICE), keys(BOB).public), [data]))


def opened(text: str) -> bytes:
    return Opener(keys(BOB), accept).text(text)


def correspondence(folder: Path, who: int = BOB, **settings_: object) -> Correspondence:
    return Correspondence(keys(who), who, KnownKeys(folder / f"{who}.known", SERVER), **settings_)  # type: ignore[arg-type]


# -- primitives -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aead", "private", "enc", "sealed"),
    [
        (  # RFC 9180, A.1.1
            AEAD.AES_128_GCM,
            "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
            "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
            "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9"
            "6d8770ac83d07bea87e13c512a",
        ),
        (  # RFC 9180, A.2.1
            AEAD.CHACHA20_POLY1305,
            "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb",
            "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a",
            "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db"
            "21993c62ce81883d2dd1b51a28",
        ),
    ],
    ids=["A.1.1", "A.2.1"],
)
def test_the_library_opens_the_vectors_of_the_rfc(
    aead: AEAD, private: str, enc: str, sealed: str
) -> None:
    # The RFC has none for our third part, AES-256-GCM, with this KEM; these share all else. The
    # public call takes no `aad`, which the vectors have.
    plain = openssl.hpke._decrypt_with_aad(
        Suite(KEM.X25519, KDF.HKDF_SHA256, aead),
        bytes.fromhex(enc + sealed),
        X25519PrivateKey.from_private_bytes(bytes.fromhex(private)),
        info=bytes.fromhex("4f6465206f6e2061204772656369616e2055726e"),
        aad=b"Count-0",
    )
    assert plain == b"Beauty is truth, truth beauty"


def test_keys_follow_from_the_rsa_key_alone(tmp_path: Path) -> None:
    again = load_pem_private_key(
        rsa_key(ALICE).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), None
    )
    assert isinstance(again, rsa.RSAPrivateKey)
    assert OwnKeys.derive(again).public == keys(ALICE).public != keys(BOB).public
    assert PublicKeys.read(keys(ALICE).public.text) == keys(ALICE).public
    groups = keys(ALICE).public.fingerprint.split("-")
    assert [len(group) for group in groups] == [4] * 8


def test_a_weak_rsa_key_is_not_built_on() -> None:
    with pytest.raises(SealError, match="1024 bits"):
        OwnKeys.derive(rsa.generate_private_key(65537, 1024))  # noqa: S505 (weak on purpose)


@pytest.mark.parametrize("text", ["", "v6a1:", "v6a2:" + "A" * 88, "v6a1:" + "A" * 87, "v6a1:é"])
def test_what_are_no_keys_is_refused(text: str) -> None:
    with pytest.raises(SealError, match="no keys"):
        PublicKeys.read(text)


# -- the format -------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    size=st.one_of(
        st.integers(0, 300),
        st.sampled_from([CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 1]),
    ),
    cuts=st.lists(st.integers(1, 100_000), max_size=6),
    seed=st.integers(0, 255),
)
def test_whatever_is_sealed_comes_out_again_however_it_is_cut(
    size: int, cuts: list[int], seed: int
) -> None:
    data = bytes((seed + i * i) % 256 for i in range(300)) * (size // 300 + 1)
    data = data[:size]
    raw = stream(data)
    pieces = [raw[i:j] for i, j in zip([0, *sorted(cuts)], [*sorted(cuts), len(raw)], strict=True)]
    assert b"".join(through(Opener(keys(BOB), accept), pieces)) == data
    text = letter(data)
    assert opened(text) == data
    as_blob = b"".join(blob_form(text))
    assert b"".join(through(Opener(keys(BOB), accept), [as_blob])) == data


def test_no_byte_of_a_sealed_payload_can_be_altered() -> None:
    raw, text = stream(b'{"method": "m"}'), letter(b'{"method": "m"}')
    for position in range(len(raw)):
        for bit in (1, 128):
            altered = bytearray(raw)
            altered[position] ^= bit
            pieces = through(Either(refuse_plain, lambda: Opener(keys(BOB), accept)), [altered])
            with pytest.raises(SealError):
                b"".join(pieces)
    for position, character in enumerate(text):
        other = "A" if character != "A" else "B"
        altered_text = text[:position] + other + text[position + 1 :]
        if not is_sealed(altered_text):
            continue  # then the contract's format is expected, and refused by the rules
        with pytest.raises(SealError):
            opened(altered_text)


def refuse_plain() -> Opener:
    raise SealError("the contract's format will not do")


@pytest.mark.parametrize("size", [0, 10, CHUNK, 2 * CHUNK + 10])
def test_a_payload_that_was_cut_off_anywhere_is_refused(size: int) -> None:
    raw = stream(bytes(size))
    head = raw.rindex(b"$", 0, 1200) + 1
    edges = range(head, len(raw), CHUNK + TAG)
    for end in {0, 3, 100, head - 1, *edges, *(edge + 1 for edge in edges), len(raw) - 1}:
        if end >= len(raw):
            continue
        with pytest.raises(SealError):
            b"".join(through(Either(refuse_plain, lambda: Opener(keys(BOB), accept)), [raw[:end]]))
    with pytest.raises(SealError):
        b"".join(through(Opener(keys(BOB), accept), [raw, b"more"]))


def test_chunks_can_be_neither_reordered_dropped_doubled_nor_ended_twice() -> None:
    sealer = ChunkSealer(KEY)
    raw = sealer.update(bytes(3 * CHUNK)) + sealer.finish()
    size = CHUNK + TAG
    first, second, third = raw[:size], raw[size : 2 * size], raw[2 * size :]
    empty = ChunkSealer(KEY).finish()
    for wrong in (
        [second, first, third],
        [first, third],
        [first, second],
        [first, first, second, third],
        [first, second, third, empty],
        [third],
    ):
        with pytest.raises(SealError):
            b"".join(through(ChunkOpener(KEY), wrong))


def test_a_letter_of_somebody_else_is_told_from_one_that_was_altered() -> None:
    with pytest.raises(NotForUs, match="is sealed for the keys"):
        Opener(keys(EVE), accept).text(letter(b"x"))


def test_the_body_of_one_letter_does_not_fit_the_head_of_another() -> None:
    one, other = letter(b"x" * 50).rsplit("$", 1), letter(b"y" * 50).rsplit("$", 1)
    with pytest.raises(SealError, match="altered"):
        opened(f"{one[0]}${other[1]}")


def test_a_letter_is_checked_before_it_is_opened() -> None:
    def check(envelope: Envelope, sender: PublicKeys) -> None:
        assert (envelope, sender) == (ENVELOPE, keys(ALICE).public)
        raise SealError("no")

    with pytest.raises(SealError, match=r"^no$"):
        Opener(keys(BOB), check).text(letter(b"x"))


def test_servers_and_older_readers_take_it_for_what_the_contract_has(tmp_path: Path) -> None:
    text = letter(b'{"method": "m"}')
    assert text.count("$") == 2
    assert not is_readable(text)
    assert b"".join(blob_form(text)).startswith(b"v6a1$")
    pem = rsa_key(BOB).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (tmp_path / "key").write_bytes(pem)
    with pytest.raises(ValueError, match="not encrypted for this private key"):
        RSACryptor(tmp_path / "key").decrypt(text)


def test_a_gigabyte_would_take_no_memory() -> None:
    sealer = Sealer(ENVELOPE, keys(ALICE), keys(BOB).public)
    opener = Opener(keys(BOB), accept)
    piece = bytes(1_000_000)
    for _ in range(20):
        sealed = sealer.update(piece)
        assert len(opener.update(sealed)) <= len(piece) + CHUNK
        assert len(sealer._body._held) <= CHUNK
        assert opener._body is not None
        assert len(opener._body._held) <= CHUNK + TAG


# -- trust ------------------------------------------------------------------------------------


def exchange(bob: Correspondence, sender: OwnKeys, envelope: Envelope = ENVELOPE) -> bytes:
    text = Sealer(envelope, sender, bob.own.public).text(b"data")
    return bob.opener(accept).text(text)


def test_who_was_met_once_is_held_to_it(tmp_path: Path) -> None:
    bob = correspondence(tmp_path)
    bob.demand_nothing_sealed(ALICE)
    assert not bob.is_wary
    assert exchange(bob, keys(ALICE)) == b"data"
    assert bob.is_wary
    again = correspondence(tmp_path)  # as after a restart
    assert exchange(again, keys(ALICE)) == b"data"
    with pytest.raises(SealError, match=r"other keys than before.*forget its keys"):
        exchange(again, keys(EVE))
    with pytest.raises(SealError, match="without: refused"):
        again.demand_nothing_sealed(ALICE)
    with pytest.raises(SealError, match="without: refused"):
        again.keys_of(ALICE, "")
    assert again.keys_of(ALICE, keys(ALICE).public.text) == keys(ALICE).public
    with pytest.raises(SealError, match=keys(EVE).public.fingerprint):
        again.keys_of(ALICE, keys(EVE).public.text)
    assert again.keys_of(EVE, None) is None
    assert again.known.forget(ALICE)
    assert exchange(again, keys(EVE)) == b"data"


def test_keys_known_at_one_server_say_nothing_about_another(tmp_path: Path) -> None:
    exchange(correspondence(tmp_path), keys(ALICE))
    elsewhere = KnownKeys(tmp_path / f"{BOB}.known", "https://other.example/api")
    assert elsewhere.peers() == []


def test_a_letter_in_a_wrong_place_makes_nobody_known(tmp_path: Path) -> None:
    bob = correspondence(tmp_path)
    text = Sealer(ENVELOPE, keys(EVE), bob.own.public).text(b"data")

    def elsewhere(*_: object) -> None:
        raise SealError("another place")

    with pytest.raises(SealError, match="another place"):
        bob.opener(elsewhere).text(text)
    with pytest.raises(SealError, match="for organization 3"):
        exchange(bob, keys(ALICE), Envelope("input", 7, ALICE, EVE))
    assert bob.known.peers() == []


def test_a_compared_fingerprint_counts_more_than_what_came_first(tmp_path: Path) -> None:
    exchange(correspondence(tmp_path), keys(EVE))
    fingerprint = keys(ALICE).public.fingerprint.lower().replace("-", " ")
    told = correspondence(tmp_path, trusted={ALICE: fingerprint})
    with pytest.raises(SealError, match="the fingerprint to trust is"):
        exchange(told, keys(EVE))
    assert exchange(told, keys(ALICE)) == b"data"
    with pytest.raises(SealError, match="without: refused"):
        told.demand_nothing_sealed(ALICE)
    assert exchange(told, keys(EVE), Envelope("input", 7, EVE, BOB)) == b"data"


def test_required_means_required(tmp_path: Path) -> None:
    strict = correspondence(tmp_path, required=True)
    with pytest.raises(SealError, match="required here"):
        strict.demand_nothing_sealed(ALICE)
    with pytest.raises(SealError, match="required here"):
        strict.keys_of(ALICE, None)
    assert exchange(strict, keys(ALICE)) == b"data"
    trusted = {ALICE: keys(ALICE).public.fingerprint}
    stricter = correspondence(tmp_path, required=True, trusted=trusted)
    with pytest.raises(SealError, match="not among the trusted"):
        exchange(stricter, keys(EVE), Envelope("input", 7, EVE, BOB))


def test_another_key_of_the_own_organization_is_a_mistake(tmp_path: Path) -> None:
    bob = correspondence(tmp_path)
    with pytest.raises(SealError, match="Use the same private key"):
        bob.admit(BOB, keys(EVE).public)
    bob.admit(BOB, bob.own.public)
    assert not bob.is_wary


def test_a_result_without_seal_answers_only_a_question_without(tmp_path: Path) -> None:
    bob = correspondence(tmp_path)
    bob.known.send("a", ALICE, sealed=True)
    bob.known.send("b", EVE, sealed=False)
    assert bob.known.became(["a", "b"], 5)
    questions = bob.known.sent_for(5)
    bob.demand_plain_question(questions, 5, EVE)
    for task, organization in ((5, ALICE), (6, EVE), (5, 99)):
        with pytest.raises(SealError, match="was not sent so"):
            bob.demand_plain_question(questions, task, organization)
    bob.demand_plain_question([], 5, ALICE)


# -- what is remembered -----------------------------------------------------------------------


def test_a_nonce_belongs_to_the_run_it_came_for_first(tmp_path: Path) -> None:
    known = KnownKeys(tmp_path / "known", SERVER)
    assert known.received(4) is None
    assert known.receive("n", 4, "image") == 4
    assert known.receive("n", 5, "image") == 4
    assert known.receive("n", 4, "image") == 4
    found = known.received(4)
    assert found is not None
    assert (found.nonce, found.image) == ("n", "image")


def test_a_task_is_made_once(tmp_path: Path) -> None:
    known = KnownKeys(tmp_path / "known", SERVER)
    for nonce in ("a", "b"):
        known.send(nonce, ALICE, sealed=True, parent=3)
    assert known.became(["a"], 8)
    assert not known.became(["b"], 8)
    sent = known.sent("b")
    assert sent is not None
    assert sent.task is None
    assert [each.nonce for each in known.sent_under(3)] == ["a", "b"]


def test_the_file_is_its_owners_and_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    known = KnownKeys(tmp_path / "known", SERVER)
    assert known.peers() == []
    assert not known.path.exists()
    known.pin(ALICE, keys(ALICE).public)
    assert known.path.stat().st_mode & 0o777 == 0o600
    known.path.write_text("no database at all")
    with pytest.raises(SealError, match=f"{known.path}.*moving it away gives up"):
        known.peer(ALICE)


def _pin(path: Path, which: int, told: multiprocessing.SimpleQueue[str]) -> None:
    own = PublicKeys(bytes([which]) * 32, bytes(32))
    told.put(KnownKeys(path, SERVER).pin(ALICE, own).keys.text)


def test_of_several_processes_one_is_first(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    told: multiprocessing.SimpleQueue[str] = context.SimpleQueue()
    processes = [
        context.Process(target=_pin, args=(tmp_path / "known", which, told)) for which in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len({told.get() for _ in processes}) == 1


def test_an_image_is_told_from_another() -> None:
    exact, repository = image_digests("harbor2.vantage6.ai:443/demo/average:1.0")
    again = image_digests("harbor2.vantage6.ai:443/demo/average@sha256:" + "0" * 64)
    assert again[1] == repository
    assert again[0] != exact
    assert image_digests("harbor2.vantage6.ai:443/demo/other")[1] != repository
