"""May this run run here? What the node's owner wrote under ``policies``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from vantage6.node.config import Policies, is_pattern

#: The rule on who asks.
PEOPLE = "allowed_organizations, allowed_users"
BASICS_IMAGE = "ghcr.io/vantage6/algorithm-basics:latest"


@dataclass(frozen=True)
class Decision:
    """Yes or no; ``reason`` is for the researcher and empty when allowed."""

    allowed: bool
    reason: str = ""
    rule: str = ""


@dataclass(frozen=True)
class Verdict:
    """What one rule says. ``allowed`` is None where it cannot be told yet."""

    rule: str
    allowed: bool | None
    reason: str


@dataclass(frozen=True)
class StoreAnswer:
    """The algorithm store that a task names, and whether it has the image.

    ``has_image`` is None when it was not asked, ``problem`` says why it gave no answer.
    """

    url: str
    has_image: bool | None = None
    problem: str = ""


@dataclass(frozen=True)
class Question:
    """What a policy looks at.

    ``init_org_name`` is None where :func:`needs_organization_name` says it is not needed.
    ``function`` is None as long as the input has not been read.
    ``other_tasks`` counts the user's other tasks that are in progress here.
    """

    image: str
    init_user_id: int | None
    init_org_id: int | None
    init_org_name: str | None = None
    encrypted: bool = False
    store: StoreAnswer | None = None
    function: str | None = None
    other_tasks: int = 0
    at: datetime = field(default_factory=lambda: datetime.now().astimezone())


ALLOWED = Decision(True)


def needs_organization_name(policies: Policies) -> bool:
    """Whether the initiating organization's name must be looked up."""
    return any(not entry.isdecimal() for entry in policies.allowed_organizations)


def decide(policies: Policies, question: Question) -> Decision:
    """Apply the policies in the contract's order, then our own; the first refusal counts."""
    for verdict in explain(policies, question):
        if verdict.allowed is False:
            return Decision(False, f"{verdict.reason} ({verdict.rule})", verdict.rule)
    return ALLOWED


def explain(policies: Policies, question: Question) -> list[Verdict]:
    """What each rule says, in the order in which they are applied."""
    return [rule(policies, question) for rule in _RULES]


def image_matches(entry: str, image: str) -> bool:
    """Whether an entry of ``allowed_algorithms`` means this image.

    A pattern matches at the start, as in the contract: ``^example\\.org/avg`` also allows
    ``example.org/avg-other``; end it with ``$`` to prevent that. Plain text without tag and
    digest means every version; with a digest that digest, whatever tag stands beside it;
    with a tag alone that tag, and never an image that names a digest, which the tag says
    nothing of.
    """
    if is_pattern(entry):
        return re.match(entry, image) is not None
    if not entry:
        return False
    name, tag, digest = split_image(entry)
    wanted_name, wanted_tag, wanted_digest = split_image(image)
    if name != wanted_name:
        return False
    if digest:
        return digest == wanted_digest
    if tag:
        return not wanted_digest and tag == (wanted_tag or "latest")
    return True


def split_image(image: str) -> tuple[str, str, str]:
    """An image's name, tag and digest; a registry's port is not a tag."""
    name, _, digest = image.partition("@")
    path, colon, tag = name.rpartition(":")
    return (path, tag, digest) if colon and "/" not in tag else (name, "", digest)


def without_version(image: str) -> str:
    """Drop an image's tag and digest."""
    return split_image(image)[0]


def store_matches(policies: Policies, url: str) -> bool:
    """Whether the store at a URL is one of ``allowed_algorithm_stores``."""
    url = url.rstrip("/")
    return any(
        re.match(entry, url) is not None if is_pattern(entry) else entry.rstrip("/") == url
        for entry in policies.allowed_algorithm_stores
    )


def _basics(policies: Policies, question: Question) -> Verdict:
    rule = "allow_basics_algorithm"
    if question.image.startswith(BASICS_IMAGE) and not policies.allow_basics_algorithm:
        return Verdict(rule, False, "it does not run the basic algorithm")
    return Verdict(rule, True, "the image is not the basic algorithm, or that is allowed")


def _people(policies: Policies, question: Question) -> Verdict:
    rule = PEOPLE
    users, organizations = policies.allowed_users, policies.allowed_organizations
    if not users and not organizations:
        return Verdict(rule, True, "not set: anyone's tasks are run")
    if question.init_user_id is not None and str(question.init_user_id) in users:
        return Verdict(rule, True, f"user {question.init_user_id} is listed")
    if str(question.init_org_id) in organizations:
        return Verdict(rule, True, f"organization {question.init_org_id} is listed")
    if question.init_org_name is not None and question.init_org_name in organizations:
        return Verdict(rule, True, f"organization '{question.init_org_name}' is listed")
    return Verdict(
        rule,
        False,
        f"organization {question.init_org_id} and user {question.init_user_id} are not among "
        "those whose tasks it runs",
    )


