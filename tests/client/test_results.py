from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from recording import RecordingServer
from vantage6.client import UserClient
from vantage6.common.encryption import DummyCryptor, RSACryptor
from vantage6.common.exceptions import BlobError

BLOB = "0b8d3a4e-5a5f-4a53-9d0c-6c6d0b3c6f11"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def paged(total: int, field: str) -> Any:
    """A list of `total` items, the highest id first, ten to a page unless asked otherwise."""

    def answer(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params.get("page", 1))
        size = int(request.url.params.get("per_page", 10))
        ids = range(total, 0, -1)[(page - 1) * size : page * size]
        links = {"first": "f", "self": "s"} | ({"next": "n"} if page * size < total else {})
        data = [{"id": id_, field: encoded(f'{{"n": {id_}}}')} for id_ in ids]
        return httpx.Response(200, json={"data": data, "links": links})

    return answer


@pytest.mark.parametrize(
    ("total", "requests"), [(0, 1), (1, 1), (10, 1), (11, 2), (100, 2), (101, 3), (250, 4)]
)
def test_results_of_every_page_come_in_the_order_of_the_organizations(
    client: UserClient, server: RecordingServer, total: int, requests: int
) -> None:
    server.on("GET /api/result", paged(total, "result"))
    results = client.result.from_task(5)
    assert [one["id"] for one in results["data"]] == list(range(1, total + 1))
    assert [one["result"] for one in results["data"]] == [
        f'{{"n": {id_}}}' for id_ in range(1, total + 1)
    ]
    assert "next" not in results["links"]
    assert server.lines[0] == "GET /api/result?task_id=5"
    assert len(server.lines) == requests


def test_runs_of_every_page_come_with_readable_inputs_and_can_be_cut(
    client: UserClient, server: RecordingServer
) -> None:
    server.on("GET /api/run", paged(12, "input"))
    assert client.run.from_task(5, fields=["id"]) == [{"id": id_} for id_ in range(1, 13)]
    assert client.run.from_task(5, filter_=("id", 3)) == [{"id": 3, "input": '{"n": 3}'}]
    client.run.from_task(5, include_task=True)
    assert "GET /api/run?task_id=5&include=task" in server.lines


def test_a_list_of_runs_shows_the_page_that_was_asked_for(
    client: UserClient, server: RecordingServer
) -> None:
    server.on("GET /api/run", paged(12, "input"))
    page = client.run.list(task=5, state="open", started=("2026-01-01", "2026-02-01"), page=2)
    assert [run["id"] for run in page["data"]] == [2, 1]
    assert server.lines == [
        "GET /api/run?task_id=5&state=open&page=2&started_from=2026-01-01&started_till=2026-02-01"
    ]


@pytest.mark.parametrize("value", [None, ""])
def test_a_run_without_result_stays_without(
    client: UserClient, server: RecordingServer, value: str | None
) -> None:
    server.on("GET /api/result/1", {"id": 1, "result": value})
    assert client.result.get(1) == value


def test_one_result_is_its_json_text(client: UserClient, server: RecordingServer) -> None:
    server.on("GET /api/result/1", {"id": 1, "result": encoded('{"average": 27.6}')})
    assert client.result.get(1) == '{"average": 27.6}'


