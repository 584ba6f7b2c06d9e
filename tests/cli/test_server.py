"""`v6 server`, as somebody types it."""

from __future__ import annotations

import os
import pty
import select
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
import yaml

from vantage6.common import __version__

pytestmark = pytest.mark.timeout(300)

FILE = """
organizations:
- {name: org_1, domain: , address1: , address2: , zipcode: , country: , public_key: ,
   users: [{username: dev_admin, password: password}]}
collaborations:
- {name: demo, participants: [{name: org_1, api_key: 123e4567-e89b-12d3-a456-426614174000}]}
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder of somebody who has nothing yet."""
    password = tmp_path / "root-password"
    password.write_text("a password of root, 1")
    return tmp_path


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
    return {
        **kept,
        "HOME": str(home),
        "V6_INIT_SUPER_PASS_FILE": str(home / "root-password"),
        "COLUMNS": "200",
    }


@pytest.fixture
def v6(environment: dict[str, str], home: Path) -> Iterator[Run]:
    """Run `v6 server …` in that home; what was left running is stopped."""

    def run(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "vantage6.cli", "server", *arguments],
            cwd=home,
            env=environment,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    yield run
    run("stop", "--user", "--all")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def make(v6: Run, name: str = "hospital", *options: str) -> int:
    """A configuration; gives the port."""
    port = free_port()
    made = v6(
        "new",
        "--user",
        "--defaults",
        "-n",
        name,
        "-p",
        str(port),
        "--ip",
        "127.0.0.1",
        *options,
    )
    assert made.returncode == 0, made.stdout
    return port


def test_new_writes_a_configuration_that_only_its_owner_may_read(v6: Run, home: Path) -> None:
    port = make(v6, "my hospital", "--allow-drop-all", "--two-factor", "--store", "S=https://s.org")
    path = home / ".config/vantage6/server/my-hospital.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    config = yaml.safe_load(path.read_text())
    assert list(config) == sorted(config)
    assert config["port"] == port
    assert config["allow_drop_all"] is True
    assert config["two_factor_auth"] is True
    assert config["uri"] == "sqlite:///default.sqlite"
    assert config["algorithm_stores"] == [{"name": "S", "url": "https://s.org"}]
    assert len(config["jwt_secret_key"]) == 64
    assert config["server_url"] == f"http://localhost:{port}/api"


def test_new_refuses_names_that_are_taken_or_odd(v6: Run) -> None:
    make(v6)
    again = v6("new", "--user", "--defaults", "-n", "hospital")
    assert (again.returncode, again.stdout) == (
        1,
        "[error] - Configuration hospital already exists!\n",
    )
    odd = v6("new", "--user", "--defaults", "-n", "../hospital")
    assert odd.returncode == 1
    assert "not allowed" in odd.stdout


def test_without_anybody_at_the_terminal_nothing_is_asked(v6: Run) -> None:
    refused = v6("new", "--user", "-n", "x")
    assert refused.returncode == 1
    assert "--defaults" in refused.stdout
    assert "No configurations could be found!" in v6("files", "--user").stdout
    make(v6)
    which = v6("files", "--user")
    assert which.returncode == 1
    assert "please give --name, one of: hospital" in which.stdout.lower().replace("which one? ", "")


def test_the_wizard_asks_what_the_contract_says(environment: dict[str, str], home: Path) -> None:
    questions = [
        ("Please enter a configuration-name:", "asked"),
        ("Enter a human-readable description:", "mine"),
        ("ip:", ""),
        ("Enter port to which the server listens:", ""),
        ("Database URI:", ""),
        ("Allowed to drop all tables:", "n"),
        ("Which level of logging would you like?", ""),
        ("Do you want a constant JWT secret?", "y"),
        ("Do you want to enforce two-factor authentication?", "n"),
        ("What is the server url exposed to the users?", ""),
        ("Do you want to add a VPN server?", "n"),
        ("Do you want to add a RabbitMQ message queue?", "y"),
        ("Enter the URI for your RabbitMQ:", "amqp://u:p@h:5672/v"),
        ("Do you want to make the community store available?", "y"),
        ("Do you want to add more algorithm stores?", "n"),
    ]
    printed = converse(["new", "--user"], questions, environment, home)
    assert "New configuration created" in printed
    config = yaml.safe_load((home / ".config/vantage6/server/asked.yaml").read_text())
    assert (config["description"], config["port"]) == ("mine", 7601)
    assert config["ip"] == "0.0.0.0"  # noqa: S104 (the contract's default)
    assert config["logging"]["level"] == "INFO"
    assert config["rabbitmq"]["uri"] == "amqp://u:p@h:5672/v"
    assert config["algorithm_stores"][0]["name"] == "Community store"


