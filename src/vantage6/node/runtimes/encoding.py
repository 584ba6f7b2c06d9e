"""How an algorithm's environment is written: as the contract says, whatever runs it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from vantage6.common.globals import ENV_VAR_EQUALS_REPLACEMENT, STRING_ENCODING
from vantage6.node.runtimes.base import StartFailed

#: Names the algorithm's package; an image's own to set, never the node's.
PACKAGE_VARIABLE = "PKG_NAME"


def encoded(environment: Mapping[str, str]) -> dict[str, str]:
    """Encode every value, after a check of every name.

    Raises
    ------
    StartFailed
        If a name or a value cannot be handed to an algorithm.
    """
    return {name: _encode(value) for name, value in validated(environment).items()}


def validated(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The same, if all of it can be handed to an algorithm.

    Raises
    ------
    StartFailed
        Otherwise.
    """
    for name, value in environment.items():
        if not name.isidentifier() or name == PACKAGE_VARIABLE:
            raise StartFailed(
                f"Environment variable {name!r} cannot be set for an algorithm: a name consists "
                f"of letters, digits and underscores and is not {PACKAGE_VARIABLE}"
            )
        if "\0" in value:
            raise StartFailed(f"Environment variable {name!r} holds a zero byte")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise StartFailed(f"Environment variable {name!r} holds half a character (a surrogate)")
    return environment


def _encode(value: str) -> str:
    text = base64.b32encode(value.encode(STRING_ENCODING)).decode("ascii")
    return text.replace("=", ENV_VAR_EQUALS_REPLACEMENT)
