"""A client that a generator of others made from our description of the API works."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import httpx2 as httpx
import pytest

from peers import PeerUnavailable, peer_python
from server_threads import server_thread
from vantage6.server.config import ServerConfig

# Making the environment counts as part of the first test.
pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

GENERATOR = "openapi-python-client==0.29.1"
PACKAGE = "vantage6_server_client"
PASSWORD = "Root-password-1"


def run(*command: str, folder: Path, path: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": f"{path}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def generated(
    tmp_path_factory: pytest.TempPathFactory, lacking: Callable[[str], NoReturn]
) -> dict[str, Any]:
    """What the generator said, and what came of the calls."""
    try:
        python = peer_python(GENERATOR)
    except PeerUnavailable as error:
        lacking(f"the generator cannot be installed: {error}")
    folder = tmp_path_factory.mktemp("generated")
    (folder / "root").write_text(PASSWORD)
    config = ServerConfig(
        uri=f"sqlite:///{folder / 'db.sqlite'}",
        jwt_secret_key="a secret of sufficient length for a test",
        directories={"data": folder},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("V6_INIT_SUPER_PASS_FILE", str(folder / "root"))
        server = server_thread(config)
    with server as port:
        url = f"http://127.0.0.1:{port}"
        (folder / "openapi.json").write_bytes(httpx.get(f"{url}/openapi.json").content)
        generator = str(python.with_name("openapi-python-client"))
        said = run(
            *(generator, "generate", "--path", "openapi.json", "--output-path", "made"),
            folder=folder,
            path=python.parent,
        )
        world = {
            "url": url,
            "password": PASSWORD,
            "package": PACKAGE,
            "package_folder": str(folder / "made"),
        }
        (folder / "world.json").write_text(json.dumps(world))
        script = Path(__file__).with_name("calls.py")
        run(
            *(str(python), str(script), "world.json", "outcome.json"),
            folder=folder,
            path=python.parent,
        )
    return {"said": said, "calls": json.loads((folder / "outcome.json").read_text())}


def test_the_generator_has_nothing_to_complain_of(generated: dict[str, Any]) -> None:
    assert generated["said"].strip() == "Generating made"


def test_what_is_answered_is_what_the_description_says(generated: dict[str, Any]) -> None:
    calls = {name: call for name, call in generated["calls"].items() if call["status"] < 400}
    assert {name for name in calls if name.startswith("list_")} == {
        f"list_{name}"
        for name in (
            *("algorithm_stores", "changes", "collaborations", "nodes", "organizations"),
            *("results", "roles", "rules", "runs", "studies", "tasks", "users"),
        )
    }
    types = {name: call["type"] for name, call in calls.items()}
    assert types["login_user"] == "UserTokens"
    assert types["create_task"] == types["get_task"] == types["large input"] == "Task"
    assert types["runs of a task"] == "RunPage"
    assert types["list_organizations"] == types["awaited"] == "OrganizationPage"
    assert types["list_changes"] == "Changes"
    assert types.pop("download") == "File"
    assert calls["download"]["answer"] == "some bytes"
    lossy = {name: calls[name] for name in types if not calls[name]["whole"]}
    assert lossy == {}


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("wrong password", 401, "Failed to login"),
        ("wrong token", 422, "Not enough segments"),
        ("not found", 404, "Organization id=999 not found"),
        ("refused body", 400, "Request body is incorrect"),
    ],
)
def test_an_error_has_its_shape(
    generated: dict[str, Any], name: str, status: int, words: str
) -> None:
    call = generated["calls"][name]
    assert (call["status"], call["type"], call["whole"]) == (status, "Error", True)
    assert words in json.loads(call["answer"])["msg"]