def converse(
    arguments: list[str],
    questions: list[tuple[str, str]],
    environment: dict[str, str],
    folder: Path,
) -> str:
    """Answer questions at a terminal; gives all that was printed."""
    screen, keyboard = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "vantage6.cli", "server", *arguments],
        cwd=folder,
        env={**environment, "TERM": "xterm"},
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
    )
    os.close(keyboard)
    printed = ""

    def read_until(words: str | None) -> None:
        nonlocal printed
        until, begin = time.monotonic() + 60, len(printed)
        while words is None or words not in printed[begin:]:
            assert time.monotonic() < until, printed
            if select.select([screen], [], [], 0.2)[0]:
                try:
                    text = os.read(screen, 65536).decode(errors="replace")
                except OSError:  # the other end is closed
                    return
                if "\x1b[6n" in text:
                    os.write(screen, b"\x1b[1;1R")
                printed += text

    for question, answer in questions:
        read_until(question)
        # A letter answers a yes-or-no question at once.
        os.write(screen, answer.encode() if answer in ("y", "n") else f"{answer}\r".encode())
    read_until(None)
    assert process.wait(timeout=60) == 0, printed
    os.close(screen)
    return printed


def test_a_server_from_new_to_remove(v6: Run, home: Path) -> None:
    port = make(v6, "hospital", "--allow-drop-all")
    (home / "import.yaml").write_text(FILE)
    imported = v6("import", "--user", "-n", "hospital", "--wait", "True", "import.yaml")
    assert imported.returncode == 0, imported.stdout
    assert imported.stdout.startswith(
        "[info ] - Reading yaml file.\n[info ] - Adding entities to database.\n"
    )
    started = v6("start", "--user", "-n", "hospital", "--detach")
    assert started.returncode == 0, started.stdout
    assert "Success! process id = " in started.stdout
    assert "run: v6 server attach --name hospital --user" in started.stdout
    said = Path(started.stdout.partition("first password of root: ")[2].splitlines()[0])
    assert said.stat().st_mode & 0o777 == 0o600
    api = f"http://127.0.0.1:{port}/api"
    login = {"username": "dev_admin", "password": "password"}
    assert httpx.post(f"{api}/token/user", json=login, timeout=30).status_code == 200

    again = v6("start", "--user", "-n", "hospital")
    assert (again.returncode, again.stdout) == (1, "[error] - Server hospital is already running\n")
    assert "hospital                 Running                  User" in v6("list").stdout
    for refused in (
        v6("restore", "--user", "-n", "hospital", "import.yaml"),
        v6("import-database", "--user", "-n", "hospital", "sqlite:///x"),
        v6("import", "--user", "-n", "hospital", "--drop-all", "import.yaml"),
        v6("remove", "--user", "-n", "hospital", "-f"),
    ):
        assert refused.returncode == 1
        assert "is running" in refused.stdout
    backed_up = v6("backup", "--user", "-n", "hospital", "backup.zip")
    assert backed_up.returncode == 0, backed_up.stdout
    assert stat.S_IMODE((home / "backup.zip").stat().st_mode) == 0o600
    assert "add --overwrite" in v6("backup", "--user", "-n", "hospital", "backup.zip").stdout

    stopped = v6("stop", "--user", "--all")
    assert stopped.stdout == "[info ] - Stopped the vantage6-hospital-user-server server.\n"
    assert v6("stop", "--user", "--all").stdout == "[warn ] - No servers are currently running.\n"
    log = home / ".cache/vantage6/log/server/hospital/server_user.log"
    assert v6("attach", "--user", "-n", "hospital").stdout == log.read_text()
    files = v6("files", "--user", "-n", "hospital").stdout
    database = home / ".local/share/vantage6/server/hospital/default.sqlite"
    assert files.splitlines() == [
        f"[info ] - Configuration file = {home}/.config/vantage6/server/hospital.yaml",
        f"[info ] - Log file           = {log}",
        f"[info ] - Database           = sqlite:///{database}",
    ]
    assert "add --replace" in v6("restore", "--user", "-n", "hospital", "backup.zip").stdout
    restored = v6("restore", "--user", "-n", "hospital", "--replace", "backup.zip")
    assert restored.returncode == 0, restored.stdout

    removed = v6("remove", "--user", "-n", "hospital", "-f")
    assert removed.returncode == 0
    assert database.exists()
    assert not log.exists()
    assert v6("list").stdout == f"\n{'Name':<25}{'Status':<25}System/User\n{'-' * 85}\n{'-' * 85}\n"


