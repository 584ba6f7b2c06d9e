"""The node itself: logs in, listens, and keeps its runs in agreement with the server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any, NoReturn

from vantage6.common.encryption import CryptorBase, DummyCryptor, RSACryptor
from vantage6.common.sealing import Correspondence, KnownKeys, OwnKeys, SealError
from vantage6.common.transport import backoff
from vantage6.node.config import NodeConfig
from vantage6.node.connection import (
    Connection,
    Identity,
    LoginRefused,
    Refused,
    ServerTrouble,
)
from vantage6.node.data import Databases
from vantage6.node.decisions import DecisionLog, DecisionLogError
from vantage6.node.events import Events
from vantage6.node.exits import Exits
from vantage6.node.folders import RunFolders
from vantage6.node.journal import Journal, JournalError
from vantage6.node.mail import Mail
from vantage6.node.offer import MalformedOffer, Offer
from vantage6.node.organizations import Organizations
from vantage6.node.outcome import Sharing
from vantage6.node.payloads import Payloads
from vantage6.node.proxy import Proxy
from vantage6.node.reconciler import Reconciler
from vantage6.node.runtimes.base import Runtime, RuntimeUnavailable
from vantage6.node.site import Site
from vantage6.node.slots import Slots
from vantage6.node.tunnels import Tunnels

log = logging.getLogger(__name__)

#: Seconds between two looks at the server's list of open runs, if nothing else gives cause.
RESYNC = 60.0
#: With more new tasks than this to ask about, one list of everything is cheaper.
_MANY = 8
#: Tasks of which is remembered that they need not be asked about: the event follows at once.
_MANY_OFFERED = 256


class Fatal(Exception):
    """The node cannot work; the message says why and what to do."""


class Agent:
    """A node.

    Parameters
    ----------
    config : NodeConfig
        Its configuration.
    runtime : Runtime
        What executes algorithms.
    longest_pause : float
        Seconds between two attempts to reach the server at most.
    resync : float
        Seconds between two looks at the list of open runs.
    on_ready : callable
        Called when it works, and when all it lacks is an answer of its server.
    """

    def __init__(
        self,
        config: NodeConfig,
        runtime: Runtime,
        *,
        longest_pause: float = 15.0,
        resync: float = RESYNC,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._on_ready = on_ready
        self._runtime = runtime
        self._longest_pause = longest_pause
        self._resync = resync
        self._stopped = asyncio.Event()
        self._list_all = asyncio.Event()
        self._fatal: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()
        self._nudges: set[asyncio.Task[None]] = set()
        # Tasks whose run here came by an event of its own.
        self._offered: deque[int] = deque(maxlen=_MANY_OFFERED)
        self._tunnels = Tunnels(config.ssh_tunnels, config.beside("."))
        self._databases = Databases(config.databases, config.beside("."), self._tunnels.targets)
        self._reconciler: Reconciler | None = None
        self._connection: Connection | None = None
        self._identity: Identity | None = None
        self._events: Events | None = None

    def stop(self) -> None:
        """Stop soon: runs are killed without being reported and start anew at the next start."""
        self._stopped.set()

    async def run(self) -> None:
        """Work until stopped.

        Raises
        ------
        Fatal
            If the node cannot work, or no longer.
        """
        work = asyncio.ensure_future(self._work())
        stopped = asyncio.ensure_future(self._stopped.wait())
        await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    async def _work(self) -> None:
        config = self._config
        async with AsyncExitStack() as stack:
            cryptor = self._cryptor()
            try:
                await self._runtime.open()
            except RuntimeUnavailable as error:
                raise Fatal(str(error)) from error
            stack.push_async_callback(self._runtime.close)
            connection = await stack.enter_async_context(
                Connection(
                    config.base_url,
                    config.api_url,
                    config.api_key.get_secret_value(),
                    longest_pause=self._longest_pause,
                )
            )
            self._connection = connection
            identity = self._identity = await self._log_in(connection)
            self._check_encryption(identity)
            try:
                journal = stack.enter_context(Journal(config.folder / "journal.sqlite"))
                journal.belongs_to(config.api_url, identity.node_id)
            except JournalError as error:
                raise Fatal(str(error)) from error
            try:
                decisions = stack.enter_context(DecisionLog(config.decisions))
            except DecisionLogError as error:
                raise Fatal(str(error)) from error
            organizations = Organizations(connection, identity, cryptor)
            letters = self._correspondence(cryptor, identity)
            await self._publish_keys(organizations, letters)
            mail = Mail(organizations, identity, letters)
            events = self._events = Events(
                connection,
                config.base_url,
                {
                    "sync": self._on_sync,
                    "new_run": self._on_new_run,
                    "new_task": self._on_new_task,
                    "kill_containers": self._on_kill,
                    "message": self._on_message,
                    "node-online": self._on_node_online,
                    "duplicate_node": self._on_duplicate,
                },
                verbose=config.debug.socketio,
            )
            stack.push_async_callback(events.close)
            disk = stack.enter_context(ThreadPoolExecutor(1, "journal"))
            site = Site(
                identity=identity,
                connection=connection,
                journal=journal,
                runtime=self._runtime,
                proxy=Proxy(
                    connection.http,
                    organizations,
                    mail,
                    identity.organization_id,
                    exits=Exits.of_this_machine(self._tunnels),
                ),
                organizations=organizations,
                mail=mail,
                payloads=Payloads(connection, mail),
                databases=self._databases,
                folders=RunFolders(config.folder),
                slots=Slots(config.max_concurrent_runs),
                tell=events.tell,
                disk=disk,
                decisions=decisions,
                policies=config.policies,
                limits=config.limits,
                sharing=Sharing(config.share_algorithm_logs, config.share_algorithm_stderr),
                algorithm_env=config.algorithm_env,
                whitelist=config.whitelist,
                tunnels=self._tunnels,
            )
            reconciler = self._reconciler = Reconciler(site, self._give_up)
            stack.push_async_callback(reconciler.close)
            self._say_what_is_missing()
            await reconciler.resume()
            self._list_all.set()
            decisions.write("started", node=identity.node_id, policies=config.policies.digest)
            log.info("Waiting for new tasks....")
            self._on_ready()
            await self._run_all(
                connection.keep_fresh(),
                events.run(),
                self._keep_in_step(reconciler),
                decisions.keep_synced(),
                self._tunnels.keep_open(),
            )

    def _cryptor(self) -> CryptorBase:
        if not self._config.encryption.enabled:
            return DummyCryptor()
        try:
            return RSACryptor(self._config.private_key)
        except (OSError, ValueError) as error:
            raise Fatal(
                f"{error} Encryption is enabled: set encryption.private_key to the organization's "
                "private key."
            ) from error

    async def _log_in(self, connection: Connection) -> Identity:
        for attempt, pause in enumerate(backoff(first=0.5, ceiling=self._longest_pause)):
            try:
                if not connection.token:
                    if attempt == 0:
                        log.info("Authenticating node...")
                    await connection.login()
                    log.info("Successfully authenticated")
                identity = await connection.identify()
            except (LoginRefused, Refused) as error:
                raise Fatal(str(error)) from error
            except (ServerTrouble, KeyError, TypeError) as error:
                if attempt in (0, 5) or attempt % 20 == 0:
                    log.warning(
                        "The server at %s cannot be used yet (%s); trying again until it can",
                        self._config.api_url,
                        error or type(error).__name__,
                    )
                    self._on_ready()
                await asyncio.sleep(pause)
            else:
                log.info("Node name: %s", identity.name)
                log.info(
                    "Node %s at %s, of organization '%s', in collaboration %s",
                    identity.node_id,
                    self._config.api_url,
                    identity.organization_name,
                    identity.collaboration_id,
                )
                return identity
        raise AssertionError("backoff ended")  # pragma: no cover

    def _check_encryption(self, identity: Identity) -> None:
        enabled = self._config.encryption.enabled
        if identity.encrypted != enabled:
            raise Fatal(
                f"Expectations on encryption don't match: collaboration "
                f"{identity.collaboration_id} {'is' if identity.encrypted else 'is not'} "
                f"encrypted, but encryption.enabled is {str(enabled).lower()}. Set it to "
                f"{str(identity.encrypted).lower()}, or have the collaboration changed."
            )

    def _correspondence(self, cryptor: CryptorBase, identity: Identity) -> Correspondence | None:
        """What this node needs for authenticated encryption, if it uses that."""
        settings = self._config.encryption
        if not isinstance(cryptor, RSACryptor) or not (
            settings.authenticated or settings.require_authenticated
        ):
            return None
        try:
            keys = OwnKeys.derive(cryptor.private_key)
        except SealError as error:
            if settings.require_authenticated:
                raise Fatal(str(error)) from error
            log.warning("No authenticated encryption: %s", error)
            return None
        log.info(
            "Authenticated encryption: the fingerprint of organization '%s' is %s",
            identity.organization_name,
            keys.public.fingerprint,
        )
        return Correspondence(
            keys,
            identity.organization_id,
            KnownKeys(self._config.known_keys, self._config.api_url),
            required=settings.require_authenticated,
            trusted=settings.trusted,
            how_to_forget="v6 node keys --forget <organization id>, at this node",
        )

    async def _publish_keys(
        self, organizations: Organizations, letters: Correspondence | None
    ) -> None:
        try:
            await organizations.publish_key(letters.own.public.text if letters else "")
        except (Refused, LoginRefused) as error:
            raise Fatal(f"The organization's public key cannot be stored: {error}") from error

    def _say_what_is_missing(self) -> None:
        for remark in self._config.remarks():
            log.warning("Configuration: %s", remark)
        for complaint in self._databases.missing():
            log.warning("Database: %s", complaint)
        if not self._config.policies.allowed_algorithms:
            log.warning(
                "No allowed_algorithms are set: every algorithm that is installed may run here"
            )

    async def _run_all(self, *parts: Coroutine[Any, Any, NoReturn]) -> None:
        """Run parts that never end until one fails, or the node has to give up."""
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            await asyncio.wait((*tasks, self._fatal), return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    await task
            await self._fatal
        except LoginRefused as error:
            raise Fatal(str(error)) from error
        finally:
            for part in (*tasks, *self._nudges):
                part.cancel()
            await asyncio.gather(*tasks, *self._nudges, return_exceptions=True)

    def _give_up(self, error: LoginRefused) -> None:
        if not self._fatal.done():
            self._fatal.set_exception(error)

    async def _keep_in_step(self, reconciler: Reconciler) -> NoReturn:
        """Compare with the server's whole list: when asked to, and now and then."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self._list_all.wait(),
                    self._resync * random.uniform(0.8, 1.2),  # noqa: S311 (spreads the load)
                )
            self._list_all.clear()
            try:
                await reconciler.sync()
            except (ServerTrouble, Refused) as error:
                log.warning("The list of open runs could not be had: %s", error)
                self._list_all.set()
                await asyncio.sleep(self._longest_pause)

    async def _ask_about(self, task_id: int) -> None:
        try:
            if self._reconciler is not None:
                await self._reconciler.sync(task_id)
        except (ServerTrouble, Refused, LoginRefused) as error:
            log.debug("Task %s could not be asked about: %s", task_id, error)
            self._list_all.set()

    async def _on_sync(self, _: Any) -> None:
        if self._connection is not None:
            self._connection.server_is_back()
        self._list_all.set()
        if self._config.share_config and self._events is not None:
            self._events.tell("node_info_update", await asyncio.to_thread(self._info))

    async def _on_new_run(self, event: Any) -> None:
        """A run as the list of open runs would name it; other servers do not send this."""
        if self._reconciler is not None:
            try:
                offer = Offer.read(event)
            except MalformedOffer as problem:
                log.debug("A run that was offered cannot be understood: %s", problem)
                return  # it is asked about next
            self._reconciler.consider(offer)
            self._offered.append(offer.task_id)

    async def _on_new_task(self, event: Any) -> None:
        task_id = event.get("id") if isinstance(event, Mapping) else None
        if task_id in self._offered:
            return
        if not isinstance(task_id, int) or len(self._nudges) >= _MANY:
            self._list_all.set()
            return
        nudge = asyncio.ensure_future(self._ask_about(task_id))
        self._nudges.add(nudge)
        nudge.add_done_callback(self._nudges.discard)

    async def _on_kill(self, event: Any) -> None:
        identity, reconciler = self._identity, self._reconciler
        if identity is None or reconciler is None or not isinstance(event, Mapping):
            return
        if event.get("collaboration_id") != identity.collaboration_id:
            return
        if event.get("node_id") not in (None, identity.node_id):
            return
        listed = event.get("kill_list")
        if not listed:
            log.warning("All runs at this node are to be killed")
            reconciler.kill(None)
            return
        own = identity.organization_id
        reconciler.kill({entry["run_id"] for entry in listed if entry["organization_id"] == own})

    async def _on_node_online(self, event: Any) -> None:
        # Nobody is told of coming online themselves: this is somebody else with the same key.
        identity = self._identity
        if isinstance(event, Mapping) and identity and event.get("id") == identity.node_id:
            await self._on_duplicate(event)

    async def _on_duplicate(self, _: Any) -> None:
        log.critical(
            "Another node is connected to the server with this node's API key: each run may be "
            "executed twice. Stop one of them, or register a node of its own for it. (Right "
            "after a crash of this machine the other one may be this node's own lost connection.)"
        )

    async def _on_message(self, text: Any) -> None:
        log.debug("The server says: %s", text)

    def _info(self) -> dict[str, Any]:
        """What the node's owner shares of the configuration."""
        config, policies = self._config, self._config.policies
        info: dict[str, Any] = {
            "encryption": config.encryption.enabled,
            "allowed_algorithms": policies.allowed_algorithms or "all",
            "database_labels": self._databases.labels,
            "database_types": self._databases.types(),
        }
        if policies.allowed_users:
            info["allowed_users"] = policies.allowed_users
        if policies.allowed_organizations:
            info["allowed_orgs"] = policies.allowed_organizations
        columns = self._databases.columns()
        if columns:
            info["database_columns"] = columns
        return info
