"""Runs: one organization's share of a task; status and log, not the result."""

from __future__ import annotations

from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.subclients.base import Listing, UserSubClient
from vantage6.common.client.refusal import Refusal, require

Period = tuple[str, str]


class RunSubClient(Listing, UserSubClient):
    """Runs: one organization's share of a task, with its status and log.

    This is where to look when a task failed: ``client.run.from_task(id, fields=["organization",
    "status", "log"])``.
    """

    @post_filtering(iterable=False)
    def get(
        self, id_: int, include_task: bool = False, decrypt_input: bool = True
    ) -> dict[str, Any]:
        """View one run.

        Parameters
        ----------
        id_ : int
            Id of the run.
        include_task : bool, optional
            Include the task instead of a link to it. Default False.
        decrypt_input : bool, optional
            Make the input readable; works for inputs meant for your own organization. Default
            True.

        Returns
        -------
        dict
            The run, or a message from the server.
        """
        run = self._ask(f"run/{id_}", params={"include": "task"} if include_task else {})
        if not decrypt_input or isinstance(run, Refusal):
            return run
        self.parent.log.info("--> Attempting to decrypt run input!")
        return self.parent._decoder().decode(run, "input")

    @post_filtering()
    def from_task(self, task_id: int, include_task: bool = False) -> dict[str, Any]:
        """List all runs of a task, in the order in which its organizations were named.

        Parameters
        ----------
        task_id : int
            Id of the task.
        include_task : bool, optional
            Include the task instead of a link to it. Default False.

        Returns
        -------
        dict
            ``{"data": [...], "links": {...}}``, all runs; a plain list as soon as a filter on
            the client's side is given.

        Raises
        ------
        RefusedError
            If the server does not show them; with what it said.
        """
        params: dict[str, Any] = {"task_id": task_id}
        if include_task:
            params["include"] = "task"
        self.parent.log.info("--> Attempting to decrypt results!")
        runs = self._whole_list("run", params)
        runs["data"].sort(key=lambda run: run["id"])
        return self._readable(runs)

    @post_filtering()
    def list(
        self,
        task: int | None = None,
        organization: int | None = None,
        state: str | None = None,
        node: int | None = None,
        include_task: bool = False,
        started: Period | None = None,
        assigned: Period | None = None,
        finished: Period | None = None,
        port: int | None = None,
        page: int | None = None,
        per_page: int | None = None,
    ) -> dict[str, Any]:
        """List runs, the newest first.

        Parameters
        ----------
        task : int, optional
            Filter by task id.
        organization : int, optional
            Filter by id of the organization that executes them.
        state : str, optional
            ``open``: only those that are not finished.
        node : int, optional
            Filter by node id.
        include_task : bool, optional
            Include the task instead of a link to it. Default False.
        started : tuple[str, str], optional
            Only those started between two dates (``yyyy-mm-dd``).
        assigned : tuple[str, str], optional
            Only those assigned between two dates.
        finished : tuple[str, str], optional
            Only those finished between two dates.
        port : int, optional
            Filter by a port on which the algorithm listens.
        page : int, optional
            Page number. Default is the server's, the first.
        per_page : int, optional
            Items per page. Default is the server's, 10.

        Returns
        -------
        dict
            ``{"data": [...], "links": {...}}``, a page of runs; a plain list as soon as a
            filter on the client's side is given.

        Raises
        ------
        RefusedError
            If the server does not show them; with what it said.
        """
        params: dict[str, Any] = {
            "task_id": task,
            "organization_id": organization,
            "state": state,
            "node_id": node,
            "page": page,
            "per_page": per_page,
            "port": port,
        }
        if include_task:
            params["include"] = "task"
        for name, period in (("started", started), ("assigned", assigned), ("finished", finished)):
            if period:
                params[f"{name}_from"], params[f"{name}_till"] = period
        return self._readable(require(self._ask("run", params=params)))

    def _readable(self, runs: dict[str, Any]) -> dict[str, Any]:
        runs["data"] = self.parent._decoder().decode_all(runs["data"], "input")
        return runs
