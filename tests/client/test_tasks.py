from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from recording import RecordingServer
from vantage6.client import UserClient
from vantage6.common.encryption import RSACryptor

INPUT = {"method": "partial_average", "args": [], "kwargs": {"column_name": "age"}}


def create(client: UserClient, **changes: Any) -> Any:
    return client.task.create(
        **{
            "organizations": [3, 4],
            "name": "n",
            "image": "i",
            "description": "",
            "input_": INPUT,
            "collaboration": 1,
            **changes,
        }
    )


def decoded(text: str) -> Any:
    return json.loads(base64.b64decode(text))


@pytest.fixture(autouse=True)
def accepts_tasks(server: RecordingServer) -> None:
    server.on("POST /api/task", (201, {"id": 9, "name": "n"}))


@pytest.fixture
def encrypting(client: UserClient, server: RecordingServer, key_file: Path) -> UserClient:
    key = RSACryptor(key_file).public_key_str
    server.on("GET /api/organization/3", {"id": 3, "name": "Utrecht", "public_key": key})
    client.setup_encryption(str(key_file))
    server.on(
        "GET /api/organization",
        {
            "data": [
                {"id": 3, "name": "Utrecht", "public_key": key},
                {"id": 4, "name": "Leiden", "public_key": key},
                {"id": 5, "name": "Delft", "public_key": ""},
            ],
            "links": {},
        },
    )
    server.forget()
    return client


def test_a_task_costs_one_request_once_the_blob_status_is_known(
    client: UserClient, server: RecordingServer
) -> None:
    assert create(client, databases=[{"label": "default", "query": "q"}]) == {"id": 9, "name": "n"}
    create(client, databases="other")
    assert server.lines == ["GET /api/blobstream/status", "POST /api/task", "POST /api/task"]
    first = json.loads(server.requests[1].read())
    text = base64.b64encode(json.dumps(INPUT).encode()).decode()
    assert first == {
        "name": "n",
        "image": "i",
        "description": "",
        "organizations": [{"id": 3, "input": text}, {"id": 4, "input": text}],
        "databases": [{"label": "default", "query": "q"}],
        "collaboration_id": 1,
    }
    assert server.last_body["databases"] == [{"label": "other"}]


def test_the_input_is_spelt_as_the_contract_spells_it(
    client: UserClient, server: RecordingServer
) -> None:
    create(client, input_={"method": "m"}, organizations=[3], study=2, collaboration=None)
    assert server.last_body == {
        "name": "n",
        "image": "i",
        "description": "",
        "organizations": [{"id": 3, "input": "eyJtZXRob2QiOiAibSJ9"}],
        "databases": [],
        "study_id": 2,
    }


def test_store_and_server_url_are_sent_when_given(
    client: UserClient, server: RecordingServer
) -> None:
    create(client, store=3, server_url="http://other/api")
    assert server.last_body["store_id"] == 3
    assert server.last_body["server_url"] == "http://other/api"


