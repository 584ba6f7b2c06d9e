"""Libraries are imported without what they would import only because it is there."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> None:
    """Run code in a fresh interpreter, which has imported nothing yet."""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_package_is_not_there_within_the_block_and_back_afterwards() -> None:
    run(
        "from vantage6.common.lean_imports import without\n"
        "with without('sqlite3'):\n"
        "    try:\n"
        "        from sqlite3 import dbapi2\n"
        "    except ImportError:\n"
        "        pass\n"
        "    else:\n"
        "        raise AssertionError('was imported')\n"
        "from sqlite3 import dbapi2\n"
    )


def test_what_was_imported_before_stays() -> None:
    run(
        "import sqlite3 as before\n"
        "from vantage6.common.lean_imports import without\n"
        "with without('sqlite3'):\n"
        "    import sqlite3 as within\n"
        "import sqlite3 as after\n"
        "assert before is within is after\n"
    )
