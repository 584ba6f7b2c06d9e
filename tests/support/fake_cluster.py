"""An imitation of a Kubernetes API server: HTTPS, bearer token, and the few endpoints a node uses.

Shapes of objects, errors and watch events are those of the documented API. There is no kubelet:
what becomes of a pod is told by a test's scenario, a coroutine function that gets the
:class:`Pod`. Nothing here proves that a real cluster behaves so.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import ipaddress
import json
import socket
import ssl
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from vantage6.node.runtimes.kubernetes.manifests import network_policies

Object = dict[str, Any]
NAMESPACE = "hospital"
_GROUPS = {
    "jobs": "/apis/batch/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "persistentvolumeclaims": "/api/v1",
    "pods": "/api/v1",
    "secrets": "/api/v1",
    "services": "/api/v1",
}
_NAMES = {"jobs": "Job", "secrets": "Secret", "pods": "Pod"}
#: Names of the fields of the objects a node makes, as the official client (PyPI, 37.0) has them.
FIELDS = json.loads((Path(__file__).parent / "kubernetes_fields.json").read_text())


class Pod:
    """A pod as a scenario plays it."""

    def __init__(self, cluster: FakeCluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        #: Times and lines.
        self.log: list[tuple[str, bytes]] = []

    @property
    def object(self) -> Object:
        return self.cluster.objects["pods"][self.name]

    @property
    def container(self) -> Object:
        found: Object = self.object["spec"]["containers"][0]
        return found

    @property
    def environment(self) -> dict[str, str]:
        """What the kubelet would set."""
        found = {}
        for variable in self.container["env"]:
            value = variable.get("value")
            if value is None:
                source = variable["valueFrom"]["secretKeyRef"]
                data = self.cluster.objects["secrets"][source["name"]]["data"]
                value = base64.b64decode(data[source["key"]]).decode()
            found[variable["name"]] = value
        return found

    def mount(self, place: str) -> tuple[Object, Object]:
        """The innermost mount that a path of the container is in, and its volume."""
        mounts = [
            each
            for each in self.container["volumeMounts"]
            if Path(place).is_relative_to(each["mountPath"])
        ]
        chosen = max(mounts, key=lambda each: len(each["mountPath"]))
        volumes = {each["name"]: each for each in self.object["spec"]["volumes"]}
        return chosen, volumes[chosen["name"]]

    def path(self, place: str) -> Path:
        """Where a path of the container is on this machine, if on a claim."""
        mount, volume = self.mount(place)
        root = self.cluster.claims[volume["persistentVolumeClaim"]["claimName"]]
        return root / mount.get("subPath", "") / Path(place).relative_to(mount["mountPath"])

    def read(self, place: str) -> bytes:
        """A file of the container."""
        mount, volume = self.mount(place)
        if "secret" not in volume:
            return self.path(place).read_bytes()
        items = {each["path"]: each["key"] for each in volume["secret"]["items"]}
        data = self.cluster.objects["secrets"][volume["secret"]["secretName"]]["data"]
        return base64.b64decode(data[items[mount["subPath"]]])

    def say(self, *lines: str) -> None:
        for line in lines:
            self.log.append((stamp(), line.encode()))
        self.cluster.changed()

    def running(self, ip: str = "127.0.0.2") -> None:
        self.set(
            phase="Running",
            podIP=ip,
            podIPs=[{"ip": ip}],
            state={"running": {"startedAt": stamp(whole=True)}},
        )

    def waiting(self, reason: str, message: str = "") -> None:
        self.set(phase="Pending", state={"waiting": {"reason": reason, "message": message}})

    def terminated(self, code: int, reason: str = "", message: str = "") -> None:
        """The container ended; the Job follows."""
        state = {
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            "startedAt": stamp(whole=True),
            "finishedAt": stamp(whole=True),
        }
        if message:
            state["message"] = message
        self.set(phase="Succeeded" if code == 0 else "Failed", state={"terminated": state})
        self.end_job(
            "Complete" if code == 0 else "Failed", "" if code == 0 else "BackoffLimitExceeded"
        )

    def set(self, state: Object | None = None, **status: Any) -> None:
        pod = copy.deepcopy(self.object)
        pod["status"].update(status)
        if state is not None:
            image = pod["spec"]["containers"][0]["image"]
            pod["status"]["containerStatuses"] = [
                {
                    "name": "algorithm",
                    "image": image,
                    "imageID": f"{image.partition(':')[0]}@sha256:{'5' * 64}",
                    "ready": "running" in state,
                    "restartCount": 0,
                    "state": state,
                }
            ]
        self.cluster.put("pods", pod)

    def end_job(self, condition: str, reason: str = "") -> None:
        job = copy.deepcopy(
            self.cluster.objects["jobs"][self.object["metadata"]["labels"]["job-name"]]
        )
        told = {"type": condition, "status": "True", "reason": reason, "message": ""}
        job["status"].setdefault("conditions", []).append(told)
        self.cluster.put("jobs", job)

    @property
    def has_ended(self) -> bool:
        pod = self.cluster.objects["pods"].get(self.name)
        return pod is None or pod["status"]["phase"] in ("Succeeded", "Failed")


async def completes(pod: Pod) -> None:
    """The scenario that is played unless a test says otherwise."""
    pod.running()
    place = decoded(pod.environment["OUTPUT_FILE"])
    pod.path(place).write_text('"done"')
    pod.terminated(0)


class FakeCluster:
    """State of the imitation, for tests to look at and to meddle with.

    ``faults`` is a queue of what to do with the next requests whose method and path match:
    ``(method, part of the path, what)`` with `what` a status, "drop before", "drop after" or
    seconds as a float.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.claims = {"runs": folder / "claim", "data": folder / "data"}
        for path in self.claims.values():
            path.mkdir(parents=True)
        self.token = uuid.uuid4().hex
        self.token_file = folder / "token"
        self.token_file.write_text(self.token)
        self.ca_file = folder / "ca.pem"
        self.scenario: Callable[[Pod], Awaitable[None]] = completes
        self.pods: list[Pod] = []
        self.calls: list[tuple[str, str]] = []
        self.faults: deque[tuple[str, str, Any]] = deque()
        self.down = False
        self.makes_pods = True
        self.rights_lacking: set[tuple[str, str]] = set()
        self.quota = False
        self.objects: dict[str, dict[str, Object]] = {kind: {} for kind in _GROUPS}
        self.namespace: Object = {
            "metadata": {
                "name": NAMESPACE,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            }
        }
        self.port = 0
        self._versions = count(100)
        self._version = 100
        self._history: list[tuple[int, str, Object]] = []
        self._oldest = 100
        self._cuts = 0
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        for claim in self.claims:
            self.put(
                "persistentvolumeclaims",
                {
                    "metadata": {"name": claim},
                    "spec": {"accessModes": ["ReadWriteMany"]},
                    "status": {"phase": "Bound"},
                },
            )

    def prepare(self, proxy_port: int) -> None:
        """Put there what a namespace must have; the node's service is this machine."""
        ports = [{"port": proxy_port, "targetPort": proxy_port}]
        spec = {"clusterIP": "127.0.0.1", "ports": ports}
        self.put("services", {"metadata": {"name": "vantage6-node"}, "spec": spec})
        for policy in network_policies(proxy_port):
            self.put("networkpolicies", policy)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def count(self, method: str, part: str) -> int:
        return sum(1 for call in self.calls if call[0] == method and part in call[1])

    def left(self) -> dict[str, list[str]]:
        """What of runs there is."""
        return {
            kind: sorted(self.objects[kind])
            for kind in ("jobs", "pods", "secrets")
            if self.objects[kind]
        }

    def put(self, kind: str, content: Object) -> Object:
        """Store an object, and tell who watches."""
        known = self.objects[kind]
        name = content["metadata"]["name"]
        event = "MODIFIED" if name in known else "ADDED"
        content["metadata"].setdefault("uid", str(uuid.uuid4()))
        content["metadata"].setdefault("namespace", NAMESPACE)
        self._note(event, kind, content)
        known[name] = content
        return content

    def drop(self, kind: str, name: str) -> None:
        """Remove an object, and tell who watches."""
        content = self.objects[kind].pop(name, None)
        if content is not None:
            self._note("DELETED", kind, copy.deepcopy(content))

    def forget_history(self) -> None:
        """As after compaction: watches from earlier versions are refused, and running ones end."""
        self._version = self._oldest = next(self._versions)
        self._history.clear()
        self.changed()

    def cut(self) -> None:
        """Break every watch and log that is being followed."""
        self._cuts += 1
        self.changed()

    def changed(self) -> None:
        wake, self._wake = self._wake, asyncio.Event()
        wake.set()

    def _note(self, event: str, kind: str, content: Object) -> None:
        self._version = next(self._versions)
        content["metadata"]["resourceVersion"] = str(self._version)
        told = {"type": event, "object": copy.deepcopy(content)}
        self._history.append((self._version, kind, told))
        self.changed()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[FakeCluster]:
        app = web.Application(middlewares=[self._at_the_door])
        app.router.add_get(f"/api/v1/namespaces/{NAMESPACE}", self._get_namespace)
        app.router.add_post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", self._review)
        app.router.add_get(f"/api/v1/namespaces/{NAMESPACE}/pods/{{name}}/log", self._log)
        for kind, group in _GROUPS.items():
            path = f"{group}/namespaces/{NAMESPACE}/{kind}"
            app.router.add_get(path, self._list)
            app.router.add_post(path, self._create)
            app.router.add_get(path + "/{name}", self._get)
            app.router.add_patch(path + "/{name}", self._patch)
            app.router.add_delete(path + "/{name}", self._delete)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls())
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            for task in self._tasks:
                task.cancel()
            problems = await asyncio.gather(*self._tasks, return_exceptions=True)
            await runner.cleanup()
        for problem in problems:
            if isinstance(problem, Exception):
                raise problem

    def background(self, work: Any) -> None:
        self._tasks.add(asyncio.ensure_future(work))

    def _tls(self) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake cluster")])
        now = datetime.now(UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(Encoding.PEM)
        self.ca_file.write_bytes(pem)
        private = self.folder / "key.pem"
        private.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(private)
        return context

    @web.middleware
    async def _at_the_door(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.calls.append((request.method, request.path_qs))
        fault = next(
            (f for f in self.faults if f[0] == request.method and f[1] in request.path_qs), None
        )
        if fault is not None:
            self.faults.remove(fault)
        what = fault[2] if fault else "drop before" if self.down else None
        if isinstance(what, float):
            await asyncio.sleep(what)
        if isinstance(what, int):
            return refusal(what, "InternalError", "as told")
        if what == "drop before":
            return hang_up(request)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return refusal(401, "Unauthorized", "Unauthorized")
        answer = await handler(request)
        return hang_up(request) if what == "drop after" else answer

    async def _get_namespace(self, _: web.Request) -> web.Response:
        return web.json_response(self.namespace)

    async def _review(self, request: web.Request) -> web.Response:
        body = await request.json()
        asked = body["spec"]["resourceAttributes"]
        name = "/".join(filter(None, (asked["resource"], asked["subresource"])))
        allowed = (asked["verb"], name) not in self.rights_lacking
        return web.json_response(body | {"status": {"allowed": allowed}}, status=201)

    async def _get(self, request: web.Request) -> web.Response:
        kind, name = kind_of(request), request.match_info["name"]
        if name not in self.objects[kind]:
            return refusal(404, "NotFound", f'{kind} "{name}" not found')
        return web.json_response(self.objects[kind][name])

    async def _list(self, request: web.Request) -> web.StreamResponse:
        kind = kind_of(request)
        wanted = labels_of(request.query.get("labelSelector", ""))
        if "watch" in request.query:
            return await self._watch(request, kind, wanted)
        items = [each for each in self.objects[kind].values() if bears(each, wanted)]
        return web.json_response(
            {"items": items, "metadata": {"resourceVersion": str(self._version)}}
        )

    async def _watch(
        self, request: web.Request, kind: str, wanted: dict[str, str]
    ) -> web.StreamResponse:
        version = int(request.query["resourceVersion"])
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        cuts = self._cuts
        while not self.down and cuts == self._cuts:
            wake = self._wake
            if version < self._oldest:
                status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
                await response.write(
                    json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
                )
                return response
            for at, which, event in self._history:
                if at > version:
                    version = at
                    if which == kind and bears(event["object"], wanted):
                        await response.write(json.dumps(event).encode() + b"\n")
            await wake.wait()
        return hang_up(request)

    async def _create(self, request: web.Request) -> web.Response:
        kind, content = kind_of(request), await request.json()
        unknown = unknown_fields(content, _NAMES[kind])
        if unknown:
            return refusal(400, "BadRequest", f"strict decoding error: unknown field {unknown}")
        name = content["metadata"]["name"]
        if name in self.objects[kind]:
            return refusal(409, "AlreadyExists", f'{kind} "{name}" already exists')
        if kind == "jobs":
            content["status"] = {}
            violations = restricted(content["spec"]["template"]["spec"])
            if violations:
                return refusal(403, "Forbidden", f"violates PodSecurity: {violations}")
            if self.quota:
                return refusal(403, "Forbidden", "exceeded quota: runs")
        if kind == "secrets":
            text = content.pop("stringData")
            content["data"] = {
                key: base64.b64encode(value.encode()).decode() for key, value in text.items()
            }
        return web.json_response(self.put(kind, content), status=201)

    async def _patch(self, request: web.Request) -> web.Response:
        kind, name = kind_of(request), request.match_info["name"]
        assert request.content_type == "application/merge-patch+json"
        if name not in self.objects[kind]:
            return refusal(404, "NotFound", f'{kind} "{name}" not found')
        before = self.objects[kind][name]
        after = merged(before, await request.json())
        self.put(kind, after)
        if kind == "jobs" and before["spec"]["suspend"] and not after["spec"]["suspend"]:
            self._begin(after)
        return web.json_response(after)

    def _begin(self, job: Object) -> None:
        """What the Job controller does."""
        if not self.makes_pods:
            return
        name, metadata = job["metadata"]["name"], job["metadata"]
        template = copy.deepcopy(job["spec"]["template"])
        pod = self.put(
            "pods",
            {
                "metadata": {
                    "name": f"{name}-{uuid.uuid4().hex[:5]}",
                    "labels": template["metadata"]["labels"] | {"job-name": name},
                    "ownerReferences": [{"kind": "Job", "name": name, "uid": metadata["uid"]}],
                },
                "spec": template["spec"],
                "status": {"phase": "Pending"},
            },
        )
        playing = Pod(self, pod["metadata"]["name"])
        self.pods.append(playing)
        self.background(self._play(playing))

    async def _play(self, pod: Pod) -> None:
        # A scenario whose pod was deleted meanwhile has nothing left to tell.
        with suppress(KeyError):
            await self.scenario(pod)

    async def _delete(self, request: web.Request) -> web.Response:
        kind, name = kind_of(request), request.match_info["name"]
        options = await request.json()
        content = self.objects[kind].get(name)
        if content is None:
            return refusal(404, "NotFound", f'{kind} "{name}" not found')
        if options["preconditions"]["uid"] != content["metadata"]["uid"]:
            return refusal(409, "Conflict", "the UID in the precondition does not match")
        assert options["propagationPolicy"] == "Foreground"
        if "deletionTimestamp" not in content["metadata"]:
            going = copy.deepcopy(content)
            going["metadata"]["deletionTimestamp"] = stamp(whole=True)
            self.put(kind, going)
            self.background(self._collect(going))
        return web.json_response(self.objects[kind][name])

    async def _collect(self, job: Object) -> None:
        """What the garbage collector does: dependents first."""
        for kind in ("pods", "secrets"):
            for name, content in list(self.objects[kind].items()):
                owners = content["metadata"].get("ownerReferences") or ()
                if any(owner["uid"] == job["metadata"]["uid"] for owner in owners):
                    going = copy.deepcopy(content)
                    going["metadata"]["deletionTimestamp"] = stamp(whole=True)
                    self.put(kind, going)
                    await asyncio.sleep(0.05)
                    self.drop(kind, name)
        self.drop("jobs", job["metadata"]["name"])

    async def _log(self, request: web.Request) -> web.StreamResponse:
        pod = next((each for each in self.pods if each.name == request.match_info["name"]), None)
        if pod is None or pod.name not in self.objects["pods"]:
            return refusal(404, "NotFound", "pods not found")
        assert request.query["container"] == "algorithm"
        assert request.query["timestamps"] == "true"
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        since = request.query.get("sinceTime", "").removesuffix("Z")
        told, cuts = 0, self._cuts
        while not self.down and cuts == self._cuts:
            wake, over = self._wake, pod.has_ended
            for time, line in pod.log[told:]:
                told += 1
                # In whole seconds, as the real one.
                if time[:19] >= since:
                    await response.write(time.encode() + b" " + line + b"\n")
            if over or "follow" not in request.query:
                return response
            await wake.wait()
        return hang_up(request)


def free_port() -> int:
    """A port that is free on every address of this machine."""
    with socket.create_server(("", 0)) as taken:
        return int(taken.getsockname()[1])


def kind_of(request: web.Request) -> str:
    return request.path.split(f"/namespaces/{NAMESPACE}/")[1].split("/")[0]


def labels_of(selector: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in selector.split(",") if part)


def bears(content: Object, wanted: dict[str, str]) -> bool:
    return wanted.items() <= content["metadata"].get("labels", {}).items()


def merged(before: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    after = copy.deepcopy(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        after[key] = merged(after.get(key), value)
    return after


def unknown_fields(content: Any, kind: str, where: str = "") -> list[str]:
    """Fields that the API does not have, as a strict server tells of them."""
    if kind.startswith("list["):
        return [
            each
            for number, item in enumerate(content)
            for each in unknown_fields(item, kind[5:-1], f"{where}[{number}]")
        ]
    if kind not in FIELDS or not isinstance(content, dict):
        return []
    found = []
    for key, value in content.items():
        if key not in FIELDS[kind]:
            found.append(f"{where}.{key}")
        else:
            found += unknown_fields(value, FIELDS[kind][key], f"{where}.{key}")
    return found


def restricted(pod: Object) -> list[str]:
    """Why the published pod security standard 'restricted' would not let a pod in."""
    wrong = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
               "projected", "secret"}  # fmt: skip
    for volume in pod.get("volumes", ()):
        wrong += [f"volume {kind}" for kind in set(volume) - {"name"} - allowed]
    of_pod = pod.get("securityContext", {})
    for container in (*pod["containers"], *pod.get("initContainers", ())):
        own = container.get("securityContext", {})
        profile = own.get("seccompProfile", of_pod.get("seccompProfile", {})).get("type")
        checks = {
            "privileged": not own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "runAsNonRoot": own.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is True,
            "runAsUser": own.get("runAsUser", of_pod.get("runAsUser")) != 0,
            "capabilities.drop": "ALL" in own.get("capabilities", {}).get("drop", ()),
            "capabilities.add": set(own.get("capabilities", {}).get("add", ()))
            <= {"NET_BIND_SERVICE"},
            "seccompProfile": profile in ("RuntimeDefault", "Localhost"),
            "hostPort": not any("hostPort" in port for port in container.get("ports", ())),
        }
        wrong += [name for name, holds in checks.items() if not holds]
    return wrong


def refusal(status: int, reason: str, message: str) -> web.Response:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": status,
    }
    return web.json_response(body, status=status)


def hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def stamp(*, whole: bool = False) -> str:
    now = datetime.now(UTC)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ" if whole else "%Y-%m-%dT%H:%M:%S.%f000Z")


def decoded(text: str) -> str:
    """A variable as the contract has algorithms read it."""
    return base64.b32decode(text.replace("!", "=")).decode()
