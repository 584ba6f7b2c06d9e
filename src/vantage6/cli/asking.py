"""What all commands do alike: ask, take no for an answer, and end with an error."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

import typer

from vantage6.common.messages import error, info

_NAME = re.compile(r"[a-zA-Z0-9_.-]+")


def leave(message: object) -> NoReturn:
    """Say what is wrong, and end with code 1."""
    error(message)
    raise typer.Exit(1)


def valid_name(name: str) -> str:
    """Check the name of a configuration; spaces become hyphens.

    Raises
    ------
    typer.Exit
        If it holds characters that it may not.
    """
    if " " in name:
        name = name.replace(" ", "-")
        info(f"Replaced spaces from configuration name: {name}")
    if not _NAME.fullmatch(name) or name in (".", ".."):
        leave(
            f"Name '{name}' is not allowed. Please use only the following characters: a-zA-Z0-9_.-"
        )
    return name


def choose(question: str, choices: dict[str, Any], names: Iterable[str] | None = None) -> Any:
    """Have a person choose one.

    Parameters
    ----------
    choices : dict
        What can be chosen, by what a person is shown.
    names : iterable of str, optional
        What ``--name`` takes, if that is not what a person is shown.

    Raises
    ------
    typer.Exit
        If there is nothing to choose from, nobody to ask, or they give up.
    """
    if not choices:
        leave("No configurations could be found!")
    if not sys.stdin.isatty():
        leave(f"Which one? Please give --name, one of: {', '.join(names or choices)}")
    import questionary

    return choices[answered(questionary.select(question, choices=list(choices)))]


def answered(question: Any) -> Any:
    """Put a question of questionary's; giving up ends the command.

    Raises
    ------
    typer.Exit
        If it is not answered.
    """
    answer = question.ask(kbi_msg="")
    if answer is None:
        leave("Aborted by user!")
    return answer


def confirmed(question: str) -> bool:
    """Ask for a yes; nobody to ask is a no."""
    if not sys.stdin.isatty():
        info(f"{question} Nobody is there to answer: add --force")
        return False
    import questionary

    return bool(answered(questionary.confirm(question, default=False)))
