"""The client of a central function."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NoReturn

import httpx2 as httpx

from vantage6.algorithm.client.subclients import (
    Collaboration,
    Organization,
    Result,
    Run,
    Study,
    Task,
    Vpn,
)
from vantage6.algorithm.client.token import read_token
from vantage6.algorithm.tools.exceptions import ClientError
from vantage6.common.client.client_base import ClientBase
from vantage6.common.client.refusal import Refusal
from vantage6.common.client.waiting import SilentDisplay, Waiter
from vantage6.common.clock import Clock
from vantage6.common.exceptions import RefusedError, ServerUnreachableError, UnexpectedAnswerError

#: Seconds for which the proxy may be out of reach, and for its answer: it waits for the server.
PATIENCE = 600.0
READ_TIMEOUT = 900.0

# A server that can't hold its answers is asked again after this share of `interval`, then less and
# less often, at most every so many seconds (or `interval`, if that is longer).
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 30.0
# Seconds for which server or proxy may be away, and for which a status may be refused (4xx) or
# missing: hours of work at other nodes are not thrown away for one odd answer.
_OUTAGE = 24 * 3600.0
_TOLERANCE = 10.0

_PAGE_SIZE = 100


class AlgorithmClient(ClientBase):
    """Talks to the server through the node's proxy, on behalf of one run.

    An algorithm gets one from the decorator ``@algorithm_client``.

    Parameters
    ----------
    token : str
        The container's token.
    host : str
        The proxy's address, with scheme.
    port : int
        The proxy's port.
    path : str
        Prefix of every endpoint.
    transport : httpx2.BaseTransport, optional
        Replaces the network, for tests.
    clock : Clock, optional
        Replaces the machine's clock, for tests.

    Attributes
    ----------
    image : str
        The run's image, which its subtasks have too.
    databases : list of dict
        The task's databases, which its subtasks use too.
    node_id, organization_id, collaboration_id, study_id, store_id, task_id : int or None
        Where the run runs.

    Raises
    ------
    ClientError
        If the token is not a container's.
    """

    def __init__(
        self,
        token: str,
        host: str,
        port: int | None,
        path: str = "/api",
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            host,
            port,
            path,
            timeout=READ_TIMEOUT,
            patience=PATIENCE,
            transport=transport,
            clock=clock,
        )
        self.log = logging.getLogger("common")
        self._access_token = token

        claims = read_token(token)
        self.image: str | None = claims.get("image")
        self.databases: list[dict[str, Any]] = claims.get("databases") or []
        self.node_id: int | None = claims.get("node_id")
        self.task_id: int | None = claims.get("task_id")
        self.collaboration_id: int | None = claims.get("collaboration_id")
        self.study_id: int | None = claims.get("study_id")
        self.store_id: int | None = claims.get("store_id")
        self.organization_id: int | None = claims.get("organization_id")
        self.log.info("Container in collaboration_id=%s", self.collaboration_id)
        self.log.info("Container on node_id=%s", self.node_id)
        self.log.info("Container from image=%s", self.image)

        self.run = Run(self)
        self.result = Result(self)
        self.task = Task(self)
        self.vpn = Vpn(self)
        self.organization = Organization(self)
        self.collaboration = Collaboration(self)
        self.study = Study(self)

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request to the server.

        Parameters are those of :meth:`ClientBase.request
        <vantage6.common.client.client_base.ClientBase.request>`.

        Returns
        -------
        dict
            The answer; for a refused request its ``{"msg": ...}``.

        Raises
        ------
        ServerUnreachableError
            If no answer came.
        """
        return super().request(*args, **{**kwargs, "retry": False})

    def authenticate(
        self, credentials: Mapping[str, Any] | None = None, path: str | None = None
    ) -> NoReturn:
        """Algorithms have their token already.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError("Algorithms have their token already and cannot log in")

    def refresh_token(self) -> NoReturn:
        """A container's token does not expire.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError("A container's token does not expire and is never refreshed")

    def wait_for_results(self, task_id: int | None, interval: float = 1) -> list[Any]:
        """Wait until a task has ended and return its results.

        The server tells at once when the task ends; an older one is asked again and again.

        Parameters
        ----------
        task_id : int
            The subtask. None, which a subtask that was refused leads to, is an error.
        interval : float
            Seconds that set the pace at which an older server is asked.

        Returns
        -------
        list
            As :meth:`Result.from_task <vantage6.algorithm.client.subclients.Result.from_task>`.

        Raises
        ------
        ClientError
            If there is no such task, the server keeps refusing to say its status, or stays
            away for a day.
        """
        if task_id is None:
            said = f": {self.task.refusal}" if self.task.refusal else ""
            raise ClientError(f"There is no task to wait for; it was not created{said}")
        self._wait(task_id, interval)
        return self.result.from_task(task_id)

    def _wait(self, task_id: int, interval: float) -> None:
        def ask(params: Mapping[str, Any]) -> Any:
            return self.request(f"task/{task_id}/status", params=params)

        waiter = Waiter(
            ask,
            clock=self._connection.clock,
            display=SilentDisplay(),
            log=self.log,
            outage=_OUTAGE,
            tolerance=_TOLERANCE,
            longest_pause=max(interval, _LONGEST_PAUSE),
        )
        try:
            waiter.wait(task_id, interval * _FIRST_PAUSE)
        except (ServerUnreachableError, RefusedError, UnexpectedAnswerError) as error:
            away = isinstance(error, ServerUnreachableError)
            # What went wrong last: an algorithm's reader can't follow the waiter's advice.
            reason = error.__cause__ if away else error
            raise ClientError(f"The status of task {task_id} cannot be read: {reason}") from error

    def _multi_page_request(
        self, endpoint: str, params: Mapping[str, Any] | None = None
    ) -> list[Any]:
        return self.all_pages(endpoint, params, ClientError)

    def all_pages(
        self, endpoint: str, params: Mapping[str, Any] | None, refused: type[ClientError]
    ) -> list[Any]:
        """Collect every page of a list.

        Raises
        ------
        ClientError
            Of type `refused`, if the server refuses.
        """
        items: list[Any] = []
        page = 1
        while True:
            answer = self.request(
                endpoint, params={"per_page": _PAGE_SIZE, **(params or {}), "page": page}
            )
            if isinstance(answer, Refusal) or "data" not in answer:
                raise refused(f"The server does not give '{endpoint}': {answer.get('msg')}")
            items += answer["data"]
            if not (answer.get("links") or {}).get("next"):
                return items
            page += 1
