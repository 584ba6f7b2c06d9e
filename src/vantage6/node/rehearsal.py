"""What would happen to a task, without running anything."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

from vantage6.node.config import NodeConfig
from vantage6.node.data import Databases, DataRefusal
from vantage6.node.offer import DatabaseRequest
from vantage6.node.policy import PEOPLE, Question, StoreAnswer, Verdict, explain

_KEYS = {
    "image": (str,),
    "init_user": (int, dict),
    "init_org": (int, str, dict),
    "method": (str,),
    "input_": (dict,),
    "databases": (list,),
    "algorithm_store": (str,),
    "encrypted": (bool,),
}
# What a task that a server shows has besides.
_SHOWN = frozenset({"input", "init_orgs", "organizations"})


class Malformed(Exception):
    """The task cannot be understood; the message names the key."""


def rehearse(config: NodeConfig, task: Any) -> list[Verdict]:
    """What each rule says of a task, and whether its databases and image are there.

    Parameters
    ----------
    task : dict
        ``image``; as far as it matters ``init_user`` (id), ``init_org`` (id or name), ``method``
        or ``input_``, ``databases``, ``algorithm_store`` (URL), ``encrypted``.

    Raises
    ------
    Malformed
        If a key is of another type.
    """
    if not isinstance(task, dict):
        raise Malformed("should be a JSON object with the task's image, init_org and so on")
    for key, kinds in _KEYS.items():
        value = task.get(key)
        if value is not None and (
            not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)
        ):
            expected = " or ".join(kind.__name__ for kind in kinds)
            raise Malformed(f"'{key}' should be {expected}, not {type(value).__name__}")
    if not task.get("image"):
        raise Malformed("'image' is missing")
    user, organization = task.get("init_user"), task.get("init_org")
    user = user.get("id") if isinstance(user, dict) else user
    name = organization.get("name") if isinstance(organization, dict) else None
    organization = organization.get("id") if isinstance(organization, dict) else organization
    if isinstance(organization, str):
        organization, name = None, organization
    store = task.get("algorithm_store")
    question = Question(
        task["image"],
        user,
        organization,
        name,
        encrypted=task.get("encrypted", config.encryption.enabled),
        store=StoreAnswer(store) if store else None,
        function=task.get("method") or (task.get("input_") or {}).get("method"),
    )
    verdicts = [
        _as_far_as_known(each, config, question) for each in explain(config.policies, question)
    ]
    return [*verdicts, _databases(config, task), _image(config, task)]


def misspelt(task: Any) -> dict[str, str]:
    """Keys of a task that are read under another spelling only, and that spelling."""
    if not isinstance(task, dict):
        return {}
    unread = [key for key in task if key not in _KEYS and key not in _SHOWN]
    near = {key: difflib.get_close_matches(key, _KEYS, n=1, cutoff=0.75) for key in unread}
    return {key: found[0] for key, found in near.items() if found}


def _as_far_as_known(verdict: Verdict, config: NodeConfig, question: Question) -> Verdict:
    """Say so where an organization may be listed under what the task does not say of it."""
    listed = config.policies.allowed_organizations
    if verdict.allowed is not False or verdict.rule != PEOPLE:
        return verdict
    named = question.init_org_name is not None
    if named and not any(entry.isdecimal() for entry in listed):
        return verdict
    if not named and all(entry.isdecimal() for entry in listed):
        return verdict
    lacking = "id" if named else "name"
    both = '{"id": …, "name": …}'
    reason = f"{verdict.reason}, unless by the organization's {lacking}: give init_org as {both}"
    return Verdict(verdict.rule, False, reason)


def _databases(config: NodeConfig, task: dict[str, Any]) -> Verdict:
    labels = [
        each.get("label") if isinstance(each, dict) else each
        for each in task.get("databases") or ()
    ]
    if not all(isinstance(label, str) for label in labels):
        raise Malformed("'databases' should be a list of labels, or of objects with a 'label'")
    here = Databases(config.databases, config.beside("."))
    try:
        here.view([DatabaseRequest(str(label)) for label in labels])
    except DataRefusal as refusal:
        return Verdict("databases", False, str(refusal))
    return Verdict("databases", True, f"{', '.join(map(str, labels)) or 'none is asked for'}")


def _image(config: NodeConfig, task: dict[str, Any]) -> Verdict:
    image = task["image"]
    runtime: str = config.runtime
    if runtime != "process":
        return Verdict("image", None, f"runtime '{runtime}' is asked when the task comes")
    known: Collection[str] = config.process.algorithms
    if image in known or image.removesuffix(":latest") in known or f"{image}:latest" in known:
        return Verdict("image", True, "an algorithm is registered for it")
    return Verdict("image", False, f"process.algorithms has none for it, only: {', '.join(known)}")
