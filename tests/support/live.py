"""A server in a thread, on loopback, for those who need real connections."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import uvicorn
from sqlalchemy import insert, select

from vantage6.server.app import Application
from vantage6.server.auth.passwords import hash_api_key
from vantage6.server.auth.tokens import Kind
from vantage6.server.config import ServerConfig
from vantage6.server.model.tables import (
    Collaboration,
    Node,
    Organization,
    Role,
    User,
    member,
    user_role,
)
from vantage6.server.services import Services

SECRET = "a secret of sufficient length for a test"
INPUT = "eyJtZXRob2QiOiAibSJ9"


class Live:
    """A server on loopback with two organizations in one collaboration, each with a node."""

    def __init__(self, services: Services, port: int) -> None:
        self.services = services
        self.url = f"http://127.0.0.1:{port}"
        with services.database.write() as db:
            db.add(Collaboration(id=1, name="together", encrypted=False))
            for id_, name in ((11, "one"), (12, "two")):
                db.add(Organization(id=id_, name=name))
                db.flush()
                db.execute(insert(member).values(collaboration_id=1, organization_id=id_))
                db.add(
                    Node(
                        id=id_,
                        name=f"node {name}",
                        api_key_hash=hash_api_key(name),
                        collaboration_id=1,
                        organization_id=id_,
                    )
                )
            db.add(User(id=21, username="ada", password="x", organization_id=11))
            db.flush()
            role = db.scalar(select(Role.id).where(Role.name == "Collaboration Admin"))
            db.execute(insert(user_role).values(user_id=21, role_id=role))

    def token(self, kind: Kind, id_: int) -> str:
        return self.services.tokens.issue(kind, id_)[0]

    def http(self, kind: Kind, id_: int) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token(kind, id_)}"}
        return httpx.Client(base_url=f"{self.url}/api", headers=headers)

    def create_task(self, input_: str = INPUT) -> dict[str, Any]:
        with self.http(Kind.USER, 21) as http:
            answer = http.post(
                "/task",
                json={
                    "collaboration_id": 1,
                    "image": "img",
                    "name": "t",
                    "organizations": [{"id": 11, "input": input_}, {"id": 12, "input": input_}],
                },
            )
        assert answer.status_code == 201, answer.text
        task: dict[str, Any] = answer.json()
        return task


@contextmanager
def running(folder: Path, **keys: Any) -> Iterator[Live]:
    """Run a server, with these keys in its configuration, in a thread."""
    root = folder / "root"
    root.write_text("Root-password-1")
    uri = f"sqlite:///{folder / 'server.db'}"
    config = ServerConfig.model_validate({"uri": uri, "jwt_secret_key": SECRET, **keys})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("V6_INIT_SUPER_PASS_FILE", str(root))
        app = Application(config)
    app.open_metrics()
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, ws="websockets-sansio", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Live(app.services, listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
