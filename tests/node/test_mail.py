"""What a node seals, and what it refuses to open: against a server that may do anything."""

from __future__ import annotations

import base64
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from vantage6.common.encryption import RSACryptor
from vantage6.common.sealing import (
    Correspondence,
    Envelope,
    KnownKeys,
    Opener,
    OwnKeys,
    Sealer,
    SealError,
    is_sealed,
)
from vantage6.common.sealing.correspondence import image_digests
from vantage6.common.sealing.letter import digest
from vantage6.common.transforms import through
from vantage6.common.transport import connect_async
from vantage6.node.connection import Connection, Identity
from vantage6.node.journal import Ticket
from vantage6.node.mail import Mail
from vantage6.node.offer import DatabaseRequest, Offer
from vantage6.node.organizations import Organizations
from vantage6.node.proxy import Caller, Proxy

pytestmark = pytest.mark.anyio

#: The node's organization, and the one that asks it and is asked by it.
OWN, OTHER, COLLABORATION = 2, 5, 1
IMAGE = "registry.example/average:1"
DATABASES = (DatabaseRequest("default", {"query": "SELECT 1"}),)
ENVELOPE = Envelope(
    "input",
    COLLABORATION,
    OTHER,
    OWN,
    image=image_digests(IMAGE)[0],
    databases=digest([{"label": "default", "query": "SELECT 1"}]),
)


@dataclass
class Node:
    """The node's mail, and everybody's keys."""

    mail: Mail
    organizations: Organizations
    connection: Connection
    letters: Correspondence
    other: OwnKeys
    other_rsa: RSACryptor
    own_rsa: RSACryptor

    def letter(self, envelope: Envelope = ENVELOPE, data: bytes = b"data") -> str:
        """What the other organization seals for the node."""
        return Sealer(envelope, self.other, self.letters.own.public).text(data)

    def envelope_of(self, text: str) -> Envelope:
        """What a letter to the other organization is bound to; it opens."""
        seen: list[Envelope] = []
        plain = Opener(self.other, lambda envelope, _: seen.append(envelope)).text(text)
        assert plain == b"data"
        return seen[0]


@pytest.fixture
async def node(server: Any, private_keys: tuple[Path, Path], tmp_path: Path) -> AsyncIterator[Node]:
    own_rsa, other_rsa = map(RSACryptor, private_keys)
    other = OwnKeys.derive(other_rsa.private_key)
    server.encrypted = True
    server.public_keys = {OWN: own_rsa.public_key_str, OTHER: other_rsa.public_key_str}
    server.authenticated_keys = {OTHER: other.public.text}
    base = f"http://127.0.0.1:{server.port}"
    async with Connection(base, server.url, server.api_key, longest_pause=0.1) as connection:
        await connection.login()
        identity = Identity(7, "n", OWN, "Utrecht", COLLABORATION, True)
        organizations = Organizations(connection, identity, own_rsa)
        letters = Correspondence(
            OwnKeys.derive(own_rsa.private_key), OWN, KnownKeys(tmp_path / "known", server.url)
        )
        mail = Mail(organizations, identity, letters)
        yield Node(mail, organizations, connection, letters, other, other_rsa, own_rsa)


def offer(text: str, **changes: Any) -> Offer:
    made = Offer(11, 12, 1, IMAGE, OTHER, 4, None, DATABASES, "pending", text)
    return replace(made, **changes)


async def opened_from_store(mail: Mail, offered: Offer, body: bytes) -> bytes:
    """As the node opens an input that it downloads."""
    return b"".join(through(mail.input_opener(offered), [body[:3], body[3:]]))


def blob(text: str) -> bytes:
    head, body = text.rsplit("$", 1)
    return head.encode() + b"$" + base64.b64decode(body)


