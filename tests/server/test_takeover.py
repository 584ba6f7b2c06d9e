"""A database that a real reference server made is taken over: everybody finds all as it was."""

from __future__ import annotations

import base64
import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import httpx2 as httpx
import psycopg
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from peers import PeerUnavailable, upstream_server
from vantage6.server.administration.reference import import_database
from vantage6.server.administration.takeover import SourceUnusable
from vantage6.server.app import Application
from vantage6.server.config import ServerConfig
from vantage6.server.model.database import Database
from vantage6.server.model.tables import Node, User

# Making the environment and starting the reference count as part of the first test.
pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

KEY = base64.b64encode(b"-----BEGIN PUBLIC KEY-----").decode()
INPUT = base64.b64encode(b'{"method": "average"}').decode()
PASSWORDS = {"root": "root", "ada": "Analytical-1843", "bob": "Builder-1998!"}
LISTS = ("organization", "collaboration", "study", "user", "node", "role", "task", "run", "result")


class Api:
    """A caller of either server."""

    def __init__(self, http: Any, prefix: str, token: str = "") -> None:
        self.http, self.prefix = http, prefix
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def call(self, method: str, path: str, **body: Any) -> Any:
        answer = self.http.request(
            method, self.prefix + path, headers=self.headers, json=body or None
        )
        assert answer.status_code < 300, (path, answer.status_code, answer.text)
        return answer.json()

    def login(self, **credentials: str) -> Api:
        kind = "node" if "api_key" in credentials else "user"
        reply = self.call("POST", f"/token/{kind}", **credentials)
        return Api(self.http, self.prefix, reply["access_token"])

    def all(self, resource: str) -> list[dict[str, Any]]:
        page = self.call("GET", f"/{resource}?per_page=100")["data"]
        return sorted(page, key=lambda item: int(item["id"]))


def fill(api: Api) -> list[str]:
    """A small world; gives the nodes' API keys."""
    root = api.login(username="root", password=PASSWORDS["root"])
    organizations = [
        root.call(
            "POST",
            "/organization",
            name=name,
            domain="example.org",
            address1="Straße 1",
            zipcode="0123",
            country="NL",
            public_key=KEY,
        )["id"]
        for name in ("Saint-Élie", "Utrecht", "Porto")
    ]
    trial = root.call(
        "POST",
        "/collaboration",
        name="trial",
        encrypted=False,
        organization_ids=organizations,
    )["id"]
    root.call(
        "POST",
        "/collaboration",
        name="secret",
        encrypted=True,
        organization_ids=organizations[:2],
    )
    study = root.call(
        "POST",
        "/study",
        name="half",
        collaboration_id=trial,
        organization_ids=organizations[:2],
    )["id"]
    keys = [
        root.call("POST", "/node", organization_id=id_, collaboration_id=trial)["api_key"]
        for id_ in organizations
    ]
    roles = {role["name"]: role["id"] for role in root.all("role")}
    rules = root.call("GET", "/rule?per_page=100")["data"]
    own = root.call(
        "POST",
        "/role",
        name="own",
        description="of one organization",
        rules=[rule["id"] for rule in rules[:5]],
        organization_id=organizations[0],
    )["id"]
    for username, organization, given in (
        ("ada", organizations[0], [roles["Collaboration Admin"], own]),
        ("bob", organizations[1], [roles["Viewer"]]),
    ):
        root.call(
            "POST",
            "/user",
            username=username,
            firstname=username.title(),
            lastname="é",
            password=PASSWORDS[username],
            email=f"{username}@example.org",
            organization_id=organization,
            roles=given,
            rules=[rules[6]["id"]],
        )
    ada = api.login(username="ada", password=PASSWORDS["ada"])
    tasks = [
        ada.call(
            "POST",
            "/task",
            name=name,
            image="registry.example.org/average",
            description="≥ 3",
            collaboration_id=trial,
            organizations=[{"id": id_, "input": INPUT} for id_ in asked],
            databases=databases,
            **extra,
        )["id"]
        for name, asked, databases, extra in (
            ("average", organizations, [{"label": "default", "query": "select 1"}], {}),
            ("half of it", organizations[:2], [], {"study_id": study}),
            ("killed", organizations[:1], [], {}),
            ("waiting", organizations, [{"label": "a"}, {"label": "b"}], {}),
        )
    ]
    for organization, key in zip(organizations, keys, strict=True):
        node = api.login(api_key=key)
        for run in node.call("GET", f"/run?task_id={tasks[0]}")["data"]:
            if run["organization"]["id"] != organization:
                continue
            now = datetime.now(UTC).isoformat()
            node.call("PATCH", f"/run/{run['id']}", started_at=now, status="active")
            node.call(
                "PATCH",
                f"/run/{run['id']}",
                finished_at=now,
                status="completed",
                result=base64.b64encode(b'{"average": 27.6}').decode(),
                log="computed ≥ 1",
            )
    ada.call("POST", "/kill/task", id=tasks[2])
    return keys


