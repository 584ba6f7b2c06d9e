"""May this run run here?"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantage6.node.config import Policies, is_pattern
from vantage6.node.policy import (
    Question,
    decide,
    image_matches,
    needs_organization_name,
    without_version,
)


def ask(image: str = "example.org/avg:1", name: str | None = None) -> Question:
    return Question(image, init_user_id=3, init_org_id=1, init_org_name=name)


@pytest.mark.parametrize(
    ("entry", "image", "matches"),
    [
        ("example.org/avg", "example.org/avg", True),
        ("example.org/avg", "example.org/avg:1.2", True),
        ("example.org/avg", "example.org/avg@sha256:ab", True),
        ("example.org/avg", "example.org/avg:1@sha256:ab", True),
        ("example.org/avg", "example.org/avg-evil", False),
        ("example.org/avg", "example.org/avg/evil", False),
        ("example.org/avg:1", "example.org/avg:2", False),
        ("example.org/avg:1", "example.org/avg", False),
        # An entry names one tag: never all those that begin like it.
        ("example.org/avg:latest", "example.org/avg:latest", True),
        ("example.org/avg:latest", "example.org/avg", True),
        ("example.org/avg:latest", "example.org/avg:latest-anything", False),
        ("example.org/avg:1", "example.org/avg:1.2", False),
        ("localhost:5000/avg", "localhost:5000/avg:1", True),
        ("localhost", "localhost:5000/avg", False),
        ("exampleXorg/avg", "example.org/avg", False),
        (r"^example\.org/.*", "example.org/anything", True),
        (r"^example\.org/avg", "example.org/avg-evil", True),  # the contract's semantics
        (r"^example\.org/avg$", "example.org/avg-evil", False),
        (r"org/.*", "example.org/avg", False),
        ("", "example.org/avg", False),
    ],
)
def test_entries_of_allowed_algorithms(entry: str, image: str, matches: bool) -> None:
    assert image_matches(entry, image) is matches


@pytest.mark.parametrize(
    ("policies", "allowed"),
    [
        ({}, True),
        ({"allowed_algorithms": "example.org/avg"}, True),
        ({"allowed_algorithms": ["other", "example.org/avg:1"]}, True),
        ({"allowed_algorithms": ["other"]}, False),
        ({"allowed_users": [3]}, True),
        ({"allowed_users": ["3"]}, True),
        ({"allowed_users": [4]}, False),
        ({"allowed_organizations": [1]}, True),
        ({"allowed_organizations": ["1"]}, True),
        ({"allowed_organizations": ["Utrecht"]}, True),
        ({"allowed_organizations": ["Leiden", 2]}, False),
        ({"allowed_users": [4], "allowed_organizations": [1]}, True),
        ({"allowed_users": [3], "allowed_organizations": [9]}, True),
        ({"allowed_users": [3], "allowed_algorithms": ["other"]}, False),
    ],
)
def test_policies(policies: dict[str, object], allowed: bool) -> None:
    decision = decide(Policies.model_validate(policies), ask(name="Utrecht"))
    assert decision.allowed is allowed
    assert bool(decision.reason) is not allowed


def test_the_basic_algorithm_can_be_refused() -> None:
    image = "ghcr.io/vantage6/algorithm-basics:latest"
    assert decide(Policies(), ask(image)).allowed
    assert not decide(Policies(allow_basics_algorithm=False), ask(image)).allowed


def test_the_organizations_name_is_needed_for_names_only() -> None:
    assert not needs_organization_name(Policies())
    assert not needs_organization_name(Policies(allowed_organizations=["1"]))
    assert needs_organization_name(Policies(allowed_organizations=["1", "Utrecht"]))


def test_a_user_without_number_matches_no_list_of_users() -> None:
    question = Question("i", init_user_id=None, init_org_id=1)
    assert not decide(Policies(allowed_users=["None"]), question).allowed


names = st.from_regex(r"[a-z]{1,8}(\.[a-z]{2,3})?(:[0-9]{2,4})?/[a-z-]{1,8}", fullmatch=True)
versions = st.from_regex(r"(:[a-z0-9.]{1,6})?(@sha256:[0-9a-f]{4})?", fullmatch=True)


@given(names, versions)
def test_a_name_without_version_means_every_version_and_nothing_else(
    name: str, version: str
) -> None:
    assert without_version(name + version) == name
    assert image_matches(name, name + version)
    assert not image_matches(name, f"{name}x{version}")


@given(st.lists(names, min_size=1), names)
def test_a_plain_list_allows_exactly_what_it_names(entries: list[str], image: str) -> None:
    decision = decide(Policies(allowed_algorithms=entries), ask(image))
    assert decision.allowed is (image in entries)


@given(st.text(min_size=1, max_size=20))
def test_plain_text_is_never_read_as_a_pattern(text: str) -> None:
    if not is_pattern(text):
        assert re.fullmatch(re.escape(text), text)
        assert image_matches(text, text)


@pytest.mark.parametrize(
    "image",
    [
        "ghcr.io/vantage6/algorithm-basics",
        "ghcr.io/vantage6/algorithm-basics:1.0",
        "ghcr.io/vantage6/algorithm-basics@sha256:aa",
        "GHCR.io:443/vantage6/algorithm-basics:latest",
    ],
)
def test_the_basic_algorithm_is_refused_however_it_is_spelt(image: str) -> None:
    assert not decide(Policies(allow_basics_algorithm=False), ask(image)).allowed
    assert decide(Policies(), ask(image)).allowed


def test_an_organization_cannot_call_itself_by_anothers_number() -> None:
    policies = Policies(allowed_organizations=["3", "Utrecht"])
    question = Question("i", init_user_id=1, init_org_id=99, init_org_name="3")
    assert not decide(policies, question).allowed


def test_a_line_end_does_not_match_the_end_of_a_pattern() -> None:
    assert image_matches(r"^example\.org/avg$", "example.org/avg")
    assert not image_matches(r"^example\.org/avg$", "example.org/avg\n")
