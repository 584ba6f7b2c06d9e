"""The client of central functions, against a proxy made of canned answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import numpy as np
import pytest

from vantage6.algorithm import client as package
from vantage6.algorithm.client import AlgorithmClient
from vantage6.algorithm.tools import __version__ as tools_version
from vantage6.algorithm.tools.exceptions import (
    ClientError,
    CollectOrganizationError,
    CollectResultsError,
    SubtakCreationError,
)
from vantage6.common.exceptions import RefusedError

if TYPE_CHECKING:
    from conftest import Proxy, Station, TestClock

Make = Callable[..., AlgorithmClient]
NO_BLOBS = {"blob_store_enabled": False}


@pytest.fixture
def make(proxy: Proxy, clock: TestClock, station: Station) -> Make:
    def make_(**claims: Any) -> AlgorithmClient:
        return AlgorithmClient(
            station.token(**claims),
            host="http://proxyserver",
            port=8080,
            path="",
            transport=httpx.MockTransport(proxy),
            clock=clock,
        )

    return make_


def encoded(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def page(*items: object, more: bool = False) -> dict[str, Any]:
    return {"data": list(items), "links": {"next": "/api/x?page=2"} if more else {}}


def test_versions_are_the_platforms() -> None:
    assert package.__version__ == tools_version == "4.15.2"


def test_requests_go_to_the_proxy_with_the_token(make: Make, proxy: Proxy) -> None:
    proxy.on("GET", "/collaboration/6", {"id": 6})
    client = make()
    assert client.collaboration.get() == {"id": 6}
    assert str(proxy.requests[0].url) == "http://proxyserver:8080/collaboration/6"
    assert proxy.requests[0].headers["Authorization"] == f"Bearer {client.token}"
    assert client.headers == {"Authorization": f"Bearer {client.token}"}
    assert (client.cryptor, client.whoami) == (None, None)


def test_refused_request_gives_what_the_server_said(make: Make, proxy: Proxy) -> None:
    proxy.on("GET", "/task/1", httpx.Response(401, json={"msg": "Not yours"}))
    assert make().task.get(1) == {"msg": "Not yours"}
    assert proxy.calls == ["GET /task/1"]


def test_refusal_without_json_gives_a_message_too(make: Make, proxy: Proxy) -> None:
    proxy.on("GET", "/run/1", httpx.Response(404, html="<h1>no</h1>"))
    assert "404" in make().run.get(1)["msg"]


def test_login_and_renewal_are_refused(make: Make) -> None:
    with pytest.raises(NotImplementedError):
        make().authenticate()
    with pytest.raises(NotImplementedError):
        make().refresh_token()


@pytest.mark.parametrize(("study", "query"), [(None, "collaboration_id=6"), (3, "study_id=3")])
def test_organizations_of_study_or_collaboration_are_listed_over_all_pages(
    make: Make, proxy: Proxy, study: int | None, query: str
) -> None:
    proxy.on("GET", "/organization", page({"id": 1}, more=True), page({"id": 2}))
    assert make(study_id=study).organization.list() == [{"id": 1}, {"id": 2}]
    assert proxy.calls == [
        f"GET /organization?per_page=100&{query}&page=1",
        f"GET /organization?per_page=100&{query}&page=2",
    ]


def test_refused_lists_raise_what_the_server_said(make: Make, proxy: Proxy) -> None:
    for path in ("/organization", "/study", "/run", "/result"):
        proxy.on("GET", path, httpx.Response(403, json={"msg": "No way"}))
    client = make()
    with pytest.raises(CollectOrganizationError, match="'organization': No way"):
        client.organization.list()
    with pytest.raises(CollectOrganizationError, match="'study': No way"):
        client.study.list()
    with pytest.raises(CollectResultsError, match="'run': No way"):
        client.run.from_task(1)
    with pytest.raises(CollectResultsError, match="'result': No way"):
        client.result.from_task(1)


# -- subtasks -----------------------------------------------------------------------------------


def test_subtask_is_posted_with_the_parents_image_and_databases(make: Make, proxy: Proxy) -> None:
    proxy.on("GET", "/blobstream/status", NO_BLOBS)
    proxy.on("POST", "/task", httpx.Response(201, json={"id": 8}))
    input_ = {"method": "m", "kwargs": {"bound": np.float64(0.5), "n": np.int64(2)}}
    client = make(study_id=3, store_id=9)
    assert client.task.create(input_=input_, organizations=[5, 6])["id"] == 8
    body = json.loads(proxy.requests[-1].content)
    sent = encoded({"method": "m", "kwargs": {"bound": 0.5, "n": 2}})
    assert body == {
        "name": "subtask",
        "image": "example/image",
        "collaboration_id": 6,
        "description": "task from container on node_id=4",
        "organizations": [{"id": 5, "input": sent}, {"id": 6, "input": sent}],
        "databases": [{"label": "default"}],
        "study_id": 3,
        "store_id": 9,
    }
    client.task.create(input_, [5], name="n", description="d")
    body = json.loads(proxy.requests[-1].content)
    assert (body["name"], body["description"]) == ("n", "d")
    assert proxy.calls == ["GET /blobstream/status", "POST /task", "POST /task"]


def test_server_without_blob_stores_counts_as_having_none(make: Make, proxy: Proxy) -> None:
    proxy.on("POST", "/task", httpx.Response(201, json={"id": 8}))
    make().task.create({"method": "m"}, [5])
    sent = json.loads(proxy.requests[-1].content)
    assert sent["organizations"] == [{"id": 5, "input": encoded({"method": "m"})}]
    assert "study_id" not in sent


def test_input_goes_to_the_blob_store_where_there_is_one(make: Make, proxy: Proxy) -> None:
    proxy.on("GET", "/blobstream/status", {"blob_store_enabled": True})
    proxy.on("GET", "/organization/5", {"public_key": "a2V5"})
    proxy.on("GET", "/organization/6", {"public_key": ""})
    proxy.on(
        "POST",
        "/blobstream",
        httpx.Response(201, json={"uuid": "one"}),
        httpx.Response(201, json={"uuid": "two"}),
    )
    proxy.on("POST", "/task", httpx.Response(201, json={"id": 8}))
    make().task.create({"method": "m"}, [5, 6])
    first, second = (request for request in proxy.requests if request.url.path == "/blobstream")
    assert first.content == second.content == b'{"method": "m"}'
    assert first.headers["X-Public-Key"] == "a2V5"
    assert "X-Public-Key" not in second.headers
    assert json.loads(proxy.requests[-1].content)["organizations"] == [
        {"id": 5, "input": "one"},
        {"id": 6, "input": "two"},
    ]


def test_input_that_cannot_be_stored_is_told(make: Make, proxy: Proxy) -> None:
    proxy.on("GET", "/blobstream/status", {"blob_store_enabled": True})
    proxy.on("GET", "/organization/5", {"public_key": ""})
    proxy.on("POST", "/blobstream", httpx.Response(500, json={"msg": "disk full"}))
    with pytest.raises(SubtakCreationError, match="disk full"):
        make().task.create({"method": "m"}, [5])


def test_refused_subtask_is_returned_logged_and_explained_to_whoever_waits(
    make: Make, proxy: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.on("POST", "/task", httpx.Response(400, json={"msg": "Organizations missing"}))
    client = make()
    task = client.task.create({"method": "m"})
    assert task == {"msg": "Organizations missing"}
    told = "error > The server refused the subtask 'subtask': Organizations missing"
    assert told in capsys.readouterr().out
    with pytest.raises(ClientError, match="was not created: Organizations missing"):
        client.wait_for_results(task_id=task.get("id"))
    with pytest.raises(RefusedError, match="Organizations missing"):
        task["id"]


def test_subtask_is_not_created_twice_when_the_answer_is_lost(make: Make, proxy: Proxy) -> None:
    proxy.on("POST", "/task", httpx.ReadError("cut"))
    with pytest.raises(SubtakCreationError, match="may have been carried out"):
        make().task.create({"method": "m"}, [5])
    assert proxy.calls.count("POST /task") == 1


def test_subtask_is_created_once_a_proxy_that_was_away_is_back(make: Make, proxy: Proxy) -> None:
    proxy.on("POST", "/task", httpx.ConnectError("refused"), httpx.Response(201, json={"id": 8}))
    assert make().task.create({"method": "m"}, [5])["id"] == 8


def test_input_that_json_cannot_express_is_named(make: Make) -> None:
    with pytest.raises(TypeError, match=r'input_\["kwargs"\]\["levels"\] is a set'):
        make().task.create({"method": "m", "kwargs": {"levels": {1}}}, [5])


# -- waiting ------------------------------------------------------------------------------------


def test_waiting_asks_for_the_end_only_and_again_when_the_time_was_over(
    make: Make, proxy: Proxy, clock: TestClock
) -> None:
    proxy.on(
        "GET",
        "/task/8/status",
        {"status": "active", "seen": "a"},
        {"status": "completed", "seen": "b"},
    )
    proxy.on("GET", "/result", page({"result": encoded({"x": 1})}))
    assert make().wait_for_results(task_id=8) == [{"x": 1}]
    assert proxy.calls == [
        "GET /task/8/status?wait=25&until=finished",
        "GET /task/8/status?wait=25&seen=a&until=finished",
        "GET /result?per_page=100&task_id=8&page=1",
    ]
    assert clock.pauses == []


def test_server_that_does_not_hold_back_is_not_asked_without_pause(
    make: Make, proxy: Proxy, clock: TestClock
) -> None:
    still = {"status": "active", "seen": "a"}
    proxy.on("GET", "/task/8/status", still, still, still, {"status": "completed"})
    proxy.on("GET", "/result", page())
    assert make().wait_for_results(8) == []
    assert clock.pauses == [0.1, 0.1]


def test_older_server_is_asked_less_and_less_often(
    make: Make, proxy: Proxy, clock: TestClock
) -> None:
    proxy.on("GET", "/task/8/status", *[{"status": "active"}] * 30, {"status": "failed"})
    proxy.on("GET", "/result", page())
    make().wait_for_results(8)
    assert clock.pauses[:3] == pytest.approx([0.1, 0.15, 0.225])
    assert clock.pauses[-1] == 30
    clock.pauses.clear()
    proxy.on("GET", "/task/8/status", *[{"status": "active"}] * 30, {"status": "failed"})
    make().wait_for_results(8, interval=100)
    assert (clock.pauses[0], clock.pauses[-1]) == (10, 100)


@pytest.mark.parametrize(
    "failure",
    [
        httpx.Response(500, json={"msg": "Request failed, see node logs"}),
        httpx.Response(429, json={"msg": "slow down"}),
        httpx.Response(404, json={"msg": "No such task"}),
        httpx.Response(200, json={}),
        httpx.Response(200, html="<h1>maintenance</h1>"),
        httpx.ReadTimeout("late"),
        httpx.ConnectError("refused"),
    ],
)
def test_failed_poll_does_not_end_the_wait(
    make: Make, proxy: Proxy, failure: httpx.Response | Exception
) -> None:
    still = {"status": "active"}
    proxy.on("GET", "/task/8/status", still, failure, failure, still, {"status": "completed"})
    proxy.on("GET", "/result", page({"result": encoded(1)}))
    assert make().wait_for_results(8) == [1]


def test_server_may_be_away_for_hours_while_somebody_waits(
    make: Make, proxy: Proxy, clock: TestClock
) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        if clock.time < 5 * 3600:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json={"status": "completed"})

    proxy.routes["GET", "/task/8/status"] = answer
    proxy.on("GET", "/result", page())
    make().wait_for_results(8)
    assert 5 * 3600 <= clock.time < 6 * 3600


@pytest.mark.parametrize(
    ("answer", "reason", "at_most"),
    [
        (httpx.Response(404, json={"msg": "Gone"}), "Gone", 60),
        (httpx.Response(200, json={}), "did not tell the status", 60),
        (httpx.Response(200, html="<h1>login</h1>"), "is not JSON", 60),
        (httpx.Response(500, json={"msg": "Gone"}), "Gone", 25 * 3600),
        (httpx.Response(503, json={"msg": "Gone"}), "Gone", 25 * 3600),
        (httpx.ConnectError("refused"), "No answer from .*: refused", 25 * 3600),
    ],
)
def test_waiting_ends_with_the_reason_when_the_status_cannot_be_read(
    make: Make,
    proxy: Proxy,
    clock: TestClock,
    answer: httpx.Response | Exception,
    reason: str,
    at_most: float,
) -> None:
    proxy.on("GET", "/task/8/status", answer)
    with pytest.raises(ClientError, match=f"^The status of task 8 cannot be read: .*{reason}"):
        make().wait_for_results(8)
    assert 10 <= clock.time < at_most


# -- results ------------------------------------------------------------------------------------


def test_results_of_all_pages_are_read_and_failed_runs_left_out(make: Make, proxy: Proxy) -> None:
    proxy.on(
        "GET",
        "/result",
        page({"id": 3, "result": encoded([1])}, {"id": 2, "result": None}, more=True),
        page({"id": 1, "result": "no json"}, {"id": 0, "result": encoded(None)}),
    )
    assert make().result.from_task(8) == [[1], None, None]


def test_result_is_fetched_from_the_blob_store(make: Make, proxy: Proxy) -> None:
    uuid = "6e5f1e0e-8a55-4f0e-9d3a-0d6b5b0f7c11"
    proxy.on("GET", "/result", page({"id": 1, "result": uuid, "blob_storage_used": True}))
    proxy.on("GET", f"/blobstream/{uuid}", httpx.Response(200, content=b'{"x": 1}'))
    assert make().result.from_task(8) == [{"x": 1}]
    proxy.on("GET", f"/blobstream/{uuid}", httpx.Response(404, json={"msg": "lost"}))
    with pytest.raises(CollectResultsError, match="lost"):
        make().result.from_task(8)


def test_single_result_is_read(make: Make, proxy: Proxy) -> None:
    proxy.on("GET", "/result/1", {"id": 1, "result": encoded({"x": 1})})
    proxy.on("GET", "/result/2", {"id": 2, "result": None})
    assert make().result.get(1) == {"x": 1}
    assert make().result.get(2) is None


def test_addresses_are_asked_for_with_flags(make: Make, proxy: Proxy) -> None:
    proxy.on("GET", "/vpn/algorithm/addresses", {"addresses": [{"ip": "10.0.0.1"}]})
    vpn = make().vpn
    assert vpn.get_addresses(include_parent=True, label="x") == [{"ip": "10.0.0.1"}]
    vpn.get_parent_address()
    vpn.get_child_addresses()
    vpn.get_sibling_addresses()
    vpn.get_own_address()
    base = "GET /vpn/algorithm/addresses"
    assert proxy.calls == [
        f"{base}?include_parent=1&label=x",
        f"{base}?only_parent=1",
        f"{base}?only_children=1",
        f"{base}?only_siblings=1",
        f"{base}?only_self=1",
    ]
    proxy.on("GET", "/vpn/algorithm/addresses", httpx.Response(400, json={"msg": "no VPN"}))
    assert vpn.get_addresses() == {"message": "Obtaining VPN addresses failed!"}
