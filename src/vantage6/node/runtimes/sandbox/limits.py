"""Limits on what a run uses: those the kernel keeps, and those that are measured."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from dataclasses import dataclass

from .request import Bounds

#: Seconds between two measurements.
INTERVAL = 0.1
#: At most this share of a processor is spent on measuring.
_SHARE = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")
_MESSAGE_QUEUES = 64 * 1024
_SIGNALS = 1024


@dataclass(frozen=True)
class Baseline:
    """Bytes of data and of address space that the warm parent left to its children."""

    data: int
    total: int


def baseline() -> Baseline:
    """Measure this process before it becomes an algorithm."""
    fields = _status_fields("/proc/self/status", ("VmData", "VmSize"))
    return Baseline(fields["VmData"], fields["VmSize"])


def apply(bounds: Bounds, start: Baseline, *, count_processes: bool) -> None:
    """Set this process's limits, for itself and all it starts.

    ``RLIMIT_DATA`` bounds what is allocated on top of `start`; the address space has room for
    large files to be mapped.
    """
    _lower(resource.RLIMIT_DATA, start.data + bounds.memory)
    _lower(resource.RLIMIT_AS, start.total + 4 * bounds.memory)
    _lower(resource.RLIMIT_CPU, bounds.cpu_time, bounds.cpu_time + 1)
    _lower(resource.RLIMIT_NOFILE, bounds.open_files)
    # One over the limit tells a result that is too large from one that just fits.
    _lower(resource.RLIMIT_FSIZE, max(bounds.output_size, bounds.scratch_size) + 1)
    # A kernel that pipes cores to a program heeds no limit but this one, which forbids files too.
    _lower(resource.RLIMIT_CORE, 1)
    _lower(resource.RLIMIT_MSGQUEUE, _MESSAGE_QUEUES)
    _lower(resource.RLIMIT_SIGPENDING, _SIGNALS)
    if count_processes:
        _lower(resource.RLIMIT_NPROC, bounds.processes)


def _lower(kind: int, wanted: int, wanted_hard: int | None = None) -> None:
    hard = resource.getrlimit(kind)[1]
    top = wanted if wanted_hard is None else wanted_hard
    new_hard = top if hard == resource.RLIM_INFINITY else min(top, hard)
    resource.setrlimit(kind, (min(wanted, new_hard), new_hard))


def _status_fields(path: str, names: tuple[str, ...], opener: int | None = None) -> dict[str, int]:
    """Named fields of a file such as ``/proc/<pid>/status``, from kB to bytes; 0 if absent."""
    found = dict.fromkeys(names, 0)
    for line in _read(path, opener).splitlines():
        name, _, value = line.partition(":")
        if name in found:
            found[name] += int(value.split()[0]) * 1024
    return found


def _read(path: str, folder: int | None) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    with open(descriptor, encoding="utf-8", errors="replace") as file:
        return file.read()


@dataclass(frozen=True)
class Usage:
    """What a run's processes use together: bytes, seconds, number."""

    memory: int
    cpu_time: float
    processes: int


class Meter:
    """Measures a run's processes through a ``/proc``.

    Parameters
    ----------
    proc : int
        Descriptor of a ``/proc`` folder.
    root : int or None
        The process whose descendants are the run; None when the folder shows no others.
    """

    def __init__(self, proc: int, root: int | None) -> None:
        self._proc = proc
        self._root = root
        self._next = time.monotonic() + INTERVAL

    @property
    def due(self) -> float:
        """When to measure next, on the monotonic clock."""
        return self._next

    def measure(self, memory_limit: int) -> Usage:
        """Measure now.

        Memory that processes share is counted once, but only when a simpler sum, which takes
        less time, is above `memory_limit`.
        """
        began = time.monotonic()
        processes = self.processes()
        memory = sum(self._simple_memory(pid) for pid in processes)
        if memory > memory_limit:
            memory = sum(self._shared_memory(pid) for pid in processes)
        usage = Usage(memory, sum(processes.values()), len(processes))
        took = time.monotonic() - began
        self._next = began + max(INTERVAL, took / _SHARE)
        return usage

    def processes(self) -> dict[int, float]:
        """Ids of the run's processes, with seconds of processor time."""
        parents: dict[int, int] = {}
        times: dict[int, float] = {}
        for name in os.listdir(self._proc):
            if not name.isdecimal():
                continue
            # It may have ended meanwhile, and its file be empty.
            with contextlib.suppress(OSError, IndexError):
                # The name in parentheses may hold anything.
                fields = _read(f"{name}/stat", self._proc).rpartition(")")[2].split()
                pid = int(name)
                parents[pid] = int(fields[1])
                times[pid] = sum(int(ticks) for ticks in fields[11:15]) / _TICKS
        if self._root is None:
            return times
        return {pid: used for pid, used in times.items() if _descends(pid, self._root, parents)}

    def _simple_memory(self, pid: int) -> int:
        with contextlib.suppress(OSError):
            names = ("RssAnon", "RssShmem", "VmSwap")
            return sum(_status_fields(f"{pid}/status", names, self._proc).values())
        return 0

    def _shared_memory(self, pid: int) -> int:
        with contextlib.suppress(OSError):
            names = ("Pss_Anon", "Pss_Shmem", "SwapPss")
            return sum(_status_fields(f"{pid}/smaps_rollup", names, self._proc).values())
        return 0


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == ancestor:
            return True
    return False
