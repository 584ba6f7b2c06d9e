"""A stand-in for the algorithm client that runs an algorithm on a laptop, without a network."""

from __future__ import annotations

import copy
import importlib
import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vantage6.algorithm.tools._mock_records import (
    collaboration_record,
    organization_record,
    run_record,
    task_record,
)
from vantage6.algorithm.tools.preprocessing import preprocess_data
from vantage6.algorithm.tools.serialization import to_json
from vantage6.algorithm.tools.util import info
from vantage6.algorithm.tools.wrappers import load_data

if TYPE_CHECKING:
    import pandas as pd


class MockAlgorithmClient:
    """Runs tasks at once, in this process, on the data given.

    Parameters
    ----------
    datasets : list of list of dict
        Per organization its databases, in the order in which they are given to a function.
        Each has the key ``database`` (data frame, path or address) and, unless it is a data
        frame, ``db_type``; optional are ``query``, ``sheet_name`` and ``preprocessing``.
    module : str
        Import name of the algorithm's package.
    collaboration_id : int, optional
        1 by default.
    organization_ids, node_ids : list of int, optional
        One per entry of `datasets`; 0, 1, 2, … by default.

    Raises
    ------
    IndexError
        If `datasets` is empty.
    """

    def __init__(
        self,
        datasets: Sequence[Sequence[dict[str, Any]]],
        module: str,
        collaboration_id: int | None = None,
        organization_ids: Sequence[int] | None = None,
        node_ids: Sequence[int] | None = None,
    ) -> None:
        self.log = logging.getLogger("common")
        self.n = len(datasets)
        self.module_name = module
        self.image = "mock_image"
        self.database = "mock_database"
        self.collaboration_id = collaboration_id or 1
        self.all_organization_ids = self._identifiers(organization_ids, "organization_ids")
        self.all_node_ids = self._identifiers(node_ids, "node_ids")
        self.organization_id = self.all_organization_ids[0]
        self.node_id = self.all_node_ids[0]
        self.datasets_per_org: dict[int, list[pd.DataFrame]] = {
            organization: [_load(dataset) for dataset in given]
            for organization, given in zip(self.all_organization_ids, datasets, strict=True)
        }
        self.organizations_with_data = list(self.datasets_per_org)
        self.tasks: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        self._make_subclients()

    def wait_for_results(self, task_id: int, interval: float = 1) -> list[Any]:
        """Return a task's results; there is nothing to wait for."""
        info("Mocking waiting for results")
        return self.result.from_task(task_id)

    def _identifiers(self, given: Sequence[int] | None, name: str) -> list[int]:
        if given and len(given) == self.n:
            return list(given)
        if given:
            self.log.warning(
                "%s has %s entries, but there are %s datasets; using 0, 1, 2, … instead",
                name,
                len(given),
                self.n,
            )
        return list(range(self.n))

    def _make_subclients(self) -> None:
        self.task = self.Task(self)
        self.run = self.Run(self)
        self.result = self.Result(self)
        self.organization = self.Organization(self)
        self.collaboration = self.Collaboration(self)

    def _seen_by(self, organization_id: int) -> MockAlgorithmClient:
        """The client that a function run by an organization gets: what it does stays in it."""
        seen = copy.copy(self)
        seen.organization_id = organization_id
        seen.node_id = self.all_node_ids[self.all_organization_ids.index(organization_id)]
        seen.datasets_per_org = {key: list(each) for key, each in self.datasets_per_org.items()}
        seen.tasks = copy.deepcopy(self.tasks)
        seen.runs = copy.deepcopy(self.runs)
        seen.results = copy.deepcopy(self.results)
        seen._make_subclients()
        return seen

    class SubClient:
        """Requests about one kind of thing."""

        def __init__(self, parent: MockAlgorithmClient) -> None:
            self.parent = parent

    class Task(SubClient):
        """Tasks."""

        def create(
            self,
            input_: dict[str, Any],
            organizations: Sequence[int],
            name: str = "mock",
            description: str = "mock",
        ) -> dict[str, Any]:
            """Run a function for each organization and keep the results.

            Exceptions of the function are not caught.

            Raises
            ------
            ValueError
                If no organization is named.
            KeyError
                If an organization has no data.
            AttributeError
                If the algorithm has no such function.
            SerializationError
                A `TypeError`, if a result cannot be expressed as JSON.
            """
            if not organizations:
                raise ValueError(
                    "No organization ids provided. Cannot create a task for zero organizations."
                )
            client = self.parent
            method = getattr(importlib.import_module(client.module_name), input_["method"])
            outputs = []
            for organization_id in organizations:
                frames = client.datasets_per_org[organization_id]
                given: dict[str, Any] = {}
                if getattr(method, "wrapped_in_algorithm_client_decorator", False):
                    given["mock_client"] = client._seen_by(organization_id)
                if getattr(method, "wrapped_in_data_decorator", False):
                    given["mock_data"] = [frame.copy() for frame in frames]
                result = method(*input_.get("args", []), **input_.get("kwargs", {}), **given)
                outputs.append((organization_id, to_json(result).decode("utf-8")))

            task = task_record(len(client.tasks) + 1, name, description, client)
            client.tasks.append(task)
            for organization_id, output in outputs:
                result_id = len(client.results) + 1
                client.results.append({"id": result_id, "task_id": task["id"], "result": output})
                client.runs.append(
                    run_record(len(client.runs) + 1, result_id, task["id"], input_, organization_id)
                )
            return task

        def get(self, task_id: int) -> dict[str, Any]:
            """Get a task."""
            return _found(self.parent.tasks, task_id, "task")

    class Run(SubClient):
        """Runs."""

        def get(self, id_: int) -> dict[str, Any]:
            """Get a run."""
            return _found(self.parent.runs, id_, "run")

        def from_task(self, task_id: int) -> list[dict[str, Any]]:
            """Get the runs of a task."""
            return [run for run in self.parent.runs if run["task"]["id"] == task_id]

    class Result(SubClient):
        """Results."""

        def get(self, id_: int) -> Any:
            """Get one result."""
            for result in self.parent.results:
                if result["id"] == id_:
                    return json.loads(result["result"])
            return _not_found("result", id_)

        def from_task(self, task_id: int) -> list[Any]:
            """Get the results of a task, in the order of its organizations."""
            return [
                json.loads(result["result"])
                for result in self.parent.results
                if result["task_id"] == task_id
            ]

    class Organization(SubClient):
        """Organizations."""

        def get(self, id_: int) -> dict[str, Any]:
            """Get an organization."""
            if id_ not in self.parent.all_organization_ids:
                return {"msg": f"Organization {id_} not found."}
            return organization_record(id_)

        def list(self) -> list[dict[str, Any]]:
            """List the organizations."""
            return [self.get(id_) for id_ in self.parent.all_organization_ids]

    class Collaboration(SubClient):
        """The collaboration."""

        def get(self, is_encrypted: bool = True) -> dict[str, Any]:
            """Get the collaboration."""
            return collaboration_record(self.parent.collaboration_id, is_encrypted)


def _load(dataset: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    database = dataset["database"]
    if isinstance(database, pd.DataFrame):
        frame = database
    else:
        frame = load_data(
            str(database),
            dataset.get("db_type"),
            dataset.get("query"),
            dataset.get("sheet_name"),
        )
    steps = dataset.get("preprocessing")
    return preprocess_data(frame, steps) if steps else frame


def _found(records: Sequence[dict[str, Any]], id_: int, kind: str) -> dict[str, Any]:
    return next((each for each in records if each["id"] == id_), None) or _not_found(kind, id_)


def _not_found(kind: str, id_: int) -> dict[str, Any]:
    return {"msg": f"Could not find {kind} with id {id_}"}
