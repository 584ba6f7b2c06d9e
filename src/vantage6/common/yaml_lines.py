"""On which line of a YAML file something stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml

#: Where something stands: ``("logging", "loggers", 0, "name")``.
Location = Sequence[int | str]


class Lines:
    """The lines of a YAML document.

    Parameters
    ----------
    root : yaml.Node, optional
        What ``yaml.compose`` made of it; None of an empty one.
    """

    def __init__(self, root: yaml.Node | None) -> None:
        self._root = root

    def nearest(self, location: Location) -> tuple[int, int]:
        """How many parts of a location there are, and the line, from 1, of the last of them."""
        node, line, found = self._root, 0, 0
        for part in location:
            inner = _inner(node, part)
            if inner is None:
                break
            node, line = inner
            found += 1
        return found, line + 1

    def doubled(self) -> Iterator[tuple[str, int, int]]:
        """Keys that occur twice in one place, dotted, with the lines, from 1, of both."""
        return _doubled(self._root, ())


def _doubled(node: yaml.Node | None, above: Location) -> Iterator[tuple[str, int, int]]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _doubled(item, (*above, index))
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            location = (*above, key.value)
            if key.value in lines:
                yield ".".join(map(str, location)), lines[key.value], line
            lines.setdefault(key.value, line)
            yield from _doubled(value, location)


def _inner(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, int] | None:
    """The value at an index or key, and the line, from 0, of its item or key."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part].start_mark.line
    if isinstance(node, yaml.MappingNode):
        # Of a key that occurs twice the last one counts.
        for key, value in reversed(node.value):
            if key.value == part:
                return value, key.start_mark.line
    return None
