"""A warm parent that somebody kills before it is ready."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vantage6.node.runtimes.base import RuntimeUnavailable
from vantage6.node.runtimes.warm_parent import WarmParent, sandbox_available

pytestmark = pytest.mark.anyio


def mortal_python(folder: Path, deaths: int) -> Path:
    """An interpreter that is killed the first few times it is started."""
    script = folder / "python"
    script.write_text(
        "#!/bin/sh\n"
        f'n=$(cat "{folder}/deaths" 2>/dev/null || echo 0)\n'
        f'if [ "$n" -lt {deaths} ]; then echo $((n + 1)) > "{folder}/deaths"; kill -9 $$; fi\n'
        f'exec "{sys.executable}" "$@"\n'
    )
    script.chmod(0o755)
    return script


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_warm_parent_that_is_killed_while_it_starts_is_started_again(
    tmp_path: Path,
) -> None:
    parent = WarmParent(mortal_python(tmp_path, 2), (), threads=1, isolated=False)
    await parent.open()
    try:
        (await parent.connect()).close()
    finally:
        await parent.close()
    assert (tmp_path / "deaths").read_text() == "2\n"


async def test_a_warm_parent_that_is_always_killed_is_given_up_and_the_signal_named(
    tmp_path: Path,
) -> None:
    parent = WarmParent(mortal_python(tmp_path, 100), (), threads=1, isolated=False)
    with pytest.raises(RuntimeUnavailable, match="was killed by signal 9 while it started"):
        await parent.open()
    assert (tmp_path / "deaths").read_text() == "3\n"


def test_a_trial_of_the_sandbox_that_is_killed_is_made_again(tmp_path: Path) -> None:
    assert sandbox_available(mortal_python(tmp_path, 2)) == sandbox_available()
    assert "died with" in str(sandbox_available(mortal_python(tmp_path, 100)))
