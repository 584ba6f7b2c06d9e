"""Importing a library without what it would import only because that happens to be installed.

What a process has imported stays in its memory, whether it is ever used or not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Within the block, packages look as if they were not installed; afterwards they are back.

    For a library that catches ``ImportError`` and goes on. A package that has been
    imported already is left alone.
    """
    hidden = [name for name in names if name not in sys.modules]
    # As the import system has it: None is "there is no such module".
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
