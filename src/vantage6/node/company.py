"""Whether another node is connected with this node's API key, as far as the server tells."""

from __future__ import annotations

import asyncio
import contextlib

#: Seconds without a socket after which nobody is going to tell.
_GRACE = 30.0


class Company:
    """What the server told about other nodes that log in as this one."""

    def __init__(self) -> None:
        self._others = False
        self._greeted = asyncio.Event()
        self._alone = asyncio.Event()
        self._alone.set()

    def connecting(self) -> None:
        """A new socket is opened: the server tells anew."""
        self._greeted.clear()
        self.left()

    def greeted(self) -> None:
        """The server has told, if there is anything to tell."""
        self._greeted.set()

    def met(self) -> None:
        """There is another one."""
        self._others = True
        self._alone.clear()

    def left(self) -> None:
        """There is no other one any more."""
        self._others = False
        self._alone.set()

    async def alone(self) -> bool:
        """Whether this node is the only one; waits for the server to tell, but not for ever."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._greeted.wait(), _GRACE)
        return not self._others

    async def until_alone(self) -> None:
        """Wait until there is no other one."""
        await self._alone.wait()
