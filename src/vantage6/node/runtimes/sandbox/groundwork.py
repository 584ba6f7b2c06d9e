"""What a warm parent works out once, for all runs."""

from __future__ import annotations

from dataclasses import dataclass

from . import seccomp
from .limits import Baseline, baseline
from .software import interpreter_paths


@dataclass(frozen=True)
class Groundwork:
    """The same for every run of one warm parent.

    ``isolated`` False means no sandbox; ``filter`` is the seccomp program.
    """

    isolated: bool
    software: tuple[str, ...]
    baseline: Baseline
    filter: bytes

    @classmethod
    def lay(cls, *, isolated: bool) -> Groundwork:
        """Look at this process and its interpreter.

        Raises
        ------
        SandboxError
            If the interpreter lies where algorithms may not look.
        """
        if not isolated:
            return cls(isolated=False, software=(), baseline=baseline(), filter=b"")
        return cls(
            isolated=True,
            software=tuple(interpreter_paths()),
            baseline=baseline(),
            filter=seccomp.program(),
        )
