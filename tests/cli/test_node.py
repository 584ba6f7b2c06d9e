"""``v6 node``: nodes of this machine, from being made to being removed. They reach no server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from vantage6.cli.node.settings import set_text
from vantage6.common.encryption import RSACryptor
from vantage6.common.sealing import KnownKeys, OwnKeys, PublicKeys
from vantage6.node.config import NodeConfig
from vantage6.node.lock import exclusive, holder_of

KEY = "5c9e1c3e-0d0a-4a7a-9d53-2f3f1f0f7a11"


class Machine:
    """A user's account with nothing in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        folders = {name: str(home / name) for name in ("config", "data", "cache")}
        self.environment = {
            **{key: value for key, value in os.environ.items() if key != "SYSTEMD_EXEC_PID"},
            **{f"XDG_{name.upper()}_HOME": path for name, path in folders.items()},
        }
        self.config = home / "config" / "vantage6" / "node" / "utrecht.yaml"
        self.state = home / "data" / "vantage6" / "node" / "utrecht"
        self.log = home / "cache" / "vantage6" / "log" / "node" / "utrecht" / "node_user.log"

    def v6(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "vantage6.cli", "node", *arguments],
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            cwd=self.home,
        )

    def says(self, *arguments: str, code: int = 0) -> str:
        done = self.v6(*arguments)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    def new(self, *options: str, name: str = "utrecht") -> str:
        fixed = ("--api-key", KEY, "--port", "1", "--no-encryption", "--non-interactive")
        return self.says("new", "--name", name, *fixed, *options)

    def without_sandbox(self) -> None:
        """What is tried here needs no sandbox, nor anything imported ahead."""
        content = yaml.safe_load(self.config.read_text())
        content["process"] = {"sandbox": "none", "preload": []}
        self.config.write_text(yaml.safe_dump(content))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    holder = holder_of(machine.state)
    if holder is not None and holder.pid is not None:
        os.kill(holder.pid, signal.SIGKILL)


