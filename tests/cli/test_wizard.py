"""The questions of ``v6 node new``: which, in which order, and what becomes of the answers."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from vantage6.cli import asking
from vantage6.cli.node import wizard
from vantage6.cli.node.wizard import Given, new


class Answer:
    def __init__(self, value: Any) -> None:
        self.value = value

    def ask(self, **_: Any) -> Any:
        return self.value


class Person:
    """Answers questions as told, and takes the default of all others."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def _answer(self, question: str, default: Any) -> Answer:
        self.asked.append(question)
        for words, value in self.answers.items():
            if words in question:
                return Answer(value.pop(0) if isinstance(value, list) else value)
        return Answer(default)

    def text(self, question: str, default: str = "") -> Answer:
        return self._answer(question, default)

    def confirm(self, question: str, default: bool = True) -> Answer:
        return self._answer(question, default)

    def select(self, question: str, choices: Any, default: Any = None) -> Answer:
        return self._answer(question, default or next(iter(choices)))


@pytest.fixture
def meet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for module in (wizard, asking):
        monkeypatch.setattr(module.sys.stdin, "isatty", lambda: True, raising=False)

    def meet(answers: dict[str, Any]) -> Person:
        person = Person(answers)
        monkeypatch.setitem(sys.modules, "questionary", person)
        return person

    return meet


def test_every_question_in_the_contracts_order(meet: Any, tmp_path: Path) -> None:
    person = meet(
        {
            "configuration-name": "utrecht",
            "api-key": "key",
            "base-URL": "http://127.0.0.1",
            "Enter port": "1",
            "add a database": [True, False],
            "Database URI": "/data/p.csv",
            "Enter your algorithm": "^a",
            "add another": False,
            "Enter the URL": "https://store",
            "Must an algorithm": False,
            "want to abort": False,
            "private key": "key.pem",
        }
    )
    path = new(None, False, Given(), interactive=True)
    assert person.asked == [
        "Please enter a configuration-name:",
        "Enter given api-key:",
        "The base-URL of the server:",
        "Enter port to which the server listens:",
        "Path of the api:",
        "Task directory path:",
        "Do you want to add a database?",
        "Enter unique label for the database:",
        "Database URI:",
        "Database type:",
        "Do you want to add a database?",
        "Do you want to limit the algorithms allowed on your node? This should always be done for "
        "production scenarios.",
        "Do you want to enter a list of allowed algorithms?",
        "Enter your algorithm expression:",
        "Do you want to add another algorithm expression?",
        "Do you want to allow algorithms from specific algorithm stores?",
        "Enter the URL of the algorithm store:",
        "Do you want to add another algorithm store?",
        "Must an algorithm be both in the list and in one of the stores?",
        "Which level of logging would you like?",
        "Do you want to abort?",
        "Enable encryption?",
        "Path to private key file:",
    ]
    assert path == tmp_path / "vantage6" / "node" / "utrecht.yaml"
    content = yaml.safe_load(path.read_text())
    assert content["databases"] == [{"label": "default", "uri": "/data/p.csv", "type": "csv"}]
    assert content["policies"] == {
        "allowed_algorithms": ["^a"],
        "allowed_algorithm_stores": ["https://store"],
        "allow_either_whitelist_or_store": True,
    }
    assert content["encryption"] == {"enabled": True, "private_key": "key.pem"}
    assert (content["port"], content["logging"]["level"]) == (1, "INFO")


def test_giving_up_writes_nothing(meet: Any, tmp_path: Path, capsys: Any) -> None:
    meet({"configuration-name": "utrecht", "api-key": None})
    with pytest.raises(typer.Exit):
        new(None, False, Given(), interactive=True)
    assert "Aborted by user!" in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.yaml"))


def test_a_person_at_a_terminal_is_asked_and_may_leave(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "vantage6.cli", "node", "new"],
        env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path), "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        assert "configuration-name" in _read_until(ours, "configuration-name")
        os.write(ours, b"utrecht\r")
        assert "api-key" in _read_until(ours, "api-key")
        os.write(ours, b"\x03")
        assert "Aborted by user!" in _read_until(ours, "Aborted")
        try:
            assert process.wait(30) == 1
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
    os.close(ours)


def _read_until(terminal: int, words: str) -> str:
    seen, deadline = "", time.monotonic() + 60
    while words not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([terminal], [], [], 1.0)[0]:
            try:
                seen += os.read(terminal, 4096).decode(errors="replace")
            except OSError:  # the other end is closed
                break
            if "\x1b[6n" in seen:
                os.write(terminal, b"\x1b[1;1R")  # where the cursor is
                seen = seen.replace("\x1b[6n", "")
    # Whatever is left of the line.
    if select.select([terminal], [], [], 0.3)[0]:
        with contextlib.suppress(OSError):
            seen += os.read(terminal, 4096).decode(errors="replace")
    return seen