@dataclass
class Old:
    """A reference server's database, after its server was stopped."""

    uri: str
    keys: list[str]
    #: What its API answered to root, by resource.
    lists: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def old(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    lacking: Callable[[str], NoReturn],
) -> Iterator[Old]:
    folder = tmp_path_factory.mktemp("reference")
    maker: Any = None
    if request.param == "sqlite":
        uri = f"sqlite:///{folder / 'reference.sqlite'}"
    else:
        maker = request.getfixturevalue("postgresql")
        uri = maker.empty()
    try:
        # Far from UTC: times must not depend on where a server stands.
        far = {"TZ": "Pacific/Auckland"}
        with (
            upstream_server(folder, uri=uri, environment=far) as service,
            httpx.Client(timeout=60) as http,
        ):
            api = Api(http, service.url)
            keys = fill(api)
            root = api.login(username="root", password=PASSWORDS["root"])
            lists = {name: root.all(name) for name in LISTS}
    except PeerUnavailable as error:
        lacking(f"the reference server cannot be installed: {error}")
    statement = (
        "INSERT INTO algorithmstore (id, name, url, collaboration_id) VALUES (7, 's', 'u', 1)"
    )
    _execute(uri, statement)
    yield Old(uri, keys, lists)
    if maker is not None:
        maker.discard(uri)


def _execute(uri: str, *statements: str) -> None:
    """Do something to a database that its server never does."""
    if uri.startswith("sqlite:///"):
        with contextlib.closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        return
    with psycopg.connect(uri, autocommit=True) as server:
        for statement in statements:
            server.execute(statement.encode())


@pytest.fixture
def target(databases: Any) -> Iterator[Database]:
    """An empty database of ours."""
    uri = databases.empty()
    database = Database(uri.replace("postgresql://", "postgresql+psycopg://"))
    yield database
    database.close()
    databases.discard(uri)


@contextlib.contextmanager
def serving(database: Database) -> Iterator[Api]:
    uri = database.engine.url.render_as_string(hide_password=False)
    with TestClient(Application(ServerConfig(uri=uri))) as http:
        yield Api(http, "/api")


# Nobody is connected to the new server, and it speaks its own words for what rules mean.
CHANGES = {"status", "last_seen", "config"}


def steady(resource: str, item: dict[str, Any]) -> dict[str, Any]:
    if resource == "node":
        return {key: value for key, value in item.items() if key not in CHANGES}
    if resource == "user":
        return {key: value for key, value in item.items() if key != "last_seen"}
    if resource == "role" and item["organization"] is None:
        return {key: value for key, value in item.items() if key != "description"}
    return item


def _in_order(value: Any) -> Any:
    """The methods of a link come in any order."""
    if isinstance(value, dict):
        return {
            key: sorted(inner) if key == "methods" else _in_order(inner)
            for key, inner in value.items()
        }
    return [_in_order(inner) for inner in value] if isinstance(value, list) else value


def test_what_the_api_shows_stays_the_same(old: Old, target: Database) -> None:
    import_database(target, old.uri, replace=False)
    with serving(target) as api:
        root = api.login(username="root", password=PASSWORDS["root"])
        differences = [
            (resource, old_item["id"], key, old_item[key], new_item.get(key))
            for resource in LISTS
            for old_item, new_item in zip(old.lists[resource], root.all(resource), strict=True)
            for key in steady(resource, old_item)
            if _in_order(old_item[key]) != _in_order(new_item.get(key))
        ]
    assert differences == []


def test_everybody_logs_in_with_what_they_have(old: Old, target: Database) -> None:
    import_database(target, old.uri, replace=False)
    with serving(target) as api:
        for username, password in PASSWORDS.items():
            user = api.login(username=username, password=password)
            assert user.all("organization")
        assert (
            api.http.post(
                "/api/token/user", json={"username": "ada", "password": "wrong"}
            ).status_code
            == 401
        )
        for key in old.keys:
            runs = api.login(api_key=key).call("GET", "/run?state=open&per_page=100")["data"]
            assert {run["status"] for run in runs} == {"pending"}
        other = {"api_key": "33333333-3333-4333-8333-333333333333"}
        assert api.http.post("/api/token/node", json=other).status_code == 401
    with target.read() as db:
        # From now on with our hashes.
        assert all(password.startswith("$argon2") for password in db.scalars(select(User.password)))
        assert all(len(hashed) == 64 for hashed in db.scalars(select(Node.api_key_hash)))
    with serving(target) as api:
        for key in old.keys:
            api.login(api_key=key)


