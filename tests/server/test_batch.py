"""The batch import file."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select, text
from starlette.testclient import TestClient

from contents import contents
from vantage6.server.administration.batch import import_batch
from vantage6.server.administration.document import Document, DocumentError
from vantage6.server.app import Application
from vantage6.server.config import ServerConfig
from vantage6.server.model.database import Database
from vantage6.server.model.tables import Node, Organization, Payload, Role, Run, Task, User

FILE = """
organizations:
  - name: org_1
    domain: example.org
    address1: Street 1
    address2:
    zipcode: 0123
    country: Nowhere
    public_key: aGVsbG8=
    users:
      - {username: dev_admin, firstname: a, lastname: b, password: 0815, email: a@b.nl}
      - {username: other, password: p}
  - name: org_2
    domain:
    address1:
    address2:
    zipcode:
    country:
    public_key:
collaborations:
  - name: demo
    encrypted: false
    comment: other keys are ignored
    participants:
      - {name: org_1, api_key: 123e4567-e89b-12d3-a456-426614174000}
      - {name: org_2, api_key: 123e4567-e89b-12d3-a456-426614174001}
    tasks: ["hello-world", "average"]
  - name: other
    participants:
      - {name: org_2, api_key: 123e4567-e89b-12d3-a456-426614174002}
