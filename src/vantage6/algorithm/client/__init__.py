"""What a central function talks to: the server, through the node's proxy."""

from vantage6.algorithm.client.client import AlgorithmClient
from vantage6.common import __version__

__all__ = ["AlgorithmClient", "__version__"]
