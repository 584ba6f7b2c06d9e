"""Fixtures of the server's tests.

``server`` is an application of its own for one test, called in process. What a test needs is put
into the database directly, so that a test of one route does not lean on another.

Everything runs on SQLite; ``V6_TEST_DATABASE=postgresql://user@host:port/database`` runs it on
PostgreSQL, in databases of its own beside the named one, and leaves out what would be the same.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import httpx2 as httpx
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event, insert, select
from starlette.testclient import TestClient

from vantage6.common.task_status import FINAL, task_status
from vantage6.server.app import Application
from vantage6.server.auth.limits import Limits
from vantage6.server.auth.passwords import hash_api_key
from vantage6.server.auth.tokens import Kind
from vantage6.server.config import ServerConfig
from vantage6.server.model.database import Database
from vantage6.server.model.tables import (
    AlgorithmPort,
    AlgorithmStore,
    Base,
    Collaboration,
    Node,
    Organization,
    Payload,
    Role,
    Rule,
    Run,
    Study,
    Task,
    User,
    member,
    role_rule,
    study_member,
    user_role,
    user_rule,
)
from vantage6.server.presence import Presence
from vantage6.web.responses import utc_now

POSTGRESQL = os.environ.get("V6_TEST_DATABASE")
SECRET = "only for tests, and as long as it must be"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, on PostgreSQL, the tests to which it makes no difference."""
    if not POSTGRESQL:
        return
    here = Path(__file__).parent
    same = [
        item
        for item in items
        if here in item.path.parents and "databases" not in getattr(item, "fixturenames", ())
    ]
    config.hook.pytest_deselected(items=same)
    items[:] = [item for item in items if item not in set(same)]


class _Undo(Exception):
    """Ends a rehearsed transaction."""


@dataclass(frozen=True)
class Caller:
    """Someone with a token."""

    id: int
    token: str
    http: TestClient

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request; `path` is without the API's prefix."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.http.request(method, f"/api{path}", headers=headers, **options)

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.request("GET", path, params=params or None)

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.request("POST", path, json=body)

    def patch(self, path: str, **body: Any) -> httpx.Response:
        return self.request("PATCH", path, json=body)

    def delete(self, path: str, *, params: Any = None, **body: Any) -> httpx.Response:
        return self.request("DELETE", path, params=params, json=body or None)

    def ids(self, path: str, **params: Any) -> list[int]:
        """Ids of a list's first page, which must be answered."""
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["data"]]


