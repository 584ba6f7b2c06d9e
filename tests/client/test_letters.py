"""Authenticated encryption at the researcher's side: when it is used, and what is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from recording import RecordingServer
from vantage6.client.user_client import UserClient
from vantage6.common.encryption import RSACryptor
from vantage6.common.sealing import Envelope, Opener, OwnKeys, Sealer, SealError
from vantage6.common.sealing.correspondence import image_digests
from vantage6.common.sealing.letter import digest

#: The client's organization, two that are asked, and the collaboration.
OWN, ONE, TWO, COLLABORATION = 3, 4, 5, 1
TASK, RUN = 9, 20
BLOB = "0b8d3a4e-5a5f-4a53-9d0c-6c6d0b3c6f11"


@pytest.fixture(scope="module")
def others() -> dict[int, OwnKeys]:
    return {id_: OwnKeys.derive(rsa.generate_private_key(65537, 2048)) for id_ in (ONE, TWO)}


@pytest.fixture
def publish(server: RecordingServer, key_file: Path) -> Callable[..., None]:
    """Tell the server which keys it shows."""
    public_key = RSACryptor(key_file).public_key_str

    def show(keys: dict[int, str]) -> None:
        shown = [
            {
                "id": id_,
                "name": f"organization {id_}",
                "public_key": public_key,
                "authenticated_keys": keys.get(id_, ""),
            }
            for id_ in (OWN, ONE, TWO)
        ]
        server.on(f"GET /api/organization/{OWN}", shown[0])
        server.on("GET /api/organization", {"data": shown, "links": {}})

    return show


@pytest.fixture
def own(key_file: Path) -> OwnKeys:
    return OwnKeys.derive(RSACryptor(key_file).private_key)


@pytest.fixture
def set_up(
    client: UserClient,
    server: RecordingServer,
    publish: Callable[..., None],
    others: dict[int, OwnKeys],
    own: OwnKeys,
    key_file: Path,
    tmp_path: Path,
) -> Callable[..., UserClient]:
    """The client, with its own and one other organization's keys published."""
    publish({OWN: own.public.text, ONE: others[ONE].public.text})
    server.on("POST /api/task", (201, {"id": TASK, "name": "n"}))

    def make(**options: Any) -> UserClient:
        options = {"authenticated": True, **options}
        client.setup_encryption(key_file, known_keys=tmp_path / "known", **options)
        server.forget()
        return client

    return make


def ask(client: UserClient, *receivers: int, **more: Any) -> dict[str, Any]:
    values = {"collaboration": COLLABORATION, "databases": "default", **more}
    answer: dict[str, Any] = client.task.create(
        list(receivers), "n", "image:1", "", {"method": "m"}, **values
    )
    return answer


def envelope_of(text: str, keys: OwnKeys) -> Envelope:
    seen: list[Envelope] = []
    plain = Opener(keys, lambda envelope, _: seen.append(envelope)).text(text)
    assert json.loads(plain) == {"method": "m"}
    return seen[0]


def inputs(server: RecordingServer) -> list[str]:
    return [each["input"] for each in server.last_body["organizations"]]


def test_an_input_is_sealed_for_who_has_keys_and_encrypted_for_who_has_none(
    set_up: Callable[..., UserClient],
    server: RecordingServer,
    others: dict[int, OwnKeys],
    key_file: Path,
) -> None:
    client = set_up()
    ask(client, ONE, TWO)
    sealed, plain = inputs(server)
    envelope = envelope_of(sealed, others[ONE])
    assert (envelope.sender, envelope.receiver, envelope.collaboration) == (OWN, ONE, COLLABORATION)
    assert envelope.image == image_digests("image:1")[0]
    assert envelope.databases == digest([{"label": "default"}])
    assert json.loads(RSACryptor(key_file).decrypt(plain)) == {"method": "m"}
    assert set(client.util.known_fingerprints()) == {OWN, ONE}
    assert client.util.known_fingerprints()[ONE] == others[ONE].public.fingerprint


