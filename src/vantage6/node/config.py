"""The node's configuration file: every key this node reads, checked before anything starts."""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    PositiveInt,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from vantage6.common.configuration import Document
from vantage6.common.globals import InstanceType
from vantage6.common.places import Scope, data_folder, log_folder
from vantage6.common.sealing.keys import is_fingerprint
from vantage6.node.hours import WorkingHours
from vantage6.node.runtimes.base import Limits

#: Folders below ``/mnt`` that a database would hide.
RESERVED_LABELS = frozenset({"data", "tmp", "log", "config", "vpn", "ssh", "squid"})
#: Types whose URI is a file, unless it names a scheme.
FILE_TYPES = frozenset({"csv", "parquet", "excel", "folder"})
_TYPES = ("csv", "parquet", "excel", "sql", "sparql", "omop", "folder", "other")
DEFAULT_IMAGE = "harbor2.vantage6.ai/demo/average"
DEFAULT_MODULE = "vantage6.algorithms.average"
_DOMAIN = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*")
# To the last @: one in the password, which should be written %40, must not give the rest away.
_PASSWORD = re.compile(r"(://[^:/@\s]*:)\S*@")
#: What replaces a key of the file: this, and the key in capitals.
_ENVIRONMENT = "V6_NODE__"
_HOST_KEY = re.compile(
    r"(SHA256:[A-Za-z0-9+/]{43}=?)|([a-z][a-z0-9@.-]+ [A-Za-z0-9+/]{32,}={0,2}( .*)?)"
)
#: Names that mean something else to algorithms.
_OWN_NAMES = frozenset({"localhost", "proxyserver", "squid"})
_PATTERN_CHARACTERS = frozenset("*\\?$^[](){}|+")

# Keys of the contract that need a container engine; a node that has none says so, once.
_ENGINE_KEYS = ("docker_registries",)
# Keys of the contract that change what algorithms can reach: without effect they would mislead.
_MISSING = {
    "vpn_subnet": "there is no VPN: algorithms exchange data through the server only",
}
_ENGINE_ONLY = {
    "docker_services": "give the service a host name, and list it under whitelist",
    "algorithm_device_requests": "the process runtime hands out no devices",
}


def is_pattern(entry: str) -> bool:
    """Whether a policy's entry is a regular expression, rather than plain text."""
    return not _PATTERN_CHARACTERS.isdisjoint(entry)


def _none_is_empty(value: Any) -> Any:
    return [] if value is None else value


def _one_or_many(value: Any) -> Any:
    if value is None:
        return []
    return [value] if isinstance(value, str | int) else value


def _text(value: Any) -> Any:
    # YAML reads ids as numbers; bool is a number in Python and never meant here.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Name = Annotated[str, BeforeValidator(_text)]
Names = Annotated[list[Name], BeforeValidator(_one_or_many)]
Port = Annotated[int, Field(ge=1, le=65535)]


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]


class _Section(BaseModel):
    # Keys of other versions, or of the reference's starter, are kept and ignored.
    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)


class _OwnSection(BaseModel):
    # Ours alone: an unknown key is a slip of the pen.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def _fingerprint(text: str) -> str:
    if not is_fingerprint(text):
        raise ValueError(
            "a fingerprint is 8 groups of 4 letters and digits, as 'v6 node keys' shows it"
        )
    return text


Fingerprint = Annotated[str, AfterValidator(_fingerprint)]


class Encryption(_Section):
    """End-to-end encryption.

    ``authenticated`` has authenticated encryption used beside the contract's, for which everybody
    in the organization needs software that knows it. ``require_authenticated`` refuses the
    contract's. ``trusted`` holds fingerprints of other organizations by their ids.
    """

    enabled: bool
    private_key: Path | None = None
    authenticated: bool = False
    require_authenticated: bool = False
    trusted: dict[int, Fingerprint] = {}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if not self.enabled:
            for key in ("authenticated", "require_authenticated"):
                if getattr(self, key):
                    raise ValueError(f"{key} needs encryption: set enabled to true")
        return self