class Server:
    """A server in this process, and ways to fill its database.

    Parameters
    ----------
    http
        A running application, see `_application`.
    uri
        The prepared database that it is to work with.
    payloads
        Folder of its other data.
    """

    def __init__(self, http: TestClient, uri: str, payloads: Path) -> None:
        self.http = http
        self.services = http.app.services
        # Whatever a test changes of its server ends with it.
        self.services.config = ServerConfig(
            uri=uri, jwt_secret_key=SECRET, directories={"data": payloads}
        )
        self.services.payloads = self.services.config.open_payload_store()
        self.services.database = Database(self.services.config.database_uri)
        self.services.presence = Presence(self.services.database)
        self.services.limits = Limits(self.services.config.rate_limits)
        self._numbers = itertools.count(1)
        self._open: Any = None
        with self.services.database.read() as db:
            self._rules = {
                f"{rule.name} {rule.operation} {rule.scope}": rule.id
                for rule in db.scalars(select(Rule))
            }
            self._roles = {role.name: role.id for role in db.scalars(select(Role))}

    @contextmanager
    def rehearse(self, look: Callable[[Any], None] = lambda _: None) -> Iterator[None]:
        """Answer requests as always, but keep nothing of what they change.

        `look` is called with the session of each change before it is undone.
        """
        database = self.services.database
        write = database.write

        @contextmanager
        def undone(**options: Any) -> Iterator[Any]:
            try:
                with write(**options) as db:
                    yield db
                    db.flush()
                    look(db)
                    raise _Undo
            except _Undo:
                pass

        database.write = undone
        try:
            yield
        finally:
            del database.write

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """The SQL statements that are executed meanwhile."""
        seen: list[str] = []

        def note(_: Any, __: Any, statement: str, *___: Any) -> None:
            seen.append(statement)

        event.listen(self.services.database.engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            event.remove(self.services.database.engine, "before_cursor_execute", note)

    def rows(self, statement: Any) -> list[Any]:
        """All rows of a SELECT, single columns bare."""
        with self.services.database.read() as db:
            rows = db.execute(statement).all()
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    def rule(self, rule: str) -> int:
        """Id of a rule such as ``"user VIEW GLOBAL"``."""
        return self._rules[rule]

    @property
    def all_rules(self) -> list[str]:
        """All rules there are."""
        return list(self._rules)

    def default_role(self, name: str) -> int:
        """Id of a default role."""
        return self._roles[name]

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Add what is added meanwhile in one transaction: much is there sooner."""
        with self.services.database.write() as self._open:
            yield
        self._open = None

    @contextmanager
    def _write(self) -> Iterator[Any]:
        if self._open is not None:
            yield self._open
        else:
            with self.services.database.write() as db:
                yield db

    def _add(self, row: Base) -> Any:
        with self._write() as db:
            db.add(row)
            db.flush()
            return row.id

    def _link(self, table: Any, rows: list[dict[str, int]]) -> None:
        if rows:
            with self._write() as db:
                db.execute(insert(table), rows)

    def _name(self, what: str) -> str:
        return f"{what} {next(self._numbers)}"

    def organization(self, name: str | None = None, **fields: Any) -> int:
        """Add an organization."""
        return self._add(Organization(name=name or self._name("organization"), **fields))

    def collaboration(
        self, *organizations: int, name: str | None = None, encrypted: bool = False
    ) -> int:
        """Add a collaboration of these organizations."""
        id_ = self._add(
            Collaboration(name=name or self._name("collaboration"), encrypted=encrypted)
        )
        self._link(
            member, [{"collaboration_id": id_, "organization_id": item} for item in organizations]
        )
        return id_

    def study(self, collaboration: int, *organizations: int, name: str | None = None) -> int:
        """Add a study."""
        id_ = self._add(Study(name=name or self._name("study"), collaboration_id=collaboration))
        self._link(
            study_member, [{"study_id": id_, "organization_id": item} for item in organizations]
        )
        return id_

    def role(self, organization: int, *rules: str, name: str | None = None) -> int:
        """Add a role with these rules."""
        id_ = self._add(Role(name=name or self._name("role"), organization_id=organization))
        self._link(role_rule, [{"role_id": id_, "rule_id": self.rule(rule)} for rule in rules])
        return id_

    def user(
        self, organization: int, *rules: str, roles: Iterable[int] = (), **fields: Any
    ) -> Caller:
        """Add a user who has these rules directly, and these roles."""
        number = next(self._numbers)
        fields = {
            "username": f"user{number}",
            "email": f"user{number}@example.org",
            "password": "not a hash: nobody logs in",
            **fields,
        }
        id_ = self._add(User(organization_id=organization, **fields))
        self._link(user_rule, [{"user_id": id_, "rule_id": self.rule(rule)} for rule in rules])
        self._link(user_role, [{"user_id": id_, "role_id": role} for role in roles])
        return Caller(id_, self.services.tokens.issue(Kind.USER, id_)[0], self.http)

    def root(self, organization: int | None = None) -> Caller:
        """Add a user with the role Root."""
        organization = organization or self.organization()
        return self.user(organization, roles=[self.default_role("Root")])

    def node(self, organization: int, collaboration: int | None, **fields: Any) -> Caller:
        """Add a node."""
        name = fields.pop("name", None) or self._name("node")
        id_ = self._add(
            Node(
                name=name,
                api_key_hash=hash_api_key(name),
                organization_id=organization,
                collaboration_id=collaboration,
                **{"config": [], "status": "offline", **fields},
            )
        )
        return self.known_node(id_)

    def known_node(self, id_: int) -> Caller:
        """A node that was added before."""
        return Caller(id_, self.services.tokens.issue(Kind.NODE, id_)[0], self.http)

    def container(
        self, node: Caller, organization: int, collaboration: int, task: int, **more: Any
    ) -> Caller:
        """The algorithm of a task at a node."""
        claims = {
            "node_id": node.id,
            "organization_id": organization,
            "collaboration_id": collaboration,
            "study_id": None,
            "store_id": None,
            "task_id": task,
            "image": "image",
            "databases": [],
            **more,
        }
        return Caller(node.id, self.services.tokens.issue_container(claims), self.http)

    def task(
        self,
        collaboration: int,
        organization: int,
        user: int | None = None,
        *,
        runs: dict[int, str] | None = None,
        **fields: Any,
    ) -> int:
        """Add a task of an organization's user, with the state of each organization's run."""
        runs = {organization: "completed"} if runs is None else runs
        job = fields.pop("job_id", None) or 1000 + next(self._numbers)
        id_ = self._add(
            Task(
                image="image",
                collaboration_id=collaboration,
                init_org_id=organization,
                init_user_id=user,
                job_id=job,
                status=task_status(runs.values()),
                **fields,
            )
        )
        for where, status in runs.items():
            run = Run(
                task_id=id_,
                organization_id=where,
                status=status,
                finished_at=utc_now() if status in FINAL else None,
            )
            self._add_run(run)
        return id_

    def store(self, collaboration: int | None, url: str | None = None, **fields: Any) -> int:
        """Add a link to an algorithm store, for one collaboration or for all."""
        number = next(self._numbers)
        name = fields.pop("name", f"store {number}")
        url = url or f"https://store{number}.example.org/api"
        return self._add(AlgorithmStore(name=name, url=url, collaboration_id=collaboration))

    def port(self, run: int, port: int = 8888, label: str | None = None) -> int:
        """Add a port of a run."""
        return self._add(AlgorithmPort(run_id=run, port=port, label=label))

    def _add_run(self, run: Run) -> None:
        with self.services.database.write() as db:
            db.add(run)
            db.flush()
            db.add(Payload(run_id=run.id, input="e30="))

    def runs(self, task: int) -> list[int]:
        """Ids of a task's runs."""
        return self.rows(select(Run.id).where(Run.task_id == task).order_by(Run.id))


class _SQLite:
    """Databases in files, each a copy of one that was prepared."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self.template = folder / "template.sqlite"

    def empty(self) -> str:
        return f"sqlite:///{self._folder / f'empty{next(self._numbers)}.sqlite'}"

    def prepared(self) -> str:
        if not self.template.exists():
            _prepare(f"sqlite:///{self.template}")
        copy = self._folder / f"copy{next(self._numbers)}.sqlite"
        shutil.copy(self.template, copy)
        return f"sqlite:///{copy}"

    def discard(self, uri: str) -> None:
        """The folder is pytest's."""

    def close(self) -> None:
        """Likewise."""


class _PostgreSQL:
    """Databases beside the one that is named, each made from one that was prepared.

    To make and drop one takes far longer than most tests, so that a prepared one is used again:
    it keeps what it held at first in a schema of its own, and is brought back to that.
    """

    def __init__(self, url: str, prefix: str) -> None:
        self._url, _, _ = url.rpartition("/")
        self._connection = psycopg.connect(url, autocommit=True)
        self._prefix = prefix
        self._template = f"{prefix}_template"
        self._numbers = itertools.count(1)
        self._made: set[str] = set()
        self._prepared: set[str] = set()
        self._free: list[str] = []
        self._bring_back: sql.Composable = sql.SQL("")

    def _drop(self, name: str) -> None:
        self._connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )

    def _create(self, name: str, template: str = "template0") -> str:
        self._drop(name)
        self._connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        self._made.add(name)
        return f"{self._url}/{name}"

    def empty(self) -> str:
        return self._create(f"{self._prefix}_{next(self._numbers)}")

    def prepared(self) -> str:
        if self._free:
            return f"{self._url}/{self._free.pop()}"
        if self._template not in self._made:
            uri = self._create(self._template)
            _prepare(uri)
            self._bring_back = _keep_what_it_holds(uri)
        name = f"{self._prefix}_{next(self._numbers)}"
        self._prepared.add(name)
        return self._create(name, self._template)

    def discard(self, uri: str) -> None:
        """Take back a database that is no longer needed."""
        name = uri.rpartition("/")[2]
        if name in self._prepared:
            try:
                with psycopg.connect(uri, autocommit=True) as connection:
                    connection.execute(self._bring_back)
            except psycopg.Error:
                # Still in use, or no longer what it was.
                self._prepared.remove(name)
            else:
                self._free.append(name)
                return
        self._drop(name)
        self._made.remove(name)

    def close(self) -> None:
        for name in self._made:
            self._drop(name)
        self._connection.close()


