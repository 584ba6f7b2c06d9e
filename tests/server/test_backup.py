"""Backing up and restoring, between both kinds of database."""

from __future__ import annotations

import json
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, text

from contents import contents, fill
from vantage6.server.administration.archive import ArchiveUnusable
from vantage6.server.administration.backup import NotEmpty, NothingThere, backup, restore
from vantage6.server.model.database import Database, DatabaseDamaged
from vantage6.server.model.schema import SchemaUnknown, migrate
from vantage6.server.model.tables import Collaboration, Counter, Organization, Payload
from vantage6.server.start import prepare

pytestmark = pytest.mark.timeout(300)

Open = Callable[[str], Database]


@pytest.fixture
def empty(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Database]]:
    """Open an empty database of a kind, 'sqlite' or 'postgresql'."""
    made: list[tuple[Database, Any, str]] = []

    def open_(kind: str) -> Database:
        if kind == "sqlite":
            maker: Any = None
            uri = f"sqlite:///{tmp_path / f'{len(made)}.sqlite'}"
        else:
            maker = request.getfixturevalue("postgresql")
            uri = maker.empty()
        database = Database(uri.replace("postgresql:", "postgresql+psycopg:"))
        made.append((database, maker, uri))
        return database

    yield open_
    for database, maker, uri in made:
        database.close()
        if maker is not None:
            maker.discard(uri)


@pytest.mark.parametrize(
    ("source", "target"),
    [(one, other) for one in ("sqlite", "postgresql") for other in ("sqlite", "postgresql")],
)
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_what_is_restored_is_what_was_backed_up(
    source: str, target: str, empty: Open, tmp_path: Path, data: st.DataObject
) -> None:
    one, other = empty(source), empty(target)
    migrate(one)
    with one.engine.begin() as connection:
        fill(connection, data.draw)
    file = tmp_path / "backup.zip"
    reported = backup(one, {}, file).rows
    restored = restore(other, {}, file, replace=False)
    assert contents(other) == contents(one)
    assert restored.rows == reported
    assert restored.notes == []
    one.close()
    other.close()


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
def test_ids_that_were_given_out_are_not_given_out_again(
    source: str, target: str, empty: Open, tmp_path: Path
) -> None:
    one, other = empty(source), empty(target)
    migrate(one)
    with one.write() as db:
        for name in ("a", "b", "c"):
            db.add(Organization(name=name))
        db.flush()
        db.execute(text("DELETE FROM organization WHERE name <> 'a'"))
    backup(one, {}, tmp_path / "backup.zip")
    restore(other, {}, tmp_path / "backup.zip", replace=False)
    with other.write() as db:
        new, first = Organization(name="d"), Collaboration(name="first")
        db.add_all([new, first])
        db.flush()
        assert (new.id, first.id) == (4, 1)


def test_a_task_may_come_before_its_parent(empty: Open, tmp_path: Path) -> None:
    one = empty("sqlite")
    migrate(one)
    with one.restructure() as connection:
        connection.execute(text("INSERT INTO organization (id, name) VALUES (1, 'o')"))
        connection.execute(text("INSERT INTO collaboration VALUES (1, 'c', 1)"))
        for id_, parent in ((1, 2), (2, None)):
            connection.execute(
                text(
                    "INSERT INTO task (id, name, description, image, collaboration_id, job_id, "
                    "parent_id, init_org_id, created_at, status, databases) VALUES (:id, '', '', "
                    "'i', 1, 1, :parent, 1, '2026-01-01 00:00:00', 'pending', '[]')"
                ),
                {"id": id_, "parent": parent},
            )
    backup(one, {}, tmp_path / "backup.zip")
    for kind in ("sqlite", "postgresql"):
        other = empty(kind)
        restore(other, {}, tmp_path / "backup.zip", replace=False)
        assert contents(other) == contents(one)
        # And foreign keys are enforced as before.
        with pytest.raises(Exception, match=r"(?i)foreign key"), other.write() as db:
            db.execute(text("UPDATE task SET parent_id = 77 WHERE id = 1"))


