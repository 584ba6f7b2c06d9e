"""How many runs work at once, and in which order the others get their turn.

A run that has made subtasks waits for them more than it works, so from then on it no longer
counts: otherwise runs that wait would keep the very subtasks they wait for from starting.
Subtasks go first, and are never held up by runs that wait; new tasks are, so that runs that wait
cannot pile up without bound. Hence whoever holds a slot ends or gives it back, and every subtask
gets one. Only subtasks that wait for subtasks, and so on without end, would still pile up: from
some number on they are turned away.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

#: Runs that wait for subtasks, at most, per slot, before new tasks are held up.
WAITING_PER_SLOT = 8
#: Subtasks that wait for subtasks of their own, at most, per slot, before others are turned away.
WAITING_SUBTASKS_PER_SLOT = 16


class NestedTooDeeply(Exception):
    """Too many subtasks wait for subtasks of their own here; the message says how many."""


class Slot:
    """A place to work, held by one run."""

    def __init__(self, slots: Slots, *, subtask: bool) -> None:
        self._slots = slots
        self._subtask = subtask
        self._counts = True

    def yield_(self) -> None:
        """Stop counting: the run waits for its subtasks."""
        if self._counts:
            self._counts = False
            self._slots._busy -= 1
            self._slots._wait(1, subtask=self._subtask)
            self._slots._admit()

    def _leave(self) -> None:
        if self._counts:
            self._slots._busy -= 1
        else:
            self._slots._wait(-1, subtask=self._subtask)
        self._slots._admit()


class Slots:
    """Places to work.

    Parameters
    ----------
    count : int
        How many runs work at once.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._busy = 0
        self._waiting = 0
        self._waiting_subtasks = 0
        self._order = itertools.count()
        self._tasks: list[tuple[int, int, asyncio.Future[None]]] = []
        self._subtasks: list[tuple[int, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def hold(self, run_id: int, *, subtask: bool) -> AsyncIterator[Slot]:
        """Wait for a place and hold it; lower run numbers go first.

        Raises
        ------
        NestedTooDeeply
            If it is a subtask, and so many of them wait that this may be without end.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(
            self._subtasks if subtask else self._tasks, (run_id, next(self._order), turn)
        )
        self._admit()
        slot = Slot(self, subtask=subtask)
        try:
            await turn
            yield slot
        finally:
            # Cancelled between being admitted and noticing: the place is held all the same.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                slot._leave()

    def _wait(self, change: int, *, subtask: bool) -> None:
        if subtask:
            self._waiting_subtasks += change
        else:
            self._waiting += change

    def _admit(self) -> None:
        while self._busy < self._count:
            turn = _next(self._subtasks)
            most = self._count * WAITING_SUBTASKS_PER_SLOT
            if turn is not None and self._waiting_subtasks >= most:
                turn.set_exception(
                    NestedTooDeeply(
                        f"{self._waiting_subtasks} subtasks wait for subtasks of their own here"
                    )
                )
                continue
            if turn is None and self._waiting < self._count * WAITING_PER_SLOT:
                turn = _next(self._tasks)
            if turn is None:
                return
            self._busy += 1
            turn.set_result(None)


def _next(queue: list[tuple[int, int, asyncio.Future[None]]]) -> asyncio.Future[None] | None:
    while queue:
        _, _, turn = heapq.heappop(queue)
        if not turn.done():
            return turn
    return None
