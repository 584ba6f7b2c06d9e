"""How an algorithm's environment is written: as the contract says, whatever runs it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from vantage6.common.globals import ENV_VAR_EQUALS_REPLACEMENT, STRING_ENCODING
from vantage6.node.runtimes.base import IllegalVariable

#: Names the algorithm's package; an image's own to set, never the node's.
PACKAGE_VARIABLE = "PKG_NAME"
#: The kernel refuses to start a program with one longer ``NAME=value``, its end included.
LONGEST = 128 * 1024
#: Of all together; below the kernel's bound, so that an image's own and arguments fit as well.
LARGEST = 1024**2
_MOST_SHOWN = 80


def encoded(environment: Mapping[str, str]) -> dict[str, str]:
    """Encode every value, after a check of every name.

    Raises
    ------
    IllegalVariable
        If a name or a value cannot be handed to an algorithm, or they are too long.
    """
    values = {name: _encode(value) for name, value in validated(environment).items()}
    sizes = {name: len(f"{name}={value}".encode()) + 1 for name, value in values.items()}
    for name, size in sizes.items():
        if size > LONGEST:
            raise IllegalVariable(
                f"Environment variable {_shown(name)} is too long for an algorithm: "
                f"{len(environment[name].encode())} bytes; what fits is about "
                f"{_plain_bytes(LONGEST)}. Hand such values over as arguments or in a database"
            )
    if sum(sizes.values()) > LARGEST:
        raise IllegalVariable(
            f"The environment of the algorithm is too large: {len(sizes)} variables of "
            f"{sum(len(value.encode()) for value in environment.values())} bytes together; what "
            f"fits is about {_plain_bytes(LARGEST)}. Hand such values over as arguments or in a "
            "database"
        )
    return values


def validated(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The same, if all of it can be handed to an algorithm, length aside.

    Raises
    ------
    IllegalVariable
        Otherwise.
    """
    for name, value in environment.items():
        if not name.isidentifier() or name == PACKAGE_VARIABLE:
            raise IllegalVariable(
                f"Environment variable {_shown(name)} cannot be set for an algorithm: a name "
                f"consists of letters, digits and underscores and is not {PACKAGE_VARIABLE}"
            )
        if "\0" in value:
            raise IllegalVariable(f"Environment variable {_shown(name)} holds a zero byte")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise IllegalVariable(
                f"Environment variable {_shown(name)} holds half a character (a surrogate)"
            )
    return environment


def _shown(name: str) -> str:
    """A name as it can stand in a message: in quotes, on one line, and not too long."""
    return repr(name if len(name) <= _MOST_SHOWN else f"{name[:_MOST_SHOWN]}…")


def _plain_bytes(size: int) -> int:
    """How much plain text fits: five bytes become eight."""
    return size * 5 // 8 // 1000 * 1000


def _encode(value: str) -> str:
    text = base64.b32encode(value.encode(STRING_ENCODING)).decode("ascii")
    return text.replace("=", ENV_VAR_EQUALS_REPLACEMENT)
