"""Results: what an algorithm returned at each organization."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vantage6.client.frames import import_pandas, make_frame
from vantage6.client.subclients.base import UserSubClient
from vantage6.common.client.refusal import require

if TYPE_CHECKING:
    import pandas as pd


class ResultSubClient(UserSubClient):
    """Results: what the algorithm returned at each organization, as JSON text."""

    def get(self, id_: int) -> Any:
        """Get the result of one run.

        Parameters
        ----------
        id_ : int
            Id of the run.

        Returns
        -------
        str | None
            The result as JSON text, for ``json.loads``; None while there is none.

        Raises
        ------
        RefusedError
            If the server does not show it; with what it said.
        """
        result = require(self._ask(f"result/{id_}"))
        return self.parent._decoder().decode(result, "result")["result"]

    def download(self, id_: int, path: str | Path) -> Path:
        """Write the result of one run to a file, without ever holding it in memory.

        Parameters
        ----------
        id_ : int
            Id of the run.
        path : str or pathlib.Path
            The file, which is replaced if there is one; it is written beside its place first.

        Returns
        -------
        pathlib.Path
            The file; it holds the result as JSON text.

        Raises
        ------
        RefusedError
            If the server does not show it; with what it said.
        ValueError
            If there is no result, or it is not meant for this client's organization.
        BlobError, ServerUnreachableError
            If it cannot be fetched.
        OSError
            If the file cannot be written.
        """
        result = require(self._ask(f"result/{id_}"))
        if not result["result"]:
            raise ValueError(f"Run {id_} has no result: it failed, or it has not finished")
        path = Path(path)
        self.parent._decoder().save(result, "result", path)
        return path

    def from_task(self, task_id: int) -> dict[str, Any]:
        """Get all results of a task, in the order in which its organizations were named.

        Parameters
        ----------
        task_id : int
            Id of the task.

        Returns
        -------
        dict
            ``{"data": [...], "links": {...}}``. Each item's ``result`` is JSON text, for
            ``json.loads``, or None where the run failed or is not finished.

        Raises
        ------
        RefusedError
            If the server does not show them; with what it said.
        """
        self.parent.log.info("--> Attempting to decrypt results!")
        results = self._whole_list("result", {"task_id": task_id})
        self.parent.log.info("Received %s results from server", len(results["data"]))
        results["data"].sort(key=lambda result: result["id"])
        results["data"] = self.parent._decoder(task_id).decode_all(results["data"], "result")
        self.parent.log.info("Successfully decrypted results")
        return results

    def to_frame(self, task_id: int) -> pd.DataFrame:
        """Get all results of a task as one pandas frame.

        Its first column, ``organization``, says whose result a row is. A result that is a table
        (a list of records, a dictionary of columns, what ``DataFrame.to_json`` makes) gives its
        rows, with their labels in a column ``index`` if they are more than numbers; another
        dictionary gives one row, in which nested keys become ``outer.inner``; a single value
        gives one row with a column ``result``. An organization without result has no row; the
        log names it.

        Parameters
        ----------
        task_id : int
            Id of the task.

        Returns
        -------
        pandas.DataFrame
            The frame; empty while there are no results.

        Raises
        ------
        ImportError
            If pandas is not installed.
        ValueError
            If a result is no such thing, or can't be read with your organization's key.
        RefusedError
            If the server does not show them; with what it said.
        """
        import_pandas()
        results = self.from_task(task_id)["data"]
        runs = self._whole_list("run", {"task_id": task_id})["data"]
        owners = {run["id"]: run["organization"]["id"] for run in runs}
        names = self.parent._organization_names(set(owners.values()))
        parts: list[tuple[str, str]] = []
        missing = []
        for result in results:
            owner = owners.get(result["id"])
            name = names.get(owner, str(owner)) if owner is not None else "unknown"
            if result["result"]:
                parts.append((name, result["result"]))
            else:
                missing.append(name)
        if missing:
            self.parent.log.warning(
                "Task %s has no result of: %s. client.run.from_task(%s) tells why",
                task_id,
                ", ".join(missing),
                task_id,
            )
        return make_frame(parts)
