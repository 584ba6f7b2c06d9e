"""Fixtures for every room."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

import pytest

# Whole, before a server imports it without its clients: some tests are clients of their servers.
import vantage6.common.socket_library  # noqa: F401


@pytest.fixture(scope="session")
def lacking() -> Callable[[str], NoReturn]:
    """Call with what this machine lacks for a test, and why: skips; fails where ``CI=true``.

    ``if shutil.which("docker") is None: lacking("Docker is not installed")``
    """

    def stop(reason: str) -> NoReturn:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must provide everything, but {reason}", pytrace=False)
        pytest.skip(reason)

    return stop
