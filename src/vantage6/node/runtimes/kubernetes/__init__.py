"""Runs algorithms as Jobs of a Kubernetes cluster.

Tested against a fake API server only, never on a cluster: see ``docs/kubernetes.md``.
"""

from vantage6.node.runtimes.kubernetes.runtime import KubernetesRuntime
from vantage6.node.runtimes.kubernetes.settings import Settings, Volume

__all__ = ["KubernetesRuntime", "Settings", "Volume"]
