"""A YAML document whose every value knows its line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

Path = Sequence[int | str]


class DocumentError(Exception):
    """The document is not what it should be; the message names lines and keys."""


class Document:
    """The content of a YAML file.

    Scalars are taken literally: a postal code ``0123`` or a password ``1_000`` stays what was
    written. Only null, true and false are what YAML takes them for.

    Parameters
    ----------
    text : str
        YAML.

    Raises
    ------
    DocumentError
        If it is not YAML, or a key occurs twice in one place.
    """

    def __init__(self, text: str) -> None:
        try:
            self._root = yaml.compose(text, Loader=yaml.SafeLoader)
            self.content = None if self._root is None else _construct(self._root)
        except yaml.YAMLError as error:
            raise DocumentError(f"This is not YAML: {error}") from error
        except RecursionError as error:
            raise DocumentError("This YAML contains itself") from error

    def line(self, path: Path) -> int:
        """The line, from 1, of what a path leads to, or of the last part of it that there is."""
        node, line = self._root, 0
        for part in path:
            found = _inner(node, part)
            if found is None:
                break
            node, line = found
        return line + 1

    def problem(self, path: Path, text: str) -> str:
        """A sentence that says where, and what is wrong there."""
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
        return f"line {self.line(path)}, {where.lstrip('.') or 'the document'}: {text}"


def _inner(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, int] | None:
    """The value at an index or key, and the line, from 0, of its item or key."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part].start_mark.line
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return value, key.start_mark.line
    return None


def _construct(node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    if node.tag == "tag:yaml.org,2002:null":
        return None
    if node.tag == "tag:yaml.org,2002:bool":
        return node.value.lower() in ("true", "yes", "on")
    return node.value


def _mapping(node: yaml.MappingNode) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise DocumentError(f"line {line}: a key must be a word")
        if key.value in content:
            raise DocumentError(f"line {line}: the key '{key.value}' occurs twice")
        content[key.value] = _construct(value)
    return content
