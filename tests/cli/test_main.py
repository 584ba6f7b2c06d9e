"""The command tree, without a server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import vantage6.common
from vantage6.cli.entry import main, require


def v6(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vantage6.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_lists_the_commands_there_are() -> None:
    shown = v6("--help")
    assert shown.returncode == 0
    for command in ("demo", "node", "server", "version"):
        assert command in shown.stdout
    assert "start" in v6("server", "--help").stdout
    assert "start" in v6("node", "--help").stdout


def test_version_prints_the_one_version() -> None:
    assert v6("version").stdout == f"{vantage6.common.__version__}\n"


def test_help_imports_no_role() -> None:
    heavy = ("fastapi", "sqlalchemy", "pandas", "httpx2", "socketio", "vantage6.client")
    script = (
        "import sys, vantage6.cli.main as m\n"
        "try: m.app(['demo', '--help'])\n"
        f"except SystemExit: print([x for x in {heavy} if x in sys.modules], file=sys.stderr)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert shown.stderr.strip() == "[]"


def test_a_configuration_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for role in ("server", "node"):
        refused = v6(role, "start", "-c", str(tmp_path / "nowhere.yaml"))
        assert refused.returncode == 2
        assert "does not exist" in refused.stderr


def test_a_server_whose_starter_is_gone_does_not_start(tmp_path: Path) -> None:
    config = tmp_path / "server.yaml"
    config.write_text("port: 0\n")
    refused = v6("server", "start", "-c", str(config), "--with-parent", "1")
    assert refused.returncode == 1
    assert "is gone" in refused.stderr


def test_a_demo_without_an_engine_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    refused = v6("demo", "--runtime", "docker", "--exit")
    assert refused.returncode == 1
    said = " ".join((refused.stdout + refused.stderr).split())
    assert "no container engine" in said
    assert "--runtime process" in said
    assert "Traceback" not in said


def test_a_plain_install_says_which_part_a_command_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vantage6.cli.entry.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"pip install 'vantage6\[cli\]'"):
        main()
    with pytest.raises(SystemExit, match=r"pip install 'vantage6\[server,node\]'"):
        require("server", "node")
