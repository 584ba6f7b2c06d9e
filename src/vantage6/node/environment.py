"""The environment an algorithm finds: the contract's variables, as plain text.

A runtime encodes the values on their way in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vantage6.node.data import View

TEMPORARY_FOLDER = "/mnt/tmp"


def run_folder(run_id: int) -> str:
    """Where an algorithm finds the files of its run."""
    return f"/mnt/data/task-{run_id:09d}"


def build(
    run_id: int,
    proxy: tuple[str, int],
    view: View,
    extra: Mapping[str, Any],
    *,
    gateway: bool = False,
) -> dict[str, str]:
    """Name every variable that the node sets.

    Parameters
    ----------
    run_id : int
        The run.
    proxy : (str, int)
        Host with scheme, and port, under which the algorithm reaches the node's proxy.
    view : View
        The databases the run gets.
    extra : mapping
        ``algorithm_env`` of the configuration, which wins over all others.
    gateway : bool
        Whether the proxy lets the algorithm through to other hosts.
    """
    folder = run_folder(run_id)
    host, port = proxy
    environment = {
        "INPUT_FILE": f"{folder}/input",
        "OUTPUT_FILE": f"{folder}/output",
        "TOKEN_FILE": f"{folder}/token",
        "TEMPORARY_FOLDER": TEMPORARY_FOLDER,
        "HOST": host,
        "PORT": str(port),
        "API_PATH": "",
        "USER_REQUESTED_DATABASE_LABELS": ",".join(view.labels),
        "DB_LABELS": ",".join(view.all_labels),
    }
    if gateway:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            environment[name] = environment[name.lower()] = f"{host}:{port}"
        own = dict.fromkeys(("localhost", host.partition("://")[2], "proxyserver"))
        environment["NO_PROXY"] = environment["no_proxy"] = ", ".join(own)
    if view.targets:
        environment["DATABASE_GATEWAY"] = f"{host}:{port}"
    environment.update(view.environment)
    environment.update({key: str(value) for key, value in extra.items()})
    return environment
