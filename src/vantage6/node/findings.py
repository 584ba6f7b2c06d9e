"""What an examination of a node finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``remedy`` says what to do unless all is well."""

    about: str
    level: Level
    text: str
    remedy: str = ""