"""


@pytest.fixture
def database(databases: Any) -> Iterator[Database]:
    """An empty database."""
    uri = databases.empty()
    made = Database(uri.replace("postgresql://", "postgresql+psycopg://"))
    yield made
    made.close()
    databases.discard(uri)


def test_an_empty_database_gets_what_the_file_says(database: Database) -> None:
    done = import_batch(database, FILE, drop_all=False)
    assert (done.organizations, done.users, done.collaborations, done.nodes, done.tasks) == (
        (2, 2, 2, 3, 2)
    )
    with database.read() as db:
        assert db.execute(
            select(Organization.id, Organization.name, Organization.zipcode)
        ).all() == [
            (1, "org_1", "0123"),
            (2, "org_2", None),
        ]
        assert db.scalars(select(Organization.public_key)).all() == [b"hello", None]
        assert db.execute(select(Node.name, Node.status).order_by(Node.id)).all() == [
            ("org_1 - demo Node", None),
            ("org_2 - demo Node", None),
            ("org_2 - other Node", None),
        ]
        assert db.scalar(select(func.count()).where(Role.name == "super")) == 2
        tasks = db.scalars(select(Task).order_by(Task.id)).all()
        assert [(t.name, t.image, t.init_org_id, t.status) for t in tasks] == [
            ("Example task", "hello-world", 1, "pending"),
            ("Example task", "average", 1, "pending"),
        ]
        assert len({task.job_id for task in tasks}) == 2
        assert {task.init_user_id for task in tasks} == {db.scalar(select(func.min(User.id)))}
        assert db.scalar(select(func.count()).select_from(Run)) == 4
        assert set(db.scalars(select(Payload.input))) == {"eyJhIjogImIifQ=="}


def test_the_server_then_knows_them_all(database: Database, tmp_path: Any) -> None:
    import_batch(database, FILE, drop_all=False)
    uri = database.engine.url.render_as_string(hide_password=False)
    with TestClient(Application(ServerConfig(uri=uri))) as http:
        answer = http.post("/api/token/user", json={"username": "dev_admin", "password": "0815"})
        assert answer.status_code == 200
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        # A role with all rules.
        made = http.post("/api/organization", headers=headers, json={"name": "third"})
        assert made.status_code == 201
        names = [o["name"] for o in http.get("/api/organization", headers=headers).json()["data"]]
        assert names == ["org_1", "org_2", "root", "third"]
        key = {"api_key": "123e4567-e89b-12d3-a456-426614174002"}
        assert http.post("/api/token/node", json=key).status_code == 200


def problems_of(database: Database, file: str, *, drop_all: bool = False) -> list[str]:
    with pytest.raises(DocumentError) as problem:
        import_batch(database, file, drop_all=drop_all)
    return str(problem.value).splitlines()


def test_importing_twice_names_everything_that_is_there_already(database: Database) -> None:
    import_batch(database, FILE, drop_all=False)
    before = contents(database)
    problems = problems_of(database, FILE)
    assert "line 3, organizations[0].name: an organization 'org_1' exists already" in problems
    assert any("a user 'dev_admin' exists already" in line for line in problems)
    assert any("a collaboration 'demo' exists already" in line for line in problems)
    assert contents(database) == before


def test_drop_all_starts_anew(database: Database) -> None:
    import_batch(database, FILE, drop_all=False)
    with database.write() as db:
        db.add(Organization(name="made since"))
    import_batch(database, FILE, drop_all=True)
    with database.read() as db:
        assert db.scalars(select(Organization.name).order_by(Organization.id)).all() == [
            "org_1",
            "org_2",
        ]


def test_drop_all_drops_nothing_for_a_file_that_is_wrong(database: Database) -> None:
    import_batch(database, FILE, drop_all=False)
    before = contents(database)
    for wrong in (
        FILE.replace("name: org_2, api", "name: org_3, api"),
        FILE.replace("123e4567", "x"),
        "organizations: [",
    ):
        problems_of(database, wrong, drop_all=True)
        assert contents(database) == before


def test_a_failure_half_way_leaves_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("vantage6.server.administration.batch.add_task", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        import_batch(database, FILE, drop_all=False)
    assert contents(database) == {}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("    domain: example.org\n", "", "line 3, organizations[0].domain: is missing"),
        ("name: org_2\n", "name:\n", "organizations[1].name: Input should be a valid string"),
        ("aGVsbG8=", "no base64!", "line 9, organizations[0].public_key: must be base64"),
        ("firstname: a", "fistname: a", "users[0].fistname: is not a key of the import file"),
        ("password: p", "password:", "line 12, organizations[0].users[1].password: Input should"),
        (
            "426614174001",
            "42661417400X",
            "line 26, collaborations[0].participants[1].api_key: must",
        ),
        ("123e4567-e89b-12d3-a456-426614174002", "123E4567-E89B-12D3-A456-426614174002", "lower"),
        (
            "426614174001",
            "426614174000",
            "participants[1].api_key: a node with this API key exists",
        ),
        (
            "username: other",
            "username: dev_admin",
            "line 12, organizations[0].users[1].username: a",
        ),
        (
            "name: other\n",
            "name: demo\n",
            "line 28, collaborations[1].name: a collaboration 'demo'",
        ),
        ("encrypted: false", "encrypted: maybe", "line 22, collaborations[0].encrypted: "),
        ("    encrypted: false\n", "    name: again\n", "line 22: the key 'name' occurs twice"),
        ("collaborations:", "colaborations:", "line 20, colaborations: is not a key"),
        ("name: org_1, api_key", "name: nobody, api_key", "there is no organization 'nobody'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    database: Database, old: str, new: str, problem: str
) -> None:
    assert old in FILE
    problems = problems_of(database, FILE.replace(old, new, 1))
    assert any(problem in line for line in problems), problems
    assert contents(database) == {}


def test_tasks_need_somebody_who_takes_part_and_somebody_who_made_them(
    database: Database,
) -> None:
    alone = textwrap.dedent("""
        organizations: []
        collaborations:
          - name: demo
            tasks: [hello-world]
    """)
    assert problems_of(database, alone) == [
        "line 5, collaborations[0].tasks: a collaboration without participants has no tasks",
        "tasks need a user who created them, and there is none",
    ]
    assert contents(database) == {}


@pytest.mark.parametrize(
    "nonsense", ["", "[1, 2", "- a\n- b", "word", "a: &x [*x]", "\x00", "? [a]\n: b", "{a: {b: 1}}"]
)
def test_nonsense_is_refused_or_empty(database: Database, nonsense: str) -> None:
    if nonsense == "":
        assert import_batch(database, nonsense, drop_all=False).organizations == 0
    else:
        assert problems_of(database, nonsense)


def test_a_document_takes_scalars_literally() -> None:
    document = Document(
        textwrap.dedent("""
            octal: 0123
            number: 1_000
            day: 2026-01-01
            yes: yes
            nothing:
            quoted: "null"
        """)
    )
    assert document.content == {
        "octal": "0123",
        "number": "1_000",
        "day": "2026-01-01",
        "yes": True,
        "nothing": None,
        "quoted": "null",
    }


def test_tables_of_a_reference_server_are_not_dropped(database: Database) -> None:
    with database.restructure() as connection:
        connection.execute(text("CREATE TABLE authenticatable (id INTEGER)"))
    with pytest.raises(ValueError, match="import-database"):
        import_batch(database, FILE, drop_all=True)
    assert list(contents(database)) == ["authenticatable"]
