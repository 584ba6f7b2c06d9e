"""Constants of the contract that several rooms share."""

from enum import Enum

APPNAME = "vantage6"
STRING_ENCODING = "utf-8"
DEFAULT_API_PATH = "/api"

# Waiting: a client that polls starts at `interval` and backs off to this many seconds.
MAX_INTERVAL = 300
INTERVAL_MULTIPLIER = 1.5

REQUEST_TIMEOUT = 300
DEFAULT_CHUNK_SIZE = 1024 * 1024
NODE_CLIENT_REFRESH_BEFORE_EXPIRES_SECONDS = 600

# Environment values handed to an algorithm are base32 with "=" replaced by this.
ENV_VAR_EQUALS_REPLACEMENT = "!"

MAIN_VERSION_NAME = "cotopaxi"
DEFAULT_DOCKER_REGISTRY = "ghcr.io/vantage6"
BASIC_PROCESSING_IMAGE = "ghcr.io/vantage6/algorithm-basics:latest"
DATABASE_TYPES = ["csv", "parquet", "sql", "sparql", "excel", "other"]


class Ports(Enum):
    """Well-known ports."""

    HTTP = 80
    HTTPS = 443
    DEV_UI = 7600
    DEV_SERVER = 7601
    DEV_ALGO_STORE = 7602


class AuthStatus(Enum):
    """Socket connection state of a user or node."""

    ONLINE = "online"
    OFFLINE = "offline"


class InstanceType(Enum):
    """What a configuration file configures."""

    NODE = "node"
    SERVER = "server"
    ALGORITHM_STORE = "algorithm-store"
    UI = "ui"
