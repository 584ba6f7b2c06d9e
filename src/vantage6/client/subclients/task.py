"""Tasks: a request that organizations run an algorithm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from vantage6.client.filter import post_filtering
from vantage6.client.letters import Errand, Letters
from vantage6.client.subclients.base import Listing, UserSubClient
from vantage6.common.client.refusal import require
from vantage6.common.encryption import CryptorBase, DummyCryptor
from vantage6.common.exceptions import NotAuthenticatedError
from vantage6.common.globals import DEFAULT_CHUNK_SIZE
from vantage6.common.sealing import Envelope, PublicKeys
from vantage6.common.serialization import serialize_in_pieces
from vantage6.common.transforms import Transform, fits_inline, in_pieces, through


class TaskSubClient(Listing, UserSubClient):
    """Tasks: requests that organizations run an algorithm on their data."""

    @post_filtering(iterable=False)
    def get(self, id_: int, include_results: bool = False) -> dict[str, Any]:
        """View one task.

        Parameters
        ----------
        id_ : int
            Id of the task.
        include_results : bool, optional
            Include the results, as the server keeps them: to read them, use
            ``client.result.from_task``. Default False.

        Returns
        -------
        dict
            The task, or a message from the server.
        """
        params = {"include": "results"} if include_results else {}
        return self._ask(f"task/{id_}", params=params)

    @post_filtering(iterable=False)
    def create(
        self,
        organizations: list[int] | None,
        name: str,
        image: str,
        description: str,
        input_: dict[str, Any],
        collaboration: int | None = None,
        study: int | None = None,
        store: int | None = None,
        server_url: str | None = None,
        databases: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Create a new task

        Parameters
        ----------
        organizations : list
            Organization ids (within the collaboration) which need
            to execute this task
        name : str
            Human readable name
        image : str
            Docker image name which contains the algorithm
        description : str
            Human readable description
        input_ : dict
            Algorithm input: ``method`` is the name of the function, ``args`` and
            ``kwargs`` (both optional) are its arguments. Everything in it has to be
            expressible as JSON
        collaboration : int, optional
            ID of the collaboration to which this task belongs. Should be set if
            the study is not set. Default is the one from
            client.setup_collaboration()
        study : int, optional
            ID of the study to which this task belongs. Should be set if the
            collaboration is not set
        store : int, optional
            ID of the algorithm store to retrieve the algorithm from. Default is the
            one from client.store.set()
        server_url : str, optional
            Address under which the algorithm store knows the server, if it differs
            from the one the server knows itself by
        databases : list[dict], optional
            Databases to be used at the node. Each dict should contain
            at least a 'label' key. Additional keys are 'query' (if using
            SQL/SPARQL databases), 'sheet_name' (if using Excel databases),
            'preprocessing' and 'arguments'. A single label may be given as text

        Returns
        -------
        dict
            A dictionary containing data on the created task, or a message
            from the server if the task could not be created

        Raises
        ------
        NotAuthenticatedError
            Before login.
        ValueError
            If neither collaboration nor study, no list of organizations or unusable databases
            are given; in an encrypted collaboration also if an organization is unknown
            or has no public key, or must not be trusted (``SealError``).
        TypeError
            If the input cannot be expressed as JSON.
        """
        cryptor = self.parent.cryptor
        if cryptor is None:
            raise NotAuthenticatedError(
                "Encryption has not yet been setup! Call client.authenticate() first"
            )
        collaboration = collaboration or self.parent.collaboration_id
        if not (collaboration or study):
            raise ValueError("Either a collaboration or a study should be specified")
        if organizations is None:
            raise ValueError(
                "No organizations specified! Give the ids of the organizations that should run "
                "the algorithm; client.organization.list(collaboration=...) shows them"
            )
        given: object = organizations
        if isinstance(given, int | str):
            # A text would be taken for a list of its digits.
            raise ValueError(f"Organizations have to be a list of ids, for example [{given}]")
        if not store and (store := self.parent.store.store_id):
            self.parent.log.info(
                "Using algorithm store with id='%s' to retrieve the algorithm.", store
            )
        parsed = self._parse_arg_databases(databases)
        post = _Post(self.parent, cryptor, list(organizations))
        errand = _Errand(collaboration, study, image, parsed, bool(store))
        task: dict[str, Any] = {
            "name": name,
            "image": image,
            "description": description,
            "organizations": self._inputs(post, errand, input_),
            "databases": parsed,
        }
        optional = {
            "collaboration_id": collaboration,
            "study_id": study,
            "store_id": store,
            "server_url": server_url,
        }
        task.update({key: value for key, value in optional.items() if value})
        answer = self._ask("task", method="post", json=task)
        if "id" in answer:
            post.sent(answer["id"])
        return answer

    def delete(self, id_: int) -> None:
        """Delete a task, its runs and its subtasks; what still runs is stopped.

        Parameters
        ----------
        id_ : int
            Id of the task.
        """
        answer = self.parent.request(f"task/{id_}", method="delete")
        self.parent.log.info("--> %s", answer)

    def kill(self, id_: int) -> dict[str, Any]:
        """Stop a task and its subtasks, wherever they run.

        Parameters
        ----------
        id_ : int
            Id of the task.

        Returns
        -------
        dict
            Message from the server.
        """
        answer = self._ask("/kill/task", method="post", json={"id": id_})
        self.parent.log.info("--> %s", answer)
        return answer

    @staticmethod
    def _parse_arg_databases(
        databases: list[dict[str, Any]] | str | None,
    ) -> list[dict[str, Any]]:
        """Check the databases, and bring them into the form the server wants."""
        listed: Any = [{"label": databases}] if isinstance(databases, str) else databases
        if listed is None:
            return []
        if not isinstance(listed, Sequence) or not all(isinstance(one, dict) for one in listed):
            raise ValueError(
                "Databases have to be a list of dicts, for example [{'label': 'default'}]"
            )
        for database in listed:
            label = database.get("label")
            if not label or not isinstance(label, str):
                raise ValueError("Each database needs a 'label', which is a text")
            if not label.isidentifier():
                raise ValueError(
                    f"Invalid label: {label}. It may hold letters, digits and underscores, and "
                    "does not start with a digit"
                )
        return list(listed)

    def _serialized(self, input_: Any) -> Iterator[bytes]:
        try:
            yield from serialize_in_pieces(input_)
        except TypeError as error:
            raise TypeError(
                f"The input can't be sent, it is not plain JSON data: {error}"
            ) from error

    def _inputs(self, post: _Post, errand: _Errand, input_: Any) -> list[dict[str, Any]]:
        """The input for each organization: sealed for it when the client encrypts.

        A large one is uploaded while it is being serialized, since it is large enough once.
        """
        if not isinstance(input_, dict) or not isinstance(input_.get("method"), str):
            self.parent.log.warning(
                "The input names no method: expected "
                "{'method': <function name>, 'args': [...], 'kwargs': {...}}"
            )
        limit = self.parent._largest_inline()
        data = _whole_if_small(self._serialized(input_), limit)
        post.prepare(errand)
        sealed: dict[object, str] = {}
        inputs: list[dict[str, Any]] = []
        for receiver in post.receivers:
            key = post.same_for(receiver)
            if key not in sealed or not limit:
                if data is None:
                    sealed[key] = self.parent._upload_run_data_to_server(
                        partial(self._sealed_stream, post, input_, receiver)
                    )
                else:
                    sealed[key] = self.parent._connection.aside(post.text, data, receiver)
            inputs.append({"id": receiver, "input": sealed[key]})
        return inputs

    def _sealed_stream(self, post: _Post, input_: Any, receiver: int) -> Iterator[bytes]:
        # Each piece costs a call; those of the serializer may be tiny.
        pieces = in_pieces(self._serialized(input_), DEFAULT_CHUNK_SIZE)
        return through(post.sealer(receiver), pieces)

    @post_filtering()
    def list(
        self,
        initiating_org: int | None = None,
        initiating_user: int | None = None,
        collaboration: int | None = None,
        study: int | None = None,
        store: int | None = None,
        image: str | None = None,
        parent: int | None = None,
        job: int | None = None,
        name: str | None = None,
        include_results: bool = False,
        description: str | None = None,
        database: str | None = None,
        run: int | None = None,
        status: str | None = None,
        user_created: bool | None = None,
        page: int = 1,
        per_page: int = 20,
    ) -> dict[str, Any]:
        """List tasks, the newest first.

        Parameters
        ----------
        initiating_org : int, optional
            Filter by id of the organization that created them.
        initiating_user : int, optional
            Filter by id of the user who created them.
        collaboration : int, optional
            Filter by collaboration id. If client.setup_collaboration() was called,
            the previously setup collaboration is used. Default value is None.
        study : int, optional
            Filter by study id.
        store : int, optional
            Filter by id of the algorithm store their algorithm comes from.
        image : str, optional
            Filter by image name (with LIKE operator).
        parent : int, optional
            Filter by id of the task that created them.
        job : int, optional
            Filter by job id: a task and all its subtasks have the same.
        name : str, optional
            Filter by name (with LIKE operator).
        include_results : bool, optional
            Include the results, as the server keeps them. Default False.
        description : str, optional
            Filter by description (with LIKE operator).
        database : str, optional
            Filter by label of a database they use.
        run : int, optional
            Filter by id of a run that belongs to them.
        status : str, optional
            Filter by status, for example ``active``.
        user_created : bool, optional
            Only tasks created by users (True) or by algorithms (False).
        page : int, optional
            Page number. Default 1.
        per_page : int, optional
            Items per page. Default 20.

        Returns
        -------
        dict
            ``{"data": [...], "links": {...}}``, a page of tasks; a plain list as soon as a
            filter on the client's side is given.
        """
        params: dict[str, Any] = {
            "init_org_id": initiating_org,
            "init_user_id": initiating_user,
            "collaboration_id": collaboration or self.parent.collaboration_id,
            "study_id": study,
            "store_id": store,
            "image": image,
            "parent_id": parent,
            "job_id": job,
            "name": name,
            "page": page,
            "per_page": per_page,
            "description": description,
            "database": database,
            "run_id": run,
            "status": status,
        }
        if include_results:
            params["include"] = "results"
        if user_created is not None:
            params["is_user_created"] = int(user_created)
        return self._ask("task", params=params)