def _kind(text: str) -> str:
    # Any type is passed on, as the contract says, but not one that is a slip of the pen.
    near = difflib.get_close_matches(text.lower(), _TYPES, n=1, cutoff=0.65)
    if near and text.lower() not in _TYPES:
        raise ValueError(f"did you mean '{near[0]}'? The types are {', '.join(_TYPES)}")
    return text


class Database(_Section):
    """A data source."""

    label: Annotated[str, StringConstraints(min_length=1)]
    uri: Annotated[str, StringConstraints(min_length=1)]
    type: Annotated[str, StringConstraints(min_length=1), AfterValidator(_kind)]
    env: dict[str, Any] = Field(default_factory=dict)
    mount_mode: Annotated[
        Literal["copy", "ro"], BeforeValidator(lambda v: v.lower() if isinstance(v, str) else v)
    ] = "copy"

    @property
    def shown_uri(self) -> str:
        """The address, fit to be shown: without password."""
        return _PASSWORD.sub(r"\1***@", self.uri)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.label.isidentifier() or not self.label.isascii():
            raise ValueError(
                f"label '{self.label}' must be letters, digits and underscores, not beginning "
                "with a digit"
            )
        if self.label.lower() in RESERVED_LABELS and self.type.lower() in FILE_TYPES:
            reserved = ", ".join(sorted(RESERVED_LABELS))
            raise ValueError(f"label '{self.label}' is reserved for files (so are: {reserved})")
        return self


class Policies(_OwnSection):
    """What may run here. A rule that is not one would be believed in, and do nothing."""

    allow_basics_algorithm: bool = True
    allowed_users: Names = []
    allowed_organizations: Names = []
    allowed_algorithms: Names = []
    allowed_algorithm_stores: Names = []
    allow_either_whitelist_or_store: bool = False
    require_algorithm_pull: bool = True
    allowed_functions: dict[str, Names] = {}
    require_encryption: bool = False
    max_runs_per_user: PositiveInt | None = None
    working_hours: WorkingHours | None = None

    @property
    def digest(self) -> str:
        """SHA-256 by which to tell whether they were changed."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key, entries in {
            "allowed_algorithms": self.allowed_algorithms,
            "allowed_algorithm_stores": self.allowed_algorithm_stores,
            "allowed_functions": self.allowed_functions,
        }.items():
            for entry in filter(is_pattern, entries):
                try:
                    re.compile(entry)
                except re.error as error:
                    raise ValueError(
                        f"{key}: '{entry}' is not a regular expression: {error}"
                    ) from None
        return self


class Whitelist(_OwnSection):
    """Hosts that algorithms may reach through the node, at these ports only."""

    domains: Names = []
    ips: Names = []
    ports: Annotated[list[Port], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        for domain in self.domains:
            if not _DOMAIN.fullmatch(domain):
                raise ValueError(
                    f"whitelist.domains: '{domain}' must be the exact name of a host in lower "
                    "case, without scheme, port or wildcard"
                )
        for text in self.ips:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise ValueError(f"whitelist.ips: {error}") from None
        return self

    @property
    def networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """The addresses."""
        return [ipaddress.ip_network(text) for text in self.ips]


class Identity(_OwnSection):
    """Who a node is to a machine that it tunnels through; `key` is a file without passphrase."""

    username: Annotated[str, StringConstraints(min_length=1)]
    key: Path


class SshServer(_OwnSection):
    """The machine that a tunnel goes through.

    ``fingerprint`` is its key as a known_hosts file has it (``ssh-ed25519 AAAA…``), or what
    ``ssh-keygen -l`` shows of it (``SHA256:…``); one per line if it has several.
    """

    host: Annotated[str, StringConstraints(min_length=1)]
    port: Port
    fingerprint: Annotated[str, StringConstraints(min_length=1)]
    identity: Identity

    @model_validator(mode="after")
    def _check(self) -> Self:
        for line in self.fingerprint.strip().splitlines():
            if not _HOST_KEY.fullmatch(line.strip()):
                raise ValueError(
                    "fingerprint must be a host key as 'ssh-keyscan HOST' prints it, without the "
                    "host's name ('ssh-ed25519 AAAA…'), or 'SHA256:…' as 'ssh-keygen -l' does; "
                    "ask whoever runs that machine for it"
                )
        return self


class Bind(_OwnSection):
    """What algorithms connect to; the address has no effect: nothing listens on this machine."""

    ip: str
    port: Port


class Destination(_OwnSection):
    """What the machine at the other end of a tunnel connects to."""

    ip: Annotated[str, StringConstraints(min_length=1)]
    port: Port


class TunnelEnds(_OwnSection):
    """Both ends of a tunnel."""

    bind: Bind
    dest: Destination


class SshTunnel(_OwnSection):
    """A way to a database through another machine: algorithms use `hostname` and bind port."""

    hostname: str
    ssh: SshServer
    tunnel: TunnelEnds

    @property
    def target(self) -> tuple[str, int]:
        """Host and port under which algorithms reach it."""
        return self.hostname, self.tunnel.bind.port

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not _DOMAIN.fullmatch(self.hostname) or self.hostname in _OWN_NAMES:
            raise ValueError(
                f"hostname '{self.hostname}' must be a name in lower case that algorithms use for "
                "the tunnel, and none of: " + ", ".join(sorted(_OWN_NAMES))
            )
        return self


class Logger(_Section):
    """Level of one named logger."""

    name: str
    level: Level


class Logging(_Section):
    """Where the node's log goes, and how much; sizes in kB."""

    level: Level = "INFO"
    use_console: bool = True
    backup_count: PositiveInt = 5
    max_size: Annotated[int, Field(gt=16)] = 1024
    format: str = "%(asctime)s - %(name)-14s - %(levelname)-8s - %(message)s"
    datefmt: str = "%Y-%m-%d %H:%M:%S"
    loggers: list[Logger] = []


