"""Images: pulled, pinned by digest, and known by what they are rather than what they are called."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError, DockerException
from docker.utils import parse_repository_tag
from requests.exceptions import Timeout

from vantage6.node.runtimes.base import StartFailed, UnknownImage
from vantage6.node.runtimes.docker.engine import Engine, Unreachable, is_gone, words
from vantage6.node.runtimes.docker.settings import Registry

log = logging.getLogger(__name__)

#: Seconds without a word of progress after which a pull counts as stuck; and between two looks.
_SILENCE, _LOOK = 600.0, 1.0


@dataclass(frozen=True)
class Image:
    """A local image; ``id`` names its exact content."""

    id: str
    runnable: bool


class Images:
    """The engine's images.

    Parameters
    ----------
    engine : Engine
        Holds them.
    require_pull : bool
        Whether a local copy is no substitute for one that cannot be pulled.
    pull_always : bool
        Whether to pull even if there is a local copy.
    silence : float
        Seconds without a word of progress after which a pull counts as stuck.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        require_pull: bool,
        pull_always: bool,
        silence: float = _SILENCE,
    ) -> None:
        self._silence = silence
        self._engine = engine
        self._require_pull = require_pull
        self._pull_always = pull_always
        self._pulls: dict[str, asyncio.Task[None]] = {}

    async def log_in(self, registries: Sequence[Registry]) -> None:
        """Log in; a registry that refuses is complained about, and used without a login."""
        for login in registries:
            try:
                await self._engine.call(
                    self._engine.patient.login,
                    login.username,
                    password=login.password,
                    registry=login.registry,
                    reauth=True,
                )
            except Unreachable as error:
                log.warning("Registry %s refuses the login: %s", login.registry, words(error))
            else:
                log.info("Logged in at registry %s", login.registry)

    async def get(self, name: str) -> Image:
        """Have an image here and find out what it is.

        Raises
        ------
        UnknownImage
            If it cannot be pulled, and a local copy will not do or does not exist.
        """
        pinned = _pinned(name)
        # Content that is named by its digest cannot have changed.
        if pinned is not None or not self._pull_always:
            local = await self._look(pinned or name)
            if local is not None:
                return local
        try:
            await self._pull(name)
        except UnknownImage as refusal:
            local = None if self._require_pull else await self._look(pinned or name)
            if local is None:
                raise
            log.warning("%s; the local copy is used (require_algorithm_pull: false)", refusal)
            return local
        image = await self._look(pinned or name)
        if image is None:
            raise UnknownImage(f"The image {name} was pulled, but what came is something else")
        return image

    async def _pull(self, name: str) -> None:
        """Pull once for all runs that ask for the same image at the same time."""
        task = self._pulls.get(name)
        if task is None:
            task = self._pulls[name] = asyncio.ensure_future(self._do_pull(name))
            task.add_done_callback(lambda _: self._pulls.pop(name, None))
        await asyncio.shield(task)

    async def _do_pull(self, name: str) -> None:
        try:
            problem = await self._watched(name)
        except APIError as error:
            problem = words(error)
        except (*Unreachable, ValueError) as error:
            raise StartFailed(f"The container engine failed: {words(error)}") from error
        if problem is not None:
            raise UnknownImage(f"The image {name} cannot be pulled: {problem}")

    async def _watched(self, name: str) -> str | None:
        """Pull for as long as the engine tells of progress; gives what went wrong."""
        heard = time.monotonic()

        def hear() -> None:
            nonlocal heard
            heard = time.monotonic()

        pulling = asyncio.ensure_future(self._engine.call(self._download, name, hear))
        while not pulling.done():
            await asyncio.wait({pulling}, timeout=_LOOK)
            if time.monotonic() - heard > self._silence:
                pulling.cancel()
                raise Timeout(f"no progress with {name} for {self._silence:.0f} seconds")
        return await pulling

    def _download(self, name: str, hear: Callable[[], None]) -> str | None:
        repository, tag = parse_repository_tag(name)
        for line in self._engine.patient.pull(
            repository, tag=tag or "latest", stream=True, decode=True
        ):
            hear()
            if "error" in line:
                return str(line["error"])
        return None

    async def _look(self, name: str) -> Image | None:
        """A local image; None if there is none, or not the one that a digest names."""
        try:
            found: dict[str, Any] = await self._engine.call(self._engine.api.inspect_image, name)
        except DockerException as error:
            if is_gone(error) or (isinstance(error, APIError) and error.status_code == 400):
                return None
            raise StartFailed(f"The container engine failed: {words(error)}") from error
        _, at, digest = name.partition("@")
        digests = [str(each).partition("@")[2] for each in found.get("RepoDigests") or ()]
        if at and digest not in digests:
            return None
        config = found.get("Config") or {}
        return Image(str(found["Id"]), bool(config.get("Entrypoint") or config.get("Cmd")))


def _pinned(name: str) -> str | None:
    """``repository@digest`` of a name with a digest; its tag says nothing more."""
    repository, at, digest = name.partition("@")
    if not at:
        return None
    path, colon, tag = repository.rpartition(":")
    return f"{path if colon and '/' not in tag else repository}@{digest}"