def test_a_backup_is_a_snapshot_while_others_write(empty: Open, tmp_path: Path) -> None:
    for kind in ("sqlite", "postgresql"):
        database, other = empty(kind), empty(kind)
        prepare(database)
        with database.write() as db:
            db.execute(insert(Counter), [{"name": name, "value": 0} for name in ("one", "two")])
            # Enough to be read for a while.
            db.add_all(Organization(name=f"organization {i}") for i in range(1000))
        done = threading.Event()

        def count(
            kind: str = kind, database: Database = database, done: threading.Event = done
        ) -> None:
            while not done.is_set():
                with database.write() as db:
                    db.execute(text("UPDATE counter SET value = value + 1 WHERE name = 'one'"))
                    db.execute(insert(Organization), {"name": f"{kind} {db.scalar(_COUNT)}"})
                    db.execute(text("UPDATE counter SET value = value + 1 WHERE name = 'two'"))

        writer = threading.Thread(target=count)
        writer.start()
        try:
            for number in range(2):
                backup(database, {}, tmp_path / f"{kind}{number}.zip")
        finally:
            done.set()
            writer.join()
        for number in range(2):
            restore(other, {}, tmp_path / f"{kind}{number}.zip", replace=True)
            with other.read() as db:
                values = {row.name: row.value for row in db.scalars(select(Counter))}
                assert values["one"] == values["two"]
                assert db.scalar(_COUNT) == 1001 + values["one"]
        with database.read() as db:
            assert db.scalar(select(Counter.value).where(Counter.name == "one")) > 0


_COUNT = select(func.count()).select_from(Organization)


def folders_of(root: Path) -> dict[str, Path]:
    return {"payloads": root / "payloads"}


def test_folders_come_along(empty: Open, tmp_path: Path) -> None:
    one, other = empty("sqlite"), empty("sqlite")
    prepare(one)
    here, there = folders_of(tmp_path / "here"), folders_of(tmp_path / "there")
    (here["payloads"] / "ab").mkdir(parents=True)
    large = bytes(range(256)) * 10_000
    (here["payloads"] / "ab" / "large").write_bytes(large)
    (here["payloads"] / ".half-written").write_bytes(b"?")
    report = backup(one, here, tmp_path / "b.zip")
    assert report.files == 1
    assert restore(other, there, tmp_path / "b.zip", replace=False).files == 1
    assert (there["payloads"] / "ab" / "large").read_bytes() == large
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["payloads"]
    # What is not in the backup goes, when it may.
    (there["payloads"] / "later").write_bytes(b"later")
    with pytest.raises(NotEmpty, match="payloads is not empty"):
        restore(other, there, tmp_path / "b.zip", replace=False)
    restore(other, there, tmp_path / "b.zip", replace=True)
    assert not (there["payloads"] / "later").exists()
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["payloads"]


def test_a_server_without_such_a_folder_is_backed_up_without(empty: Open, tmp_path: Path) -> None:
    one, other = empty("sqlite"), empty("sqlite")
    prepare(one)
    backup(one, folders_of(tmp_path / "nowhere"), tmp_path / "b.zip")
    restore(other, folders_of(tmp_path / "there"), tmp_path / "b.zip", replace=False)
    assert not (tmp_path / "there").exists()