class Directories(_Section):
    """Folders, when not the default ones."""

    log: Path | None = None
    data: Path | None = None


class Debug(_Section):
    """More to read while searching for a fault."""

    socketio: bool = False
    proxy_server: bool = False


class Algorithm(_OwnSection):
    """An installed Python package that stands for an image."""

    module: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*$")]
    python: Path | None = None
    path: Path | None = None


class PodLimits(_OwnSection):
    """What one run may use: sizes as bytes or text such as ``4GiB``, times in seconds.

    Those that any runtime can keep.
    """

    memory: ByteSize = Field(default=ByteSize(Limits.memory), ge=16 * 1024**2)
    wall_time: PositiveInt = Limits.wall_time
    output_size: ByteSize = Field(default=ByteSize(Limits.output_size), ge=1)
    scratch_size: ByteSize = Field(default=ByteSize(Limits.scratch_size), ge=0)
    log_size: ByteSize = Field(default=ByteSize(Limits.log_size), ge=1024)

    def as_limits(self) -> Limits:
        """In the form runtimes take."""
        return Limits(**{key: int(value) for key, value in self.model_dump().items()})


class RunLimits(PodLimits):
    """What one run may use, on a machine of the node's own."""

    cpu_time: PositiveInt = Limits.cpu_time
    processes: PositiveInt = Limits.processes
    open_files: Annotated[int, Field(ge=16)] = Limits.open_files


class ProcessSection(_OwnSection):
    """The `process` runtime."""

    algorithms: dict[str, Algorithm] = {DEFAULT_IMAGE: Algorithm(module=DEFAULT_MODULE)}
    preload: list[str] | None = None
    sandbox: Literal["required", "none"] = "required"
    interpreter: Path | None = None
    limits: RunLimits = RunLimits()


class DockerRegistry(_Section):
    """A login at a registry of images."""

    registry: Annotated[str, StringConstraints(min_length=1)]
    username: str
    password: SecretStr


class DeviceRequests(_Section):
    """Devices that algorithms see."""

    gpu: bool = False


