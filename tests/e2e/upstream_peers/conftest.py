"""Fixtures of the tests with an engine and with upstream's node, server and algorithm tools.

`engine`
    The socket of an engine that has our average as an image, and a misbehaving one.
`upstream_image`
    Name of the image of an algorithm on upstream's algorithm tools.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from engines import build_image, find_engine
from peer_image import build_upstream_image
from peers import PeerUnavailable

ALGORITHMS = Path(__file__).parents[1] / "algorithms"


@pytest.fixture(scope="session")
def engine(lacking: Callable[[str], NoReturn]) -> str:
    host, problem = find_engine()
    if problem:
        lacking(problem)
    build_image(host, "example.org/average:latest", "vantage6.algorithms.average")
    build_image(host, "example.org/misbehaving:latest", "misbehaving", ALGORITHMS)
    return host


@pytest.fixture(scope="session")
def upstream_image(engine: str, lacking: Callable[[str], NoReturn]) -> str:
    name = "example.org/federated-mean"
    try:
        build_upstream_image(engine, f"{name}:latest", "federated_mean", ALGORITHMS)
    except PeerUnavailable as error:
        lacking(f"upstream's algorithm tools cannot be installed: {error}")
    return name
