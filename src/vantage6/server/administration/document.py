"""A YAML document whose every value knows its line."""

from __future__ import annotations

from typing import Any

import yaml

from vantage6.common.yaml_lines import Lines, Location


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
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            self.content = None if root is None else _construct(root)
        except yaml.YAMLError as error:
            raise DocumentError(f"This is not YAML: {error}") from error
        except RecursionError as error:
            raise DocumentError("This YAML contains itself") from error
        self._lines = Lines(root)

    def line(self, location: Location) -> int:
        """The line, from 1, of a location, or of the last part of it that there is."""
        return self._lines.nearest(location)[1]

    def problem(self, location: Location, text: str) -> str:
        """A sentence that says where, and what is wrong there."""
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
        return f"line {self.line(location)}, {where.lstrip('.') or 'the document'}: {text}"


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
