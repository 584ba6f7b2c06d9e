"""Lines with a coloured level for people at a terminal."""

from __future__ import annotations

import sys

_COLOURS = {"error": 31, "warn": 33, "info": 32, "debug": 34}


def echo(msg: object, level: str = "info") -> None:
    """Print ``[level] - msg``; in colour when standard output is a terminal."""
    name = {"warning": "warn"}.get(level, level)
    tag = f"{name:<5}"
    if sys.stdout.isatty():
        tag = f"\x1b[{_COLOURS.get(name, 0)}m{tag}\x1b[0m"
    sys.stdout.write(f"[{tag}] - {msg}\n")
    sys.stdout.flush()


def info(msg: object) -> None:
    """Print an information."""
    echo(msg, "info")


def warning(msg: object) -> None:
    """Print a warning."""
    echo(msg, "warn")


def error(msg: object) -> None:
    """Print an error."""
    echo(msg, "error")


def debug(msg: object) -> None:
    """Print a detail."""
    echo(msg, "debug")


class ClickLogger:
    """The same functions under the names of a logger's methods."""

    info = staticmethod(info)
    warn = staticmethod(warning)
    error = staticmethod(error)
    debug = staticmethod(debug)
