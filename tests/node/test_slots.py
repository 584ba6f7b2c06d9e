"""Who works when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantage6.node.slots import (
    WAITING_PER_SLOT,
    WAITING_SUBTASKS_PER_SLOT,
    NestedTooDeeply,
    Slots,
)

pytestmark = pytest.mark.anyio


class Run:
    """A run that holds a slot until told otherwise."""

    def __init__(self, slots: Slots, run_id: int, *, subtask: bool = False) -> None:
        self.working = asyncio.Event()
        self.end = asyncio.Event()
        self.slot: Any = None
        self.task = asyncio.ensure_future(self._work(slots, run_id, subtask))

    async def _work(self, slots: Slots, run_id: int, subtask: bool) -> None:
        async with slots.hold(run_id, subtask=subtask) as self.slot:
            self.working.set()
            await self.end.wait()


async def working(runs: list[Run]) -> list[int]:
    for _ in range(5):
        await asyncio.sleep(0)
    return [number for number, run in enumerate(runs) if run.working.is_set()]


async def finish(runs: list[Run]) -> None:
    for run in runs:
        run.task.cancel()
    await asyncio.gather(*(run.task for run in runs), return_exceptions=True)


async def test_no_more_than_allowed_work_and_the_oldest_go_first() -> None:
    slots = Slots(2)
    first = [Run(slots, 10), Run(slots, 11)]
    assert await working(first) == [0, 1]
    late = [Run(slots, number) for number in (7, 5, 6)]
    assert await working(late) == []
    first[0].end.set()
    assert await working(late) == [1]
    first[1].end.set()
    assert await working(late) == [1, 2]
    await finish(first + late)


async def test_subtasks_go_before_tasks() -> None:
    slots = Slots(1)
    first = Run(slots, 1)
    assert await working([first]) == [0]
    waiting = [Run(slots, 2), Run(slots, 9, subtask=True)]
    first.end.set()
    assert await working(waiting) == [1]
    await finish([first, *waiting])


async def test_a_run_that_waits_makes_room_once() -> None:
    slots = Slots(1)
    parent = Run(slots, 1)
    assert await working([parent]) == [0]
    children = [Run(slots, number, subtask=True) for number in (2, 3)]
    parent.slot.yield_()
    parent.slot.yield_()
    assert await working(children) == [0]
    await finish([parent, *children])


async def test_runs_that_wait_hold_up_new_tasks_but_never_subtasks() -> None:
    slots = Slots(1)
    parents = []
    for number in range(WAITING_PER_SLOT):
        parent = Run(slots, number)
        assert await working([parent]) == [0]
        parent.slot.yield_()
        parents.append(parent)
    task, subtask = Run(slots, 100), Run(slots, 101, subtask=True)
    assert await working([task, subtask]) == [1]
    subtask.end.set()
    assert not await working([task])
    parents[0].end.set()
    assert await working([task]) == [0]
    await finish([*parents, task, subtask])


async def test_one_that_gives_up_waiting_takes_no_place() -> None:
    slots = Slots(1)
    first, second, third = Run(slots, 1), Run(slots, 2), Run(slots, 3)
    assert await working([first]) == [0]
    second.task.cancel()
    first.end.set()
    assert await working([second, third]) == [1]
    await finish([first, second, third])


async def test_one_cancelled_as_it_is_admitted_gives_its_place_back() -> None:
    slots = Slots(1)
    first, second, third = Run(slots, 1), Run(slots, 2), Run(slots, 3)
    await working([first, second, third])
    first.end.set()
    while not first.task.done():
        await asyncio.sleep(0)
    second.task.cancel()
    assert await working([second, third]) in ([1], [0, 1])
    await finish([first, second, third])


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(1, 3),
    depths=st.lists(st.integers(0, 4), min_size=1, max_size=30),
)
def test_trees_of_subtasks_always_end(count: int, depths: list[int]) -> None:
    """Each run makes a chain of subtasks and waits for it; all work at the same node."""

    async def run(slots: Slots, run_id: int, depth: int, *, subtask: bool) -> None:
        async with slots.hold(run_id, subtask=subtask) as slot:
            await asyncio.sleep(0)
            if depth:
                slot.yield_()
                await run(slots, run_id + 1000, depth - 1, subtask=True)

    async def all_runs() -> None:
        slots = Slots(count)
        runs = (run(slots, i, depth, subtask=False) for i, depth in enumerate(depths))
        await asyncio.wait_for(asyncio.gather(*runs), 10)

    asyncio.run(all_runs())


async def test_subtasks_of_subtasks_without_end_are_turned_away() -> None:
    slots = Slots(1)
    most = WAITING_SUBTASKS_PER_SLOT
    chain = [Run(slots, number, subtask=True) for number in range(1)]
    while len(chain) <= most:
        assert len(await working(chain)) == len(chain)
        chain[-1].slot.yield_()
        chain.append(Run(slots, len(chain), subtask=True))
    assert len(await working(chain)) == most
    with pytest.raises(NestedTooDeeply, match=str(most)):
        await chain.pop().task
    chain[0].end.set()
    chain.append(Run(slots, most + 1, subtask=True))
    assert len(await working(chain)) == most + 1
    await finish(chain)