async def test_an_input_is_opened_in_the_one_place_it_is_for(node: Node) -> None:
    letter = node.letter()
    assert await node.mail.open_input(offer(letter)) == b"data"
    assert await node.mail.open_input(offer(letter)) == b"data"  # the same run, after a crash
    assert await opened_from_store(node.mail, offer("name"), blob(letter)) == b"data"
    for another in (offer(letter, run_id=99), offer(letter, run_id=99, task_id=100)):
        with pytest.raises(SealError, match="came before, for run 11"):
            await node.mail.open_input(another)
        with pytest.raises(SealError, match="came before, for run 11"):
            await opened_from_store(node.mail, another, blob(letter))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"image": "registry.example/average:2"}, "not made for the image"),
        ({"image": IMAGE + "@sha256:" + "0" * 64}, "not made for the image"),
        ({"init_org_id": 9}, "another initiating organization"),
        ({"parent_id": 3}, "another parent task"),
        ({"databases": ()}, "another choice of databases"),
        (
            {"databases": (DatabaseRequest("default", {"query": "SELECT secret"}),)},
            "another choice of databases",
        ),
    ],
)
async def test_an_input_is_opened_nowhere_else(
    node: Node, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(SealError, match=why):
        await node.mail.open_input(offer(node.letter(), **changes))
    assert node.letters.known.peers() == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"collaboration": 8}, "another collaboration"),
        ({"receiver": 9}, "for organization 9"),
        ({"kind": "result"}, "another kind"),
    ],
)
async def test_a_letter_for_elsewhere_is_not_opened(
    node: Node, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(SealError, match=why):
        await node.mail.open_input(offer(node.letter(replace(ENVELOPE, **changes))))


async def test_a_task_through_a_store_may_get_the_stores_digest(node: Node) -> None:
    letter = node.letter(replace(ENVELOPE, image=image_digests(IMAGE)[1]))
    fixed = "registry.example/average@sha256:" + "0" * 64
    assert await node.mail.open_input(offer(letter, image=fixed)) == b"data"
    with pytest.raises(SealError, match="not made for the image"):
        await node.mail.open_input(offer(letter, run_id=12, image="registry.example/evil@sha256:0"))


async def test_results_go_back_as_the_input_came(node: Node) -> None:
    ticket = Ticket(11, 12, 1, OTHER)
    plain = node.other_rsa.encrypt_bytes_to_str(b"in", node.own_rsa.public_key_str)
    assert await node.mail.open_input(offer(str(plain))) == b"in"
    assert node.other_rsa.decrypt(await node.mail.seal_result(b"data", ticket)) == b"data"

    letter = node.letter()
    await node.mail.open_input(offer(letter))
    answer = node.envelope_of(await node.mail.seal_result(b"data", ticket))
    assert (answer.kind, answer.sender, answer.receiver) == ("result", OWN, OTHER)
    assert (answer.run, answer.task, answer.answers) == (11, 12, ENVELOPE.nonce)
    streamed = b"".join(through(await node.mail.result_sealer(ticket), [b"data"]))
    assert b"".join(through(Opener(node.other, lambda *_: None), [streamed])) == b"data"
    with pytest.raises(SealError, match="without: refused"):
        await node.mail.open_input(offer(str(plain)))
    with pytest.raises(SealError, match="without: refused"):
        await opened_from_store(node.mail, offer("name"), blob(str(plain)))


# -- the proxy --------------------------------------------------------------------------------


@pytest.fixture
async def algorithm(node: Node, server: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Run 1 of task 1, whose input came sealed, as it talks to its proxy."""
    server.add_task()
    await node.mail.open_input(offer(node.letter(), run_id=1, task_id=1))
    async with AsyncExitStack() as stack:
        proxy = Proxy(node.connection.http, node.organizations, node.mail, OWN, patience=5.0)
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        token = server.container_token(1)
        caller = Caller(1, 1, token, image=IMAGE)
        await stack.enter_async_context(proxy.serve(listener, caller))
        client = await stack.enter_async_context(connect_async(f"http://127.0.0.1:{port}"))
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


async def subtask(client: httpx.AsyncClient, input_: str | None = None, to: int = OTHER) -> Any:
    input_ = base64.b64encode(b"data").decode() if input_ is None else input_
    body = {"image": IMAGE, "organizations": [{"id": to, "input": input_}]}
    return await client.post("/task", json=body)


def answered(server: Any, child: int, result: str, **more: Any) -> None:
    run = server.runs[child]
    run.update(result=result, organization={"id": OTHER}, task={"id": child}, **more)


async def test_a_subtask_is_sealed_and_its_result_is_opened_for_who_asked(
    node: Node, server: Any, algorithm: httpx.AsyncClient
) -> None:
    child = (await subtask(algorithm)).json()["id"]
    question = node.envelope_of(server.runs[child]["input"])
    assert (question.sender, question.receiver, question.parent) == (OWN, OTHER, 1)
    assert (question.image, question.databases) == (image_digests(IMAGE)[0], digest([]))
    answer = Envelope(
        "result", COLLABORATION, OTHER, OWN, task=child, run=child, answers=question.nonce
    )
    answered(server, child, node.letter(answer))
    path = f"/result?task_id={child}"
    given = (await algorithm.get(path)).json()["data"][0]["result"]
    assert base64.b64decode(given) == b"data"

    node.letters.known.send("elsewhere", OTHER, sealed=True, parent=77)
    rsa = str(node.other_rsa.encrypt_bytes_to_str(b"data", node.own_rsa.public_key_str))
    for wrong, why in (
        (node.letter(replace(answer, run=99)), "another run"),
        (node.letter(replace(answer, answers="unknown")), "answers no question"),
        (node.letter(replace(answer, answers="elsewhere")), "another parent task"),
        (node.letter(replace(answer, kind="input")), "another kind"),
        (node.letter(answer)[:-4] + "AAA=", "altered"),
        (rsa, "was not sent so"),
    ):
        answered(server, child, wrong)
        refused = await algorithm.get(path)
        assert refused.status_code == 502, refused.text
        assert f"run {child} is not used" in refused.json()["msg"]
        assert why in refused.json()["msg"]


async def test_the_server_cannot_have_a_subtask_sealed_for_others_or_not_at_all(
    node: Node, server: Any, algorithm: httpx.AsyncClient
) -> None:
    known = node.letters.own.public.text
    for published, why in ((known, "by telephone"), ("", "refused, since somebody")):
        server.authenticated_keys[OTHER] = published
        node.organizations._known.clear()
        refused = await subtask(algorithm)
        assert refused.status_code == 400
        assert why in refused.json()["msg"]
    assert list(server.runs) == [1]


async def test_who_asks_in_the_contracts_format_has_subtasks_in_it(
    node: Node, server: Any, algorithm: httpx.AsyncClient, tmp_path: Path
) -> None:
    assert node.letters.known.path.exists()
    node.letters.known.path.unlink()  # as if nothing had come sealed
    child = (await subtask(algorithm)).json()["id"]
    assert node.other_rsa.decrypt(server.runs[child]["input"]) == b"data"
    answer = node.other_rsa.encrypt_bytes_to_str(b"data", node.own_rsa.public_key_str)
    answered(server, child, str(answer))
    given = (await algorithm.get(f"/result?task_id={child}")).json()["data"][0]["result"]
    assert base64.b64decode(given) == b"data"


async def test_an_upload_is_sealed_for_the_holder_of_the_key_and_only_for_it(
    node: Node, server: Any, algorithm: httpx.AsyncClient
) -> None:
    headers = {"X-Public-Key": node.other_rsa.public_key_str}
    uploaded = await algorithm.post("/blobstream", content=b"data", headers=headers)
    name = uploaded.json()["uuid"]
    body = server.payloads[name]
    assert is_sealed(body)
    seen: list[Envelope] = []
    opener = Opener(node.other, lambda envelope, _: seen.append(envelope))
    assert b"".join(through(opener, [body])) == b"data"
    assert (seen[0].parent, seen[0].image) == (1, image_digests(IMAGE)[0])

    wrong = await subtask(algorithm, name, to=OWN)
    assert wrong.status_code == 400
    assert "was not made for organization 2" in wrong.json()["msg"]
    child = (await subtask(algorithm, name)).json()["id"]
    answer = Envelope(
        "result", COLLABORATION, OTHER, OWN, task=child, run=child, answers=seen[0].nonce
    )
    server.payloads["result"] = blob(node.letter(answer, b"d" * 200_000))
    answered(server, child, "result", result_is_blob=True)
    assert (await algorithm.get(f"/result?task_id={child}")).json()["data"][0]["result"] == "result"
    assert (await algorithm.get("/blobstream/result")).content == b"d" * 200_000

    server.payloads["result"] = server.payloads["result"][:-100]
    with pytest.raises(httpx.TransportError):
        await algorithm.get("/blobstream/result")
    server.payloads["result"] = blob(node.letter(replace(answer, run=99)))
    refused = await algorithm.get("/blobstream/result")
    assert refused.status_code == 502
    assert "another run" in refused.json()["msg"]
    ambiguous = server.public_keys | {8: node.other_rsa.public_key_str}
    server.public_keys = ambiguous
    assert (await algorithm.post("/blobstream", content=b"x", headers=headers)).status_code == 400


# -- the node as a whole ----------------------------------------------------------------------


async def test_a_node_publishes_its_keys(
    server: Any, start_agent: Any, helpers: Any, private_keys: tuple[Path, Path]
) -> None:
    server.encrypted, server.authenticated_keys = True, {}
    await start_agent(
        encryption={"enabled": True, "private_key": str(private_keys[0]), "authenticated": True}
    )
    expected = OwnKeys.derive(RSACryptor(private_keys[0]).private_key).public.text
    await helpers.wait_until(lambda: server.config_rows)  # it has come up altogether
    assert server.authenticated_keys == {OWN: expected}
    assert RSACryptor(private_keys[0]).verify_public_key(server.public_keys[OWN])


async def test_a_node_withdraws_its_keys_when_told_to(
    server: Any, start_agent: Any, helpers: Any, private_keys: tuple[Path, Path]
) -> None:
    server.encrypted, server.authenticated_keys = True, {OWN: "v6a1:earlier"}
    encryption = {"enabled": True, "private_key": str(private_keys[0]), "authenticated": False}
    await start_agent(encryption=encryption)
    await helpers.wait_until(lambda: server.config_rows)
    assert server.authenticated_keys == {OWN: ""}


async def test_a_node_that_requires_it_refuses_the_contracts_format(
    server: Any, start_agent: Any, helpers: Any, private_keys: tuple[Path, Path]
) -> None:
    own, other = map(RSACryptor, private_keys)
    server.encrypted, server.authenticated_keys = True, {}
    server.public_keys[1] = other.public_key_str
    encryption = {"enabled": True, "private_key": str(private_keys[0])}
    await start_agent(encryption=encryption | {"require_authenticated": True})
    plain = other.encrypt_bytes_to_str(b'{"method": "m"}', own.public_key_str)
    run_id = await server.submit(input=plain)
    await server.finished(run_id)
    assert server.runs[run_id]["status"] == "failed"
    assert "Authenticated encryption is required here" in server.runs[run_id]["log"]
