"""Reading the environment that a node gives to an algorithm.

The node encodes every value it sets: UTF-8, then base32, then ``!`` in place of ``=``. The
variables of the image itself are plain, and nothing marks which is which. Variables that only
a node sets are always decoded. Any other is decoded when the outcome is clean text, since a
plain ``GAUSSIAN`` happens to be valid base32 too.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import MutableMapping

from vantage6.common.globals import ENV_VAR_EQUALS_REPLACEMENT

_SET_BY_NODE = re.compile(
    r"(INPUT_FILE|OUTPUT_FILE|TOKEN_FILE|TEMPORARY_FOLDER|HOST|PORT|API_PATH"
    r"|USER_REQUESTED_DATABASE_LABELS|DB_LABELS"
    r"|\w+_(DATABASE_URI|DATABASE_TYPE|QUERY|SHEET_NAME|PREPROCESSING)|\w+_DB_PARAM_\w+)"
)
# Control characters other than tab and line ends, and carriage returns that end no line.
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")

# What this process has decoded already, so that nothing is decoded twice.
_decoded: dict[str, str] = {}


def encode_value(text: str) -> str:
    """Encode a value as a node does."""
    encoded = base64.b32encode(text.encode("utf-8")).decode("ascii")
    return encoded.replace("=", ENV_VAR_EQUALS_REPLACEMENT)


def decode_value(name: str, value: str) -> str:
    """Decode a variable's value; a value that is not encoded is returned as it is."""
    try:
        raw = base64.b32decode(value.replace(ENV_VAR_EQUALS_REPLACEMENT, "="))
        text = raw.decode("utf-8")
    except (binascii.Error, ValueError):
        return value
    if "\x00" in text or encode_value(text) != value:
        return value
    if _NOT_TEXT.search(text) and not _SET_BY_NODE.fullmatch(name):
        return value
    return text


def decode_environment(environment: MutableMapping[str, str] | None = None) -> None:
    """Decode every variable in place; `os.environ` by default."""
    target = os.environ if environment is None else environment
    for name, value in list(target.items()):
        text = decode_value(name, value)
        target[name] = text
        if target is os.environ:
            _decoded[name] = text


def read_variable(name: str) -> str | None:
    """Read one variable, decoded exactly once whether or not the wrapper did so before."""
    value = os.environ.get(name)
    if value is None or _decoded.get(name) == value:
        return value
    return decode_value(name, value)