def test_only_the_owner_may_read_a_backup(empty: Open, tmp_path: Path) -> None:
    database = empty("sqlite")
    prepare(database)
    backup(database, {}, tmp_path / "b.zip")
    for path in (tmp_path / "b.zip", Path(database.engine.url.database or "")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_backup_that_fails_leaves_the_older_one(
    empty: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = empty("sqlite")
    prepare(database)
    backup(database, {}, tmp_path / "b.zip")
    before = (tmp_path / "b.zip").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        backup(database, {}, tmp_path / "b.zip")
    assert (tmp_path / "b.zip").read_bytes() == before
    assert not list(tmp_path.glob(".b.zip*"))


def test_an_empty_database_is_not_backed_up(empty: Open, tmp_path: Path) -> None:
    with pytest.raises(NothingThere):
        backup(empty("sqlite"), {}, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


def test_a_damaged_database_is_not_backed_up(empty: Open, tmp_path: Path) -> None:
    database = empty("sqlite")
    migrate(database)
    with database.engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute(text("INSERT INTO member VALUES (5, 6)"))
        connection.commit()
    with pytest.raises(DatabaseDamaged, match="'member'"):
        backup(database, {}, tmp_path / "b.zip")


@pytest.fixture
def made(empty: Open, tmp_path: Path) -> Path:
    """A backup of a server."""
    database = empty("sqlite")
    prepare(database)
    backup(database, {}, tmp_path / "made.zip")
    return tmp_path / "made.zip"


def rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_damage_is_found_before_anything_is_touched(
    made: Path, empty: Open, tmp_path: Path
) -> None:
    target = empty("sqlite")
    prepare(target)
    before = contents(target)
    whole = made.read_bytes()

    def change_role(members: dict[str, bytes]) -> None:
        members["tables/role.jsonl"] = members["tables/role.jsonl"].replace(b"Viewer", b"Wiever")

    def lose_rules(members: dict[str, bytes]) -> None:
        del members["tables/rule.jsonl"]

    def slip_in(members: dict[str, bytes]) -> None:
        members["folders/../../etc/passwd"] = b"root"

    for change, words in (
        (change_role, "role.jsonl is not what was written"),
        (lose_rules, "does not hold what its manifest says"),
        (slip_in, "does not hold what its manifest says"),
    ):
        made.write_bytes(whole)
        rewrite(made, change)
        with pytest.raises(ArchiveUnusable, match=words):
            restore(target, {}, made, replace=True)
    for broken in (whole[: len(whole) // 2], b"", b"PK nonsense"):
        made.write_bytes(broken)
        with pytest.raises(ArchiveUnusable, match="not a backup, or is damaged"):
            restore(target, {}, made, replace=True)
    with zipfile.ZipFile(made.with_name("whole.zip"), "w") as archive:
        archive.writestr("something.txt", "else")
    with pytest.raises(ArchiveUnusable, match="not a backup of a server"):
        restore(target, {}, made.with_name("whole.zip"), replace=True)
    assert contents(target) == before


def test_a_backup_of_a_later_version_is_refused(made: Path, empty: Open) -> None:
    def later(key: str, value: Any) -> Callable[[dict[str, bytes]], None]:
        def change(members: dict[str, bytes]) -> None:
            manifest = json.loads(members["manifest.json"])
            members["manifest.json"] = json.dumps({**manifest, key: value}).encode()

        return change

    rewrite(made, later("revision", "9999"))
    with pytest.raises(ArchiveUnusable, match=r"schema 9999: this version .* is older"):
        restore(empty("sqlite"), {}, made, replace=False)
    rewrite(made, later("format", 2))
    with pytest.raises(ArchiveUnusable, match="has format 2, this version reads format 1"):
        restore(empty("sqlite"), {}, made, replace=False)


def test_a_restore_refuses_what_is_not_empty(made: Path, empty: Open) -> None:
    for kind in ("sqlite", "postgresql"):
        target = empty(kind)
        prepare(target)
        with target.write() as db:
            db.add(Organization(name="of today"))
        with pytest.raises(NotEmpty, match="--replace"):
            restore(target, {}, made, replace=False)
        with target.read() as db:
            assert db.scalar(_COUNT) == 2
        restore(target, {}, made, replace=True)
        with target.read() as db:
            assert db.scalars(select(Organization.name)).all() == ["root"]


def test_a_restore_leads_back_from_a_later_version(made: Path, empty: Open) -> None:
    for kind in ("sqlite", "postgresql"):
        target = empty(kind)
        prepare(target)
        with target.restructure() as connection:
            connection.execute(text("CREATE TABLE of_later (id INTEGER)"))
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(NotEmpty):
            restore(target, {}, made, replace=False)
        restore(target, {}, made, replace=True)
        prepare(target)
        assert "of_later" not in contents(target)


def test_tables_of_others_are_left_alone(made: Path, empty: Open) -> None:
    target = empty("sqlite")
    with target.restructure() as connection:
        connection.execute(text("CREATE TABLE precious (x INTEGER)"))
    with pytest.raises(SchemaUnknown, match=r"something else \(precious"):
        restore(target, {}, made, replace=True)
    with pytest.raises(SchemaUnknown, match="precious"):
        prepare(target)
    assert contents(target) == {"precious": []}


def test_a_restore_that_fails_changes_nothing(
    made: Path, empty: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("killed here")

    for kind in ("sqlite", "postgresql"):
        source, target = empty("sqlite"), empty(kind)
        folders = folders_of(tmp_path / kind)
        folders["payloads"].mkdir(parents=True)
        (folders["payloads"] / "old").write_bytes(b"old")
        prepare(source)
        backup(source, folders, tmp_path / "with.zip")
        prepare(target)
        with target.write() as db:
            db.add(Organization(name="of today"))
        (folders["payloads"] / "today").write_bytes(b"today")
        before = contents(target)
        with monkeypatch.context() as patch:
            patch.setattr(
                "vantage6.server.administration.backup._Staged.swap_in",
                _then(fail, "vantage6.server.administration.backup._Staged.swap_in"),
            )
            with pytest.raises(RuntimeError, match="killed here"):
                restore(target, folders, tmp_path / "with.zip", replace=True)
        assert contents(target) == before
        assert (folders["payloads"] / "today").read_bytes() == b"today"
        assert [path.name for path in (tmp_path / kind).iterdir()] == ["payloads"]


def _then(action: Callable[..., None], name: str) -> Callable[..., None]:
    """A method that does what it does, and then something else."""
    from vantage6.server.administration.backup import _Staged

    original = getattr(_Staged, name.rpartition(".")[2])

    def both(self: Any) -> None:
        original(self)
        action()

    return both


def test_a_character_that_postgresql_lacks_is_replaced_and_told(
    empty: Open, tmp_path: Path
) -> None:
    one, other = empty("sqlite"), empty("postgresql")
    migrate(one)
    with one.restructure() as connection:
        connection.execute(insert(Organization), {"id": 1, "name": "before\0after"})
    backup(one, {}, tmp_path / "b.zip")
    report = restore(other, {}, tmp_path / "b.zip", replace=False)
    assert contents(other)["organization"][0]["name"] == "before\ufffdafter"
    assert report.notes[0].startswith("1 texts of 'organization' held the character NUL")


def test_large_payloads_do_not_fill_the_memory(empty: Open, tmp_path: Path) -> None:
    import tracemalloc

    one, other = empty("sqlite"), empty("sqlite")
    migrate(one)
    with one.restructure() as connection:
        connection.execute(insert(Organization), {"id": 1, "name": "o"})
        connection.execute(insert(Collaboration), {"id": 1, "name": "c", "encrypted": True})
        connection.execute(
            text(
                "INSERT INTO task (id, name, description, image, collaboration_id, job_id, "
                "init_org_id, created_at, status, databases) VALUES (1, '', '', 'i', 1, 1, 1, "
                "'2026-01-01 00:00:00', 'pending', '[]')"
            )
        )
        for id_ in range(1, 81):
            connection.execute(
                text(
                    "INSERT INTO run (id, task_id, organization_id, assigned_at, status) "
                    "VALUES (:id, 1, 1, '2026-01-01 00:00:00', 'pending')"
                ),
                {"id": id_},
            )
            connection.execute(insert(Payload), {"run_id": id_, "input": "x" * 1_000_000})
    tracemalloc.start()
    backup(one, {}, tmp_path / "b.zip")
    restore(other, {}, tmp_path / "b.zip", replace=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50_000_000
