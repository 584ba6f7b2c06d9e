"""A collaboration on a server of the tests, for what concerns its payloads."""

from __future__ import annotations

import base64
from typing import Any

from sqlalchemy import select

from vantage6.server.model.tables import Blob
from vantage6.server.payloads.housekeeping import Housekeeping
from vantage6.web.responses import utc_now

#: An input, as base64, that is larger than what goes inline.
LARGE = base64.b64encode(b'{"method": "m", "args": ["' + b"x" * 1_200_000 + b'"]}')


class PayloadSite:
    """A collaboration of two organizations with a node each, and who works there."""

    def __init__(self, server: Any, *, encrypted: bool = False) -> None:
        self.server = server
        self.org, self.other = server.organization(), server.organization()
        self.collaboration = server.collaboration(self.org, self.other, encrypted=encrypted)
        self.node = server.node(self.org, self.collaboration)
        self.other_node = server.node(self.other, self.collaboration)
        self.user = server.user(
            self.org,
            "task CREATE COLLABORATION",
            "task VIEW COLLABORATION",
            "task DELETE COLLABORATION",
            "run VIEW COLLABORATION",
        )

    def upload(self, who: Any, content: bytes = LARGE) -> str:
        answer = who.request("POST", "/blobstream", content=content)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["uuid"])

    def create(self, input_: str, *organizations: int, who: Any = None, **body: Any) -> Any:
        asked = [{"id": id_, "input": input_} for id_ in organizations or (self.org,)]
        return (who or self.user).post(
            "/task",
            organizations=asked,
            collaboration_id=self.collaboration,
            image="image",
            name="a task",
            **body,
        )

    def task_with_blob(self, *organizations: int) -> tuple[int, str]:
        name = self.upload(self.user)
        answer = self.create(name, *organizations)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], name

    def finish(self, run: int, result: str, who: Any = None) -> Any:
        return (who or self.node).patch(
            f"/run/{run}",
            status="completed",
            result=result,
            finished_at=utc_now().isoformat(),
        )

    @property
    def files(self) -> list[str]:
        folder = self.server.services.config.directories.data / "payloads"
        return sorted(path.name for path in folder.rglob("*") if path.is_file())

    def blobs(self) -> list[Any]:
        return self.server.rows(select(Blob.id, Blob.state).order_by(Blob.id))

    def clean_up(self) -> None:
        housekeeping = Housekeeping(self.server.services)
        self.server.http.portal.call(housekeeping.clean_up)
        self.server.http.portal.call(housekeeping.collect)