def test_a_task_of_a_study_is_bound_to_its_collaboration(
    set_up: Callable[..., UserClient], server: RecordingServer, others: dict[int, OwnKeys]
) -> None:
    client = set_up()
    server.on("GET /api/study/6", {"id": 6, "collaboration": {"id": 17}})
    ask(client, ONE, collaboration=None, study=6, store=2)
    envelope = envelope_of(inputs(server)[0], others[ONE])
    assert envelope.collaboration == 17
    assert envelope.image == image_digests("image:1")[1]


@pytest.mark.parametrize(
    ("nodes", "sealed"),
    [({"data": []}, True), ({"data": [{"id": 7}]}, False), ((401, {"msg": "no"}), False)],
)
def test_who_has_an_older_node_does_not_seal(
    set_up: Callable[..., UserClient],
    server: RecordingServer,
    publish: Callable[..., None],
    others: dict[int, OwnKeys],
    nodes: Any,
    sealed: bool,
) -> None:
    client = set_up()
    publish({ONE: others[ONE].public.text})
    server.on("GET /api/node", nodes)
    ask(client, ONE)
    assert inputs(server)[0].startswith("v6a1$") == sealed


def test_there_is_no_way_back(
    set_up: Callable[..., UserClient],
    server: RecordingServer,
    publish: Callable[..., None],
    others: dict[int, OwnKeys],
    own: OwnKeys,
) -> None:
    client = set_up()
    ask(client, ONE)
    server.forget()
    for published, why in (
        ({OWN: own.public.text}, "refused, since somebody"),
        ({}, "refused, since somebody"),
        ({OWN: own.public.text, ONE: others[TWO].public.text}, "other keys than before"),
        ({OWN: others[TWO].public.text, ONE: others[ONE].public.text}, "same private key"),
    ):
        publish(published)
        with pytest.raises(SealError, match=why):
            ask(client, ONE)
    assert not any(line.startswith("POST /api/task") for line in server.lines)
    publish({OWN: own.public.text, ONE: others[TWO].public.text})
    client.util.forget_fingerprint(ONE)
    server.on("POST /api/task", (201, {"id": TASK + 1, "name": "n"}))
    ask(client, ONE)
    envelope_of(inputs(server)[0], others[TWO])


def test_switched_off_it_is_the_contracts_format(
    set_up: Callable[..., UserClient], server: RecordingServer, tmp_path: Path
) -> None:
    client = set_up(authenticated=False)
    ask(client, ONE)
    assert not inputs(server)[0].startswith("v6a1$")
    assert not (tmp_path / "known").exists()
    with pytest.raises(ValueError, match="not set up"):
        client.util.fingerprint()


@pytest.mark.parametrize("switched_on", [True, False])
def test_by_default_the_organizations_node_decides(
    set_up: Callable[..., UserClient],
    server: RecordingServer,
    publish: Callable[..., None],
    others: dict[int, OwnKeys],
    own: OwnKeys,
    tmp_path: Path,
    switched_on: bool,
) -> None:
    client = set_up(authenticated=None)
    publish({OWN: own.public.text if switched_on else "", ONE: others[ONE].public.text})
    ask(client, ONE)
    assert inputs(server)[0].startswith("v6a1$") == switched_on
    assert (tmp_path / "known").exists() == switched_on


def test_required_it_is_that_or_nothing(
    set_up: Callable[..., UserClient], others: dict[int, OwnKeys]
) -> None:
    client = set_up(require_authenticated=True)
    with pytest.raises(SealError, match="required here"):
        ask(client, ONE, TWO)
    ask(client, ONE)
    client = set_up(trusted={ONE: others[TWO].public.fingerprint})
    with pytest.raises(SealError, match="the fingerprint to trust is"):
        ask(client, ONE)
    with pytest.raises(ValueError, match="is no fingerprint"):
        set_up(trusted={ONE: "AAAA"})


def test_a_task_id_is_given_once(set_up: Callable[..., UserClient]) -> None:
    client = set_up()
    ask(client, ONE)
    with pytest.raises(SealError, match="the id 9 of an earlier one"):
        ask(client, ONE)


# -- results ----------------------------------------------------------------------------------