def _whole_if_small(pieces: Iterator[bytes], limit: int | None) -> bytes | None:
    """An input that goes into the JSON; None if it is too large for that."""
    if limit is None:
        return b"".join(pieces)
    size, held = 0, []
    for piece in pieces:
        size += len(piece)
        if not fits_inline(size, limit):
            return None
        held.append(piece)
    return b"".join(held)


def _text(sealed: str | bytes) -> str:
    return sealed if isinstance(sealed, str) else sealed.decode("ascii")


@dataclass(frozen=True)
class _Errand:
    """What a new task is about, as it was asked for: collaboration or study."""

    collaboration: int | None
    study: int | None
    image: str
    databases: Any
    through_store: bool


class _Post:
    """The inputs of one new task on their way: for whom, in which format, under which key.

    Parameters
    ----------
    client
        The user's client.
    cryptor : CryptorBase
        The contract's format.
    receivers : list of int
        Ids of organizations.
    """

    def __init__(self, client: Any, cryptor: CryptorBase, receivers: list[int]) -> None:
        self._client = client
        self._cryptor = cryptor
        self.receivers = receivers
        self._rsa: dict[int, str] = {}
        self._letters: Letters | None = client._letters
        self._keys: dict[int, PublicKeys | None] = {}
        self._envelopes: dict[int, Envelope] = {}

    def prepare(self, errand: _Errand) -> None:
        """Find out the format and the key for each receiver.

        Raises
        ------
        ValueError
            If an organization is unknown, or has no usable key.
        SealError
            If one must not be trusted.
        """
        if isinstance(self._cryptor, DummyCryptor):
            return
        client, letters = self._client, self._letters
        aside = client._connection.aside
        organizations = client.organization._by_id(self.receivers)
        if letters is not None:
            ready = self._is_ready(letters, organizations)
            self._keys = aside(letters.keys_of, self.receivers, organizations, ready)
        plain = [receiver for receiver in self.receivers if not self._keys.get(receiver)]
        self._rsa = _public_keys(self._cryptor, organizations, plain)
        if letters is None or not (any(self._keys.values()) or aside(_is_wary, letters)):
            return
        collaboration = errand.collaboration
        if collaboration is None:
            study = require(client.request(f"study/{errand.study}"))
            collaboration = study["collaboration"]["id"]
        bound_to = Errand(collaboration, errand.image, errand.databases, errand.through_store)
        for receiver in self.receivers:
            sealed = bool(self._keys[receiver])
            self._envelopes[receiver] = aside(letters.address, receiver, bound_to, sealed)

    def _is_ready(self, letters: Letters, organizations: dict[int, dict[str, Any]]) -> bool:
        """Whether the own organization has no older node that could not follow."""
        client, own = self._client, letters.correspondence.organization
        if not any(each.get("authenticated_keys") for each in organizations.values()):
            return False
        if own not in organizations:
            organizations = client.organization._by_id([own])
        ready = client._connection.aside(letters.own_side_is_ready, organizations.get(own, {}))
        if ready is None:
            nodes = client.request("node", params={"organization_id": own})
            ready = nodes.get("data") == []
            if not ready:
                client.log.info(
                    "The node of your own organization does not use authenticated encryption; so "
                    "this task does not use it either"
                )
        return bool(ready)

    def same_for(self, receiver: int) -> object:
        """What is the same for those who can share one encrypted text."""
        return receiver if self._keys.get(receiver) else self._rsa.get(receiver, "")

    def text(self, data: bytes, receiver: int) -> str:
        """The input for a receiver as it goes into JSON."""
        keys = self._keys.get(receiver)
        if keys is not None and self._letters is not None:
            return self._letters.seal(self._envelopes[receiver], keys, data)
        return _text(self._cryptor.encrypt_bytes_to_str(data, self._rsa.get(receiver, "")))

    def sealer(self, receiver: int) -> Transform:
        """Makes the input for a receiver as the payload store has it."""
        keys = self._keys.get(receiver)
        if keys is not None and self._letters is not None:
            return self._letters.sealer(self._envelopes[receiver], keys)
        return self._cryptor.encryptor(self._rsa.get(receiver, ""))

    def sent(self, task: int) -> None:
        """Remember which task it became.

        Raises
        ------
        SealError
            If the server says that it is a task that was made before.
        """
        if self._letters is not None and self._envelopes:
            envelopes = list(self._envelopes.values())
            self._client._connection.aside(self._letters.became, envelopes, task)


def _is_wary(letters: Letters) -> bool:
    return letters.correspondence.is_wary


def _public_keys(
    cryptor: CryptorBase, organizations: dict[int, dict[str, Any]], receivers: Iterable[int]
) -> dict[int, str]:
    """The public key of each receiver, found usable."""
    keys: dict[int, str] = {}
    for receiver in receivers:
        organization = organizations.get(receiver)
        if organization is None:
            raise ValueError(
                f"Organization {receiver} does not exist or you may not see it, "
                "so nothing can be encrypted for it"
            )
        keys[receiver] = organization["public_key"] or ""
        try:
            cryptor.encryptor(keys[receiver])
        except ValueError as error:
            raise ValueError(
                f"{error} Organization {organization['name']} (id={receiver}) has no usable "
                "public key on the server: its node, or one of its users with setup_encryption, "
                "puts it there"
            ) from error
    return keys
