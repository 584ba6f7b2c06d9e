"""The lesson: an average over tables that stay where they are, beside the one over all at once."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from vantage6.cli.demo.errors import DemoError
from vantage6.cli.demo.network import Network
from vantage6.client import Client

IMAGE = "harbor2.vantage6.ai/demo/average"
COLUMN = "age"


@dataclass(frozen=True)
class SiteShare:
    """What one site's patients come to: ``total`` of the column over ``count`` known values."""

    organization: str
    rows: int
    count: int
    total: float


@dataclass(frozen=True)
class Outcome:
    """The averages of the lesson, in the column's unit.

    ``partial`` is put together here from the sites' sums and counts, ``central`` by an algorithm
    at one site, ``pooled`` directly from all tables, as only a demo can.
    """

    shares: list[SiteShare]
    partial: float
    central: float
    pooled: float

    @property
    def agrees(self) -> bool:
        """Whether all three are the same number, but for the order of additions."""
        return all(
            math.isclose(average, self.pooled, rel_tol=1e-9)
            for average in (self.partial, self.central)
        )


def run_lesson(client: Client, network: Network, at: int) -> Outcome:
    """Run the partial average on all organizations, then the central one at one of them.

    Parameters
    ----------
    client
        Logged in as the researcher, encryption set up.
    network
        The network to run on.
    at
        Id of the organization that runs the central function.

    Raises
    ------
    DemoError
        If a task fails; the message names the organization and what its node reported.
    """
    everyone = [organization.id for organization in network.organizations]
    partials = _run(client, network, "partial_average", everyone)
    central = _run(client, network, "central_average", [at])
    tables = {id_: pd.read_csv(path) for id_, path in network.databases.items()}
    return Outcome(
        shares=[
            SiteShare(
                organization=network.organization(id_).name,
                rows=len(tables[id_]),
                count=int(partial["count"]),
                total=float(partial["sum"]),
            )
            for id_, partial in partials.items()
        ],
        partial=sum(partial["sum"] for partial in partials.values())
        / sum(partial["count"] for partial in partials.values()),
        central=next(iter(central.values()))["average"],
        pooled=float(pd.concat([table[COLUMN] for table in tables.values()]).mean()),
    )


def _run(
    client: Client, network: Network, method: str, organizations: list[int]
) -> Mapping[int, dict[str, Any]]:
    """Run a method; returns organization id to result, in the order asked for."""
    task = client.task.create(
        collaboration=network.collaboration.id,
        organizations=organizations,
        name=f"Demo: {method.replace('_', ' ')} of {COLUMN}",
        image=IMAGE,
        description="",
        input_={"method": method, "args": [], "kwargs": {"column_name": COLUMN}},
        databases=[{"label": "default"}],
    )
    if "id" not in task:
        raise DemoError(f"The server refused the task: {task.get('msg', task)}")
    results = client.wait_for_results(task["id"])["data"]
    runs = client.run.from_task(task["id"])["data"]
    for run in runs:
        if run["status"] != "completed":
            name = network.organization(run["organization"]["id"]).name
            raise DemoError(f"{method} ended as '{run['status']}' at {name}: {run['log']}")
    organization_of = {run["id"]: run["organization"]["id"] for run in runs}
    answers = {organization_of[each["id"]]: json.loads(each["result"]) for each in results}
    return {id_: answers[id_] for id_ in organizations}
