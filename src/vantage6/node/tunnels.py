"""SSH tunnels to databases, held open by the node.

Through asyncssh rather than OpenSSH's client: a connection through a tunnel is a channel in this
process, so nothing listens on the machine, where any of its users could connect to it. Only the
gateways of runs open channels.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Set
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from vantage6.common.addresses import Target
from vantage6.common.transport import backoff
from vantage6.node.config import SshTunnel

# Heavy, and needed by few nodes.
if TYPE_CHECKING:
    import asyncssh

log = logging.getLogger(__name__)
T = TypeVar("T")

_CONNECT_TIMEOUT = 15.0
#: Seconds without an answer after which a tunnel counts as lost: three times the first.
_KEEP_ALIVE, _KEEP_ALIVE_COUNT = 10, 3
#: Seconds between two attempts: at least, however urgently it is wanted, and at most.
_LEAST_PAUSE, _LONGEST_PAUSE = 2.0, 30.0


class TunnelDown(Exception):
    """A tunnel cannot be used.

    The message is fit for the researcher: it names no address and no path.

    Attributes
    ----------
    remedy : str
        For the node's owner: what to do.
    """

    def __init__(self, name: str, cause: str, remedy: str) -> None:
        super().__init__(f"the SSH tunnel '{name}' is down: {cause}")
        self.remedy = remedy


class Tunnel:
    """One tunnel.

    Parameters
    ----------
    settings : SshTunnel
        As configured.
    folder : pathlib.Path
        Where relative paths start.
    """

    def __init__(self, settings: SshTunnel, folder: Path) -> None:
        self._settings = settings
        self._key = folder / settings.ssh.identity.key.expanduser()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._problem: TunnelDown | None = None
        self._attempts = 0
        self._attempted = asyncio.Event()
        self._wanted = asyncio.Event()

    @property
    def name(self) -> str:
        """The host name under which algorithms reach it."""
        return self._settings.hostname

    @property
    def target(self) -> Target:
        """Host and port under which algorithms reach it."""
        return self._settings.target

    async def keep_open(self) -> NoReturn:
        """Connect, and connect again whenever the connection is lost; for ever."""
        pauses = backoff(first=0.5, ceiling=_LONGEST_PAUSE)
        while True:
            began = time.monotonic()
            try:
                connection = await self._connect()
            except TunnelDown as problem:
                if str(problem) != str(self._problem):
                    log.error("%s (%s); trying again until it is up", problem, problem.remedy)
                self._problem = problem
                self._note_attempt()
            except Exception as error:  # whatever the other side does, the node goes on
                log.exception("The SSH tunnel '%s' failed", self.name)
                self._problem = self._down(f"it failed ({type(error).__name__})", "see the log")
                self._note_attempt()
            else:
                log.info("The SSH tunnel '%s' is up", self.name)
                self._connection, self._problem = connection, None
                pauses = backoff(first=0.5, ceiling=_LONGEST_PAUSE)
                self._note_attempt()
                try:
                    await connection.wait_closed()
                finally:
                    self._connection = None
                    connection.abort()
                log.warning("The SSH tunnel '%s' was cut; connecting again", self.name)
            await self._pause(next(pauses), began)

    async def ready(self) -> None:
        """Wait until it is up, or until one more attempt has failed.

        Raises
        ------
        TunnelDown
            If it is not up.
        """
        seen = self._attempts
        while self._connection is None:
            if self._attempts != seen and self._problem is not None:
                raise self._problem
            self._wanted.set()
            await self._attempted.wait()

    async def open(self) -> tuple[Any, Any]:
        """A connection to what is behind it: reader and writer, much as asyncio's.

        Raises
        ------
        TunnelDown
            If it is down, or does not lead there.
        """
        await self.ready()
        connection = self._connection
        if connection is None:
            raise self._down("it was cut", "see the lines above in the log")
        return await self._channel(connection)

    async def probe(self) -> None:
        """Try it, and what is behind it, once.

        Raises
        ------
        TunnelDown
            If it does not work.
        """
        connection = await self._connect()
        try:
            _, writer = await self._channel(connection)
            writer.close()
        finally:
            connection.abort()

    @asynccontextmanager
    async def on_loopback(self) -> AsyncIterator[int]:
        """A port of this machine that leads through it, while the owner looks at a database.

        Raises
        ------
        TunnelDown
            If it does not work.
        """
        connection = await self._connect()
        try:
            dest = self._settings.tunnel.dest
            listener = await connection.forward_local_port("127.0.0.1", 0, dest.ip, dest.port)
            yield listener.get_port()
        finally:
            connection.abort()

    def readable_by_others(self) -> bool:
        """Whether others on this machine can read the private key."""
        return bool(self._key.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))

    async def _connect(self) -> asyncssh.SSHClientConnection:
        import asyncssh

        ssh = self._settings.ssh
        presented: list[str] = []
        trusted, fingerprints = self._host_keys()

        class Client(asyncssh.SSHClient):
            # Asked about keys that are not among those given as known.
            def validate_host_public_key(
                self, host: str, addr: str, port: int, key: asyncssh.SSHKey
            ) -> bool:
                presented.append(key.get_fingerprint())
                return presented[0] in fingerprints

        async def connect() -> asyncssh.SSHClientConnection:
            return await asyncssh.connect(
                ssh.host,
                ssh.port,
                config=None,  # nothing of the account's own settings, agent or known hosts
                agent_path=None,
                known_hosts=(trusted, [], []),
                username=ssh.identity.username,
                client_keys=[self._private_key()],
                client_factory=Client,
                preferred_auth=["publickey"],
                connect_timeout=_CONNECT_TIMEOUT,
                login_timeout=_CONNECT_TIMEOUT,
                keepalive_interval=_KEEP_ALIVE,
                keepalive_count_max=_KEEP_ALIVE_COUNT,
            )

        try:
            return await connect()
        except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
            shown = presented[0] if presented else str(error)
            raise self._down(
                "the machine it goes through shows another host key than the one configured",
                f"it shows {shown}: find out why before you change ssh.fingerprint",
            ) from error
        except asyncssh.PermissionDenied as error:
            raise self._down(
                "the machine it goes through refuses the node's login",
                f"check ssh.identity.username ('{ssh.identity.username}'), and that the public "
                f"half of {self._key} is among the authorized keys there",
            ) from error
        except (asyncssh.Error, OSError) as error:
            raise self._down(
                f"the machine it goes through cannot be reached ({_words(error)})",
                f"check ssh.host and ssh.port ({ssh.host}:{ssh.port}), and the firewall",
            ) from error

    def _host_keys(self) -> tuple[list[asyncssh.SSHKey], set[str]]:
        import asyncssh

        keys, fingerprints = [], set()
        for line in map(str.strip, self._settings.ssh.fingerprint.strip().splitlines()):
            if line.startswith("SHA256:"):
                fingerprints.add(line.rstrip("="))
                continue
            try:
                keys.append(asyncssh.import_public_key(line))
            except asyncssh.KeyImportError as error:
                raise self._down(
                    "its configuration is wrong", f"ssh.fingerprint is no host key: {error}"
                ) from error
        return keys, fingerprints

    def _private_key(self) -> asyncssh.SSHKey:
        import asyncssh

        try:
            return asyncssh.read_private_key(self._key)
        except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise self._down(
                "the node cannot read its key for it",
                f"ssh.identity.key must be a private key without passphrase: {self._key}: "
                f"{_words(error)}",
            ) from error

    async def _channel(self, connection: asyncssh.SSHClientConnection) -> tuple[Any, Any]:
        import asyncssh

        dest = self._settings.tunnel.dest
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                reader, writer = await connection.open_connection(dest.ip, dest.port)
        except (asyncssh.Error, OSError) as error:
            raise self._down(
                f"what is behind it cannot be reached ({_words(error)})",
                f"check that the machine it goes through reaches {dest.ip}:{dest.port} and allows "
                "forwarding there (AllowTcpForwarding, PermitOpen)",
            ) from error
        return _Reader(reader), _Writer(writer)

    def _down(self, cause: str, remedy: str) -> TunnelDown:
        return TunnelDown(self.name, cause, remedy)

    def _note_attempt(self) -> None:
        self._attempts += 1
        self._attempted.set()
        self._attempted = asyncio.Event()

    async def _pause(self, seconds: float, began: float) -> None:
        self._wanted.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wanted.wait(), seconds)
        # However many runs want it: a machine that is asked too often locks the node out.
        await asyncio.sleep(began + _LEAST_PAUSE - time.monotonic())


class Tunnels:
    """All tunnels of a node.

    Parameters
    ----------
    settings : Iterable of SshTunnel
        As configured.
    folder : pathlib.Path
        Where relative paths start.
    """

    def __init__(self, settings: Iterable[SshTunnel] = (), folder: Path = Path()) -> None:
        tunnels = (Tunnel(each, folder) for each in settings)
        self._tunnels = {tunnel.target: tunnel for tunnel in tunnels}

    @property
    def targets(self) -> Set[Target]:
        """Hosts and ports under which algorithms reach them."""
        return self._tunnels.keys()

    def __iter__(self) -> Iterator[Tunnel]:
        return iter(self._tunnels.values())

    def get(self, target: Target) -> Tunnel | None:
        """The tunnel that a host and port stand for, if one does."""
        return self._tunnels.get(target)

    async def keep_open(self) -> NoReturn:
        """Keep all of them open, for ever."""
        async with asyncio.TaskGroup() as group:
            for tunnel in self._tunnels.values():
                group.create_task(tunnel.keep_open())
            await asyncio.Event().wait()
        raise AssertionError("tunnels ended")  # pragma: no cover

    async def ready(self, targets: Iterable[Target]) -> None:
        """Wait until those among some targets are up.

        Raises
        ------
        TunnelDown
            If one is not.
        """
        wanted = [self._tunnels[target] for target in targets if target in self._tunnels]
        await asyncio.gather(*(tunnel.ready() for tunnel in wanted))


class _Reader:
    """What comes through a channel; failures are those of a socket."""

    def __init__(self, reader: asyncssh.SSHReader[bytes]) -> None:
        self._reader = reader

    async def read(self, count: int) -> bytes:
        return await _as_socket(self._reader.read(count))


class _Writer:
    """What goes through a channel; failures are those of a socket."""

    def __init__(self, writer: asyncssh.SSHWriter[bytes]) -> None:
        self._writer = writer

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the reader finds out
            self._writer.write(data)

    async def drain(self) -> None:
        await _as_socket(self._writer.drain())

    def can_write_eof(self) -> bool:
        return self._writer.can_write_eof()

    def write_eof(self) -> None:
        with contextlib.suppress(OSError):  # closed meanwhile
            self._writer.write_eof()

    def close(self) -> None:
        self._writer.close()


async def _as_socket(doing: Awaitable[T]) -> T:
    import asyncssh

    try:
        return await doing
    except asyncssh.Error as error:
        raise ConnectionResetError(str(error)) from error


def _words(error: Exception) -> str:
    """What went wrong, without addresses."""
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and error.errno:
        return error.strerror if error.errno < 0 and error.strerror else os.strerror(error.errno)
    return getattr(error, "reason", "") or str(error) or type(error).__name__
