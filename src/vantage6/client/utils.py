"""Names of the log levels a client can be set to."""

from __future__ import annotations

from enum import Enum


class LogLevel(Enum):
    """How much a client tells."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"
