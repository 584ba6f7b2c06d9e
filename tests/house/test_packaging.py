"""The distribution, its lock and the thin distribution beside it agree with each other."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import vantage6.common

HOUSE = Path(__file__).parents[2]


def project(path: str) -> dict[str, Any]:
    return tomllib.loads((HOUSE / path).read_text())


def normalized(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def test_the_client_distribution_names_this_version_and_requires_it() -> None:
    thin = project("packaging/vantage6-client/pyproject.toml")["project"]
    assert thin["version"] == vantage6.common.__version__
    assert thin["dependencies"] == [f"vantage6=={vantage6.common.__version__}"]


def test_pip_show_names_the_version_of_the_client() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "pip", "show", "vantage6-client"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"Version: {vantage6.common.__version__}\n" in shown.stdout


def test_every_dependency_is_in_the_lock_with_hashes() -> None:
    lock = (HOUSE / "requirements.lock").read_text()
    pins = re.findall(r"^([a-z0-9-]+)(?:\[[^]]+\])?==[^\n]*\n((?:    --hash[^\n]*\n)+)", lock, re.M)
    locked = {name for name, hashes in pins if "sha256:" in hashes}
    house = project("pyproject.toml")
    named = {
        normalized(requirement)
        for group in (
            house["project"]["dependencies"],
            *house["project"]["optional-dependencies"].values(),
            house["dependency-groups"]["dev"],
        )
        for requirement in group
    }
    assert named - locked == {"vantage6"}


def test_the_lock_names_no_registry() -> None:
    for lock in ("requirements.lock", "scripts/uv.lock.txt"):
        assert "://" not in (HOUSE / lock).read_text()


def test_a_plain_install_asks_for_nothing_a_server_or_node_needs() -> None:
    required = importlib.metadata.requires("vantage6")
    assert required is not None
    plain = {normalized(each) for each in required if "extra ==" not in each}
    assert plain == {"cryptography", "greenlet", "httpx2", "pyjwt", "qrcode", "rich"}


def test_importing_the_client_imports_nothing_beyond_a_plain_install() -> None:
    foreign = (
        "sqlalchemy",
        "fastapi",
        "pandas",
        "numpy",
        "socketio",
        "aiohttp",
        "typer",
        "pydantic",
    )
    script = f"import sys, vantage6.client; print([m for m in {foreign} if m in sys.modules])"
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"
