"""What a central function may ask for, one class per resource."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from vantage6.algorithm.tools.exceptions import (
    CollectOrganizationError,
    CollectResultsError,
    SubtakCreationError,
)
from vantage6.algorithm.tools.serialization import to_json
from vantage6.algorithm.tools.util import error
from vantage6.common import base64s_to_bytes, bytes_to_base64s
from vantage6.common.client.client_base import ClientBase
from vantage6.common.client.refusal import Refusal
from vantage6.common.exceptions import BlobError, ServerUnreachableError
from vantage6.common.transforms import fits_inline

if TYPE_CHECKING:
    from vantage6.algorithm.client.client import AlgorithmClient


class SubClient(ClientBase.SubClient):
    """Requests about one kind of thing."""

    parent: AlgorithmClient

    def __init__(self, parent: AlgorithmClient) -> None:
        super().__init__(parent)


class Task(SubClient):
    """Subtasks."""

    def __init__(self, parent: AlgorithmClient) -> None:
        super().__init__(parent)
        #: What the server said when it refused the last subtask.
        self.refusal: str | None = None
        self._largest_inline: int | EllipsisType | None = ...

    def get(self, task_id: int) -> dict[str, Any]:
        """Get a task."""
        task: dict[str, Any] = self.parent.request(f"task/{task_id}")
        return task

    def create(
        self,
        input_: dict[str, Any],
        organizations: list[int] | None = None,
        name: str = "subtask",
        description: str | None = None,
    ) -> dict[str, Any]:
        """Have organizations run a function of this same algorithm on the same databases.

        Parameters
        ----------
        input_ : dict
            ``{"method": name, "args": [...], "kwargs": {...}}``.
        organizations : list of int
            Identifiers of organizations.
        name, description : str
            For people.

        Returns
        -------
        dict
            The new task, or ``{"msg": ...}`` if the server refused; the run's log then says why.

        Raises
        ------
        SerializationError
            If the input cannot be expressed as JSON.
        SubtakCreationError
            If no answer came, or the input could not be uploaded.
        """
        client = self.parent
        body: dict[str, Any] = {
            "name": name,
            "image": client.image,
            "collaboration_id": client.collaboration_id,
            "description": description or f"task from container on node_id={client.node_id}",
            "organizations": self._inputs(to_json(input_, "input_"), organizations or []),
            "databases": client.databases,
        }
        if client.study_id:
            body["study_id"] = client.study_id
        if client.store_id:
            body["store_id"] = client.store_id
        try:
            answer = client.request("task", method="post", json=body)
        except ServerUnreachableError as problem:
            raise SubtakCreationError(
                f"No answer while creating the subtask '{name}': {problem}"
            ) from problem
        self.refusal = answer.explain() if isinstance(answer, Refusal) else None
        if self.refusal:
            error(f"The server refused the subtask '{name}': {self.refusal}")
        task: dict[str, Any] = answer
        return task

    def _inputs(self, data: bytes, organizations: Sequence[int]) -> list[dict[str, Any]]:
        """The input for each organization as the server wants it; the proxy encrypts it."""
        if organizations and self._is_too_large(len(data)):
            return [{"id": each, "input": self._upload(data, each)} for each in organizations]
        text = bytes_to_base64s(data)
        return [{"id": each, "input": text} for each in organizations]

    def _upload(self, data: bytes, organization: int) -> str:
        key = self.parent.organization.get(organization).get("public_key")
        try:
            return self.parent._upload_run_data_to_server(data, key)
        except (BlobError, ServerUnreachableError) as problem:
            raise SubtakCreationError(f"The subtask's input was not stored: {problem}") from problem

    def _is_too_large(self, size: int) -> bool:
        # Asked once: the server's configuration does not change while an algorithm runs.
        if self._largest_inline is ...:
            self._largest_inline = self.parent._inline_limit()
        return self._largest_inline is not None and not fits_inline(size, self._largest_inline)


class Run(SubClient):
    """Runs: each an organization's share of a task."""

    def get(self, id_: int) -> dict[str, Any]:
        """Get a run."""
        run: dict[str, Any] = self.parent.request(f"run/{id_}")
        return run

    def from_task(self, task_id: int) -> list[dict[str, Any]]:
        """Get the runs of a task, with status and log.

        Raises
        ------
        CollectResultsError
            If the server refuses.
        """
        return self.parent.all_pages("run", {"task_id": task_id}, CollectResultsError)


