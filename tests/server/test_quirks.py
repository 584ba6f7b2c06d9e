"""The quirks of the reference server that the contract says not to repeat: ``server.md`` 12.

Each number is tested here, by ``test_quirk_<number>…``, or by the test that `ELSEWHERE` names.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from vantage6.server.model.tables import (
    Organization,
    Payload,
    Run,
    Task,
    TaskDatabase,
    User,
    user_role,
)
from vantage6.server.start import prepare
from vantage6.web.responses import utc_now

ELSEWHERE = """
2   test_token_kinds.py      test_a_route_is_open_to_the_kinds_of_token_of_the_contract
3   test_role.py             test_a_bad_body_is_told_like_everywhere_else
4   test_collaboration.py    test_creating_answers_200_and_drops_unknown_organizations
5   test_published_faults.py test_nobody_is_shown_the_secret_of_anybodys_one_time_codes
6   test_filters.py          test_a_documented_filter_is_accepted_and_has_an_effect
7   test_filters.py          test_a_documented_filter_is_accepted_and_has_an_effect
8   test_filters.py          test_a_documented_filter_is_accepted_and_has_an_effect
9   test_lists.py            test_the_default_order_is_newest_first_for_tasks_and_oldest_first_elsewhere
11  test_run.py              test_every_form_of_iso_time_is_read_as_utc
14  test_algorithm_store.py  test_deleting_a_collaboration_deletes_its_links_and_does_not_open_them_to_all
15  test_sockets_contract.py test_all_of_a_node_is_killed_without_a_list
16  test_port.py             test_there_is_no_vpn_and_the_server_says_so
17  test_recovery.py         test_a_second_mail_goes_out_only_after_the_interval
18  test_recovery.py         test_a_token_works_once
18  test_recovery.py         test_a_token_opens_nothing_but_what_it_is_for
20  test_organization.py     test_lists_are_filtered_by_name_country_and_ids
21  test_lists.py            test_a_bad_page_size_or_field_is_refused_by_name
22  test_user.py             test_names_of_a_new_user_are_optional
23  test_role.py             test_null_means_unchanged_as_the_client_sends_it
23  test_algorithm_store.py  test_the_collaboration_may_come_as_the_clients_send_it
23  test_recovery.py         test_a_lost_second_factor_is_set_up_anew
24  test_collaboration.py    test_lists_are_filtered_by_name_encryption_and_organization
25  test_token_kinds.py      test_a_node_and_a_container_see_tasks_runs_and_results_of_their_collaboration
26  test_batch.py            test_drop_all_starts_anew
"""  # noqa: E501


def test_every_quirk_of_the_index_is_tested_here_or_elsewhere() -> None:
    here = {int(found[1]) for name in globals() if (found := re.match(r"test_quirk_(\d+)_", name))}
    named = [line.split() for line in ELSEWHERE.strip().splitlines()]
    for _, file, test in named:
        assert f"def {test}(" in (Path(__file__).parent / file).read_text(), (file, test)
    assert here | {int(number) for number, *_ in named} == set(range(1, 29))


def count(server: Any, *tables: Any) -> list[int]:
    """How many rows each table has."""
    return [server.rows(select(func.count()).select_from(table))[0] for table in tables]


@pytest.mark.parametrize("no", ["False", "false", "0", ""])
@pytest.mark.parametrize("path", ["organization", "collaboration", "study", "user", "role"])
def test_quirk_01_delete_dependents_is_read_as_a_boolean(
    shared_server: Any, path: str, no: str
) -> None:
    server = shared_server
    organization = server.organization()
    collaboration = server.collaboration(organization)
    study = server.study(collaboration, organization)
    role = server.role(organization)
    user = server.user(organization, roles=[role]).id
    server.task(collaboration, organization, user, study_id=study)
    ids = {
        "organization": organization,
        "collaboration": collaboration,
        "study": study,
        "user": user,
        "role": role,
    }
    root = server.root()
    answer = root.delete(f"/{path}/{ids[path]}", params={"delete_dependents": no})
    assert answer.status_code == 400
    assert "delete_dependents" in answer.json()["msg"]
    assert root.get(f"/{path}/{ids[path]}").status_code == 200


def test_quirk_10_what_a_patch_of_a_run_leaves_out_stays(server: Any) -> None:
    organization = server.organization()
    collaboration = server.collaboration(organization)
    node = server.node(organization, collaboration)
    [run] = server.runs(server.task(collaboration, organization, runs={organization: "active"}))
    end = "2026-01-31T12:00:00"
    for change in ({"result": "e30=", "log": "log"}, {"finished_at": end}, {"status": "completed"}):
        node.patch(f"/run/{run}", **change)
    shown = node.get(f"/run/{run}").json()
    assert (shown["log"], shown["finished_at"][:19]) == ("log", end)
    assert node.get(f"/result/{run}").json()["result"] == "e30="


def test_quirk_12_a_run_is_assigned_when_it_is_created(server: Any) -> None:
    organization = server.organization()
    collaboration = server.collaboration(organization)
    server.node(organization, collaboration)
    before = utc_now()
    task = server.root(organization).post(
        "/task",
        name="task",
        image="image",
        collaboration_id=collaboration,
        organizations=[{"id": organization, "input": "e30="}],
    )
    assert task.status_code == 201, task.text
    [assigned] = server.rows(select(Run.assigned_at))
    # A clock that is read in whole milliseconds somewhere may be that much behind.
    assert before - timedelta(milliseconds=1) <= assigned <= utc_now()


@pytest.mark.parametrize("path", ["task", "user", "study", "collaboration", "organization"])
def test_quirk_13_deleting_leaves_no_orphans_of_tasks(server: Any, path: str) -> None:
    organization = server.organization()
    collaboration = server.collaboration(organization)
    study = server.study(collaboration, organization)
    user = server.user(organization).id
    task = server.task(collaboration, organization, user, study_id=study)
    server.task(collaboration, organization, user, study_id=study, parent_id=task)
    with server.services.database.write() as db:
        db.add(TaskDatabase(task_id=task, label="default"))
    ids = {
        "task": task,
        "user": user,
        "study": study,
        "collaboration": collaboration,
        "organization": organization,
    }
    params = {} if path == "task" else {"delete_dependents": "True"}
    answer = server.root().delete(f"/{path}/{ids[path]}", params=params)
    assert answer.status_code == 200, answer.text
    assert count(server, Task, Run, Payload, TaskDatabase) == [0, 0, 0, 0]


@pytest.mark.parametrize("scope", ["GLOBAL", "COLLABORATION", "ORGANIZATION", "OWN"])
def test_quirk_19_lists_of_runs_go_by_who_executes_only_with_the_scope_of_an_organization(
    server: Any, scope: str
) -> None:
    """There the contract keeps the two apart (``permissions.md`` 6); elsewhere they agree."""
    own, other, foreign = (server.organization() for _ in range(3))
    together, elsewhere = server.collaboration(own, other), server.collaboration(foreign)
    caller = server.user(own, f"run VIEW {scope}")
    runs = {own: "completed", other: "completed"}
    for organization, user in ((own, caller.id), (own, None), (other, None)):
        server.task(together, organization, user, runs=runs)
    server.task(elsewhere, foreign)
    everything = server.rows(select(Run.id))
    executed = set(server.rows(select(Run.id).where(Run.organization_id == own)))
    assert (len(everything), len(executed)) == (7, 3)
    for path in ("/run", "/result"):
        single = {id_ for id_ in everything if caller.get(f"{path}/{id_}").status_code == 200}
        assert len(single) == {"GLOBAL": 7, "COLLABORATION": 6, "ORGANIZATION": 4, "OWN": 2}[scope]
        assert set(caller.ids(path)) == (executed if scope == "ORGANIZATION" else single)


def test_quirk_23_a_new_user_without_an_organization_comes_into_the_creators(server: Any) -> None:
    root = server.root()
    person = {"username": "ada", "email": "ada@example.org", "password": "Correct-horse-1"}
    answer = root.post("/user", **person, organization_id=None)
    assert answer.status_code == 201, answer.text
    own = root.get(f"/user/{root.id}").json()["organization"]
    assert answer.json()["organization"] == own


def test_quirk_27_a_start_without_root_reuses_its_organization(server: Any) -> None:
    database = server.services.database
    [organization] = server.rows(select(Organization.id).where(Organization.name == "root"))
    gone = select(User.id).where(User.username == "root").scalar_subquery()
    with database.write() as db:
        db.execute(delete(user_role).where(user_role.c.user_id == gone))
        db.execute(delete(User).where(User.username == "root"))
    prepare(database)
    found = select(User.organization_id).where(User.username == "root")
    assert server.rows(found) == [organization]
    assert server.rows(select(Organization.id).where(Organization.name == "root")) == [organization]


@pytest.mark.parametrize("image", ["evil.example.org/image", "evilimage", "image:latest"])
def test_quirk_28_a_subtask_has_exactly_the_image_of_its_parent(server: Any, image: str) -> None:
    organization = server.organization()
    collaboration = server.collaboration(organization)
    node = server.node(organization, collaboration)
    task = server.task(collaboration, organization, runs={organization: "active"})
    container = server.container(node, organization, collaboration, task)
    body = {
        "name": "subtask",
        "collaboration_id": collaboration,
        "organizations": [{"id": organization, "input": "e30="}],
    }
    assert container.post("/task", **body, image=image).status_code == 401
    assert container.post("/task", **body, image="image").status_code == 201
