"""The client of people: researchers, data stewards, administrators."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import EllipsisType
from typing import Any

from vantage6.client.console import set_up_logging, show_banner
from vantage6.client.failures import explain
from vantage6.client.letters import Letters
from vantage6.client.payload import Decoder
from vantage6.client.progress import LogDisplay, Progress, display_for
from vantage6.client.second_factor import show_qr_code
from vantage6.client.subclients.collaboration import CollaborationSubClient
from vantage6.client.subclients.event import EventSubClient
from vantage6.client.subclients.node import NodeSubClient
from vantage6.client.subclients.organization import OrganizationSubClient
from vantage6.client.subclients.result import ResultSubClient
from vantage6.client.subclients.role import RoleSubClient
from vantage6.client.subclients.rule import RuleSubClient
from vantage6.client.subclients.run import RunSubClient
from vantage6.client.subclients.store.algorithm import AlgorithmSubClient
from vantage6.client.subclients.store.algorithm_store import AlgorithmStoreSubClient
from vantage6.client.subclients.study import StudySubClient
from vantage6.client.subclients.task import TaskSubClient
from vantage6.client.subclients.user import UserAccountSubClient
from vantage6.client.subclients.util import UtilSubClient
from vantage6.common import WhoAmI
from vantage6.common.client.client_base import ClientBase
from vantage6.common.client.connection import GATEWAY_ERRORS, PATIENCE
from vantage6.common.client.refusal import decode_json, read_refusal, require
from vantage6.common.client.waiting import LONG_POLL, OUTAGE, TaskState, Waiter
from vantage6.common.clock import Clock
from vantage6.common.encryption import DummyCryptor, RSACryptor
from vantage6.common.exceptions import (
    AuthenticationException,
    ClientError,
    ServerUnreachableError,
)
from vantage6.common.sealing import Correspondence, KnownKeys, OwnKeys, SealError
from vantage6.common.sealing.keys import is_fingerprint
from vantage6.common.task_status import has_task_failed
from vantage6.common.transport import READ_TIMEOUT


class UserClient(ClientBase):
    """Client for a vantage6 server: computing with data that stays where it is.

    Connect, look around, ask the organizations of a collaboration to run an algorithm, wait for
    the answer::

        from vantage6.client import Client

        client = Client("https://server.example", 443, "/api")
        client.authenticate("username", "password")
        client.collaboration.list(fields=["id", "name"])
        client.organization.list(collaboration=1, fields=["id", "name"])
        task = client.task.create(
            collaboration=1,
            organizations=[2, 3],
            name="average age",
            image="harbor2.vantage6.ai/demo/average",
            description="",
            input_={"method": "partial_average", "kwargs": {"column_name": "age"}},
            databases=[{"label": "default"}],
        )
        results = client.wait_for_results(task["id"])

    Each resource has a group of calls; ``help(client.task)`` shows one,
    ``help(client.task.create)`` one call of it:

    ======================== ===========================================================
    ``client.user``          users, including yourself
    ``client.organization``  organizations and their public keys
    ``client.collaboration`` which organizations compute together
    ``client.study``         some of a collaboration's organizations, for one question
    ``client.role``          named collections of rules
    ``client.rule``          the single rights that roles are made of
    ``client.node``          the machines that run algorithms, and whether they are online
    ``client.task``          create, view, stop and delete tasks
    ``client.run``           one organization's share of a task: status and log
    ``client.result``        what the algorithm returned
    ``client.event``         what changed while you were away
    ``client.store``         algorithm stores
    ``client.algorithm``     the algorithms of the selected store
    ``client.util``          server version, passwords, second factor, private key
    ======================== ===========================================================

    When the server refuses something, the call returns its message, ``{"msg": ...}``, and logs
    it; where there is nothing sensible to return, an exception from
    ``vantage6.client.exceptions`` carries the message.

    Parameters
    ----------
    host : str
        Scheme and host name, for example ``https://server.example``.
    port : int | None
        Port; None leaves it out of the address.
    path : str
        Path under which the server's API lies. Default ``/api``.
    log_level : str
        How much to tell: ``debug``, ``info``, ``warn``, ``error`` or ``critical``.
    timeout : float
        Seconds to wait for the next bytes of an answer before giving up.
    patience : float
        Seconds for which a server that can't be reached is tried again. While waiting for
        results it is ten times as long.
    proxy : str, optional
        Address of a proxy for all requests, for example ``http://proxy.example:3128``; by
        default what the environment says (``HTTPS_PROXY``, ``NO_PROXY`` …).
    ca_file : str or pathlib.Path, optional
        File or folder with certificates to trust besides the machine's own, where the server's
        certificate is signed by your own authority.
    transport : httpx2.BaseTransport, optional
        Replaces the network, for tests.
    clock : Clock, optional
        Replaces the machine's clock, for tests.
    """

    # The contract's names of the groups of calls.
    Util = UtilSubClient
    Collaboration = CollaborationSubClient
    Organization = OrganizationSubClient
    User = UserAccountSubClient
    Run = RunSubClient
    Result = ResultSubClient
    Task = TaskSubClient
    Role = RoleSubClient
    Node = NodeSubClient
    Rule = RuleSubClient

    def __init__(
        self,
        host: str,
        port: int | None,
        path: str = "/api",
        *,
        log_level: str = "info",
        timeout: float = READ_TIMEOUT,
        patience: float = PATIENCE,
        proxy: str | None = None,
        ca_file: str | Path | None = None,
        transport: Any = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            host,
            port,
            path,
            timeout=timeout,
            patience=patience,
            proxy=proxy,
            ca_file=ca_file,
            transport=transport,
            clock=clock,
        )
        set_up_logging(self.log, log_level)
        self._letters: Letters | None = None
        self._blobs: int | EllipsisType | None = ...
        self._long_poll = min(LONG_POLL, timeout / 2)
        self._outage = patience * (OUTAGE / PATIENCE)

        self.util = self.Util(self)
        self.collaboration = self.Collaboration(self)
        self.organization = self.Organization(self)
        self.user = self.User(self)
        self.run = self.Run(self)
        self.result = self.Result(self)
        self.task = self.Task(self)
        self.role = self.Role(self)
        self.node = self.Node(self)
        self.rule = self.Rule(self)
        self.study = StudySubClient(self)
        self.event = EventSubClient(self)
        self.store = AlgorithmStoreSubClient(self)
        self.algorithm = AlgorithmSubClient(self)
        show_banner(self.log)

    def _store_url(self) -> str:
        return self.store._selected_url()

    # -- login ------------------------------------------------------------------------------

    def authenticate(self, username: str, password: str, mfa_code: int | str | None = None) -> None:
        """Log in.

        Parameters
        ----------
        username : str
            Your user name.
        password : str
            Your password.
        mfa_code : str | int, optional
            Six-digit code of your second factor, if the server asks for one.

        Raises
        ------
        AuthenticationException
            If the server refuses; with what it said.
        ServerUnreachableError
            If there is no server at that address. It is a ``ConnectionError``.
        """
        self.log.debug("Authenticating user %s...", username)
        credentials: dict[str, Any] = {"username": username, "password": password}
        if mfa_code:
            credentials["mfa_code"] = f"{mfa_code:06d}" if isinstance(mfa_code, int) else mfa_code
        response = self._log_in("token/user", credentials)
        if response.status_code == 404:
            self._no_server_there(str(response.url))
        said = "" if response.status_code == 200 else read_refusal(response, "POST login")["msg"]
        if response.status_code in GATEWAY_ERRORS:
            raise ServerUnreachableError(
                f"The server behind {response.url} does not answer "
                f"(status {response.status_code}: {said})",
                str(response.url),
            )
        if response.status_code != 200:
            self.log.critical("Failed to authenticate: %s", said)
            raise AuthenticationException(f"Failed to authenticate: {said}")
        answer = decode_json(response)
        if "qr_uri" in answer:
            show_qr_code(answer)
            return
        if "access_token" not in answer:
            raise AuthenticationException(
                answer.get("msg") or "No access token in authentication response!"
            )
        self._keep_tokens(answer)
        self.log.info("Successfully authenticated")
        if answer.get("password_must_change"):
            self.log.warning(
                "Your password was made up by the server at its first start. Please change it: "
                "client.util.change_my_password(current_password, new_password)"
            )
        self._find_out_who_i_am()

    def _no_server_there(self, url: str) -> None:
        message = (
            f"Server not found at {url}. Please check the address and whether the server is "
            "running!"
        )
        self.log.error(message)
        self.log.info(
            "If the server is running and reachable, %s/health should give a response.",
            self.base_path,
        )
        raise ServerUnreachableError(message, url)

    def _find_out_who_i_am(self) -> None:
        """Ask for the user's and the organization's name; a login is valid without, too."""
        self.cryptor = DummyCryptor()
        self._letters = None
        self.whoami = None
        try:
            id_ = self._claims()["sub"]
            user = self.request(f"user/{id_}")
            organization_id = user["organization"]["id"]
            organization = self.request(f"organization/{organization_id}")
            self.whoami = WhoAmI(
                type_="user",
                id_=id_,
                name=user["firstname"],
                organization_name=organization["name"],
                organization_id=organization_id,
            )
        except (ClientError, KeyError, TypeError) as error:
            self.log.info("--> Retrieving additional user info failed!")
            self.log.error("%s", error)
            self.log.debug("%s", traceback.format_exc())
            return
        self.log.info(" --> Succesfully authenticated")
        self.log.info(" --> Name: %s (id=%s)", self.whoami.name, self.whoami.id_)
        self.log.info(
            " --> Organization: %s (id=%s)",
            self.whoami.organization_name,
            self.whoami.organization_id,
        )

    def setup_encryption(
        self,
        private_key_file: str | Path | None,
        *,
        authenticated: bool | None = None,
        require_authenticated: bool = False,
        trusted: Mapping[int, str] | None = None,
        known_keys: str | Path | None = None,
    ) -> None:
        """Choose the private key of your organization; needed in encrypted collaborations.

        The public half is put on the server if another one, or none, is there. In collaborations
        without encryption this call can be left out.

        Parameters
        ----------
        private_key_file : str | None
            PEM file with the private key. None means that nothing is encrypted.
        authenticated : bool, optional
            Use authenticated encryption with organizations that have it, which protects from the
            server, too. All members of your organization then need this software. By default it
            is used if your organization's node has it switched on.
        require_authenticated : bool, optional
            Send to, and accept from, only organizations that have it. Default False.
        trusted : dict[int, str], optional
            Fingerprints that you have compared by telephone, by the organizations' ids.
        known_keys : str or pathlib.Path, optional
            File in which others' keys are remembered. By default it lies beside the private key,
            with ``.known`` added to its name.

        Raises
        ------
        NotAuthenticatedError
            Before login.
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file holds no usable private key.
        """
        for fingerprint in (trusted or {}).values():
            if not is_fingerprint(fingerprint):
                raise ValueError(f"'{fingerprint}' is no fingerprint: 8 groups of 4 characters")
        super().setup_encryption(private_key_file)
        self._letters = None
        if not isinstance(self.cryptor, RSACryptor) or private_key_file is None:
            if require_authenticated:
                raise ValueError("Authenticated encryption needs a private key")
            return
        if authenticated is False and not require_authenticated:
            return
        try:
            keys = OwnKeys.derive(self.cryptor.private_key)
        except SealError as error:
            if require_authenticated:
                raise
            self.log.warning("No authenticated encryption: %s", error)
            return
        file = Path(known_keys) if known_keys else Path(f"{private_key_file}.known")
        chosen = bool(authenticated or require_authenticated)
        self._letters = Letters(
            Correspondence(
                keys,
                self._identity().organization_id,
                KnownKeys(file, self.base_path),
                required=require_authenticated,
                trusted=trusted or {},
                how_to_forget="client.util.forget_fingerprint(<organization id>)",
            ),
            chosen=chosen,
        )
        if chosen:
            self.log.info("The fingerprint of your organization is %s", keys.public.fingerprint)

    def setup_collaboration(self, collaboration_id: int) -> None:
        """Choose the collaboration that calls refer to when none is given.

        It becomes the default of ``collaboration.update/delete/add_organization/
        remove_organization``, ``node.list/create``, ``organization.list``, ``task.list/create``,
        ``study.create`` and ``store.list/create``.

        Parameters
        ----------
        collaboration_id : int
            Id of the collaboration.
        """
        self.collaboration_id = collaboration_id
        self.log.info("Setting up collaboration %s", collaboration_id)
        answer = self.request(f"collaboration/{collaboration_id}")
        if "msg" in answer:
            self.log.info("--> %s", answer["msg"])

    # -- waiting ----------------------------------------------------------------------------

    def wait_for_results(
        self, task_id: int, interval: float = 1, timeout: float | None = None
    ) -> dict[str, Any]:
        """Wait until a task is finished, and get its results.

        Shows in a terminal or notebook how each organization gets on. When runs failed, the log
        says at which organizations and why. Interrupting it (Ctrl-C) does not stop the task.

        Parameters
        ----------
        task_id : int
            Id of the task.
        interval : float, optional
            Seconds between two questions to a server that can't tell by itself when something
            changes; grows up to five minutes. Default 1.
        timeout : float, optional
            Seconds to wait at most. Default is to wait for as long as it takes.

        Returns
        -------
        dict
            ``{"data": [...], "links": {...}}``, see ``client.result.from_task``.

        Raises
        ------
        WaitTimeoutError
            If the task has not finished by then. It is a ``TimeoutError``.
        ServerUnreachableError
            If the server stayed away for too long. It is a ``ConnectionError``.
        RefusedError
            If there is no such task, or you may not see it.
        """

        def ask(params: Any) -> Any:
            return self.request(f"task/{task_id}/status", params=params, attempts_on_timeout=0)

        state = self._wait(ask, task_id, interval, timeout)
        if state.failed:
            self._tell_failures(task_id)
        results: dict[str, Any] = self.result.from_task(task_id)
        return results

    def wait_for_task_completion(
        self,
        request_func: Callable[..., Any],
        task_id: int,
        interval: float = 1,
        log_animation: bool = True,
    ) -> None:
        """Wait until a task is finished, asking with a function of your own.

        Parameters
        ----------
        request_func : callable
            Gets an endpoint, returns the server's answer.
        task_id : int
            Id of the task.
        interval : float, optional
            Seconds between the first two questions; grows up to five minutes. Default 1.
        log_animation : bool, optional
            False for a line in the log instead of a progress display.
        """

        def ask(_: Any) -> Any:
            return request_func(f"task/{task_id}/status")

        self._wait(ask, task_id, interval, None, long_poll=0, animate=log_animation)

    def _wait(
        self,
        ask: Callable[[Any], Any],
        task_id: int,
        interval: float,
        timeout: float | None,
        *,
        long_poll: float | None = None,
        animate: bool = True,
    ) -> TaskState:
        clock = self._connection.clock
        display = self._display(task_id, animate)
        waiter = Waiter(
            ask,
            clock=clock,
            display=display,
            log=self.log,
            long_poll=self._long_poll if long_poll is None else long_poll,
            outage=self._outage,
        )
        try:
            with display:
                return waiter.wait(task_id, interval, timeout)
        except KeyboardInterrupt:
            self.log.warning(
                "Stopped waiting. Task %s goes on: wait again with client.wait_for_results(%s), "
                "or end it with client.task.kill(%s)",
                task_id,
                task_id,
                task_id,
            )
            raise

    def _display(self, task_id: int, animate: bool) -> Progress:
        """What shows the person who waits how the task gets on."""
        choose = display_for if animate else LogDisplay
        return choose(task_id, self._connection.clock, self.log)

    def _tell_failures(self, task_id: int) -> None:
        """Log at which organizations the task failed, and why."""
        try:
            runs = self.run._whole_list("run", {"task_id": task_id})["data"]
        except ClientError as error:
            self.log.error("Task %s failed; its runs can't be read: %s", task_id, error)
            return
        ids = {run["organization"]["id"] for run in runs if has_task_failed(run["status"])}
        for line in explain(task_id, runs, self._organization_names(ids)):
            self.log.error(line)

    def _organization_names(self, ids: set[int]) -> dict[int, str]:
        try:
            known = self.organization._by_id(sorted(ids))
        except ClientError as error:
            self.log.debug("The organizations' names can't be read: %s", error)
            return {}
        return {id_: organization["name"] for id_, organization in known.items()}

    # -- what the groups of calls need ------------------------------------------------------

    def _decoder(self, task: int | None = None) -> Decoder:
        return Decoder(
            self.cryptor,
            self._receive_run_data,
            self.log,
            self._connection.aside,
            self._letters,
            self._owner_of,
            task,
        )

    def _owner_of(self, run: int) -> int:
        owner: int = require(self.request(f"run/{run}"))["organization"]["id"]
        return owner

    def _largest_inline(self) -> int | None:
        """See :meth:`_inline_limit`; asked once."""
        if self._blobs is ...:
            self._blobs = self._inline_limit()
        return self._blobs