def test_bytes_that_are_no_text_stay_bytes(
    client: UserClient, server: RecordingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on("GET /api/result/1", {"id": 1, "result": base64.b64encode(b"\xff\xfe").decode()})
    assert client.result.get(1) == b"\xff\xfe"
    assert "Failed to decode the field result" in capsys.readouterr().out


def test_a_result_in_the_blob_store_is_fetched(client: UserClient, server: RecordingServer) -> None:
    server.on("GET /api/result/1", {"id": 1, "result": BLOB, "blob_storage_used": True})
    server.on(
        f"GET /api/blobstream/{BLOB}", httpx.Response(200, content=encoded('{"n": 1}').encode())
    )
    assert client.result.get(1) == '{"n": 1}'
    assert server.requests[-1].headers["Content-Type"] == "application/octet-stream"


def test_a_blob_that_cannot_be_fetched_leaves_its_name_and_says_why(
    client: UserClient, server: RecordingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on("GET /api/result/1", {"id": 1, "result": BLOB, "blob_storage_used": True})
    server.on(f"GET /api/blobstream/{BLOB}", (404, {"msg": "No such blob"}))
    assert client.result.get(1) == BLOB
    assert "No such blob" in capsys.readouterr().out


def test_a_blob_needs_a_uuid(client: UserClient, server: RecordingServer) -> None:
    server.on("GET /api/result/1", {"id": 1, "result": "../secret", "blob_storage_used": True})
    with pytest.raises(ValueError, match="not the UUID"):
        client.result.get(1)


def test_encrypted_runs_of_others_are_left_as_they_are_with_one_line_in_the_log(
    client: UserClient, server: RecordingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed = f"{encoded('key')}${encoded('iv')}${encoded('text')}"
    server.on(
        "GET /api/run",
        {"data": [{"id": id_, "input": sealed} for id_ in (1, 2)], "links": {}},
    )
    assert isinstance(client.cryptor, DummyCryptor)
    runs = client.run.from_task(5)
    assert [run["input"] for run in runs["data"]] == [sealed, sealed]
    said = capsys.readouterr().out
    assert said.count("id 1, 2 is left as it is") == 1
    assert "client.setup_encryption()" in said
    assert "Traceback" not in said


def test_an_encrypted_result_is_read_with_the_private_key(
    client: UserClient, server: RecordingServer, key_file: Path
) -> None:
    cryptor = RSACryptor(key_file)
    other = encoded("no message at all")
    client.cryptor = cryptor
    sealed = cryptor.encrypt_bytes_to_str(b'{"n": 1}', cryptor.public_key_str)
    server.on(
        "GET /api/result",
        {"data": [{"id": 1, "result": sealed}, {"id": 2, "result": other}], "links": {}},
    )
    read = client.result.from_task(5)["data"]
    assert [one["result"] for one in read] == ['{"n": 1}', other]


def test_reading_a_run_can_leave_its_input_alone(
    client: UserClient, server: RecordingServer
) -> None:
    server.on("GET /api/run/1", {"id": 1, "input": encoded("{}")})
    assert client.run.get(1, decrypt_input=False)["input"] == encoded("{}")
    assert client.run.get(1)["input"] == "{}"
    assert client.run.get(1, fields=["id"]) == {"id": 1}


def test_a_large_result_goes_to_a_file(
    client: UserClient, server: RecordingServer, tmp_path: Path
) -> None:
    server.on("GET /api/result/1", {"id": 1, "result": BLOB, "blob_storage_used": True})
    body = encoded('{"n": 1}').encode()
    server.on(f"GET /api/blobstream/{BLOB}", httpx.Response(200, content=body))
    assert client.result.download(1, str(tmp_path / "one.json")) == tmp_path / "one.json"
    server.on("GET /api/result/2", {"id": 2, "result": encoded('{"n": 2}')})
    client.result.download(2, tmp_path / "two.json")
    assert (tmp_path / "one.json").read_text() == '{"n": 1}'
    assert (tmp_path / "two.json").read_text() == '{"n": 2}'


@pytest.mark.parametrize("answer", [(404, {"msg": "lost"}), httpx.Response(200, content=b"?!$")])
def test_a_result_that_cannot_be_saved_leaves_the_file_as_it_was(
    client: UserClient, server: RecordingServer, tmp_path: Path, answer: Any
) -> None:
    path = tmp_path / "result.json"
    path.write_text("before")
    server.on("GET /api/result/1", {"id": 1, "result": BLOB, "blob_storage_used": True})
    server.on(f"GET /api/blobstream/{BLOB}", answer)
    with pytest.raises((BlobError, ValueError)):
        client.result.download(1, path)
    server.on("GET /api/result/2", {"id": 2, "result": None})
    with pytest.raises(ValueError, match="Run 2 has no result"):
        client.result.download(2, path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [
        ("result.json", "before")
    ]