class Result(SubClient):
    """Results."""

    def get(self, id_: int) -> Any:
        """Get one result; None if there is none, or it cannot be read."""
        answer = self.parent.request(f"result/{id_}")
        return self._read(answer) if answer.get("result") else None

    def from_task(self, task_id: int) -> list[Any]:
        """Get the results of a task's runs.

        Returns
        -------
        list
            One per run that has a result, in the server's order; None stands for one that
            cannot be read. Failed runs have none.

        Raises
        ------
        CollectResultsError
            If the server refuses.
        """
        found = self.parent.all_pages("result", {"task_id": task_id}, CollectResultsError)
        return [self._read(entry) for entry in found if entry.get("result")]

    def _read(self, entry: dict[str, Any]) -> Any:
        payload = entry["result"]
        try:
            if entry.get("blob_storage_used"):
                return json.loads(self.parent._download_run_data_from_server(payload))
            return json.loads(base64s_to_bytes(payload))
        except BlobError as problem:
            raise CollectResultsError(f"A result cannot be fetched: {problem}") from problem
        except ValueError:
            self.parent.log.error("Result %s cannot be read: it is not JSON", entry.get("id"))
            return None


class Organization(SubClient):
    """Organizations of the collaboration or study."""

    def get(self, id_: int) -> dict[str, Any]:
        """Get an organization."""
        organization: dict[str, Any] = self.parent.request(f"organization/{id_}")
        return organization

    def list(self) -> list[dict[str, Any]]:
        """List the organizations of the task's study, or else of its collaboration.

        Raises
        ------
        CollectOrganizationError
            If the server refuses.
        """
        client = self.parent
        params = (
            {"study_id": client.study_id}
            if client.study_id
            else {"collaboration_id": client.collaboration_id}
        )
        return client.all_pages("organization", params, CollectOrganizationError)


class Collaboration(SubClient):
    """The collaboration."""

    def get(self) -> dict[str, Any]:
        """Get the task's collaboration."""
        path = f"collaboration/{self.parent.collaboration_id}"
        collaboration: dict[str, Any] = self.parent.request(path)
        return collaboration


class Study(SubClient):
    """Studies of the collaboration."""

    def get(self, id_: int) -> dict[str, Any]:
        """Get a study."""
        study: dict[str, Any] = self.parent.request(f"study/{id_}")
        return study

    def list(self) -> list[dict[str, Any]]:
        """List the studies of the task's collaboration.

        Raises
        ------
        CollectOrganizationError
            If the server refuses.
        """
        params = {"collaboration_id": self.parent.collaboration_id}
        return self.parent.all_pages("study", params, CollectOrganizationError)


class Vpn(SubClient):
    """Addresses of algorithms in the collaboration's private network."""

    def get_addresses(
        self,
        only_children: bool = False,
        only_parent: bool = False,
        only_siblings: bool = False,
        only_self: bool = False,
        include_children: bool = False,
        include_parent: bool = False,
        label: str | None = None,
    ) -> list[dict[str, Any]] | dict[str, str]:
        """Get addresses, of all algorithms of the job or of those the flags name.

        Returns
        -------
        list of dict
            With the keys ``ip``, ``port``, ``label``, ``organization_id``, ``task_id``,
            ``parent_id``; a dict with the key ``message`` if there are none to be had.
        """
        flags = {
            "only_children": only_children,
            "only_parent": only_parent,
            "only_siblings": only_siblings,
            "only_self": only_self,
            "include_children": include_children,
            "include_parent": include_parent,
        }
        params: dict[str, Any] = {name: 1 for name, wanted in flags.items() if wanted}
        if label:
            params["label"] = label
        answer = self.parent.request("vpn/algorithm/addresses", params=params)
        if "addresses" not in answer:
            return {"message": "Obtaining VPN addresses failed!"}
        addresses: list[dict[str, Any]] = answer["addresses"]
        return addresses

    def get_parent_address(self) -> list[dict[str, Any]] | dict[str, str]:
        """Get the address of the task that created this one."""
        return self.get_addresses(only_parent=True)

    def get_child_addresses(self) -> list[dict[str, Any]] | dict[str, str]:
        """Get the addresses of the subtasks of this task."""
        return self.get_addresses(only_children=True)

    def get_sibling_addresses(self) -> list[dict[str, Any]] | dict[str, str]:
        """Get the addresses of the other runs of this task."""
        return self.get_addresses(only_siblings=True)

    def get_own_address(self) -> list[dict[str, Any]] | dict[str, str]:
        """Get the address of this run."""
        return self.get_addresses(only_self=True)