class DockerSection(_OwnSection):
    """The `docker` runtime."""

    host: Annotated[str, StringConstraints(pattern=r"^unix://")] | None = None
    user: Annotated[str, StringConstraints(pattern=r"^(auto|image|\d+:\d+)$")] = "auto"
    pull: Literal["always", "missing"] = "always"
    read_only: bool = True
    cpus: Annotated[float, Field(gt=0)] | None = None
    limits: RunLimits = RunLimits()


ObjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]


def _below(path: str) -> str:
    if path.startswith("/") or ".." in Path(path).parts:
        raise ValueError(f"'{path}' must be a path below the volume: no leading '/', no '..'")
    return path


SubPath = Annotated[str, AfterValidator(_below)]


class ClaimedFolder(_OwnSection):
    """A folder of the node that lies on a volume claim."""

    path: Path
    claim: ObjectName
    sub_path: SubPath = ""


class KubernetesSection(_OwnSection):
    """The `kubernetes` runtime, which has been tested against an imitation of the API only."""

    claim: ObjectName | None = None
    claim_path: SubPath = "runs"
    network_policies: Literal["enforced"] | None = None
    volumes: list[ClaimedFolder] = []
    service: ObjectName = "vantage6-node"
    proxy_port: Annotated[int, Field(ge=1024, le=65535)] = 8080
    user: Annotated[str, StringConstraints(pattern=r"^[1-9]\d*:[1-9]\d*$")] = "65534:65534"
    cpus: Annotated[float, Field(gt=0)] = 1.0
    pull: Literal["always", "missing"] = "always"
    image_pull_secrets: list[ObjectName] = []
    node_selector: dict[str, str] = {}
    start_time: PositiveInt = 1800
    keep_finished: PositiveInt = 7 * 86400
    api: Annotated[str, StringConstraints(pattern=r"^https://")] | None = None
    namespace: ObjectName | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    limits: PodLimits = PodLimits()

    def refuse_what_is_missing(self) -> None:
        """Check what only a node with this runtime must have.

        Raises
        ------
        ValueError
            If it is not there.
        """
        if self.claim is None:
            raise ValueError(
                "kubernetes.claim is required with this runtime: the volume claim on which the "
                "node's folder of runs lies (docs/kubernetes.md)"
            )
        if self.network_policies is None:
            raise ValueError(
                "kubernetes.network_policies: a node cannot see whether the cluster's network "
                "keeps policies, and some do not. Try it as docs/kubernetes.md says, then set "
                "'enforced'"
            )


