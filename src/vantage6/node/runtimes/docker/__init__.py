"""Runs algorithms as containers of Docker, or of Podman through its Docker-compatible socket.

See ``docs/security/docker-runtime.md`` for what is isolated, and what is not.
"""

from vantage6.node.runtimes.docker.runtime import DockerRuntime
from vantage6.node.runtimes.docker.settings import Registry, Settings

__all__ = ["DockerRuntime", "Registry", "Settings"]
