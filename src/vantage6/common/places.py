"""Where services keep configurations, data and logs on a machine, as the contract has it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from vantage6.common.globals import APPNAME, InstanceType

Scope = Literal["user", "system"]


def config_folder(kind: InstanceType, scope: Scope) -> Path:
    """Where configuration files of a kind of service lie, one per instance."""
    if scope == "system":
        return Path("/etc") / APPNAME / kind.value
    return _own("XDG_CONFIG_HOME", ".config") / APPNAME / kind.value


def data_folder(kind: InstanceType, scope: Scope) -> Path:
    """Where the folders with data of a kind of service lie, one per instance."""
    if scope == "system":
        return Path("/usr/local/share") / APPNAME / kind.value
    return _own("XDG_DATA_HOME", ".local/share") / APPNAME / kind.value


def log_folder(kind: InstanceType, scope: Scope) -> Path:
    """Where the folders with logs of a kind of service lie, one per instance."""
    if scope == "system":
        return data_folder(kind, scope)
    return _own("XDG_CACHE_HOME", ".cache") / APPNAME / "log" / kind.value


def _own(variable: str, below_home: str) -> Path:
    named = os.environ.get(variable)
    return Path(named) if named else Path.home() / below_home
