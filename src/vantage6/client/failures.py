"""Saying in one line per organization why a task failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vantage6.common.task_status import has_task_failed

#: How algorithm tools mark an error among what an algorithm prints.
_ERROR = "error > "


def explain(
    task_id: int, runs: Iterable[dict[str, Any]], names: Mapping[int, str]
) -> Iterator[str]:
    """Explain the failed ones among a task's runs, in the order of their ids.

    Parameters
    ----------
    task_id : int
    runs : iterable of dict
        All runs, as the server shows them.
    names : mapping
        Names of organizations, as far as known, by id.
    """
    failed = (run for run in runs if has_task_failed(run["status"]))
    for run in sorted(failed, key=lambda run: int(run["id"])):
        id_ = run["organization"]["id"]
        name = names.get(id_, "?")
        cause = _cause(run.get("log") or "").removeprefix(f"Organization '{name}': ")
        yield f"Task {task_id}, organization {name} (id={id_}): {run['status']}: {cause}"


def _cause(log: str) -> str:
    """The last error the algorithm told of, else the first line of the log."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
    if errors:
        return errors[-1]
    return lines[0] if lines else "there is no log"
