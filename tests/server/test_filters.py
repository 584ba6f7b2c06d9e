"""Every documented filter (``server.md`` 4): what it finds, and what it does not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import update

from vantage6.server.model.tables import Role, Run, Task, TaskDatabase

#: Path, filter, its value and what it finds; in both, names of things of `World`.
FILTERS = """
/user           username             yes-user                    yes_user
/user           username             yes%                        yes_user
/user           firstname            Ada                         yes_user
/user           firstname            A%                          yes_user
/user           lastname             Love%                       yes_user
/user           email                %@yes.example.org           yes_user
/user           organization_id      {yes_organization}          yes_user
/user           collaboration_id     {yes_collaboration}         yes_user
/user           role_id              {yes_role}                  yes_user
/user           rule_id              {rule}                      yes_user
/user           last_seen_from       2026-06-01T00:00:00         no_user
/user           last_seen_till       2026-06-01T00:00:00         yes_user
/organization   name                 yes                         yes_organization
/organization   name                 ye_                         yes_organization
/organization   country              NL                          yes_organization
/organization   collaboration_id     {yes_collaboration}         yes_organization
/organization   study_id             {yes_study}                 yes_organization
/organization   ids                  {yes_organization}          yes_organization
/organization   ids                  {yes_organization},{no_organization}  yes_organization,no_organization
/collaboration  name                 y%                          yes_collaboration
/collaboration  encrypted            True                        yes_collaboration
/collaboration  encrypted            1                           yes_collaboration
/collaboration  encrypted            true                        yes_collaboration
/collaboration  encrypted            False                       no_collaboration
/collaboration  encrypted            0                           no_collaboration
/collaboration  organization_id      {yes_organization}          yes_collaboration
/collaboration  algorithm_store_id   {yes_store}                 yes_collaboration
/collaboration  algorithm_store_id   {open_store}                yes_collaboration,no_collaboration
/study          name                 yes%                        yes_study
/study          organization_id      {yes_organization}          yes_study
/study          collaboration_id     {yes_collaboration}         yes_study
/node           organization_id      {yes_organization}          yes_node
/node           collaboration_id     {yes_collaboration}         yes_node
/node           study_id             {yes_study}                 yes_node
/node           status               online                      yes_node
/node           ip                   10.0.0.1                    yes_node
/node           name                 yes%                        yes_node
/node           last_seen_from       2026-06-01T00:00:00         no_node
/node           last_seen_till       2026-06-01T00:00:00         yes_node
/task           collaboration_id     {yes_collaboration}         yes_task,yes_subtask
/task           init_org_id          {yes_organization}          yes_task,yes_subtask
/task           init_user_id         {yes_user}                  yes_task,yes_subtask
/task           study_id             {yes_study}                 yes_task
/task           parent_id            {yes_task}                  yes_subtask
/task           job_id               7                           yes_task,yes_subtask
/task           name                 yes                         yes_task
/task           image                yes/%                       yes_task
/task           description          %because%                   yes_task
/task           status               active                      yes_task
/task           status               completed                   no_task,yes_subtask
/task           run_id               {yes_run}                   yes_task
/task           store_id             {yes_store}                 yes_task
/task           database             yes                         yes_task
/task           is_user_created      0                           yes_subtask
/task           is_user_created      1                           yes_task,no_task
/run            task_id              {yes_task}                  yes_run
/run            organization_id      {yes_organization}          yes_run,subtask_run
/run            node_id              {yes_node}                  yes_run,subtask_run
/run            collaboration_id     {yes_collaboration}         yes_run,subtask_run
/run            state                open                        yes_run
/run            state                whatever                    yes_run,no_run,subtask_run
/run            assigned_from        2026-06-01T00:00:00         no_run
/run            assigned_till        2026-06-01T00:00:00         yes_run,subtask_run
/run            started_from         2026-06-01T00:00:00         subtask_run,no_run
/run            started_till         2026-06-01T00:00:00         yes_run
/run            finished_from        2026-10-01T00:00:00         subtask_run,no_run
/run            finished_till        2026-11-15T00:00:00         subtask_run
/run            port                 8080                        yes_run
/role           name                 yes%                        yes_role
/role           name                 yes%&name=no%               yes_role,no_role
/role           description          %because%                   yes_role
/role           organization_id      {yes_organization}          yes_role
/role           organization_id      {yes_organization}&organization_id={no_organization}  yes_role,no_role
/role           organization_id      {yes_organization}&include_root=1  yes_role,root_role
/role           collaboration_id     {yes_collaboration}         yes_role
/role           collaboration_id     {yes_collaboration}&include_root=True  yes_role,root_role
/role           rule_id              {rule}                      yes_role,root_role
/role           user_id              {yes_user}                  yes_role
"""  # noqa: E501


def _cases() -> list[tuple[str, str, str]]:
    cases = []
    for line in FILTERS.strip().splitlines():
        path, name, value, found = line.split()
        cases.append((path, f"{name}={value.replace('%', '%25')}", found))
        if path == "/run":  # The contract: identical filters.
            cases.append(("/result", f"{name}={value}", found))
    return cases


class World:
    """Two of everything: what the filters mean, ``yes``, and what they do not."""

    def __init__(self, server: Any) -> None:
        self.ids: dict[str, int] = {
            "rule": server.rule("task VIEW OWN"),
            "root_role": server.default_role("Root"),
            "open_store": server.store(None),
        }
        self.caller = server.root()
        for word, status in (("yes", "active"), ("no", "completed")):
            self._add(server, word, status, meant=word == "yes")

    def _add(self, server: Any, word: str, status: str, *, meant: bool) -> None:
        seen = datetime(2026, 1 if meant else 12, 1)  # noqa: DTZ001
        organization = server.organization(word, country="NL" if meant else "BE")
        collaboration = server.collaboration(organization, name=word, encrypted=meant)
        study = server.study(collaboration, organization, name=word)
        role = server.role(organization, *["task VIEW OWN"] * meant, name=word)
        user = server.user(
            organization,
            *["task VIEW OWN"] * meant,
            roles=[role],
            username=f"{word}-user",
            email=f"user@{word}.example.org",
            firstname="Ada" if meant else "Eve",
            lastname="Lovelace" if meant else "Online",
            last_seen=seen,
        ).id
        node = server.node(
            organization,
            collaboration,
            name=word,
            last_seen=seen,
            status="online" if meant else "offline",
            ip="10.0.0.1" if meant else "10.0.0.2",
        ).id
        store = server.store(collaboration)
        task = server.task(
            collaboration,
            organization,
            user,
            runs={organization: status},
            name=word,
            study_id=study,
            algorithm_store_id=store,
            description="that is because it is so" if meant else "just so",
            job_id=7 if meant else 8,
        )
        [run] = server.runs(task)
        self._write(server, task, run, word, meant=meant)
        self.ids |= {
            f"{word}_organization": organization,
            f"{word}_collaboration": collaboration,
            f"{word}_study": study,
            f"{word}_role": role,
            f"{word}_user": user,
            f"{word}_node": node,
            f"{word}_store": store,
            f"{word}_task": task,
            f"{word}_run": run,
        }
        if meant:
            subtask = server.task(
                collaboration, organization, user, name="sub", parent_id=task, job_id=7
            )
            [subtask_run] = server.runs(subtask)
            self._date(server, subtask_run, (1, 1), (7, 1), (11, 1))
            self.ids |= {"yes_subtask": subtask, "subtask_run": subtask_run}

    def _write(self, server: Any, task: int, run: int, word: str, *, meant: bool) -> None:
        """What the fixtures have no argument for."""
        with server.services.database.write() as db:
            db.add(TaskDatabase(task_id=task, label=word))
            db.execute(update(Task).where(Task.id == task).values(image=f"{word}/image"))
            db.execute(
                update(Role)
                .where(Role.name == word)
                .values(description="because" if meant else "just so")
            )
        server.port(run, 8080 if meant else 9090)
        if meant:
            self._date(server, run, (1, 1), (1, 2), None)
        else:
            self._date(server, run, (12, 1), (12, 2), (12, 3))

    @staticmethod
    def _date(server: Any, run: int, *days: tuple[int, int] | None) -> None:
        """Assigned, started and finished in months so far apart that a wrong column is noticed."""
        names = ("assigned_at", "started_at", "finished_at")
        moments = (None if day is None else datetime(2026, *day) for day in days)  # noqa: DTZ001
        with server.services.database.write() as db:
            db.execute(
                update(Run).where(Run.id == run).values(dict(zip(names, moments, strict=True)))
            )

    def among(self, path: str) -> set[str]:
        """The names of what this list may show."""
        kind = {"/result": "run"}.get(path, path[1:])
        return {name for name in self.ids if name.endswith(kind)}


@pytest.fixture(scope="module")
def world(shared_server: Any) -> World:
    return World(shared_server)


@pytest.mark.parametrize(("path", "query", "found"), _cases())
def test_a_documented_filter_is_accepted_and_has_an_effect(
    world: World, path: str, query: str, found: str
) -> None:
    answer = world.caller.request("GET", f"{path}?{query.format(**world.ids)}&per_page=9999")
    assert answer.status_code == 200, answer.text
    ids = [item["id"] for item in answer.json()["data"]]
    names = world.among(path)
    assert {name for name in names if world.ids[name] in ids} == set(found.split(","))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("/user?role_id=999", 400),
        ("/user?rule_id=999", 400),
        ("/organization?study_id=999", 404),
        ("/collaboration?algorithm_store_id=999", 404),
        ("/task?init_user_id=999", 400),
        ("/task?study_id=999", 400),
        ("/task?parent_id=999", 400),
        ("/task?job_id=999", 400),
        ("/task?run_id=999", 400),
        ("/task?store_id=999", 400),
        ("/task?is_user_created=x", 400),
        ("/run?task_id=999", 400),
        ("/run?node_id=999", 400),
        ("/result?task_id=999", 400),
        ("/result?node_id=999", 400),
        ("/role?rule_id=999", 404),
        ("/role?user_id=999", 400),
    ],
)
def test_a_filter_by_what_does_not_exist_says_so(world: World, query: str, status: int) -> None:
    answer = world.caller.request("GET", query)
    assert (answer.status_code, isinstance(answer.json()["msg"], str)) == (status, True)


def test_runs_whose_organization_has_no_node_are_in_the_lists(server: Any) -> None:
    """In the reference they are not, though each can be read."""
    organization = server.organization()
    task = server.task(server.collaboration(organization), organization)
    for path in ("/run", "/result"):
        assert server.root().ids(path) == server.runs(task)
