"""What changed while one was not looking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vantage6.client.subclients.base import UserSubClient
from vantage6.common.client.refusal import Refusal
from vantage6.common.exceptions import RefusedError


class EventSubClient(UserSubClient):
    """What changed since one last looked: tasks, their runs, and nodes.

    A server of this project knows it, also for somebody who was away for long; one of 4.15 does
    not. Keep the ``cursor`` of an answer, and give it the next time::

        cursor = client.event.list()["cursor"]
        ...
        for changes in client.event.iterate(cursor):
            for task in changes["tasks"]:
                print(task["id"], task["status"])
            cursor = changes["cursor"]
    """

    def list(self, since: str | int | None = None, limit: int | None = None) -> dict[str, Any]:
        """Ask what changed since, as it is now.

        What was deleted is not told. A change of the last second may be told twice.

        Parameters
        ----------
        since : str | int, optional
            ``cursor`` of an earlier answer. Without it nothing is told but where to begin.
        limit : int, optional
            Most tasks in the answer, 1 to 1000. Default is the server's, 100.

        Returns
        -------
        dict
            ``{"cursor": ..., "more": ..., "tasks": [...], "nodes": [...]}``. A task has ``id``,
            ``parent_id``, ``job_id``, ``collaboration_id``, ``status`` and ``runs``, a run
            ``id``, ``organization_id`` and ``status``, a node ``id``, ``name``, ``org_id`` and
            ``status``. ``cursor`` is to be given the next time: at once if ``more``.

        Raises
        ------
        RefusedError
            If the server cannot tell, because it is one of 4.15 or does not want to; with what
            it said.
        """
        answer = self._ask("event", params={"since": since, "limit": limit})
        if isinstance(answer, Refusal):
            if answer.status_code == 404:
                raise RefusedError(
                    f"The server at {self.parent.base_path} cannot tell what changed: servers of "
                    "vantage6 4.15 have no GET /event. Look at client.task.list() and "
                    "client.node.list() instead, or wait with client.wait_for_results()",
                    answer.status_code,
                )
            answer.fail()
        return answer

    def iterate(self, since: str | int, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Go through everything that changed since, answer by answer.

        Parameters
        ----------
        since : str | int
            ``cursor`` of an earlier answer.
        limit : int, optional
            Most tasks in one answer, 1 to 1000. Default is the server's, 100.

        Yields
        ------
        dict
            What :meth:`list` returns; the ``cursor`` of the last one is to be kept.

        Raises
        ------
        RefusedError
            As in :meth:`list`.
        """
        more = True
        while more:
            changes = self.list(since, limit)
            since, more = changes["cursor"], changes["more"]
            yield changes
