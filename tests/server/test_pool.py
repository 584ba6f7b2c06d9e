"""Threads apart, with a queue that has an end."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

import pytest

from vantage6.server.pool import Pool, PoolFull


def test_what_does_not_fit_is_refused_at_once_and_what_is_done_makes_room() -> None:
    pool, release = Pool("test", 1, 2), threading.Event()
    try:
        waiting = [pool.submit(release.wait, 60) for _ in range(3)]
        with pytest.raises(PoolFull) as refused:
            pool.submit(print)
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "3"})
        release.set()
        for future in waiting:
            assert future.result(60)
        assert pool.submit(str, 1).result(60) == "1"
    finally:
        release.set()
        pool.shutdown()


def test_who_gives_up_waiting_makes_room() -> None:
    pool, release = Pool("test", 1, 1), threading.Event()

    async def scenario() -> None:
        busy = asyncio.ensure_future(pool.run(release.wait, 60))
        given_up = asyncio.ensure_future(pool.run(str, 1))
        await asyncio.sleep(0.05)
        with pytest.raises(PoolFull):
            await pool.run(str, 2)
        given_up.cancel()
        await asyncio.sleep(0.05)
        waiting = asyncio.ensure_future(pool.run(str, 3))
        await asyncio.sleep(0.05)
        release.set()
        assert await busy
        assert await waiting == "3"

    try:
        asyncio.run(scenario())
    finally:
        release.set()
        pool.shutdown()


def test_an_exception_reaches_who_waits() -> None:
    pool = Pool("test", 1, 1)
    try:
        for _ in range(5):
            with pytest.raises(ZeroDivisionError):
                asyncio.run(pool.run(lambda: 1 / 0))
    finally:
        pool.shutdown()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness on Linux only")
def test_its_threads_give_way_and_nobody_else_does() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    pool = Pool("test", 1, 1, niceness=5)
    try:
        assert pool.submit(niceness).result(60) == min(19, before + 5) or before >= 5
        assert niceness() == before
    finally:
        pool.shutdown()


def test_the_end_waits_for_nobody() -> None:
    pool, release = Pool("test", 1, 5), threading.Event()
    busy = pool.submit(release.wait, 60)
    waiting = pool.submit(time.sleep, 60)
    pool.shutdown(wait=False)
    assert waiting.cancelled()
    release.set()
    assert busy.result(60)
