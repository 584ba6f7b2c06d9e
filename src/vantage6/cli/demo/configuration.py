"""The configuration files of the demo's server and nodes: the same as anyone would write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from vantage6.cli.demo.folder import Folder, State, write_private
from vantage6.cli.demo.network import Node, Organization
from vantage6.cli.demo.ports import HOST
from vantage6.common.globals import DEFAULT_API_PATH

_LOGGING: dict[str, Any] = {
    "level": "INFO",
    "use_console": True,
    "backup_count": 5,
    "max_size": 1024,
    "format": "%(asctime)s - %(name)-14s - %(levelname)-8s - %(message)s",
    "datefmt": "%Y-%m-%d %H:%M:%S",
}


def write_server_config(folder: Folder, state: State, port: int) -> None:
    """Write the server's configuration: SQLite, reachable from this machine only."""
    _write(
        folder.server_config,
        {
            "description": "v6 demo",
            "ip": HOST,
            "port": port,
            "api_path": DEFAULT_API_PATH,
            "uri": f"sqlite:///{folder.database}",
            "allow_drop_all": False,
            "jwt_secret_key": state.jwt_secret_key,
            "logging": {**_LOGGING, "file": "server.log"},
            "directories": {
                "data": str(folder.server_data),
                "log": str(folder.server_data),
            },
        },
    )


def write_node_config(
    folder: Folder,
    site: int,
    node: Node,
    organization: Organization,
    *,
    port: int,
    authenticated: bool,
    runtime: Mapping[str, Any],
) -> None:
    """Write a node's configuration; ``runtime`` holds the keys that say how algorithms run."""
    data = folder.node_data(site)
    _write(
        folder.node_config(site),
        {
            "api_key": node.api_key,
            "server_url": f"http://{HOST}",
            "port": port,
            "api_path": DEFAULT_API_PATH,
            "task_dir": str(data),
            "databases": [{"label": "default", "uri": str(folder.table(site)), "type": "csv"}],
            "encryption": {
                "enabled": organization.private_key is not None,
                "private_key": organization.private_key,
                "authenticated": authenticated,
            },
            "logging": _LOGGING,
            "directories": {"data": str(data), "log": str(data)},
            **runtime,
        },
    )


def _write(path: Path, document: dict[str, Any]) -> None:
    write_private(path, yaml.safe_dump(document))
