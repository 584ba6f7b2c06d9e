"""The tables of the folder ``tests/server/permission_matrix``, transcribed from the contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "server" / "permission_matrix"
CODES = {"glo": "GLOBAL", "col": "COLLABORATION", "org": "ORGANIZATION", "own": "OWN"}
#: Scopes, the widest first.
ORDER = list(CODES.values())


def table(name: str) -> list[list[str]]:
    """The cells of a table in the folder, line by line."""
    lines = (FOLDER / f"{name}.txt").read_text().splitlines()
    return [
        [cell.strip() for cell in line.split("|")]
        for line in lines
        if line and not line.startswith("#")
    ]


#: All rules, section 2.
RULES = [f"{r} {operation} {scope}" for r, operation, s in table("rules") for scope in s.split()]


def fill(template: Any, ids: Mapping[str, Any]) -> Any:
    """Put ids into a path or a body; a placeholder that stands alone becomes a number."""
    if isinstance(template, dict):
        return {key: fill(value, ids) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, ids) for value in template]
    if not isinstance(template, str):
        return template
    if template.startswith("{") and template.endswith("}"):
        return ids[template[1:-1]]
    return template.format(**ids)