def eventually(condition: Callable[[], object], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_node_from_new_to_removed(machine: Machine) -> None:
    made = machine.new("--database", "default:csv:/data/p.csv", "--allowed-algorithm", "x/y")
    assert f"[info ] - New configuration created: {machine.config}\n" in made
    assert "[info ] - You can start the node by running v6 node start\n" in made
    assert machine.config.stat().st_mode & 0o777 == 0o600
    machine.without_sandbox()
    assert "utrecht                  Not running     User   " in machine.says("list")
    files = machine.says("files", "-n", "utrecht")
    assert f"[info ] - Configuration file = {machine.config}\n" in files
    assert f"[info ] - Log file           = {machine.log}\n" in files
    assert "[info ] -  - default         = /data/p.csv (type: csv)" in files

    started = machine.says("start", "-n", "utrecht")
    lines = ["Starting node...", "Checking that data", "Setting up databases", "Node was started!"]
    assert [started.find(line) >= 0 for line in lines] == [True] * 4
    assert "v6 node attach --name utrecht" in started
    assert "utrecht                  Running         User   " in machine.says("list")
    assert "Node utrecht is already running" in machine.says("start", "-n", "utrecht", code=1)
    assert machine.says("version", "-n", "utrecht").startswith("{'node': '4.15")
    assert "is running" in machine.says("remove", "-n", "utrecht", "-f", code=1)
    first = holder_of(machine.state)

    assert "Node was started!" in machine.says("restart", "--all")
    second = holder_of(machine.state)
    assert first is not None
    assert second is not None
    assert first.pid != second.pid
    assert KEY not in machine.log.read_text()

    stopped = machine.says("stop", "--all")
    assert "[info ] - Stopped the vantage6-utrecht-user Node.\n" in stopped
    assert "utrecht is not running?!" in machine.says("stop", "-n", "utrecht")
    assert "No nodes are currently running." in machine.says("stop")
    assert "Removed node utrecht." in machine.says("remove", "-n", "utrecht", "-f")
    left = [path for path in machine.home.rglob("*") if path.is_file()]
    assert left == []


def test_attach_shows_the_log_until_the_node_stops(machine: Machine) -> None:
    machine.new()
    machine.without_sandbox()
    machine.says("start", "-n", "utrecht")
    with subprocess.Popen(
        [sys.executable, "-m", "vantage6.cli", "node", "attach", "-n", "utrecht"],
        env=machine.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as attached:
        assert attached.stdout is not None
        first = attached.stdout.readline()
        eventually(lambda: "cannot be used yet" in machine.log.read_text())
        machine.says("stop", "-n", "utrecht")
        said = first + attached.stdout.read()
    assert attached.returncode == 0
    assert "Authenticating node..." in said
    assert "The node has stopped." in said


def test_a_node_that_is_killed_is_no_longer_running(machine: Machine) -> None:
    machine.new()
    machine.without_sandbox()
    machine.says("start", "-n", "utrecht")
    stopped = machine.says("stop", "-n", "utrecht", "--force")
    assert "Stopped the vantage6-utrecht-user Node." in stopped
    assert "Not running" in machine.says("list")
    assert "Node was started!" in machine.says("start", "-n", "utrecht")


def test_a_node_that_cannot_work_says_so_at_its_start(machine: Machine) -> None:
    machine.new()
    machine.without_sandbox()
    content = yaml.safe_load(machine.config.read_text())
    content["encryption"] = {"enabled": True, "private_key": "/nowhere.pem"}
    machine.config.write_text(yaml.safe_dump(content))
    said = machine.says("start", "-n", "utrecht", code=1)
    assert "The node could not be started" in said
    assert "/nowhere.pem" in said


@pytest.fixture
def refusing_server() -> Iterator[int]:
    """The port of a server that knows no API key, and takes its time to say so."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            time.sleep(2)
            body = b'{"msg": "Api key is not recognized!"}'
            self.send_response(401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_node_whose_key_is_refused_was_not_started(
    machine: Machine, refusing_server: int
) -> None:
    machine.new()
    content = yaml.safe_load(machine.config.read_text())
    content |= {"server_url": "http://127.0.0.1", "port": refusing_server}
    machine.config.write_text(yaml.safe_dump(content))
    machine.without_sandbox()
    said = machine.says("start", "-n", "utrecht", code=1)
    assert "The node could not be started: The server at" in said
    assert "Api key is not recognized!" in said
    assert "Node was started!" not in said
    assert "Not running" in machine.says("list")


def test_a_node_that_is_not_named_is_asked_for_by_the_name_that_is_taken(machine: Machine) -> None:
    machine.new()
    machine.without_sandbox()
    machine.says("start", "-n", "utrecht")
    said = machine.says("stop", code=1)
    assert "Please give --name, one of: utrecht\n" in said
    machine.says("stop", "-n", "utrecht")


def test_keys_that_nothing_reads_are_told_of_at_the_start(machine: Machine) -> None:
    machine.new()
    machine.without_sandbox()
    with machine.config.open("a") as file:
        file.write("sharing_is_caring: true\n")
    assert "'sharing_is_caring' (line " in machine.says("start", "-n", "utrecht")


def test_a_database_beside_the_person_is_found_from_anywhere(machine: Machine) -> None:
    (machine.home / "p.csv").write_text("age\n40\n")
    said = machine.new("--database", "default:csv:p.csv", "--database", "gone:csv:gone.csv")
    files = machine.says("files", "-c", str(machine.config))
    assert f" = {machine.home / 'p.csv'} (type: csv)" in files
    assert "[warn ] - the file of database 'gone' is missing" in said
    assert "'default'" not in said


def test_new_says_when_it_does_not_know_whether_to_encrypt(machine: Machine) -> None:
    fixed = ("--api-key", KEY, "--port", "1", "--non-interactive")
    assert "give --no-encryption" in machine.says("new", "-n", "utrecht", *fixed)
    said = machine.says("start", "-n", "utrecht", code=1)
    assert f"{machine.state / 'private_key.pem'} not found" in said


def test_a_wrong_configuration_is_told_of_before_anything_starts(machine: Machine) -> None:
    machine.new()
    machine.config.write_text(machine.config.read_text().replace("port: 1", "port: many"))
    line = machine.config.read_text().splitlines().index("port: many") + 1
    said = machine.says("start", "-n", "utrecht", code=1)
    assert f"port (line {line})" in said
    assert not machine.state.exists()
    listed = machine.says("list")
    assert "[warn ] - Failed imports: 1" in listed
    assert str(machine.config) in listed


@pytest.mark.parametrize("command", ["files", "start", "set-api-key", "remove"])
def test_a_configuration_that_is_not_there_is_named(machine: Machine, command: str) -> None:
    said = machine.says(command, "-n", "leiden", code=1)
    assert "The configuration leiden could not be found." in said
    assert "No configurations could be found!" in machine.says(command, code=1)


def test_a_list_without_nodes_is_a_header_and_two_rules(machine: Machine) -> None:
    rule = "-" * 53
    header = "Name                     Status          System/User"
    assert machine.says("list") == f"\n{header}\n{rule}\n{rule}\n"


def test_what_new_refuses(machine: Machine) -> None:
    machine.new(name="a b")
    assert (machine.config.parent / "a-b.yaml").exists()
    fixed = ("--api-key", KEY, "--no-encryption", "--non-interactive")
    assert "already exists" in machine.says("new", "-n", "a-b", *fixed, code=1)
    assert "is not allowed" in machine.says("new", "-n", "a/b", *fixed, code=1)
    said = machine.says("new", "-n", "c", *fixed, "--database", "1x:csv:/y", code=1)
    assert "label '1x' must be letters" in said
    assert not (machine.config.parent / "c.yaml").exists()
    assert "LABEL:TYPE:URI" in machine.says("new", "-n", "c", *fixed, "--database", "x", code=1)
    unanswered = machine.says("new", "-n", "c", "--non-interactive", code=1)
    assert "Enter given api-key:" in unanswered


def test_the_api_key_changes_and_nothing_else_does(machine: Machine) -> None:
    machine.new()
    text = "# a comment\n" + machine.config.read_text()
    machine.config.write_text(text)
    said = machine.says("set-api-key", "-n", "utrecht", "--api-key", "another")
    assert f"Your new API key has been uploaded to the config file {machine.config}." in said
    assert machine.config.read_text() == re.sub(r"api_key: .*", 'api_key: "another"', text)
    assert machine.config.stat().st_mode & 0o777 == 0o600


def test_a_private_key_is_made_kept_and_replaced_only_when_told(machine: Machine) -> None:
    machine.new()
    options = ("create-private-key", "-n", "utrecht", "-o", "Utrecht", "--no-upload")
    assert machine.says(*options).rstrip().endswith("[Done]")
    path = machine.home / "data" / "vantage6" / "node" / "privkey_Utrecht.pem"
    first = path.read_bytes()
    assert first.startswith(b"-----BEGIN RSA PRIVATE KEY-----")
    assert RSACryptor(path).private_key.key_size == 4096
    assert yaml.safe_load(machine.config.read_text())["encryption"]["private_key"] == str(path)
    assert "exists already" in machine.says(*options)
    assert path.read_bytes() == first
    assert "without logging in" not in machine.says(*options, "--overwrite")
    assert path.read_bytes() != first
    assert "-o with --no-upload" in machine.says("create-private-key", "-n", "utrecht", code=1)


def test_fingerprints_are_shown_and_keys_forgotten(machine: Machine) -> None:
    machine.new()
    assert "not encrypted" in machine.says("keys", "-n", "utrecht", code=1)
    key = rsa.generate_private_key(65537, 2048)
    path = machine.home / "key.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    own = OwnKeys.derive(key).public
    other = PublicKeys(bytes(32), bytes(32))
    content = yaml.safe_load(machine.config.read_text())
    content["encryption"] = {
        "enabled": True,
        "private_key": str(path),
        "trusted": {9: own.fingerprint},
    }
    machine.config.write_text(yaml.safe_dump(content))
    config = NodeConfig.load(machine.config)
    machine.state.mkdir(parents=True, exist_ok=True)
    known = KnownKeys(machine.state / "known_keys.sqlite", config.api_url)
    known.pin(4, other)
    said = machine.says("keys", "-n", "utrecht").splitlines()
    assert said[0].split() == ["own", own.fingerprint]
    assert said[1].split()[:2] == ["4", other.fingerprint]
    assert said[2].split()[:2] == ["9", own.fingerprint]
    machine.says("keys", "-n", "utrecht", "--forget", "4")
    assert known.peers() == []
    assert "not known" in machine.says("keys", "-n", "utrecht", "--forget", "4", code=1)


def test_clean_removes_what_no_undelivered_run_needs(machine: Machine) -> None:
    machine.new()
    assert "nothing to clean" in machine.says("clean", "-f")
    (machine.state / "runs" / "7.1").mkdir(parents=True)
    assert "Cancelled" in machine.says("clean")
    assert (machine.state / "runs" / "7.1").exists()
    assert "removed successfully" in machine.says("clean", "-f")
    assert not (machine.state / "runs" / "7.1").exists()


def test_a_node_in_another_namespace_is_not_signalled(machine: Machine) -> None:
    machine.new()
    with exclusive(machine.state):
        (machine.state / "lock").write_text(f"{os.getpid()}\n4242\n4.15.2\n")
        said = machine.says("stop", "-n", "utrecht", code=1)
    assert "runs in a container" in said


def test_the_lock_lets_others_look_while_a_node_starts(tmp_path: Path) -> None:
    for _ in range(50):
        assert holder_of(tmp_path / "state") is None
        with exclusive(tmp_path / "state"):
            holder = holder_of(tmp_path / "state")
            assert holder is not None
            assert holder.pid == os.getpid()
            assert holder.can_be_signalled


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: 1\nb: 2\n", 'a: "x"\nb: 2\n'),
        ("b: 2 # c\n", 'a: "x"\nb: 2 # c\n'),
        ("a:\nb: 2\n", 'a: "x"\nb: 2\n'),
        ("{b: 2}\n", '{a: "x", b: 2}\n'),
    ],
)
def test_one_value_of_a_file_is_set(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(before)
    set_text(path, ("a",), "x")
    assert path.read_text() == after


@pytest.mark.parametrize("before", ["", "- a\n", "a: >\n  long\n  text\nb: 2\n"])
def test_a_file_that_cannot_be_changed_so_stays_as_it_is(tmp_path: Path, before: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(before)
    with pytest.raises(ValueError, match=r"by hand|keys and values|empty"):
        set_text(path, ("a",), "x")
    assert path.read_text() == before


@pytest.mark.parametrize(
    "before",
    ["e: {enabled: true}\n", "e:\n  enabled: true\n", "e:\n  key:\n  enabled: true\n", "a: 1\n"],
)
def test_a_value_one_level_down_is_set(tmp_path: Path, before: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(before)
    set_text(path, ("e", "key"), "x: y")
    content = yaml.safe_load(path.read_text())
    assert content.pop("e")["key"] == "x: y"
    assert content == {k: v for k, v in yaml.safe_load(before).items() if k != "e"}
