"""The same proofs for a node that runs as an ordinary user."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user already")
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "module", ["test_escapes.py", "test_limits.py", "test_endings.py", "conformance"]
)
def test_the_same_holds_for_an_ordinary_user(module: str) -> None:
    # Not in pytest's own temporary folder: other sessions close that to all but root.
    with tempfile.TemporaryDirectory(prefix="vantage6-nobody-") as folder:
        os.chown(folder, NOBODY, NOBODY)
        done = subprocess.run(
            [
                *(sys.executable, str(HERE / "as_nobody.py"), sys.executable, "-m", "pytest", "-q"),
                *("-p", "no:cacheprovider", "-p", "no:xdist", "-k", "not docker"),
                f"--basetemp={folder}/temporary",
                str(HERE / module),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=HERE.parents[2],
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
