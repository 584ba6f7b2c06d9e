"""What brings the data stations' shares together."""

from __future__ import annotations

from typing import Any

from vantage6.algorithm.client import AlgorithmClient
from vantage6.algorithm.tools.decorators import algorithm_client
from vantage6.algorithm.tools.exceptions import AlgorithmExecutionError, UserInputError
from vantage6.algorithm.tools.util import info

# A task counts as failed as soon as one run has; the others may still be busy then.
NOT_FAILED = {"pending", "initializing", "active", "completed"}


@algorithm_client
def central_average(
    client: AlgorithmClient, column_name: str, organizations: list[int] | None = None
) -> dict[str, float]:
    """Average a column over all data stations.

    Parameters
    ----------
    client : AlgorithmClient
        Creates the subtasks.
    column_name : str
        A numeric column that each data station has.
    organizations : list of int, optional
        Whose data to use; those of the whole collaboration or study by default.

    Returns
    -------
    dict
        ``{"average": float}``.

    Raises
    ------
    UserInputError
        If an organization does not take part, or none does.
    AlgorithmExecutionError
        If any data station failed. An average over the others would look like the answer
        without being it; leave an organization out with `organizations` to have that.
    """
    names = {each["id"]: each["name"] for each in client.organization.list()}
    chosen = list(names) if organizations is None else organizations
    unknown = [each for each in chosen if each not in names]
    if unknown or not chosen:
        raise UserInputError(
            f"No organizations {unknown} here. They are: {names}"
            if unknown
            else "There is no organization to average over"
        )

    info(f"Asking {len(chosen)} organizations for their sum and count")
    task = client.task.create(
        input_={"method": "partial_average", "kwargs": {"column_name": column_name}},
        organizations=chosen,
        name="partial average",
        description=f"Sum and count of column '{column_name}'",
    )
    results = client.wait_for_results(task_id=task.get("id"))
    if len(results) < len(chosen) or None in results:
        raise AlgorithmExecutionError(_what_failed(client, task["id"], names))

    total = sum(result["sum"] for result in results)
    count = sum(result["count"] for result in results)
    if not count:
        raise AlgorithmExecutionError(f"No organization has a value in column '{column_name}'")
    return {"average": total / count}


def _what_failed(client: AlgorithmClient, task_id: int, names: dict[int, str]) -> str:
    """Say which organizations failed, and why as far as their logs tell."""
    told = []
    runs = client.run.from_task(task_id)
    for run in runs:
        if run["status"] not in NOT_FAILED:
            organization = run["organization"]["id"]
            name = names.get(organization, f"organization {organization}")
            told.append(f"{name}: {_reason(run, name)}")
    if not told:
        return "Not every organization's result could be read"
    return f"{len(told)} of {len(runs)} organizations failed. " + " · ".join(sorted(told))


def _reason(run: dict[str, Any], name: str) -> str:
    """What the algorithm, or else the node, says of a failed run; or else its status.

    Only lines that the two write on purpose: the rest of a log may quote data.
    """
    lines = (run.get("log") or "").splitlines()
    errors = [line.removeprefix("error > ") for line in lines if line.startswith("error > ")]
    if errors:
        return errors[-1].removeprefix("Error encountered while calling partial_average: ")
    by_node = f"Organization '{name}': "
    if lines and lines[0].startswith(by_node):
        return lines[0].removeprefix(by_node)
    return str(run["status"])
