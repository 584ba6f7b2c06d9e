"""One list of attempts and misbehaviours, and every runtime that must withstand them.

The fixture ``runtime`` is each runtime in turn; ``run`` and ``start`` of the folder above use it.
The docker runtime is tried on the engine that ``V6_TEST_ENGINE`` names (Docker's socket or
Podman's), or the machine's own.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vantage6.node.runtimes.docker import DockerRuntime, Settings


@pytest.fixture(scope="module", params=["process", "docker"])
async def runtime(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Any]:
    if request.param == "docker":
        made: Any = DockerRuntime(
            f"conformance-{tmp_path_factory.getbasetemp().name}-{request.module.__name__}",
            tmp_path_factory.mktemp("node"),
            Settings(
                host=request.getfixturevalue("engine"), pull_always=False, doors=_fixtures().DOORS
            ),
        )
    else:
        made = _fixtures().make_runtime()
    await made.open()
    yield made
    await made.close()


def _fixtures() -> ModuleType:
    """The conftest of the folder above."""
    location = Path(__file__).parents[1] / "conftest.py"
    spec = importlib.util.spec_from_file_location("conftest_of_runtimes", location)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