def _algorithms(policies: Policies, question: Question) -> Verdict:
    listed, store = _listed(policies, question), _store(policies, question)
    if policies.allow_either_whitelist_or_store and policies.allowed_algorithm_stores:
        # A list that is not set says nothing: it must not open what the other one closes.
        if not policies.allowed_algorithms:
            return store
        if listed.allowed or store.allowed:
            return listed if listed.allowed else store
        rule = f"{listed.rule}, {store.rule}"
        allowed = None if store.allowed is None else False
        return Verdict(rule, allowed, f"{listed.reason}, and {store.reason}")
    return listed if listed.allowed is False else store if store.allowed is not True else listed


def _listed(policies: Policies, question: Question) -> Verdict:
    rule, image = "allowed_algorithms", question.image
    if not policies.allowed_algorithms:
        return Verdict(rule, True, "not set: every image is allowed")
    entry = _first(policies.allowed_algorithms, lambda each: image_matches(each, image))
    if entry is not None:
        return Verdict(rule, True, f"image '{image}' matches '{entry}'")
    return Verdict(rule, False, f"image '{image}' is not one it allows")


def _store(policies: Policies, question: Question) -> Verdict:
    rule, store = "allowed_algorithm_stores", question.store
    if not policies.allowed_algorithm_stores:
        return Verdict(rule, True, "not set: algorithms of any store, or of none, are allowed")
    if store is None:
        return Verdict(
            rule,
            False,
            "the task does not say which algorithm store its algorithm comes from, and it runs "
            "algorithms of certain stores only",
        )
    if not store_matches(policies, store.url):
        return Verdict(rule, False, f"algorithm store {store.url} is not one it allows")
    if store.problem:
        return Verdict(rule, False, f"algorithm store {store.url} gives no answer: {store.problem}")
    reason = {
        None: f"algorithm store {store.url} is asked when the task comes",
        True: f"algorithm store {store.url} has the image",
        False: f"algorithm store {store.url} has no approved image '{question.image}'",
    }[store.has_image]
    return Verdict(rule, store.has_image, reason)


def _functions(policies: Policies, question: Question) -> Verdict:
    rule, image = "allowed_functions", question.image
    lists = [
        functions
        for entry, functions in policies.allowed_functions.items()
        if image_matches(entry, image)
    ]
    if not lists:
        return Verdict(rule, True, f"not set for image '{image}': all its functions are allowed")
    if question.function is None:
        return Verdict(rule, None, "looked at once the input of the task has been read")
    allowed = sorted({name for functions in lists for name in functions})
    if question.function in allowed:
        return Verdict(rule, True, f"function '{question.function}' is listed")
    return Verdict(
        rule,
        False,
        f"of image '{image}' it does not run the function '{question.function}', only: "
        f"{', '.join(allowed) or 'none'}",
    )


def _encryption(policies: Policies, question: Question) -> Verdict:
    rule = "require_encryption"
    if policies.require_encryption and not question.encrypted:
        return Verdict(
            rule, False, "it runs tasks of encrypted collaborations only, and this one is not"
        )
    return Verdict(rule, True, "encrypted" if question.encrypted else "not required")


def _number(policies: Policies, question: Question) -> Verdict:
    rule, most = "max_runs_per_user", policies.max_runs_per_user
    if most is None:
        return Verdict(rule, True, "not set: no limit")
    if question.other_tasks < most:
        return Verdict(rule, True, f"{question.other_tasks} of {most} are in progress")
    return Verdict(
        rule,
        False,
        f"{question.other_tasks} tasks of user {question.init_user_id} are in progress here "
        f"already, and it runs at most {most} at a time; try again when one has ended",
    )


def _hours(policies: Policies, question: Question) -> Verdict:
    rule, hours = "working_hours", policies.working_hours
    if hours is None:
        return Verdict(rule, True, "not set: at any time")
    if hours.include(question.at):
        return Verdict(rule, True, f"now is within {hours.text}")
    return Verdict(rule, False, f"it runs tasks during working hours only: {hours.text}")


_RULES: tuple[Callable[[Policies, Question], Verdict], ...] = (
    _basics,
    _people,
    _algorithms,
    _encryption,
    _hours,
    _number,
    _functions,
)


def _first(entries: Iterable[str], condition: Callable[[str], bool]) -> str | None:
    return next((entry for entry in entries if condition(entry)), None)
