"""What ``v6 demo`` writes for those who want to use it from a program."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pandas as pd

from demos import log_in


def test_the_ready_file_says_all_there_is_to_know(demo: dict[str, Any]) -> None:
    assert set(demo) == {
        "server",
        "users",
        "organizations",
        "collaboration",
        "study",
        "nodes",
        "databases",
        "pids",
    }
    assert set(demo["server"]) == {"url", "port", "api_path"}
    organizations = {each["id"] for each in demo["organizations"]}
    assert len(organizations) == len(demo["nodes"]) == len(demo["databases"]) == 3
    assert {int(each) for each in demo["databases"]} == organizations
    assert {each["organization_id"] for each in demo["nodes"]} == organizations
    assert {str(each["id"]) for each in demo["nodes"]} == set(demo["pids"]["nodes"])
    for user in demo["users"]:
        assert set(user) == {"username", "password", "organization_id", "roles"}
    assert {role for user in demo["users"] for role in user["roles"]} == {
        "Root",
        "Researcher",
        "Viewer",
        "Organization Admin",
        "Collaboration Admin",
    }
    for node in demo["nodes"]:
        assert set(node) == {"id", "name", "organization_id", "api_key", "config"}
    for pid in (demo["pids"]["server"], *demo["pids"]["nodes"].values()):
        os.kill(pid, 0)


def test_every_login_of_the_ready_file_works_and_has_its_role(demo: dict[str, Any]) -> None:
    for user in demo["users"]:
        client = log_in(demo, user["roles"][0])
        roles = client.role.list(user=client.whoami.id_, fields=["name"])
        assert [role["name"] for role in roles] == user["roles"]
        assert client.whoami.organization_id == user["organization_id"]


def test_the_tables_differ_and_lack_some_values(demo: dict[str, Any]) -> None:
    tables = [pd.read_csv(path) for path in demo["databases"].values()]
    assert len({len(table) for table in tables}) == len(tables)
    for table in tables:
        assert list(table) == ["gender", "age", "height", "weight", "isOverweight", "ageGroup"]
        assert table.isna().any().any()


def test_configurations_with_secrets_are_readable_by_their_owner_only(
    demo: dict[str, Any],
) -> None:
    for node in demo["nodes"]:
        config = Path(node["config"])
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE((config.parents[1] / "server.yaml").stat().st_mode) == 0o600