def show_result(
    server: RecordingServer, text: str, *, blob: bool = False, organization: int = ONE
) -> None:
    result = {"id": RUN, "result": text, "task": {"id": TASK}, "blob_storage_used": blob}
    server.on("GET /api/result", {"data": [result], "links": {}})
    server.on(f"GET /api/result/{RUN}", result)
    server.on(f"GET /api/run/{RUN}", {"id": RUN, "organization": {"id": organization}})


def test_a_result_is_read_only_where_it_belongs(
    set_up: Callable[..., UserClient],
    server: RecordingServer,
    others: dict[int, OwnKeys],
    own: OwnKeys,
    tmp_path: Path,
) -> None:
    client = set_up()
    ask(client, ONE, TWO)
    question = envelope_of(inputs(server)[0], others[ONE])
    right = Envelope("result", COLLABORATION, ONE, OWN, task=TASK, run=RUN, answers=question.nonce)

    def letter(signer: int = ONE, **changes: Any) -> str:
        envelope = replace(right, **changes)
        return Sealer(envelope, others[signer], own.public).text(b"[1]")

    def as_blob(text: str) -> bytes:
        head, body = text.rsplit("$", 1)
        return head.encode() + b"$" + base64.b64decode(body)

    show_result(server, letter())
    assert client.result.from_task(TASK)["data"][0]["result"] == "[1]"
    assert client.result.get(RUN) == "[1]"
    rsa_text = client.cryptor.encrypt_bytes_to_str(  # type: ignore[union-attr]
        b"[2]",
        client.cryptor.public_key_str,  # type: ignore[union-attr]
    )
    for text, why in (
        (letter(run=21), "another run"),
        (letter(task=8), "another task"),
        (letter(kind="input"), "another kind"),
        (letter(answers="0" * 32), "answers another question"),
        (letter(TWO), "other keys than before"),
        (letter(TWO, sender=TWO), "another answering organization"),
        (letter()[:-4] + "AAA=", "altered"),
        (str(rsa_text), "was not sent so"),
    ):
        show_result(server, text)
        with pytest.raises(SealError, match=f"run {RUN} is not used.*{why}"):
            client.result.from_task(TASK)
        with pytest.raises(SealError, match=why):
            client.result.download(RUN, tmp_path / "result")
        show_result(server, BLOB, blob=True)
        content = as_blob(text)
        server.on(f"GET /api/blobstream/{BLOB}", octets(content))
        with pytest.raises(SealError, match=why):
            client.result.download(RUN, tmp_path / "result")
        assert not (tmp_path / "result").exists()
    server.on(f"GET /api/blobstream/{BLOB}", octets(as_blob(letter())))
    client.result.download(RUN, tmp_path / "result")
    assert (tmp_path / "result").read_bytes() == b"[1]"
    show_result(server, str(rsa_text), organization=TWO)  # which was asked in that format
    assert client.result.from_task(TASK)["data"][0]["result"] == "[2]"


def octets(content: bytes) -> Callable[[Any], Any]:
    import httpx2 as httpx

    headers = {"Content-Type": "application/octet-stream"}
    return lambda _: httpx.Response(200, content=content, headers=headers)


def test_a_result_of_a_task_made_elsewhere_is_bound_to_its_run_and_organization(
    set_up: Callable[..., UserClient],
    server: RecordingServer,
    others: dict[int, OwnKeys],
    own: OwnKeys,
) -> None:
    client = set_up()
    right = Envelope("result", COLLABORATION, ONE, OWN, task=TASK, run=RUN, answers="0" * 32)
    text = Sealer(right, others[ONE], own.public).text(b"[1]")
    show_result(server, text)
    assert client.result.from_task(TASK)["data"][0]["result"] == "[1]"
    show_result(server, text, organization=TWO)
    with pytest.raises(SealError, match="another organization"):
        client.result.from_task(TASK)


def test_a_result_for_somebody_else_stays_as_it_is(
    set_up: Callable[..., UserClient], server: RecordingServer, others: dict[int, OwnKeys]
) -> None:
    client = set_up()
    foreign = Envelope("result", COLLABORATION, ONE, TWO, task=TASK, run=RUN)
    text = Sealer(foreign, others[ONE], others[TWO].public).text(b"[1]")
    show_result(server, text)
    assert client.result.get(RUN) == text
    client = set_up(authenticated=False)
    assert client.result.get(RUN) == text
