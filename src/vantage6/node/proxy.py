"""The only thing an algorithm can talk to: its task's share of the server's API.

Each run has a listening socket of its own, on which nothing but that run's token is accepted.
Requests go on with the run's token, never the node's. In encrypted collaborations inputs of
subtasks are encrypted, and results decrypted, on the way.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from aiohttp import web

from vantage6.common.addresses import Target
from vantage6.common.sealing import SealError
from vantage6.common.transport import backoff
from vantage6.node.connection import LoginRefused
from vantage6.node.exits import Exits
from vantage6.node.gateway import Gateway, Reach
from vantage6.node.http import JSON, OCTETS, PIECE, Answer, Http, NoAnswer
from vantage6.node.mail import Mail, Parent, Subrun, Upload
from vantage6.node.organizations import NoUsableKey, Organizations
from vantage6.node.payloads import transformed
from vantage6.node.runtimes.sandbox.doors import SQUID

log = logging.getLogger(__name__)

#: Bytes that an algorithm may send in one request: with inputs of subtasks, and otherwise.
MAX_TASK, MAX_BODY = 512 * 1024**2, 1024**2
#: Bytes of one payload that an algorithm may upload.
MAX_PAYLOAD = 64 * 1024**3
#: Seconds to wait for the server's answer; a long poll lasts 30.
_READ_TIMEOUT = 300.0
#: Seconds to keep trying while the server is away.
PATIENCE = 600.0
NO_VPN = "This node has no VPN: algorithms exchange data through the server only, by subtasks"
_AWAY = frozenset({502, 503, 504})
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})
# Logging in, and out of forgotten passwords, is nothing an algorithm has a reason to do.
_CLOSED = frozenset({"token", "recover", "password"})
_DROPPED = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "server",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
    }
)


@dataclass(frozen=True)
class Caller:
    """The run that a proxy serves.

    ``started_anew`` tells that an earlier attempt may have made subtasks already.
    ``on_subtask`` is called when it made one, ``on_sent`` with the bytes of each request's body.
    ``reach`` is what it may reach besides the server.
    ``on_vpn`` is called when it asks for addresses of other algorithms: there are none to be had.
    ``image`` is the algorithm's, which its subtasks run too.
    """

    run_id: int
    task_id: int
    token: str = field(repr=False)
    started_anew: bool = False
    on_subtask: Callable[[], None] = lambda: None
    on_sent: Callable[[int], None] = lambda _: None
    reach: Reach = field(default_factory=Reach)
    on_vpn: Callable[[], None] = lambda: None
    image: str = ""


class _Problem(Exception):
    """An answer made here rather than at the server."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Proxy:
    """Makes proxies for runs.

    Parameters
    ----------
    http : Http
        To the server's API, without credentials.
    organizations : Organizations
        Tells whether anything is encrypted.
    mail : Mail
        Seals and opens.
    organization_id : int
        This node's organization, which is the one that makes subtasks.
    exits : Exits, optional
        How other hosts are reached; directly by default.
    patience : float
        Seconds to keep trying while the server is away.
    """

    def __init__(
        self,
        http: Http,
        organizations: Organizations,
        mail: Mail,
        organization_id: int,
        *,
        exits: Exits | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._exits = exits or Exits()
        self._http = http
        self._organizations = organizations
        self._mail = mail
        self._organization_id = organization_id
        self._patience = patience

    @asynccontextmanager
    async def serve(
        self,
        listener: socket.socket,
        caller: Caller,
        doors: Mapping[Target, socket.socket] | None = None,
    ) -> AsyncIterator[None]:
        """Serve a run on a listening socket, which is closed at the end.

        Parameters
        ----------
        listener : socket.socket
            Where the algorithm knows that the proxy is.
        caller : Caller
            The run.
        doors : mapping of (str, int) to socket.socket, optional
            Where it connects to other hosts by their names; closed at the end too.
        """
        line = _Line(
            self._http,
            self._organizations,
            self._mail,
            self._organization_id,
            caller,
            self._patience,
        )
        server = web.Server(
            line.handle, handler_cancellation=True, access_log=None, read_bufsize=PIECE
        )
        gateway = Gateway(caller.run_id, caller.reach, self._exits)

        def protocol() -> asyncio.BaseProtocol:
            return gateway.in_front_of(server) if caller.reach else server()

        ways: list[tuple[socket.socket, Callable[[], asyncio.BaseProtocol]]]
        ways = [(listener, protocol)]
        for target, door in (doors or {}).items():
            ways.append((door, protocol if target == SQUID else partial(gateway.at_door, target)))
        async with AsyncExitStack() as held:
            held.push_async_callback(server.shutdown, timeout=0.1)
            for sock, factory in ways:
                sock.setblocking(False)
                site = await asyncio.get_running_loop().create_server(factory, sock=sock)
                held.callback(site.close)
            await held.enter_async_context(gateway.open())
            yield


class _Line:
    """One run's line to the server."""

    def __init__(
        self,
        http: Http,
        organizations: Organizations,
        mail: Mail,
        organization_id: int,
        caller: Caller,
        patience: float,
    ) -> None:
        self._http = http
        self._organizations = organizations
        self._mail = mail
        self._organization_id = organization_id
        self._caller = caller
        self._parent = Parent(caller.run_id, caller.task_id, caller.image)
        self._uploads: dict[str, Upload] = {}
        self._downloads: dict[str, Subrun] = {}
        self._patience = patience
        self._creating = asyncio.Lock()
        self._newest_child: int | None = None if caller.started_anew else 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        began = time.monotonic()
        try:
            answer = await self._route(request)
        except _Problem as problem:
            answer = _say(problem.status, str(problem))
        except LoginRefused as error:
            answer = _say(502, f"The node has lost its access to the server: {error}")
        log.debug(
            "run %s: %s %s: %s in %.0f ms",
            self._caller.run_id,
            request.method,
            request.path,
            answer.status,
            1000 * (time.monotonic() - began),
        )
        return answer

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._caller.token}".encode()):
            raise _Problem(401, "This proxy serves one run only, with that run's own token")
        path = _path_of(request)
        if request.method not in _METHODS:
            raise _Problem(405, f"Method {request.method} is not allowed")
        match request.method, path.split("/"):
            case "POST", ["task"]:
                return await self._create_task(request)
            case "GET", ["result"] if "task_id" not in request.query:
                raise _Problem(400, "No task id found in request from algorithm: add ?task_id=")
            case "GET", ["result"] | ["result", _]:
                return await self._results(request, path)
            case "GET", ["blobstream", name] if name != "status":
                return await self._download(request, path)
            case "POST", ["blobstream"]:
                return await self._upload(request)
            case _, ["vpn", *_]:
                self._caller.on_vpn()
                raise _Problem(501, NO_VPN)
            case _, [first, *_] if first in _CLOSED:
                raise _Problem(403, f"An algorithm may not use '/{first}'")
        body = await _body(request, MAX_BODY) if request.content_type == JSON else None
        return _pass_on(await self._forward(request.method, _with_query(request, path), body))

    async def _create_task(self, request: web.BaseRequest) -> web.Response:
        # One at a time: so a task whose creation got no answer can be told from the others.
        async with self._creating:
            body = _json_object(await _body(request, MAX_TASK))
            organizations = body.get("organizations")
            if not organizations or not isinstance(organizations, list):
                raise _Problem(400, "Organizations missing from input")
            nonces: list[str] = []
            if self._organizations.encrypted:
                body["organizations"] = [
                    await self._sealed(entry, body, nonces) for entry in organizations
                ]
            answer = await self._create_once(json.dumps(body).encode())
        if answer.status == 201:
            self._caller.on_subtask()
            await self._note_made(answer, nonces)
        return _pass_on(answer)

    async def _note_made(self, answer: Answer, nonces: list[str]) -> None:
        if not nonces:
            return
        try:
            await self._mail.subtask_made(nonces, answer.json()["id"])
        except SealError as error:
            raise _Problem(502, str(error)) from error

    async def _sealed(self, entry: Any, body: dict[str, Any], nonces: list[str]) -> Any:
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), int):
            raise _Problem(400, "Each of 'organizations' needs an 'id'")
        receiver, image, databases = entry["id"], body.get("image"), body.get("databases")
        try:
            if _is_uuid(entry.get("input")):
                # Encrypted already, in the payload store.
                upload = self._uploads.get(entry["input"])
                await self._mail.may_name(receiver, upload)
                if upload is not None:
                    nonces.append(upload.nonce)
                return entry
            plain = base64.b64decode(entry.get("input") or "")
            sealed, nonce = await self._mail.seal_subtask(
                plain, receiver, self._parent, str(image), databases
            )
            nonces.append(nonce)
        except NoUsableKey as error:
            raise _Problem(400, f"The input cannot be encrypted: {error}") from error
        except (ValueError, TypeError) as error:
            raise _Problem(400, f"'input' is not base64: {error}") from error
        return {**entry, "input": sealed}

    async def _create_once(self, body: bytes) -> Answer:
        """Create a task exactly once, whatever happens to the connection.

        When no answer comes, the server is asked which subtasks there are before the request is
        made again.
        """
        if self._newest_child is None:
            self._newest_child = max((child["id"] for child in await self._children()), default=0)
        until = time.monotonic() + self._patience
        for pause in backoff(ceiling=5.0):
            try:
                answer = await self._send("POST", "/task", body)
            except NoAnswer as error:
                problem = str(error)
                if error.may_have_arrived and (child := await self._unnoticed_child()):
                    return child
            else:
                if answer.status == 201:
                    created = answer.json().get("id")
                    self._newest_child = max(self._newest_child, created or 0)
                if answer.status not in _AWAY:
                    return answer
                problem = f"HTTP {answer.status}"
                if child := await self._unnoticed_child():
                    return child
            if time.monotonic() > until:
                raise _Problem(502, f"The server cannot be reached: {problem}")
            await asyncio.sleep(pause)
        raise AssertionError("backoff ended")  # pragma: no cover

    async def _unnoticed_child(self) -> Answer | None:
        """The subtask whose creation got no answer, as the answer; None if there is none."""
        for child in await self._children():
            if child["id"] > (self._newest_child or 0):
                log.info("run %s: subtask %s had been created", self._caller.run_id, child["id"])
                self._newest_child = child["id"]
                return Answer(201, json.dumps(child).encode(), {"Content-Type": JSON})
        return None

    async def _children(self) -> list[dict[str, Any]]:
        """The newest subtasks that this organization made in the run's task."""
        answer = await self._forward("GET", f"/task?parent_id={self._caller.task_id}&per_page=50")
        if answer.status != 200:
            raise _Problem(502, "No answer from the server, and no list of subtasks either")
        own = self._organization_id
        return [
            child
            for child in answer.json()["data"]
            if child["init_org"] and child["init_org"]["id"] == own
        ]

    async def _results(self, request: web.BaseRequest, path: str) -> web.Response:
        answer = await self._forward("GET", _with_query(request, path))
        if answer.status != 200 or not self._organizations.encrypted:
            return _pass_on(answer)
        content = answer.json()
        for result in content.get("data", [content]):
            if not result.get("result"):
                continue
            run = await self._subrun(result, request.query.get("task_id"))
            if result.get("blob_storage_used"):
                self._downloads[result["result"]] = run
            else:
                result["result"] = await self._opened(result["result"], run)
        return web.Response(body=json.dumps(content).encode(), headers=_headers(answer))

    async def _subrun(self, result: dict[str, Any], task: str | None) -> Subrun:
        """Whose result it is; the server is asked only if that may matter."""
        if not await asyncio.to_thread(lambda: self._mail.is_wary):
            return Subrun(result["id"])
        answer = await self._forward("GET", f"/run/{result['id']}")
        if answer.status != 200:
            raise _Problem(502, f"Run {result['id']} cannot be looked up: {answer.message}")
        run = answer.json()
        # What the algorithm asked for counts more than what the server says it gave.
        asked = int(task) if task and task.isdecimal() else run["task"]["id"]
        return Subrun(result["id"], asked, run["organization"]["id"])

    async def _opened(self, text: str, run: Subrun) -> str:
        try:
            plain = await self._mail.open_subresult(text, self._parent, run)
        except SealError as error:
            log.error("run %s: the result of run %s: %s", self._caller.run_id, run.id, error)
            raise _Problem(502, f"The result of run {run.id} is not used: {error}") from error
        except ValueError as error:
            log.warning("run %s: a result is passed on as it is: %s", self._caller.run_id, error)
            return text
        return base64.b64encode(plain).decode("ascii")

    async def _download(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        until = time.monotonic() + self._patience
        for pause in backoff(ceiling=5.0):
            response = web.StreamResponse(headers={"Content-Type": OCTETS})
            try:
                async with self._http.stream(
                    "GET",
                    _with_query(request, path),
                    token=self._caller.token,
                    read_timeout=_READ_TIMEOUT,
                ) as answer:
                    kind = answer.headers.get("Content-Type", "")
                    if answer.status <= 210 and OCTETS in kind:
                        return await self._opened_stream(
                            request, response, answer.pieces, path.rpartition("/")[2]
                        )
                    refused = await answer.whole()
                    problem = f"HTTP {refused.status}"
                    if refused.status not in _AWAY or time.monotonic() > until:
                        return _pass_on(refused)
            except NoAnswer as error:
                if response.prepared:
                    return _break_off(request, response, error)
                problem = str(error)
                if time.monotonic() > until:
                    raise _Problem(502, f"No answer from the server: {problem}") from error
            log.debug("run %s: %s: %s; trying again", self._caller.run_id, path, problem)
            await asyncio.sleep(pause)
        raise AssertionError("backoff ended")  # pragma: no cover

    async def _opened_stream(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        pieces: AsyncIterator[bytes],
        name: str,
    ) -> web.StreamResponse:
        """Pass on a payload as it comes; what is not for us is noticed before the first byte."""
        try:
            opener = self._mail.subresult_opener(self._parent, self._downloads.get(name))
            async for plain in transformed(opener, pieces):
                if not response.prepared:
                    await response.prepare(request)
                await response.write(plain)
        except ValueError as error:
            if response.prepared:
                return _break_off(request, response, error)
            raise _Problem(502, f"The payload cannot be decrypted: {error}") from error
        if not response.prepared:
            await response.prepare(request)
        await response.write_eof()
        return response

    async def _upload(self, request: web.BaseRequest) -> web.Response:
        key = request.headers.get("X-Public-Key", "")
        if self._organizations.encrypted and not key:
            raise _Problem(400, "Missing X-Public-Key header")
        try:
            sealer, upload = await self._mail.upload_sealer(key, self._parent)
        except (NoUsableKey, ValueError) as error:
            raise _Problem(400, str(error)) from error
        pieces = _counted(request.content.iter_chunked(PIECE), MAX_PAYLOAD, self._caller.on_sent)
        try:
            async with self._http.stream(
                "POST",
                "/blobstream",
                body=transformed(sealer, pieces),
                kind=OCTETS,
                token=self._caller.token,
                read_timeout=_READ_TIMEOUT,
            ) as answer:
                whole = await answer.whole()
                if whole.status == 201 and upload is not None:
                    self._uploads[whole.json()["uuid"]] = upload
                return _pass_on(whole)
        except NoAnswer as error:
            # It cannot be sent again: what has been passed on is held nowhere.
            raise _Problem(502, f"No answer from the server: {error}") from error

    async def _forward(
        self, method: str, target: str, body: bytes | None = None, kind: str = JSON
    ) -> Answer:
        """Make a request, again and again while the server is away if that does no harm."""
        until = time.monotonic() + self._patience
        for pause in backoff(ceiling=5.0):
            late = time.monotonic() > until
            try:
                answer = await self._send(method, target, body, kind)
            except NoAnswer as error:
                if late or (error.may_have_arrived and method != "GET"):
                    raise _Problem(502, f"No answer from the server: {error}") from error
            else:
                if late or method != "GET" or answer.status not in _AWAY:
                    return answer
            await asyncio.sleep(pause)
        raise AssertionError("backoff ended")  # pragma: no cover

    async def _send(self, method: str, target: str, body: bytes | None, kind: str = JSON) -> Answer:
        self._caller.on_sent(len(body or b""))
        return await self._http.request(
            method,
            target,
            body=body,
            kind=kind,
            token=self._caller.token,
            read_timeout=_READ_TIMEOUT,
        )


def _path_of(request: web.BaseRequest) -> str:
    """The path below the API, which nothing in it may lead out of."""
    path = request.rel_url.raw_path.strip("/")
    for part in path.split("/"):
        plain = unquote(part)
        if plain in ("", ".", "..") or "/" in plain or "\\" in plain:
            raise _Problem(404, "Not found")
    return path


def _with_query(request: web.BaseRequest, path: str) -> str:
    query = request.rel_url.raw_query_string
    return f"/{path}?{query}" if query else f"/{path}"


async def _body(request: web.BaseRequest, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise _Problem(413, f"The request is larger than {limit} bytes")
    return bytes(body)


async def _counted(
    pieces: AsyncIterator[bytes], limit: int, count: Callable[[int], None]
) -> AsyncIterator[bytes]:
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > limit:
            raise _Problem(413, f"The payload is larger than {limit} bytes")
        count(len(piece))
        yield piece


def _break_off(
    request: web.BaseRequest, response: web.StreamResponse, error: Exception
) -> web.StreamResponse:
    """End an answer so that its reader notices that it is not complete."""
    log.warning("A payload broke off on its way to the algorithm: %s", error)
    if request.transport is not None:
        request.transport.abort()
    return response


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError as error:
        raise _Problem(400, f"The request is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise _Problem(400, "The request is not a JSON object")
    return content


def _is_uuid(text: Any) -> bool:
    try:
        return bool(str(UUID(text)) == text)
    except (ValueError, TypeError, AttributeError):
        return False


def _pass_on(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=_headers(answer))


def _headers(answer: Answer) -> Mapping[str, str]:
    return {key: value for key, value in answer.headers.items() if key.lower() not in _DROPPED}


def _say(status: int, message: str) -> web.Response:
    return web.json_response({"msg": message}, status=status)
