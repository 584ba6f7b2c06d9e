"""Whose tasks are in progress at this node."""

from __future__ import annotations


class Guests:
    """Counts the tasks of each user; a task and its subtasks are one."""

    def __init__(self) -> None:
        self._runs: dict[int, tuple[int | None, int]] = {}

    def enter(self, run_id: int, user_id: int | None, job_id: int) -> None:
        """A run begins."""
        self._runs[run_id] = (user_id, job_id)

    def leave(self, run_id: int) -> None:
        """A run has ended."""
        self._runs.pop(run_id, None)

    def others(self, user_id: int | None, job_id: int) -> int:
        """How many other tasks of a user are in progress."""
        return len({job for user, job in self._runs.values() if user == user_id} - {job_id})
