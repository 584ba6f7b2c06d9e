"""An algorithm takes more than it may."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytestmark = pytest.mark.anyio

MIB = 1024**2


async def test_one_process_cannot_allocate_more_than_the_limit(run: Any, helpers: Any) -> None:
    limits = replace(helpers.limits, memory=256 * MIB)
    assert (await run("allocate", 200, limits=limits)).result == 200 * MIB
    outcome = await run("allocate", 300, limits=limits)
    assert outcome.ended.exit_code == 1
    assert "MemoryError" in outcome.stderr


async def test_what_the_warm_parent_left_does_not_count(run: Any, helpers: Any) -> None:
    """Pandas and Arrow alone are larger than this limit."""
    limits = replace(helpers.limits, memory=32 * MIB)
    assert (await run("sleep", 0.4, limits=limits)).result == "woke up"
