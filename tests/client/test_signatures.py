"""Every method has the parameters of the contract: names, order and defaults.

The table is transcribed from sections 2, 3, 4, 5, 7, 9 and 10 of the contract; what comes after
``+`` is ours, and by keyword.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from methods import public_methods
from vantage6.client import AsyncClient, Client, UserClient
from vantage6.common.client.client_base import ClientBase

PAGES = "page=1, per_page=20"
STORE_PAGES = "page=1, per_page=10"

CONTRACT = {
    "authenticate": "username, password, mfa_code=None",
    "setup_encryption": "private_key_file + *, authenticated=None, require_authenticated=False, "
    "trusted=None, known_keys=None",
    "setup_collaboration": "collaboration_id",
    "wait_for_results": "task_id, interval=1 + timeout=None",
    "wait_for_task_completion": "request_func, task_id, interval=1, log_animation=True",
    "request": "endpoint, json=None, method='get', params=None, headers=None, first_try=True, "
    "retry=True, attempts_on_timeout=None, is_for_algorithm_store=False",
    "generate_path_to": "endpoint, is_for_algorithm_store",
    "refresh_token": "",
    "check_if_blob_store_enabled": "",
    "util.get_server_version": "attempts_on_timeout=None",
    "util.get_server_health": "",
    "util.change_my_password": "current_password, new_password",
    "util.reset_my_password": "email=None, username=None",
    "util.set_my_password": "token, password",
    "util.reset_two_factor_auth": "password, email=None, username=None",
    "util.set_two_factor_auth": "token",
    "util.generate_private_key": "file_=None",
    "collaboration.get": "id_",
    "collaboration.list": "scope='organization', name=None, encrypted=None, organization=None, "
    f"algorithm_store=None, {PAGES}",
    "collaboration.create": "name, organizations, encrypted=False",
    "collaboration.update": "id_=None, name=None, encrypted=None, organizations=None",
    "collaboration.delete": "id_=None, delete_dependents=False",
    "collaboration.add_organization": "organization, collaboration=None",
    "collaboration.remove_organization": "organization, collaboration=None",
    "organization.get": "id_=None",
    "organization.list": "name=None, country=None, collaboration=None, study=None, page=None, "
    "per_page=None",
    "organization.create": "name, address1, address2, zipcode, country, domain, public_key=None",
    "organization.update": "id_=None, name=None, address1=None, address2=None, zipcode=None, "
    "country=None, domain=None, public_key=None",
    "organization.delete": "id_, delete_dependents=False",
    "user.get": "id_=None",
    "user.list": "username=None, organization=None, firstname=None, lastname=None, email=None, "
    f"role=None, rule=None, last_seen_from=None, last_seen_till=None, {PAGES}",
    "user.create": "username, firstname, lastname, password, email, organization=None, roles=[], "
    "rules=[]",
    "user.update": "id_=None, firstname=None, lastname=None, organization=None, rules=None, "
    "roles=None, email=None",
    "user.delete": "id_",
    "role.get": "id_",
    "role.list": "name=None, description=None, organization=None, rule=None, user=None, "
    f"include_root=None, {PAGES}",
    "role.create": "name, description, rules, organization=None",
    "role.update": "role, name=None, description=None, rules=None",
    "role.delete": "role",
    "rule.get": "id_",
    "rule.list": f"name=None, operation=None, scope=None, role=None, {PAGES}",
    "node.get": "id_",
    "node.list": "name=None, organization=None, collaboration=None, study=None, is_online=None, "
    f"ip=None, last_seen_from=None, last_seen_till=None, {PAGES}",
    "node.create": "collaboration=None, organization=None, name=None",
    "node.update": "id_, name=None, clear_ip=None",
    "node.delete": "id_",
    "node.kill_tasks": "id_",
    "study.get": "id_",
    "study.list": "name=None, organization=None, collaboration=None, include_organizations=False, "
    f"{PAGES}",
    "study.create": "name, organizations, collaboration=None",
    "study.update": "id_, name=None, organizations=None",
    "study.delete": "id_=None",
    "study.add_organization": "organization, study=None",
    "study.remove_organization": "organization, study=None",
    "task.get": "id_, include_results=False",
    "task.list": "initiating_org=None, initiating_user=None, collaboration=None, study=None, "
    "store=None, image=None, parent=None, job=None, name=None, include_results=False, "
    f"description=None, database=None, run=None, status=None, user_created=None, {PAGES}",
    "task.create": "organizations, name, image, description, input_, collaboration=None, "
    "study=None, store=None, server_url=None, databases=None",
    "task.delete": "id_",
    "task.kill": "id_",
    "run.get": "id_, include_task=False, decrypt_input=True",
    "run.list": "task=None, organization=None, state=None, node=None, include_task=False, "
    "started=None, assigned=None, finished=None, port=None, page=None, per_page=None",
    "run.from_task": "task_id, include_task=False",
    "result.get": "id_",
    "result.from_task": "task_id",
    "store.get": "id_",
    "store.list": f"name=None, url=None, collaboration=None, {STORE_PAGES}",
    "store.create": "algorithm_store_url, name, collaboration=None, all_collaborations=False, "
    "force=False",
    "store.update": "id_=None, name=None, collaboration=None, all_collaborations=None",
    "store.delete": "id_=None",
    "store.set": "id_",
    "algorithm.get": "id_",
    "algorithm.list": "name=None, description=None, image=None, partitioning=None, "
    "v6_version=None, awaiting_reviewer_assignment=None, under_review=None, "
    f"in_review_process=None, invalidated=None, {STORE_PAGES}",
    "algorithm.create": "name, description, image, partitioning, vantage6_version, code_url, "
    "functions, documentation_url=None",
    "algorithm.update": "id_, name=None, description=None, image=None, partitioning=None, "
    "vantage6_version=None, code_url=None, documentation_url=None, functions=None, "
    "refresh_digest=None",
    "algorithm.invalidate": "id_",
    "algorithm.delete": "id_",
    "store.role.list": f"name=None, description=None, user=None, {STORE_PAGES}",
    "store.role.create": "name, description, rules",
    "store.role.edit": "role_id, name=None, description=None, rules=None",
    "store.role.delete": "role_id",
    "store.rule.list": "name=None, operation=None, role=None, username=None, serverUrl=None, "
    f"{STORE_PAGES}",
    "store.user.list": f"username=None, role=None, {STORE_PAGES}",
    "store.user.get": "id_",
    "store.user.register": "username, roles",
    "store.user.update": "id_, roles",
    "store.user.delete": "id_",
    "store.policy.get": "public=False",
    "store.review.list": "algorithm=None, reviewer=None, under_review=None, reviewed=None, "
    f"approved=None, rejected=None, {STORE_PAGES}",
    "store.review.get": "id_",
    "store.review.create": "algorithm, reviewer",
    "store.review.delete": "id_",
    "store.review.approve": "id_, comment=None",
    "store.review.reject": "id_, comment=None",
}
#: What the client has beyond the contract.
OURS = {
    "close",
    "event.list",
    "result.download",
    "result.to_frame",
    "util.fingerprint",
    "util.forget_fingerprint",
    "util.known_fingerprints",
}


def parameters(signature: inspect.Signature) -> list[tuple[str, Any, Any]]:
    return [(one.name, one.kind, one.default) for one in signature.parameters.values()]


def declared(text: str) -> list[tuple[str, Any, Any]]:
    function = eval(f"lambda {text.replace(' + ', ', ')}: None")  # noqa: S307 (the table above)
    return parameters(inspect.signature(function))


#: Defaults that differ in form only: ours may not be changed by accident.
SAME = {"user.create": {"roles": None, "rules": None}, "generate_path_to": {}}


def test_the_table_and_the_client_have_the_same_methods(stranger: UserClient) -> None:
    found = {name for name in public_methods(stranger) if not name.endswith("iterate")}
    assert found == set(CONTRACT) | OURS


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_a_method_has_the_parameters_of_the_contract(stranger: UserClient, name: str) -> None:
    ours = parameters(inspect.signature(public_methods(stranger)[name]))
    expected = [
        (parameter, kind, SAME.get(name, {}).get(parameter, default))
        for parameter, kind, default in declared(CONTRACT[name])
    ]
    if name == "generate_path_to":
        expected[-1] = (*expected[-1][:2], False)  # may be left out
    assert ours == expected


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_the_asynchronous_client_has_the_same_method(name: str, stranger: UserClient) -> None:
    owner: Any = AsyncClient("http://nowhere", None, log_level="critical")
    for part in name.split(".")[:-1]:
        owner = getattr(owner, part)
    method = getattr(owner, name.rpartition(".")[2])
    sync = public_methods(stranger)[name]
    assert inspect.signature(method) == inspect.signature(sync)
    assert method.__doc__ == sync.__doc__
    assert inspect.iscoroutinefunction(method) == (name != "generate_path_to")


def test_the_constructors_take_host_port_and_path_in_this_order() -> None:
    for kind in (Client, AsyncClient, ClientBase):
        by_position = [
            (name, default)
            for name, kind_, default in parameters(inspect.signature(kind))
            if kind_ is inspect.Parameter.POSITIONAL_OR_KEYWORD
        ]
        assert by_position == [
            ("host", inspect.Parameter.empty),
            ("port", inspect.Parameter.empty),
            ("path", "/api"),
        ]
    assert inspect.signature(Client).parameters["log_level"].default == "info"
    assert inspect.signature(AsyncClient).parameters == inspect.signature(Client).parameters