def _keep_what_it_holds(uri: str) -> sql.Composable:
    """Copy all rows of a database within it; answer the statements that bring these back."""
    names = [table.name for table in Base.metadata.sorted_tables]
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA prepared")
        for name in names:
            connection.execute(
                sql.SQL("CREATE TABLE prepared.{0} AS TABLE public.{0}").format(
                    sql.Identifier(name)
                )
            )
        filled = [
            name
            for name in names
            if connection.execute(
                sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(name))
            ).fetchone()
        ]
        sequences = connection.execute(
            "SELECT format('public.%I', sequencename), coalesce(last_value, start_value), "
            "last_value IS NOT NULL FROM pg_sequences WHERE schemaname = 'public'"
        ).fetchall()
    return sql.SQL("; ").join(
        [
            sql.SQL("BEGIN"),
            sql.SQL("SET LOCAL lock_timeout = '2s'"),
            *(
                sql.SQL("DELETE FROM public.{}").format(sql.Identifier(name))
                for name in reversed(names)
            ),
            *(
                sql.SQL("INSERT INTO public.{0} SELECT * FROM prepared.{0}").format(
                    sql.Identifier(name)
                )
                for name in filled
            ),
            *(sql.SQL("SELECT setval({}, {}, {})").format(*sequence) for sequence in sequences),
            sql.SQL("COMMIT"),
        ]
    )


