"""``help(...)`` is the reference documentation: it has to be complete and true."""

from __future__ import annotations

import inspect
import pydoc

import pytest
from numpydoc.docscrape import FunctionDoc

from methods import GROUPS, public_methods
from vantage6.client import Client, UserClient


def names() -> list[str]:
    with Client("http://nowhere", None, log_level="critical") as client:
        return sorted(public_methods(client))


@pytest.mark.parametrize("name", names())
def test_every_method_documents_each_of_its_parameters(stranger: UserClient, name: str) -> None:
    method = public_methods(stranger)[name]
    documented = FunctionDoc(method)
    assert documented["Summary"], f"{name} has no summary"
    in_docs = {part.strip(" *") for one in documented["Parameters"] for part in one.name.split(",")}
    in_signature = set(inspect.signature(method).parameters)
    filters = {"field", "fields", "filter_", "filters"}
    assert in_docs - filters == in_signature, name
    # What changed is no page of one kind of thing.
    if (name.endswith(".list") and name != "event.list") or name == "run.from_task":
        assert filters <= in_docs
    returns = inspect.signature(method).return_annotation
    if returns != "None":
        said = documented["Returns"] or documented["Yields"]
        assert said, f"{name} does not say what it returns"


def test_help_on_listing_organizations_reads_as_in_the_lesson(stranger: UserClient) -> None:
    shown = pydoc.plain(pydoc.render_doc(stranger.organization.list))
    for line in (
        "list(name: 'str | None' = None, country: 'str | None' = None, "
        "collaboration: 'int | None' = None, study: 'int | None' = None, "
        "page: 'int | None' = None, per_page: 'int | None' = None) -> 'list[dict[str, Any]]'",
        "    List organizations\n",
        "    Parameters\n    ----------\n    name : str, optional\n"
        "        Filter by name (with LIKE operator)\n",
        "    collaboration : int, optional\n"
        "        Filter by collaboration id. If client.setup_collaboration() was called,\n"
        "        the previously setup collaboration is used. Default value is None\n",
    ):
        assert line in shown


def test_help_on_the_client_names_every_group_of_calls(stranger: UserClient) -> None:
    shown = pydoc.plain(pydoc.render_doc(stranger))
    for group in GROUPS:
        if "." not in group:
            assert f"client.{group}`" in shown


@pytest.mark.parametrize(
    ("group", "operations"),
    [
        ("user", "get list create update delete"),
        ("organization", "get list create update delete"),
        ("collaboration", "get list create update delete add_organization remove_organization"),
        ("study", "get list create update delete add_organization remove_organization"),
        ("role", "get list create update delete"),
        ("rule", "get list"),
        ("node", "get list create update delete kill_tasks"),
        ("task", "get list create delete kill"),
        ("run", "get list from_task"),
        ("event", "list"),
        ("result", "get from_task download"),
        ("algorithm", "get list create update invalidate delete"),
    ],
)
def test_a_group_has_the_calls_of_the_contract_and_few_others(
    stranger: UserClient, group: str, operations: str
) -> None:
    found = {name for name in public_methods(stranger) if name.startswith(f"{group}.")}
    more = {"iterate"} if "list" in operations.split() else set()
    more |= {"to_frame"} if group == "result" else set()
    assert found == {f"{group}.{operation}" for operation in {*operations.split(), *more}}
