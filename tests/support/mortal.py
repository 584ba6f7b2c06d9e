"""A ``v6`` command that kills itself with SIGKILL at a named point, once it is told to.

``python mortal.py ORDERS LEDGER OUTPUT ARGUMENT...`` runs ``v6 ARGUMENT...`` each time it is told
to. When that comes to the point that the file ORDERS names, it removes the file and dies (or
stops, until it is told to go on). LEDGER
gets a line whenever an algorithm is let go, by whatever runs it: what a node that dies at once
could not tell. Nothing of this is in the programs themselves: their functions are wrapped here.

The points are in ``mortal_points.py``.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mortal_points import ALWAYS, POINTS, Wanted, When

ORDERS, LEDGER, OUTPUT = (Path(each) for each in sys.argv[1:4])
ARGUMENTS = sys.argv[4:]


def die_at(point: str) -> None:
    """Die, or stop until told to go on, if this is where."""
    try:
        ordered = ORDERS.read_text()
    except FileNotFoundError:
        return
    if ordered in (point, f"stop: {point}"):
        ORDERS.unlink()
        os.kill(os.getpid(), signal.SIGKILL if ordered == point else signal.SIGSTOP)


def note(line: str) -> None:
    """Write something down that outlives the process."""
    with LEDGER.open("a") as file:
        file.write(f"{line}\n")


def wrap(point: str, target: str, when: When, wanted: Wanted = ALWAYS) -> None:
    """Have a function, ``module:name`` or ``module:Class.name``, die at a point."""
    owner, name = _find(target)
    original = inspect.getattr_static(owner, name)
    wrapped = _wrapped(original, point, when, wanted)
    setattr(owner, name, functools.wraps(original)(wrapped))


def _find(target: str) -> tuple[Any, str]:
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *parts, name = path.split(".")
    for part in parts:
        owner = getattr(owner, part)
    return owner, name


def _wrapped(original: Any, point: str, when: When, wanted: Wanted) -> Any:
    def at(this: When, args: Any, kwargs: Any) -> None:
        if when == this and wanted(*args, **kwargs):
            die_at(point)

    def plain(*args: Any, **kwargs: Any) -> Any:
        at("before", args, kwargs)
        if when in ("committed", "told") and wanted(*args, **kwargs):
            # The first or the last of what a request does when its transaction is through.
            told = args[0]._told
            told.insert(0 if when == "committed" else len(told), lambda: die_at(point))
        result = original(*args, **kwargs)
        at("after", args, kwargs)
        return result

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        at("before", args, kwargs)
        result = await original(*args, **kwargs)
        at("after", args, kwargs)
        return result

    async def pieces(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async for piece in original(*args, **kwargs):
            yield piece
            # The consumer has passed the piece on when it asks for the next one.
            await asyncio.sleep(0.05)
            at("during", args, kwargs)

    if inspect.isasyncgenfunction(original):
        return pieces
    return coroutine if inspect.iscoroutinefunction(original) else plain


def follow_clock(file: Path) -> None:
    """Add to the time what a file says: seconds of the calendar, seconds of what only goes on.

    Those who ask for the time by Python's functions are told so: the event loop, the tokens and
    everything in the rooms of this role.
    """
    real_time, real_monotonic, real_datetime = time.time, time.monotonic, datetime
    read_at, added = -1.0, (0.0, 0.0)

    def offsets() -> tuple[float, float]:
        nonlocal read_at, added
        now = real_monotonic()
        if now - read_at > 0.1:
            calendar, going_on = file.read_text().split()
            read_at, added = now, (float(calendar), float(going_on))
        return added

    class AnyDatetime(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, real_datetime)

    class Clock(datetime, metaclass=AnyDatetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real_datetime.now(tz) + timedelta(seconds=offsets()[0])

    time.time = lambda: real_time() + offsets()[0]
    time.monotonic = lambda: real_monotonic() + offsets()[1]
    for name, module in list(sys.modules.items()):
        ours = name.startswith(("vantage6.", "jwt."))
        if ours and vars(module).get("datetime") is real_datetime:
            module.datetime = Clock  # type: ignore[attr-defined]


def main() -> None:
    """Wrap what the command is made of; then run it for each line that comes in.

    Each time in a process of its own, forked from this one, which has everything imported. What
    goes out is that process's id, and, when it has ended, its exit code.
    """
    role = ARGUMENTS[0]
    importlib.import_module(f"vantage6.{role}.main")
    for name, point in POINTS[role].items():
        wrap(name, f"vantage6.{role}.{point.target}", point.when, point.wanted)
    if clock := os.environ.get("MORTAL_CLOCK"):
        follow_clock(Path(clock))
    if role == "node":
        _keep_ledger("vantage6.node.runtimes.process_execution:ProcessExecution.begin")
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            return _live()
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def _live() -> None:
    from vantage6.cli.entry import main as v6

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(output, number)
    sys.argv = ["v6", *ARGUMENTS, "--with-parent", str(os.getppid())]
    v6()


def _keep_ledger(target: str) -> None:
    owner, name = _find(target)
    original = getattr(owner, name)

    def begin(execution: Any, *args: Any, **kwargs: Any) -> Any:
        note(f"run {execution.run_id} is let go")
        return original(execution, *args, **kwargs)

    setattr(owner, name, begin)


if __name__ == "__main__":
    main()
