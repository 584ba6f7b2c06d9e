"""What may be read in a log, and by whom."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

import pytest

from vantage6.common.log_files import send_log
from vantage6.common.logs import JSONFormatter, SecretiveFormatter

HOSTILE = "x\n2026-01-01 - agent - INFO - forged\x1b[2K\x9b1A\r\b\u202e\ud800"


class Settings:
    level = "INFO"
    use_console = False
    backup_count = 2
    max_size = 1
    format = "%(message)s"
    datefmt = ""


def record(text: str) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": "image %s", "args": (text,), "levelname": "INFO"})


def test_nobody_can_forge_a_line_or_command_a_terminal() -> None:
    first, second = SecretiveFormatter("%(message)s", "").format(record(HOSTILE)).split("\n")
    assert first == "image x"
    assert second.startswith("    2026-01-01")
    assert second.endswith("forged\\x1b[2K\\x9b1A\\x0d\\x08\\u202e\\ud800")


def test_a_line_of_json_stays_one_and_means_the_same() -> None:
    line = JSONFormatter().format(record(HOSTILE))
    assert line.isascii()
    assert json.loads(line)["message"] == f"image {HOSTILE}"


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_log_is_no_more_public_after_it_was_rotated(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "node.log"
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    before = os.umask(0o022)
    try:
        send_log(Settings(), path, sys.stderr, logging.Formatter())
        path.chmod(mode)
        for _ in range(5):
            logging.getLogger("t").info("x" * 600)
        found = sorted(tmp_path.iterdir())
        assert len(found) == 3
        assert {each.stat().st_mode & 0o777 for each in found} == {mode}
    finally:
        os.umask(before)
        logging.basicConfig(handlers=handlers or [logging.NullHandler()], level=level, force=True)