def _prepare(uri: str) -> None:
    """Make an empty database what it is after a first start."""
    app = Application(ServerConfig(uri=uri, jwt_secret_key=SECRET))
    app.services.hashing.shutdown()
    app.services.database.close()


@pytest.fixture(scope="session")
def databases(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str, testrun_uid: str
) -> Iterator[_SQLite | _PostgreSQL]:
    """Makes databases: ``empty()`` and ``prepared()`` answer the URL of a new one."""
    folder = tmp_path_factory.mktemp("databases")
    password = folder / "password"
    password.write_text("a password of root, 1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("V6_INIT_SUPER_PASS_FILE", str(password))
        prefix = f"v6_{testrun_uid[:8]}_{worker_id}"
        made = _PostgreSQL(POSTGRESQL, prefix) if POSTGRESQL else _SQLite(folder)
        yield made
        made.close()


@pytest.fixture(scope="session")
def postgresql(
    worker_id: str, testrun_uid: str, lacking: Callable[[str], NoReturn]
) -> Iterator[_PostgreSQL]:
    """Makes databases in PostgreSQL, whatever the other tests run on."""
    url = POSTGRESQL or os.environ.get(
        "V6_TEST_POSTGRESQL", "postgresql://root@127.0.0.1:5432/root"
    )
    try:
        made = _PostgreSQL(url, f"v6p_{testrun_uid[:8]}_{worker_id}")
    except psycopg.OperationalError as error:
        lacking(f"there is no PostgreSQL at {url}: {error}")
    yield made
    made.close()


@contextmanager
def _application(databases: _SQLite | _PostgreSQL) -> Iterator[TestClient]:
    """A running application. Starting one takes longer than most tests: they share it."""
    app = Application(ServerConfig(uri=databases.prepared(), jwt_secret_key=SECRET))
    with TestClient(app, raise_server_exceptions=False) as http:
        yield http


@contextmanager
def _on_its_own_database(http: TestClient, databases: _SQLite | _PostgreSQL) -> Iterator[Server]:
    uri = databases.prepared()
    services = http.app.services
    names = ("config", "database", "presence", "limits", "payloads")
    before = {name: getattr(services, name) for name in names}
    with tempfile.TemporaryDirectory(prefix="v6-payloads-") as folder:
        yield Server(http, uri, Path(folder))
    services.database.close()
    for name, value in before.items():
        setattr(services, name, value)
    databases.discard(uri)


@pytest.fixture(scope="session")
def _applications(databases: _SQLite | _PostgreSQL) -> Iterator[tuple[TestClient, TestClient]]:
    with _application(databases) as one, _application(databases) as other:
        yield one, other


@pytest.fixture
def server(
    _applications: tuple[TestClient, TestClient], databases: _SQLite | _PostgreSQL
) -> Iterator[Server]:
    """A server as it is after its first start."""
    with _on_its_own_database(_applications[0], databases) as running:
        yield running


@pytest.fixture(scope="module")
def shared_server(
    _applications: tuple[TestClient, TestClient], databases: _SQLite | _PostgreSQL
) -> Iterator[Server]:
    """A server that the tests of a module share, to read from or to rehearse on."""
    with _on_its_own_database(_applications[1], databases) as running:
        yield running
