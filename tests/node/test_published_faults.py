"""Hostile text in what a task asks for stays in the one variable meant, or is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from vantage6.node import environment
from vantage6.node.config import Database
from vantage6.node.data import Databases, DataRefusal
from vantage6.node.offer import DatabaseRequest
from vantage6.node.runtimes.base import StartFailed
from vantage6.node.runtimes.encoding import encoded

HOSTILE = (
    "x\nLD_PRELOAD=/tmp/evil.so",
    "$(id)",
    "`id`",
    "a=b",
    "LD_PRELOAD",
    "PYTHONPATH=/tmp",
    "../../etc",
)


@pytest.fixture
def databases(tmp_path: Path) -> Databases:
    return Databases([Database(label="pg", uri="postgresql://db/x", type="sql")], tmp_path)


def given_to_algorithm(databases: Databases, key: str, value: str) -> dict[str, str]:
    view = databases.view([DatabaseRequest("pg", {key: value})])
    return encoded(environment.build(1, ("http://proxy", 80), view, {}))


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("key", ["query", "sheet_name"])
def test_it_is_delivered_as_it_is(databases: Databases, key: str, value: str) -> None:
    harmless = given_to_algorithm(databases, key, "harmless")
    hostile = given_to_algorithm(databases, key, value)
    name = f"PG_{key.upper()}"
    assert base64.b32decode(hostile.pop(name).replace("!", "=")).decode() == value
    del harmless[name]
    assert hostile == harmless


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_what_no_variable_can_hold_is_refused(databases: Databases, value: str) -> None:
    with pytest.raises(StartFailed, match="PG_QUERY"):
        given_to_algorithm(databases, "query", value)


@pytest.mark.parametrize("label", HOSTILE)
def test_a_label_that_is_unknown_here_is_refused(databases: Databases, label: str) -> None:
    with pytest.raises(DataRefusal, match="there is no database"):
        databases.view([DatabaseRequest(label)])
