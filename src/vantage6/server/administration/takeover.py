"""The rows of a reference server's database as rows of ours.

The reference has no foreign keys that cascade, so it may hold rows that belong to nothing; these
are left out, and the report says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, MetaData, String, Table, func, select

from vantage6.common.task_status import TaskStatus, task_status
from vantage6.server.administration import rows
from vantage6.server.administration.backup import Report
from vantage6.server.auth.passwords import is_bcrypt
from vantage6.server.auth.rules import BOOK, DEFAULT_ROLES
from vantage6.server.model.blobs import USED, is_blob
from vantage6.server.model.tables import Base

_NEEDED = {"authenticatable", "user", "node", "organization", "collaboration", "Member", "role"}
_NEEDED |= {"rule", "role_rule_association", "Permission", "UserPermission", "task", "run"}
# No hash: nobody logs in with it.
_NO_PASSWORD = "!"  # noqa: S105
_LONG_AGO = datetime(1970, 1, 1)  # noqa: DTZ001 (UTC without a zone, as all times in the database)


class SourceUnusable(Exception):
    """What is to be taken over cannot be; the message says why."""


class Takeover:
    """Reads the source's tables as rows of ours."""

    def __init__(self, source: Connection) -> None:
        self._source = source
        there = MetaData()
        there.reflect(source)
        self._tables = there.tables
        if "alembic_version" in self._tables:
            raise SourceUnusable("This is no reference server's database: use backup and restore")
        missing = _NEEDED - set(self._tables)
        if missing:
            raise SourceUnusable(
                "This is not the database of a vantage6 4 server: it has no table "
                + ", ".join(f"'{name}'" for name in sorted(missing))
            )
        self.targets: dict[str, Table] = dict(Base.metadata.tables)
        self.report = Report()
        self._ids: dict[str, set[int]] = {}
        self._rule: dict[int, int] = {}
        self._states = self._task_states()
        self._last_job = 0

    def content(self) -> Iterator[tuple[Table, Iterable[rows.Row]]]:
        """Our tables, those that are referred to first, with their rows."""
        readers: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
            "organization": self._organizations,
            "collaboration": self._collaborations,
            "member": lambda: self._links("Member", "organization", "collaboration"),
            "study": self._studies,
            "study_member": lambda: self._links("StudyMember", "organization", "study"),
            "rule": self._rules,
            "role": self._roles,
            "role_rule": lambda: self._links("role_rule_association", "role", "rule"),
            "authenticatable": self._authenticatables,
            "user": self._users,
            "node": self._nodes,
            "user_role": lambda: self._links("Permission", "role", "user"),
            "user_rule": lambda: self._links("UserPermission", "rule", "user"),
            "algorithm_store": self._stores,
            "task": self._tasks,
            "task_database": self._labels,
            "run": self._runs,
            "payload": self._payloads,
            "blob": self._blobs,
            "attachment": self._attachments,
            "algorithm_port": self._ports,
            "counter": lambda: iter([{"name": "job", "value": self._last_job}]),
        }
        for name, reader in readers.items():
            if name in self.targets:
                yield self.targets[name], self._counted(name, reader())
            elif left := sum(1 for _ in reader()):
                self._note(left, f"rows of '{name}', which this version has no table for")

    def given_ids(self) -> dict[str, int]:
        """The highest ids, also of rows that were left out."""
        # Of the reference's table the highest id, by the name that it has here.
        names = {name: name for name in ("authenticatable", "organization", "collaboration")}
        names |= {name: name for name in ("role", "study", "task", "run")}
        names |= {"algorithm_store": "algorithmstore", "algorithm_port": "algorithmport"}
        return {
            ours: self._source.scalar(select(func.max(self._tables[theirs].c.id))) or 0
            for ours, theirs in names.items()
            if theirs in self._tables
        }

    def _counted(self, name: str, content: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        self.report.rows[name] = 0
        target = self.targets[name]
        for row in content:
            self.report.rows[name] += 1
            yield self._fit(target, row)

    def _fit(self, target: Table, row: dict[str, Any]) -> dict[str, Any]:
        """Make a row fit: the reference does not limit the length of its texts."""
        row = {column.name: row[column.name] for column in target.columns if column.name in row}
        for column in target.columns:
            length = column.type.length if isinstance(column.type, String) else None
            value = row.get(column.name)
            if not length or value is None or len(value) <= length:
                continue
            if column.unique:
                raise SourceUnusable(
                    f"{target.name} id={row['id']}: '{column.name}' has {len(value)} characters, at"
                    f" most {length} are possible: shorten it at the old server first"
                )
            self.report.notes.append(f"{target.name} id={row.get('id')}: '{column.name}' was cut")
            row[column.name] = value[:length]
        return row

    def _note(self, number: int, what: str) -> None:
        if number:
            self.report.notes.append(f"Left out: {number} {what}")

    def _read(self, name: str) -> Iterator[dict[str, Any]]:
        """All rows of a table of the source, by id; none if an older version lacks the table."""
        table = self._tables.get(name)
        if table is None:
            return
        order = [table.c.id] if "id" in table.c else []
        with self._source.execution_options(yield_per=32).execute(
            select(table).order_by(*order)
        ) as found:
            for row in found.mappings():
                yield {key: _naive(value) for key, value in row.items()}

    def _keep(self, name: str, id_: int) -> None:
        self._ids.setdefault(name, set()).add(id_)

    def _known(self, name: str, id_: int | None) -> int | None:
        """An id, if what it refers to has been taken over."""
        return id_ if id_ in self._ids.get(name, ()) else None

    def _belonging(
        self, name: str, owners: Mapping[str, str], source: Iterable[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        """The rows whose owners, by column, are there."""
        lost = 0
        for row in source:
            if all(self._known(owner, row[column]) for column, owner in owners.items()):
                self._keep(name, row["id"])
                yield row
            else:
                lost += 1
        self._note(lost, f"of '{name}' without {' or '.join(owners.values())}")

    def _links(self, source: str, one: str, other: str) -> Iterator[dict[str, Any]]:
        names = (f"{one}_id", f"{other}_id")
        seen: set[tuple[int, int]] = set()
        lost = 0
        for row in self._read(source):
            ids = [
                self._rule.get(row[name]) if name == "rule_id" else self._known(of, row[name])
                for name, of in zip(names, (one, other), strict=True)
            ]
            if ids[0] is None or ids[1] is None:
                lost += 1
            elif (ids[0], ids[1]) not in seen:
                seen.add((ids[0], ids[1]))
                yield dict(zip(names, ids, strict=True))
        self._note(lost, f"links of '{source}' to something that is not there")

    def _organizations(self) -> Iterator[dict[str, Any]]:
        for row in self._read("organization"):
            self._keep("organization", row["id"])
            row["public_key"] = row.pop("_public_key") or None
            yield {**row, "name": row["name"] or f"organization {row['id']}"}

    def _collaborations(self) -> Iterator[dict[str, Any]]:
        for row in self._read("collaboration"):
            self._keep("collaboration", row["id"])
            encrypted = True if row["encrypted"] is None else row["encrypted"]
            name = row["name"] or f"collaboration {row['id']}"
            yield {"id": row["id"], "name": name, "encrypted": encrypted}

    def _studies(self) -> Iterator[dict[str, Any]]:
        owners = {"collaboration_id": "collaboration"}
        for row in self._belonging("study", owners, self._read("study")):
            yield {**row, "name": row["name"] or f"study {row['id']}"}

    def _rules(self) -> Iterator[dict[str, Any]]:
        described = {
            (item.rule.resource, item.rule.operation.name, item.rule.scope.name): item.description
            for item in BOOK
        }
        first: dict[tuple[str, str, str], int] = {}
        unknown = 0
        for row in self._read("rule"):
            key = (row["name"], row["operation"], row["scope"])
            if key not in described:
                unknown += 1
                continue
            self._rule[row["id"]] = first.setdefault(key, row["id"])
            if first[key] == row["id"]:
                yield {**row, "description": described[key]}
        self._note(unknown, "rules that 4.15 does not have")

    def _roles(self) -> Iterator[dict[str, Any]]:
        default = {role.name for role in DEFAULT_ROLES}
        lost = 0
        for row in self._read("role"):
            organization = row["organization_id"]
            if organization is not None and self._known("organization", organization) is None:
                lost += 1
                continue
            self._keep("role", row["id"])
            marked = row.get("is_default_role")
            if marked is None:
                marked = organization is None and row["name"] in default
            yield {**row, "name": row["name"] or "", "is_default_role": marked}
        self._note(lost, "roles of organizations that are not there")

    def _authenticatables(self) -> Iterator[dict[str, Any]]:
        organizations = self._ids.get("organization", set())
        for name in ("user", "node"):
            table = self._tables[name]
            for id_, organization in self._source.execute(
                select(table.c.id, table.c.organization_id)
            ):
                if organization in organizations:
                    self._keep(name, id_)
        lost = 0
        for row in self._read("authenticatable"):
            if self._known(row["type"], row["id"]) is None:
                lost += 1
                continue
            # Nobody is connected to this server yet.
            yield {**row, "status": row["status"] and "offline"}
        self._note(lost, "users or nodes without organization")

    def _users(self) -> Iterator[dict[str, Any]]:
        for row in self._read("user"):
            if self._known("user", row["id"]) is not None:
                attempts = row["failed_login_attempts"] or 0
                yield {
                    **row,
                    "password": row["password"] or _NO_PASSWORD,
                    "failed_login_attempts": attempts,
                }

    def _nodes(self) -> Iterator[dict[str, Any]]:
        table, identity = self._tables["node"], self._tables["authenticatable"]
        # Of two nodes for one place the one seen last is the real one.
        order = select(table, identity.c.last_seen).join(identity, identity.c.id == table.c.id)
        nodes = [dict(row) for row in self._source.execute(order).mappings()]
        nodes.sort(key=lambda row: (str(row["last_seen"] or ""), row["id"]), reverse=True)
        places: set[tuple[int, int]] = set()
        chosen = {}
        for row in nodes:
            collaboration = self._known("collaboration", row["collaboration_id"])
            place = (row["organization_id"], collaboration or -row["id"])
            if place in places:
                self.report.notes.append(
                    f"Node id={row['id']} is now in no collaboration: organization "
                    f"id={place[0]} had two nodes in collaboration id={collaboration}"
                )
                collaboration = None
            places.add(place)
            chosen[row["id"]] = collaboration
        for row in sorted(nodes, key=lambda row: row["id"]):
            if self._known("node", row["id"]) is None:
                continue
            key = row["api_key"] or ""
            if not is_bcrypt(key):
                key = f"{_NO_PASSWORD}{row['id']}"
                self.report.notes.append(f"Node id={row['id']} has no API key: give it a new one")
            yield {
                "id": row["id"],
                "name": row["name"] or f"node {row['id']}",
                "api_key_hash": key,
                "collaboration_id": chosen[row["id"]],
                "organization_id": row["organization_id"],
                "config": [],
            }

    def _stores(self) -> Iterator[dict[str, Any]]:
        linked: set[tuple[str, int | None]] = set()
        for row in self._read("algorithmstore"):
            collaboration = row["collaboration_id"]
            link = (row["url"], collaboration)
            if collaboration is not None and self._known("collaboration", collaboration) is None:
                self._note(1, f"link to the store {row['url']} of no collaboration")
            elif link in linked:
                self._note(1, f"second link to the store {row['url']}")
            else:
                linked.add(link)
                self._keep("algorithm_store", row["id"])
                yield row

    def _task_states(self) -> dict[int, list[tuple[str | None, datetime | None]]]:
        run = self._tables["run"]
        states: dict[int, list[tuple[str | None, datetime | None]]] = {}
        for task, status, finished_at in self._source.execute(
            select(run.c.task_id, run.c.status, func.max(run.c.finished_at)).group_by(
                run.c.task_id, run.c.status
            )
        ):
            states.setdefault(task, []).append((status, _naive(finished_at)))
        return states

    def _tasks(self) -> Iterator[dict[str, Any]]:
        databases = self._databases()
        owners = {"collaboration_id": "collaboration", "init_org_id": "organization"}
        for row in self._belonging("task", owners, self._read("task")):
            runs = self._states.get(row["id"], [])
            status = task_status(_status(state) for state, _ in runs)
            finished_at = max((at for _, at in runs if at), default=None)
            self._last_job = max(self._last_job, row["job_id"] or 0)
            task = {
                **row,
                "name": row["name"] or "",
                "description": row["description"] or "",
                "image": row["image"] or "",
                "study_id": self._known("study", row.get("study_id")),
                "job_id": row["job_id"] or 0,
                "parent_id": self._known("task", row["parent_id"]),
                "init_user_id": self._known("user", row["init_user_id"]),
                "created_at": row["created_at"]
                or datetime.fromtimestamp(0, UTC).replace(tzinfo=None),
                "status": status,
                "finished_at": finished_at if status == TaskStatus.COMPLETED else None,
                "databases": databases.get(row["id"], []),
            }
            store = task.pop("algorithm_store_id", None)
            if "algorithm_store_id" in self.targets["task"].c:
                task["algorithm_store_id"] = self._known("algorithm_store", store)
            yield task

    def _databases(self) -> dict[int, list[dict[str, Any]]]:
        found: dict[int, list[dict[str, Any]]] = {}
        for row in self._read("taskdatabase"):
            parameters = json.loads(row["parameters"] or "{}")
            database = {"label": row["database"] or "", "parameters": parameters}
            found.setdefault(row["task_id"], []).append(database)
        return found

    def _labels(self) -> Iterator[dict[str, Any]]:
        labels = {
            (row["task_id"], row["database"])
            for row in self._read("taskdatabase")
            if row["database"] and self._known("task", row["task_id"])
        }
        for task, label in sorted(labels):
            yield {"task_id": task, "label": label}

    def _runs(self) -> Iterator[dict[str, Any]]:
        owners = {"task_id": "task", "organization_id": "organization"}
        elsewhere = 0
        for row in self._belonging("run", owners, self._read_runs()):
            elsewhere += bool(row.get("blob_storage_used"))
            yield {
                **row,
                "assigned_at": row["assigned_at"] or row["started_at"] or _LONG_AGO,
                "status": _status(row["status"]),
            }
        if elsewhere:
            self.report.notes.append(
                f"{elsewhere} runs have their payloads in the old server's blob store: configure "
                "the same large_result_store here"
            )

    def _read_runs(self) -> Iterator[dict[str, Any]]:
        """Runs without what may be large."""
        table = self._tables["run"]
        columns = [c for c in table.c if c.name not in ("input", "result", "log")]
        statement = select(*columns).order_by(table.c.id)
        streaming = self._source.execution_options(yield_per=1000)
        for row in streaming.execute(statement).mappings():
            yield {key: _naive(value) for key, value in row.items()}

    def _payloads(self) -> Iterator[dict[str, Any]]:
        for row in self._read("run"):
            if self._known("run", row["id"]) is not None:
                yield {
                    "run_id": row["id"],
                    "input": row["input"] or "",
                    "result": row["result"],
                    "log": row["log"],
                }

    def _blobs(self) -> Iterator[dict[str, Any]]:
        for name in sorted({name for _, name in self._uploads()}):
            yield {"id": name, "owner": "import", "state": USED, "created_at": _LONG_AGO}

    def _attachments(self) -> Iterator[dict[str, Any]]:
        for run_id, name in sorted(set(self._uploads())):
            yield {"run_id": run_id, "blob_id": name}

    def _uploads(self) -> Iterator[tuple[int, str]]:
        """Ids of runs with what they have in the blob store."""
        table = self._tables["run"]
        if "blob_storage_used" not in table.c:
            return
        statement = select(table.c.id, table.c.input, table.c.result)
        for row in self._source.execute(statement.where(table.c.blob_storage_used)):
            if self._known("run", row.id) is not None:
                yield from ((row.id, text) for text in (row.input, row.result) if is_blob(text))

    def _ports(self) -> Iterator[dict[str, Any]]:
        for row in self._read("algorithmport"):
            if self._known("run", row["run_id"]) is not None:
                yield row


def _status(status: str | None) -> str:
    known = set(TaskStatus)
    return status if status in known else TaskStatus.UNKNOWN_ERROR.value


def _naive(value: Any) -> Any:
    """Times as we store them: UTC, without a zone."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value
