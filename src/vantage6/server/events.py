"""Who is told what: rooms of the Socket.IO namespace, and those who wait for a task.

The database is the truth; an event is only a nudge. Everything here may be called from any
thread; it is carried out by the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from vantage6.server.bus import Bus
from vantage6.server.socket_library import socketio

NAMESPACE = "/tasks"
log = logging.getLogger(__name__)


def collaboration_room(collaboration_id: int) -> str:
    """Room of the people who follow a collaboration."""
    return f"collaboration_{collaboration_id}"


def organization_room(collaboration_id: int, organization_id: int) -> str:
    """Room of an organization's node in a collaboration, and of people who follow only that."""
    return f"collaboration_{collaboration_id}_organization_{organization_id}"


def node_room(collaboration_id: int, organization_id: int) -> str:
    """Room of an organization's node in a collaboration, where nobody else listens."""
    return f"collaboration_{collaboration_id}_node_of_{organization_id}"


def audience(collaboration_id: int, organizations: Iterable[int]) -> list[str]:
    """Who is told of something that concerns these organizations in a collaboration.

    Nodes of other organizations are not: they would only ignore it, and with a thousand nodes
    everybody hearing of everything is a million messages.
    """
    return [
        collaboration_room(collaboration_id),
        *(organization_room(collaboration_id, id_) for id_ in organizations),
    ]


class Events:
    """Sends events to rooms and wakes waiting requests, in all server processes.

    Parameters
    ----------
    sio : socketio.AsyncServer
        Its manager is the bus, if there is one.
    bus : Bus, optional
        What connects the server processes.
    """

    def __init__(self, sio: socketio.AsyncServer, bus: Bus | None = None) -> None:
        self.sio = sio
        self.bus = bus
        #: Whether the server is stopping: nobody waits any longer.
        self.closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        # Per task who waits for it; True: for its end only.
        self._waiting: defaultdict[int, dict[asyncio.Event, bool]] = defaultdict(dict)
        self._sending: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Bind to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self.closing = False

    def close(self) -> None:
        """Let nobody wait any longer; for the event loop only."""
        self.closing = True
        self.wake_all()

    def tell(self, event: str, payload: Any, rooms: list[str], *, here: bool = False) -> None:
        """Tell everybody in these rooms; `here`: only those connected to this process."""
        self._send(lambda: self._emit(event, payload, rooms, here=here))

    def tell_in_order(self, news: Sequence[tuple[str, Any, list[str]]]) -> None:
        """Tell several things (event, payload, rooms) so that nobody hears a later one first."""
        self._send(lambda: self._emit_in_order(news))

    async def _emit_in_order(self, news: Sequence[tuple[str, Any, list[str]]]) -> None:
        for event, payload, rooms in news:
            await self._emit(event, payload, rooms, here=False)
            # Others have their turn, however many there are.
            await asyncio.sleep(0)

    def _send(self, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        def start() -> None:
            task = asyncio.ensure_future(action())
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

        self._soon(start)

    async def _emit(self, event: str, payload: Any, rooms: list[str], *, here: bool) -> None:
        try:
            await self.sio.emit(event, payload, room=rooms, namespace=NAMESPACE, ignore_queue=here)
        except Exception:
            # Whoever misses an event finds out from the database.
            log.exception("Could not send '%s' to %s", event, rooms)

    def changed(self, task_ids: Iterable[int], *, ended: bool, here: bool = False) -> None:
        """Wake whoever waits for one of these tasks; `ended`: also who waits for its end."""
        ids = list(task_ids)
        self._soon(lambda: self._wake(ids, ended=ended))
        bus = self.bus
        if bus is not None and not here:
            self._send(lambda: bus.signal(tasks=ids, ended=ended))

    def hear(self, signal: dict[str, Any]) -> None:
        """Take a signal of a server process; for the event loop only."""
        if "tasks" in signal:
            self._wake(signal["tasks"], ended=bool(signal.get("ended")))

    def wake_all(self) -> None:
        """Let everybody look again who waits; for the event loop only."""
        self._wake(list(self._waiting), ended=True)

    def _wake(self, task_ids: Iterable[int], *, ended: bool) -> None:
        for id_ in task_ids:
            for waiting, only_end in self._waiting.get(id_, {}).items():
                if ended or not only_end:
                    waiting.set()

    @contextmanager
    def watch(self, task_id: int, *, only_end: bool) -> Iterator[asyncio.Event]:
        """An event that is set when the task's runs change, or only when it ends.

        For the event loop only.
        """
        waiting = asyncio.Event()
        self._waiting[task_id][waiting] = only_end
        try:
            yield waiting
        finally:
            del self._waiting[task_id][waiting]
            if not self._waiting[task_id]:
                del self._waiting[task_id]

    def _soon(self, action: Callable[[], None]) -> None:
        if self._loop is None or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(action)
