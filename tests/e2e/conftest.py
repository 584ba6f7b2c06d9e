"""Running networks, shared by the tests of one worker or one module.

`demo`, `encrypted_demo`
    What the ready file says of a demo that is up and has taught its lesson.
`sealed_demo`
    An encrypted one with authenticated encryption.
`start_demo`
    Starts another one, for a test that kills parts of it.
`site`
    A network whose processes die at a point that is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from demos import Demo, StartDemo, running_demo
from mortal_site import MortalSite, mortal_site
from vantage6.node.runtimes.process import sandbox_available

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with running_demo(tmp_path_factory.mktemp("demo")) as running:
        yield running.ready


@pytest.fixture(scope="session")
def encrypted_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with running_demo(tmp_path_factory.mktemp("encrypted"), "--encrypted") as running:
        yield running.ready


@pytest.fixture(scope="session")
def sealed_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(
        tmp_path_factory.mktemp("sealed"), "--encrypted", "--authenticated"
    ) as running:
        yield running


@pytest.fixture
def start_demo(tmp_path: Path) -> StartDemo:
    def start(*options: str) -> AbstractContextManager[Demo]:
        return running_demo(tmp_path, *options)

    return start


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, lacking: Callable[[str], Any]
) -> Iterator[MortalSite]:
    if problem := sandbox_available():
        lacking(problem)
    with mortal_site(tmp_path_factory.mktemp("deaths")) as site:
        yield site