class NodeConfig(_Section):
    """All keys that this node reads."""

    api_key: SecretStr
    server_url: str
    port: Port | None
    api_path: str
    task_dir: str | None = None
    databases: Annotated[list[Database], BeforeValidator(_none_is_empty)]
    encryption: Encryption
    logging: Logging = Logging()
    algorithm_env: dict[str, Any] = {}
    share_config: bool = True
    share_algorithm_logs: bool = True
    share_algorithm_stderr: bool = False
    policies: Policies = Policies()
    directories: Directories = Directories()
    debug: Debug = Debug()
    runtime: Literal["process", "docker", "kubernetes"] = "process"
    process: ProcessSection = ProcessSection()
    docker: DockerSection = DockerSection()
    kubernetes: KubernetesSection = KubernetesSection()
    docker_registries: Annotated[list[DockerRegistry], BeforeValidator(_none_is_empty)] = []
    docker_services: dict[str, str] = {}
    algorithm_device_requests: DeviceRequests = DeviceRequests()
    state_dir: Path | None = None
    whitelist: Whitelist | None = None
    ssh_tunnels: Annotated[
        list[SshTunnel], BeforeValidator(_none_is_empty), Field(alias="ssh-tunnels")
    ] = []
    outgoing_proxy: str | None = None
    ca_file: Path | None = None
    max_concurrent_runs: PositiveInt = Field(default_factory=lambda: 2 * (os.cpu_count() or 1))

    _path: Path = PrivateAttr(default=Path("node.yaml"))
    _unknown: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _check(self) -> Self:
        url = urlsplit(self.server_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("server_url must be http:// or https:// and a host name")
        if url.username or url.password:
            raise ValueError("server_url must not hold a user name or password")
        if url.port is not None and self.port is not None and url.port != self.port:
            raise ValueError(f"server_url names port {url.port}, but port is {self.port}")
        self._refuse_what_is_missing()
        targets = [tunnel.target for tunnel in self.ssh_tunnels]
        for host, port in targets:
            if targets.count((host, port)) > 1:
                raise ValueError(f"ssh-tunnels: '{host}' with bind port {port} occurs twice")
            if host in self.docker_services:
                raise ValueError(f"docker_services: '{host}' is the hostname of an SSH tunnel too")
        labels = [database.label.upper() for database in self.databases]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(
                    f"databases: label '{label.lower()}' occurs twice (case does not count)"
                )
        for name in self.algorithm_env:
            if not name.isidentifier() or name == "PKG_NAME":
                raise ValueError(
                    f"algorithm_env: '{name}' must be letters, digits and underscores, and not "
                    "PKG_NAME"
                )
        return self

    def _refuse_what_is_missing(self) -> None:
        for key, remedy in _MISSING.items():
            value = (self.model_extra or {}).get(key)
            if any(value.values()) if isinstance(value, dict) else value:
                raise ValueError(f"{key}: this node cannot do this; remove the key ({remedy})")
        if self.runtime == "process":
            for key, remedy in _ENGINE_ONLY.items():
                if getattr(self, key) != _default(key):
                    raise ValueError(
                        f"{key}: the process runtime cannot do this; remove the key ({remedy})"
                    )
        if self.runtime == "kubernetes":
            self.kubernetes.refuse_what_is_missing()
            if self.docker_services:
                raise ValueError(
                    "docker_services: the kubernetes runtime cannot do this; remove the key "
                    f"({_ENGINE_ONLY['docker_services']})"
                )
        proxy = urlsplit(self.outgoing_proxy or "http://none")
        if proxy.scheme not in ("http", "https") or not proxy.hostname:
            raise ValueError("outgoing_proxy must be http:// or https:// and a host name")

    @property
    def limits(self) -> Limits:
        """What one run may use."""
        limits: PodLimits = getattr(self, self.runtime).limits
        return limits.as_limits()

    @property
    def name(self) -> str:
        """The configuration's name: its file name without suffix."""
        return self._path.stem

    @property
    def base_url(self) -> str:
        """Scheme, host and port of the server."""
        url = urlsplit(self.server_url)
        if self.port is None or url.port is not None:
            return self.server_url.rstrip("/")
        return f"{url.scheme}://{url.netloc}:{self.port}{url.path.rstrip('/')}"

    @property
    def api_url(self) -> str:
        """Where the server's REST routes begin."""
        path = self.api_path.strip("/")
        return f"{self.base_url}/{path}" if path else self.base_url

    @property
    def folder(self) -> Path:
        """Where this node keeps its journal, its runs and, by default, its private key."""
        chosen = self.state_dir or self.directories.data
        if chosen is not None:
            return self._relative(chosen)
        return data_folder(InstanceType.NODE, self.scope) / self.name

    @property
    def private_files(self) -> list[Path]:
        """What algorithms must not see even if it lies among software that they need."""
        databases = [self.beside(database.uri) for database in self.databases]
        own = [self._path.absolute(), self.folder, self.log_folder, self.private_key]
        own += [self.beside(str(tunnel.ssh.identity.key)) for tunnel in self.ssh_tunnels]
        return own + [path for path in databases if _exists(path)]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Text that must not get into a log."""
        password = urlsplit(self.outgoing_proxy or "").password or ""
        return self.api_key.get_secret_value(), password, unquote(password)

    @property
    def known_keys(self) -> Path:
        """What this node knows of other organizations' keys, and which inputs it has had."""
        return self.folder / "known_keys.sqlite"

    @property
    def decisions(self) -> Path:
        """Where this node writes down what it decided and did."""
        return self.folder / "decisions"

    @property
    def server_host(self) -> str:
        """Scheme and host of the server."""
        url = urlsplit(self.server_url)
        return f"{url.scheme}://{url.hostname}"

    @property
    def server_port(self) -> int:
        """Port of the server, the scheme's if none is configured."""
        url = urlsplit(self.server_url)
        return url.port or self.port or (443 if url.scheme == "https" else 80)

    @property
    def log_folder(self) -> Path:
        """Where log files go."""
        if self.directories.log is not None:
            return self._relative(self.directories.log)
        if self.scope == "system":
            return self.folder
        return log_folder(InstanceType.NODE, self.scope) / self.name

    @property
    def log_file(self) -> Path:
        """The newest log file; rotated ones lie beside it."""
        return self.log_folder / f"node_{self.scope}.log"

    @property
    def path(self) -> Path:
        """The file this was read from."""
        return self._path.absolute()

    @property
    def scope(self) -> Scope:
        """Whether the file is the machine's or one user's."""
        return "system" if Path("/etc") in self._path.absolute().parents else "user"

    @property
    def private_key(self) -> Path:
        """The file with the organization's private key."""
        named = os.environ.get("PRIVATE_KEY")
        if named:
            return Path(named)
        data = self.directories.data
        below = self.folder if data is None else self._relative(data)
        # The contract's wizard writes '' where none is named, which Path takes for a folder.
        named_here = self.encryption.private_key
        return below / (named_here if named_here and named_here.name else "private_key.pem")

    def beside(self, path: str) -> Path:
        """Take a path in the configuration as relative to the file it is written in."""
        return self._relative(Path(path))

    def without_effect(self) -> list[str]:
        """Keys that are set but do nothing: unknown ones, and those of a container engine."""
        extra = self.model_extra or {}
        unknown = set(extra) - set(_MISSING) - _OTHERS_KEYS
        return sorted(unknown | self._for_an_engine())

    def remarks(self) -> list[str]:
        """Sentences on keys that are set but do nothing, wherever in the file they are."""
        engine = sorted(self._for_an_engine())
        return [
            *self._unknown,
            *(f"'{key}' has no effect with runtime '{self.runtime}'" for key in engine),
        ]

    def _for_an_engine(self) -> set[str]:
        if self.runtime == "docker":
            return set()
        return {key for key in _ENGINE_KEYS if getattr(self, key) != _default(key)}

    def _relative(self, path: Path) -> Path:
        return self._path.absolute().parent / path.expanduser()

    @classmethod
    def load(cls, path: Path) -> NodeConfig:
        """Read a YAML file; variables ``V6_NODE__SECTION__KEY`` win over it.

        Raises
        ------
        ConfigurationError
            If the file is missing, is not a YAML mapping, or a key is missing, wrong, misspelt or
            there twice.
        """
        document = Document(path)
        document.refuse_doubled_keys()
        document.overlay_environment(_ENVIRONMENT, os.environ)
        document.refuse_references(
            remedy=f"set the variable {_ENVIRONMENT} and the key in capitals, such as "
            f"{_ENVIRONMENT}API_KEY, and leave the key out"
        )
        document.refuse_slips(cls, known_elsewhere=_OTHERS_KEYS)
        try:
            config = cls.model_validate(document.content)
        except ValidationError as error:
            raise document.explain(error) from None
        config._path = path
        config._unknown = tuple(document.unknown_keys(cls, known_elsewhere=_KNOWN_ELSEWHERE))
        return config


def _default(key: str) -> Any:
    return NodeConfig.model_fields[key].default


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a connection string can be longer than any path
        return False


# Read by the reference's starter or by later versions: no reason to warn.
_OTHERS_KEYS = frozenset(
    {"alpine", "images", "node_extra_env", "node_extra_hosts", "node_extra_mounts", "prometheus"}
)
_KNOWN_ELSEWHERE = _OTHERS_KEYS | set(_MISSING) | {"logging.file"}
