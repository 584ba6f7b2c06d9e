"""Payloads are deleted: with their tasks, unused, and when they are old."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from payload_site import PayloadSite
from vantage6.server.model.tables import Attachment, Blob, Run
from vantage6.server.payloads.folder import FolderStore
from vantage6.server.payloads.store import StoreError
from vantage6.web.responses import utc_now


@pytest.fixture
def site(server: Any) -> PayloadSite:
    return PayloadSite(server)


def test_deleting_a_task_deletes_its_payloads(site: PayloadSite) -> None:
    task, name = site.task_with_blob(site.org, site.other)
    kept, _ = site.task_with_blob()
    [run, _] = site.server.runs(task)
    site.finish(run, site.upload(site.node))
    assert len(site.files) == 3
    assert site.user.delete(f"/task/{task}").status_code == 200
    site.clean_up()
    assert site.files == [site.user.get("/run", task_id=kept).json()["data"][0]["input"]]
    assert site.user.get(f"/blobstream/{name}").status_code == 404


def test_a_deletion_is_noticed_by_itself_and_soon(site: PayloadSite) -> None:
    task, _ = site.task_with_blob()
    site.user.delete(f"/task/{task}")
    until = time.monotonic() + 30
    while site.blobs() and time.monotonic() < until:
        time.sleep(0.02)
    assert site.files == []


def test_what_the_store_does_not_delete_now_is_deleted_later(site: PayloadSite) -> None:
    task, _ = site.task_with_blob()
    works = site.server.services.payloads

    class Away(FolderStore):
        async def delete(self, name: str) -> None:
            raise StoreError("away")

    site.server.services.payloads = Away(Path("/nonexistent"))
    site.user.delete(f"/task/{task}")
    site.clean_up()
    assert len(site.files) == len(site.blobs()) == 1
    site.server.services.payloads = works
    site.clean_up()
    assert site.files == site.blobs() == []


def test_uploads_that_nobody_uses_go_after_a_day(site: PayloadSite) -> None:
    old, new = site.upload(site.user), site.upload(site.user)
    with site.server.services.database.write() as db:
        yesterday = utc_now() - timedelta(days=1, minutes=1)
        db.execute(update(Blob).where(Blob.id == old).values(created_at=yesterday))
    site.clean_up()
    assert site.files == [new]
    assert site.create(old).status_code == 400
    assert site.create(new).status_code == 201


def test_results_are_emptied_when_they_are_old(site: PayloadSite) -> None:
    site.server.services.config = site.server.services.config.model_copy(
        update={"runs_data_cleanup_days": 30}
    )
    task, input_ = site.task_with_blob(site.org, site.other)
    failed = site.create("e30=", site.org, site.other).json()["id"]
    first, second = site.server.runs(task)
    site.finish(first, site.upload(site.node))
    site.finish(second, "e30=", site.other_node)
    bad, _ = site.server.runs(failed)
    site.node.patch(f"/run/{bad}", status="crashed", result="e30=", finished_at="2020-01-01")
    recent = utc_now() - timedelta(days=29)
    _age(site, first, utc_now() - timedelta(days=31))
    _age(site, second, recent)
    site.clean_up()
    shown = site.user.get(f"/result/{first}").json()
    assert shown["result"] == ""
    assert shown["blob_storage_used"] is False
    assert shown["cleanup_at"] is not None
    assert site.user.get(f"/run/{first}").json()["input"] == input_
    assert site.files == [input_]
    assert site.user.get(f"/result/{second}").json()["cleanup_at"] is None
    assert site.user.get(f"/result/{bad}").json()["result"] == "e30="


def test_inputs_are_emptied_with_the_results_when_the_configuration_says_so(
    site: PayloadSite,
) -> None:
    site.server.services.config = site.server.services.config.model_copy(
        update={"runs_data_cleanup_days": 30, "runs_data_cleanup_include_input": True}
    )
    task, _ = site.task_with_blob(site.org, site.other)
    first, second = site.server.runs(task)
    for run, node in ((first, site.node), (second, site.other_node)):
        site.finish(run, "e30=", node)
    _age(site, first, utc_now() - timedelta(days=31))
    site.clean_up()
    assert site.user.get(f"/run/{first}").json()["input"] == ""
    assert len(site.files) == 1  # the other run still needs it
    _age(site, second, utc_now() - timedelta(days=31))
    site.clean_up()
    assert site.files == []
    assert site.server.rows(select(Attachment.run_id)) == []


def _age(site: PayloadSite, run: int, finished_at: Any) -> None:
    with site.server.services.database.write() as db:
        db.execute(update(Run).where(Run.id == run).values(finished_at=finished_at))