def test_an_old_server_without_blobs_is_asked_once(
    client: UserClient, server: RecordingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on("GET /api/blobstream/status", (404, {"msg": "no such page"}))
    create(client)
    create(client)
    assert server.lines.count("GET /api/blobstream/status") == 1
    assert "Blob store check failed with status code 404" in capsys.readouterr().out


def test_ten_megabytes_of_input_arrive_whole(client: UserClient, server: RecordingServer) -> None:
    big = {"method": "m", "kwargs": {"text": "ü" * 1_700_000}}
    create(client, input_=big)
    assert len(json.dumps(big)) > 10_000_000
    assert all(decoded(one["input"]) == big for one in server.last_body["organizations"])


def test_no_organizations_at_all_are_the_servers_to_refuse(
    client: UserClient, server: RecordingServer
) -> None:
    server.on("POST /api/task", (400, {"msg": "No organizations provided"}))
    assert create(client, organizations=[])["msg"] == "No organizations provided"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"organizations": None}, "No organizations specified!"),
        ({"organizations": 2}, r"a list of ids, for example \[2\]"),
        ({"organizations": "12"}, r"a list of ids, for example \[12\]"),
        ({"collaboration": None}, "Either a collaboration or a study should be specified"),
        ({"databases": ["default"]}, "list of dicts"),
        ({"databases": {"label": "default"}}, "list of dicts"),
        ({"databases": [{"query": "q"}]}, "label"),
        ({"databases": [{"label": 3}]}, "label"),
        ({"databases": [{"label": ""}]}, "label"),
        ({"databases": [{"label": "my data"}]}, "Invalid label: my data"),
    ],
)
def test_what_no_server_would_take_is_not_sent(
    client: UserClient, server: RecordingServer, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        create(client, **change)
    assert "POST /api/task" not in server.lines


def test_an_input_that_is_not_json_says_so(client: UserClient, server: RecordingServer) -> None:
    with pytest.raises(TypeError, match=r"The input can't be sent.*set"):
        create(client, input_={"method": "m", "kwargs": {"columns": {"age"}}})
    assert server.lines == ["GET /api/blobstream/status"]


@pytest.mark.parametrize("input_", [{"kwargs": {}}, "partial_average", {"method": 3}])
def test_an_input_without_method_is_sent_with_a_warning(
    client: UserClient, server: RecordingServer, capsys: pytest.CaptureFixture[str], input_: Any
) -> None:
    create(client, input_=input_)
    assert "names no method" in capsys.readouterr().out
    assert decoded(server.last_body["organizations"][0]["input"]) == input_


def test_encrypting_asks_for_all_public_keys_in_one_request(
    encrypting: UserClient, server: RecordingServer, key_file: Path
) -> None:
    create(encrypting)
    assert server.lines == [
        "GET /api/blobstream/status",
        "GET /api/organization?ids=3&ids=4&per_page=100",
        "POST /api/task",
    ]
    first, second = server.last_body["organizations"]
    assert first["input"] != second["input"]
    assert json.loads(RSACryptor(key_file).decrypt(second["input"])) == INPUT


@pytest.mark.parametrize(
    ("organization", "words"),
    [(5, r"Invalid public key.*Delft \(id=5\)"), (6, "Organization 6 does not exist")],
)
def test_encrypting_for_somebody_without_key_says_for_whom(
    encrypting: UserClient, server: RecordingServer, organization: int, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        create(encrypting, organizations=[3, organization])
    assert "POST /api/task" not in server.lines


@pytest.mark.parametrize("sealed", [False, True])
def test_large_inputs_travel_as_blobs_where_the_server_has_a_store(
    client: UserClient,
    server: RecordingServer,
    key_file: Path,
    sealed: bool,
    request: pytest.FixtureRequest,
) -> None:
    if sealed:
        request.getfixturevalue("encrypting")
    server.on("GET /api/blobstream/status", {"blob_store_enabled": True})
    uploads: dict[str, httpx.Request] = {}

    def keep(upload: httpx.Request) -> httpx.Response:
        uploads[str(uuid.uuid4())] = upload
        return httpx.Response(201, json={"uuid": list(uploads)[-1]})

    server.on("POST /api/blobstream", keep)
    big = {"method": "m", "kwargs": {"text": "x" * 3_000_000}}
    create(client, input_=big)
    assert [one["input"] for one in server.last_body["organizations"]] == list(uploads)
    for upload in uploads.values():
        assert upload.headers["Transfer-Encoding"] == "chunked"
        assert upload.headers["Content-Type"] == "application/octet-stream"
        body = upload.read()
        plain = RSACryptor(key_file).decrypt(body) if sealed else base64.b64decode(body)
        assert json.loads(plain) == big


@pytest.mark.parametrize(
    "answer", [(501, {"msg": "The server has no blob store"}), (201, {"id": "?"})]
)
def test_a_blob_that_cannot_be_stored_stops_the_task(
    client: UserClient, server: RecordingServer, answer: Any
) -> None:
    server.on("GET /api/blobstream/status", {"blob_store_enabled": True})
    server.on("POST /api/blobstream", answer)
    with pytest.raises(RuntimeError, match=r"Failed to (upload blob|get UUID)"):
        create(client)
    assert "POST /api/task" not in server.lines


def test_killing_a_task_returns_what_the_server_said(
    client: UserClient, server: RecordingServer
) -> None:
    server.on("POST /api/kill/task", {"msg": "Node(s) have been instructed to kill task"})
    assert client.task.kill(9)["msg"].startswith("Node(s)")


# -- keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", ["", "b2xkIGtleQ=="])
def test_another_public_key_on_the_server_is_replaced(
    client: UserClient,
    server: RecordingServer,
    key_file: Path,
    known: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.on("GET /api/organization/3", {"id": 3, "name": "Utrecht", "public_key": known})
    server.on("PATCH /api/organization/3", {"id": 3})
    client.setup_encryption(key_file)
    assert server.last_body == {"public_key": RSACryptor(key_file).public_key_str}
    said = capsys.readouterr().out
    assert ("does not match server public key" in said) == bool(known)
    assert "The public key on the server is updated!" in said


def test_a_refused_public_key_is_not_called_updated(
    client: UserClient,
    server: RecordingServer,
    key_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.on("PATCH /api/organization/3", (401, {"msg": "You lack the permission"}))
    client.setup_encryption(key_file)
    said = capsys.readouterr().out
    assert "NOT updated" in said
    assert "You lack the permission" in said


def test_a_missing_key_file_is_told(client: UserClient) -> None:
    with pytest.raises(FileNotFoundError, match=r"Private key file .*nowhere\.pem not found"):
        client.setup_encryption("nowhere.pem")


def test_a_new_private_key_never_overwrites_an_old_one(
    client: UserClient,
    server: RecordingServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vantage6.common.encryption.RSA_BITS", 2048)
    server.on("PATCH /api/organization/3", {"id": 3})
    monkeypatch.chdir(tmp_path)
    client.util.generate_private_key()
    old = (tmp_path / "private_key.pem").read_text()
    client.util.generate_private_key()
    assert (tmp_path / "private_key.pem").read_text() != old
    assert (tmp_path / "private_key.pem.1").read_text() == old
    assert isinstance(client.cryptor, RSACryptor)
    assert server.last_body == {"public_key": client.cryptor.public_key_str}


def test_only_large_inputs_are_uploaded_where_the_server_says_from_which_size_on(
    client: UserClient, server: RecordingServer
) -> None:
    status = {"blob_store_enabled": False, "inline_limit": 1_000_000}
    server.on("GET /api/blobstream/status", status)
    name = str(uuid.uuid4())
    server.on("POST /api/blobstream", (201, {"uuid": name}))
    create(client, input_={"method": "m"}, organizations=[3, 4])
    assert server.lines == ["GET /api/blobstream/status", "POST /api/task"]
    create(client, input_={"method": "m", "args": ["x" * 750_000]}, organizations=[3, 4])
    # Nothing is encrypted here: one upload serves all.
    assert server.lines[2:] == ["POST /api/blobstream", "POST /api/task"]
    assert [one["input"] for one in server.last_body["organizations"]] == [name, name]


def test_an_input_that_turns_out_not_to_be_json_is_not_uploaded_to_the_end(
    client: UserClient, server: RecordingServer
) -> None:
    server.on("GET /api/blobstream/status", {"blob_store_enabled": False, "inline_limit": 4096})
    with pytest.raises(TypeError, match="The input can't be sent"):
        create(client, input_={"method": "m", "args": ["x" * 100_000, {1, 2}]})
    assert "POST /api/task" not in server.lines
