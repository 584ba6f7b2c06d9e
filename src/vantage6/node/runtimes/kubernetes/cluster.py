"""The cluster's API: the few calls that the runtime makes, and its refusals in words.

Plain HTTP rather than the official client: that one is synchronous, a thread for each watch and
log, and takes 126 MB of disk and 35 MB of memory for the eight kinds of calls made here; the node
has an asynchronous client already.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from vantage6.common.transport import backoff
from vantage6.node.http import JSON, Answer, Http, Incoming, NoAnswer
from vantage6.node.runtimes.base import RuntimeUnavailable
from vantage6.node.runtimes.kubernetes.manifests import is_same
from vantage6.node.runtimes.kubernetes.settings import Settings

#: Where a pod finds its service account.
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_GROUPS = {
    "jobs": "/apis/batch/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "persistentvolumeclaims": "/api/v1",
    "pods": "/api/v1",
    "secrets": "/api/v1",
    "services": "/api/v1",
}
_MERGE = "application/merge-patch+json"
#: Seconds that the API is tried before a call has failed.
PATIENCE = 60.0
_READ_TIMEOUT = 30.0
#: Seconds that the server keeps a watch open, and that we wait for it to say anything.
_WATCH_SECONDS = 240
_SILENCE = _WATCH_SECONDS + 60.0
#: An algorithm may be silent for long; a connection that is dead is noticed in the end.
_LOG_SILENCE = 3600.0
_MOST_WORDS = 500


class ClusterAway(Exception):
    """The cluster's API gave no usable answer."""