def test_drop_all_needs_the_configurations_word(v6: Run, home: Path) -> None:
    make(v6)
    (home / "import.yaml").write_text(FILE)
    refused = v6("import", "--user", "-n", "hospital", "--drop-all", "import.yaml")
    assert "[error] - --drop-all is not allowed by the configuration" in refused.stdout
    # The import goes on, as the contract has it.
    assert refused.returncode == 0
    again = v6("import", "--user", "-n", "hospital", "--drop-all", "import.yaml")
    assert again.returncode == 1
    assert "line 3, organizations[0].name: an organization 'org_1' exists already" in again.stdout


def test_a_server_that_cannot_start_says_why(v6: Run, home: Path) -> None:
    make(v6, "nowhere", "--uri", "sqlite:////dev/null/server.sqlite")
    nowhere = v6("start", "--user", "-n", "nowhere", "--detach")
    assert nowhere.returncode == 1
    assert "did not start" in nowhere.stdout
    make(v6, "hospital", "--uri", "postgresql://nobody:secret@127.0.0.1:1/none")
    backed_up = v6("backup", "--user", "-n", "hospital", "b.zip")
    assert backed_up.returncode == 1
    assert "The database does not work" in backed_up.stdout
    files = v6("files", "--user", "-n", "hospital")
    for shown in (backed_up, files):
        assert "secret" not in shown.stdout + shown.stderr
    (home / ".config/vantage6/server/broken.yaml").write_text("port: many\n")
    broken = v6("start", "--user", "-n", "broken")
    assert broken.returncode == 1
    assert "port" in broken.stdout
    assert "[warn ] - Failed imports: 1" in v6("list").stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--with-rabbitmq"], "rabbitmq: {uri:"),
        (["--image", "x"], "pip install"),
        (["--with-prometheus"], "prometheus"),
        (["--with-ui"], "web server of your own"),
    ],
)
def test_what_needs_docker_elsewhere_says_what_to_do_here(
    v6: Run, options: list[str], words: str
) -> None:
    refused = v6("start", "--user", "-n", "x", *options)
    assert refused.returncode == 1
    assert words in refused.stdout


def test_a_name_that_is_nobodys(v6: Run) -> None:
    for scope in ("user", "system"):
        refused = v6("start", f"--{scope}", "-n", "nowhere")
        assert (refused.returncode, refused.stdout) == (
            1,
            f"[error] - Configuration nowhere does not exist in the {scope} folders!\n",
        )


def test_a_configuration_in_the_current_folder_is_found(v6: Run, home: Path) -> None:
    (home / "here.yaml").write_text("port: 7601\n")
    assert f"Configuration file = {home}/here.yaml" in v6("files", "--user", "-n", "here").stdout


def test_the_shell_has_the_tables(v6: Run) -> None:
    make(v6)
    typed = "with database.read() as s: print('users:', s.query(db.User).count())\n\n"
    opened = v6("shell", "--user", "-n", "hospital", typed=typed)
    assert "users: 0" in opened.stdout
    assert "[warn ]" in opened.stdout


def test_version_and_the_other_names_of_the_command(environment: dict[str, str]) -> None:
    folder = Path(sys.executable).parent
    expected = f"{{'server': '{__version__}', 'cli': '{__version__}'}}\n"
    for command in ("vserver", "vserver-local"):
        done = subprocess.run(
            [folder / command, "version"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == expected
    node = [folder / "vnode", "--help"]
    done = subprocess.run(node, env=environment, capture_output=True, text=True, check=True)
    assert "Usage: vnode " in done.stdout