def test_work_goes_on_and_no_id_is_used_twice(old: Old, target: Database) -> None:
    import_database(target, old.uri, replace=False)
    highest = max(task["id"] for task in old.lists["task"])
    jobs = {task["job_id"] for task in old.lists["task"]}
    with serving(target) as api:
        ada = api.login(username="ada", password=PASSWORDS["ada"])
        collaboration = next(c for c in old.lists["collaboration"] if c["name"] == "trial")
        asked = [item["id"] for item in old.lists["organization"] if item["name"] == "Utrecht"]
        task = ada.call(
            "POST",
            "/task",
            name="new",
            image="i",
            collaboration_id=collaboration["id"],
            organizations=[{"id": id_, "input": INPUT} for id_ in asked],
            databases=[],
        )
        assert task["id"] == highest + 1
        assert task["job_id"] not in jobs


def test_the_source_is_only_read(old: Old, target: Database) -> None:
    if old.uri.startswith("sqlite"):
        path = Path(old.uri.removeprefix("sqlite:///"))
        before = path.read_bytes()
        import_database(target, old.uri, replace=False)
        assert path.read_bytes() == before
        assert not list(path.parent.glob("*-wal"))
    else:
        import_database(target, old.uri, replace=False)
        with psycopg.connect(old.uri) as server:
            assert server.execute("SELECT count(*) FROM algorithmport").fetchone() == (0,)


def test_what_belongs_to_nothing_is_left_out_and_told(
    old: Old, target: Database, tmp_path: Path
) -> None:
    if not old.uri.startswith("sqlite"):
        # PostgreSQL's foreign keys leave nothing without its owner; SQLite's were not enforced.
        report = import_database(target, old.uri, replace=False)
        assert not [note for note in report.notes if note.startswith("Left out") and "run" in note]
        return
    copy = tmp_path / "copy.sqlite"
    shutil.copy(old.uri.removeprefix("sqlite:///"), copy)
    _execute(
        f"sqlite:///{copy}",
        "INSERT INTO run (id, task_id, organization_id, status) VALUES (900, NULL, 1, 'pending')",
        "INSERT INTO run (id, task_id, organization_id, status) VALUES (901, 888, 1, 'pending')",
        'INSERT INTO "Member" SELECT * FROM "Member"',
        'INSERT INTO "Permission" VALUES (1, 999)',
        "INSERT INTO authenticatable (id, type) SELECT 500, 'node'",
        "INSERT INTO node SELECT 500, 'twin', api_key || '.', collaboration_id, organization_id "
        "FROM node LIMIT 1",
        "UPDATE organization SET country = printf('%.200c', 'x') WHERE id = 2",
        "UPDATE run SET status = 'odd' WHERE id = (SELECT max(id) FROM run WHERE id < 900)",
    )
    report = import_database(target, f"sqlite:///{copy}", replace=False)
    told = "\n".join(report.notes)
    assert "Left out: 2 of 'run' without task or organization" in told
    assert "Left out: 1 links of 'Permission'" in told
    assert "Node id=500 is now in no collaboration" in told
    assert "organization id=2: 'country' was cut" in told
    with serving(target) as api:
        root = api.login(username="root", password=PASSWORDS["root"])
        assert len(root.all("run")) == len(old.lists["run"])
        assert root.all("run")[-1]["status"] == "unknown error"


def test_what_is_no_such_database_is_refused(old: Old, target: Database, tmp_path: Path) -> None:
    (tmp_path / "other.sqlite").touch()
    for uri, words in (
        (f"sqlite:///{tmp_path / 'nowhere.sqlite'}", "There is no file"),
        (f"sqlite:///{tmp_path / 'other.sqlite'}", "not the database of a vantage6 4 server"),
        ("mysql://root@localhost/x", "cannot be taken over"),
        ("postgresql://nobody@127.0.0.1:1/x", "cannot be read"),
        ("nonsense", "not a database URL"),
    ):
        with pytest.raises(SourceUnusable, match=words):
            import_database(target, uri, replace=False)
    import_database(target, old.uri, replace=False)
    ours = target.engine.url.render_as_string(hide_password=False)
    with pytest.raises(SourceUnusable, match="use backup and restore"):
        import_database(target, ours, replace=False)