class ClusterRefusal(Exception):
    """The cluster's API refuses.

    Attributes
    ----------
    status : int
        HTTP status.
    reason : str
        The API's own word for it, such as ``AlreadyExists``.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason

    @property
    def is_gone(self) -> bool:
        """Whether what it was about is not there (any more)."""
        return self.status == 404


class TooOld(Exception):
    """A watch cannot go on from where it was: everything has to be listed anew."""


@dataclass(frozen=True)
class Listing:
    """All objects of a kind, and the version from which a watch goes on."""

    items: list[dict[str, Any]]
    version: str


class Cluster:
    """One namespace of a cluster.

    Parameters
    ----------
    settings : Settings
        Where the API is and what to log in with.
    patience : float
        Seconds that the API is tried before a call has failed.
    """

    def __init__(self, settings: Settings, *, patience: float = PATIENCE) -> None:
        self._settings = settings
        self._token_file = settings.token_file or ACCOUNT / "token"
        self._patience = patience
        self._http: Http | None = None
        self.address = ""
        self.namespace = ""

    async def open(self) -> None:
        """Get ready to make calls; none is made.

        Raises
        ------
        RuntimeUnavailable
            If it cannot be told where the API is, or what to log in with.
        """
        host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
        port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not self._settings.api and not host:
            raise RuntimeUnavailable(
                "This node is not in a pod of a cluster: run it as deploy/kubernetes has it, or "
                "set kubernetes.api, .namespace, .token_file and .ca_file"
            )
        bracketed = f"[{host}]" if ":" in host else host
        self.address = (self._settings.api or f"https://{bracketed}:{port}").rstrip("/")
        try:
            self.namespace = self._settings.namespace or (ACCOUNT / "namespace").read_text().strip()
            self._token()
            authority = str(self._settings.ca_file or ACCOUNT / "ca.crt")
            context = ssl.create_default_context(cafile=authority)
        except OSError as error:
            raise RuntimeUnavailable(
                f"The pod's service account cannot be used ({error}): let the pod have its token "
                "(automountServiceAccountToken), or set kubernetes.namespace, .token_file and "
                ".ca_file"
            ) from error
        self._http = Http(self.address, context)

    async def close(self) -> None:
        """Disconnect."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    async def get(self, kind: str, name: str) -> dict[str, Any]:
        """One object.

        Raises
        ------
        ClusterRefusal, ClusterAway
            Also for the other calls.
        """
        return await self._call("GET", self._path(kind, name))

    async def get_namespace(self) -> dict[str, Any]:
        """The namespace itself."""
        return await self._call("GET", f"/api/v1/namespaces/{self.namespace}")

    async def may(self, verb: str, group: str, resource: str, name: str = "") -> bool:
        """Whether this node's account has a right in its namespace."""
        resource, _, part = resource.partition("/")
        wanted = {
            "namespace": self.namespace,
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": part,
            "name": name,
        }
        answer = await self._call(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": wanted},
            },
        )
        return bool((answer.get("status") or {}).get("allowed"))

    async def list(self, kind: str, selector: str = "") -> Listing:
        """All objects that bear labels."""
        query = f"?{urlencode({'labelSelector': selector})}" if selector else ""
        found = await self._call("GET", f"{self._path(kind)}{query}")
        version = str((found.get("metadata") or {}).get("resourceVersion", ""))
        return Listing(list(found.get("items") or ()), version)

    async def create(self, kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Make an object; one that an unanswered request of this call has made already counts."""
        tried = False
        until = time.monotonic() + self._patience
        for pause in backoff():
            try:
                return _understood(await self._once("POST", self._path(kind), content))
            except ClusterRefusal as refusal:
                if refusal.reason == "AlreadyExists" and tried:
                    found = await self.get(kind, content["metadata"]["name"])
                    if is_same(found, content):
                        return found
                raise
            except ClusterAway:
                if time.monotonic() > until:
                    raise
            tried = True
            await asyncio.sleep(pause)
        raise AssertionError("backoff ended")  # pragma: no cover

    async def patch(self, kind: str, name: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Change parts of an object."""
        return await self._call("PATCH", self._path(kind, name), content, content_type=_MERGE)

    async def delete(self, kind: str, name: str, uid: str) -> None:
        """Delete exactly one object, and before it all that it owns; nothing if it is gone."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Foreground",
            "preconditions": {"uid": uid},
        }
        try:
            await self._call("DELETE", self._path(kind, name), options, expect_conflict=True)
        except ClusterRefusal as refusal:
            # By 409 it says that the name is another object's by now.
            if refusal.status not in (404, 409):
                raise

    async def watch(self, kind: str, selector: str, version: str) -> AsyncGenerator[dict[str, Any]]:
        """What happens to objects, from a version on, until the server ends it.

        Raises
        ------
        TooOld
            If the server no longer knows that version.
        ClusterAway
            If the connection breaks.
        """
        query = urlencode(
            {
                "watch": "1",
                "labelSelector": selector,
                "resourceVersion": version,
                "allowWatchBookmarks": "true",
                "timeoutSeconds": _WATCH_SECONDS,
            }
        )
        async with self._stream(f"{self._path(kind)}?{query}", _SILENCE) as answer:
            async for line in _lines(answer.pieces):
                event = json.loads(line)
                if event.get("type") == "ERROR":
                    status = event.get("object") or {}
                    if status.get("code") == 410:
                        raise TooOld
                    raise ClusterAway(str(status.get("message", "the watch failed")))
                yield event

    async def logs(
        self, pod: str, container: str, since: str, *, follow: bool
    ) -> AsyncGenerator[bytes]:
        """What a container says, piece by piece, with its time before each line.

        Parameters
        ----------
        since : str
            Leave out what it said before this second; empty for all of it.
        """
        query: dict[str, Any] = {"container": container, "timestamps": "true"}
        if follow:
            query["follow"] = "true"
        if since:
            query["sinceTime"] = since
        path = f"{self._path('pods', pod)}/log?{urlencode(query)}"
        async with self._stream(path, _LOG_SILENCE) as answer:
            async for piece in answer.pieces:
                yield piece

    def _path(self, kind: str, name: str = "") -> str:
        path = f"{_GROUPS[kind]}/namespaces/{self.namespace}/{kind}"
        return f"{path}/{name}" if name else path

    def _token(self) -> str:
        # Read anew for each request: the cluster renews it every hour.
        return self._token_file.read_text().strip()

    async def _call(
        self,
        method: str,
        path: str,
        content: Mapping[str, Any] | None = None,
        *,
        content_type: str = JSON,
        expect_conflict: bool = False,
    ) -> dict[str, Any]:
        """Make a call that may be made again; until the patience ends."""
        until = time.monotonic() + self._patience
        for pause in backoff():
            try:
                return _understood(await self._once(method, path, content, content_type))
            except ClusterRefusal as refusal:
                # Two wrote at the same time: what was asked for has not been done.
                if refusal.status != 409 or expect_conflict or time.monotonic() > until:
                    raise
            except ClusterAway:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("backoff ended")  # pragma: no cover

    async def _once(
        self,
        method: str,
        path: str,
        content: Mapping[str, Any] | None = None,
        content_type: str = JSON,
    ) -> Answer:
        body = None if content is None else json.dumps(content).encode()
        try:
            answer = await self._opened().request(
                method,
                path,
                body=body,
                kind=content_type,
                token=self._token(),
                headers={"Accept": JSON},
                read_timeout=_READ_TIMEOUT,
            )
        except (NoAnswer, OSError) as error:
            raise ClusterAway(f"the cluster's API does not answer: {error}") from error
        _check(answer)
        return answer

    @asynccontextmanager
    async def _stream(self, path: str, silence: float) -> AsyncIterator[Incoming]:
        try:
            async with self._opened().stream(
                "GET", path, token=self._token(), read_timeout=silence
            ) as answer:
                if answer.status != 200:
                    _check(await answer.whole())
                yield answer
        except (NoAnswer, OSError, json.JSONDecodeError) as error:
            raise ClusterAway(f"the cluster's API broke off: {error}") from error

    def _opened(self) -> Http:
        if self._http is None:
            raise ClusterAway("the connection to the cluster is closed")
        return self._http


def _check(answer: Answer) -> None:
    """Tell a refusal, and what may be tried again, from an answer."""
    if answer.status < 300:
        return
    try:
        told = answer.json()
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    message = str(told.get("message") or f"HTTP {answer.status}")[:_MOST_WORDS]
    if answer.status == 410:
        raise TooOld
    if answer.status >= 500 or answer.status == 429:
        raise ClusterAway(f"the cluster's API fails: {message}")
    raise ClusterRefusal(answer.status, str(told.get("reason", "")), message)


def _understood(answer: Answer) -> dict[str, Any]:
    try:
        content = answer.json()
    except ValueError as error:
        raise ClusterAway("what answers is no cluster's API") from error
    if not isinstance(content, dict):
        raise ClusterAway("what answers is no cluster's API")
    return content


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Lines, without their ends, of what comes in pieces."""
    rest: list[bytes] = []
    async for piece in pieces:
        *whole, last = piece.split(b"\n")
        for line in whole:
            rest.append(line)
            yield b"".join(rest)
            rest.clear()
        rest.append(last)
    if any(rest):
        yield b"".join(rest)
