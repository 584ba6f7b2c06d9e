"""Fixtures of the tests with the unmodified upstream client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from peers import PeerUnavailable, peer_python


@pytest.fixture(scope="session")
def upstream_python(lacking: Callable[[str], NoReturn]) -> Path:
    """Interpreter of an environment with the upstream client."""
    try:
        return peer_python("vantage6-client==4.15.2")
    except PeerUnavailable as error:
        lacking(f"the upstream client cannot be installed: {error}")
