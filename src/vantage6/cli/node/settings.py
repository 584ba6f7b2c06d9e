"""Change one value in a YAML file and leave everything else, comments too, as it is."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import yaml


def set_text(path: Path, keys: tuple[str, ...], value: str) -> None:
    """Set a text, one or two levels deep, in a YAML file; the file is replaced at once.

    Parameters
    ----------
    path : pathlib.Path
        The file; its owner and permissions stay.
    keys : tuple of str
        Where it is; a key that is missing is added.
    value : str
        The text.

    Raises
    ------
    ValueError
        If the file does not hold a mapping there.
    """
    text = path.read_text(encoding="utf-8")
    changed = _changed(text, keys, json.dumps(value, ensure_ascii=False))
    try:
        found = yaml.safe_load(changed)
        for key in keys:
            found = found[key]
    except (yaml.YAMLError, KeyError, TypeError):
        found = None
    if found != value:
        raise ValueError(f"{path}: '{'.'.join(keys)}' cannot be set; change it by hand")
    replace(path, changed)


def replace(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file as a whole or not at all; a file that exists keeps owner and permissions."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if path.exists():
                status = path.stat()
                os.fchmod(file.fileno(), status.st_mode & 0o7777)
                if os.geteuid() == 0:
                    os.fchown(file.fileno(), status.st_uid, status.st_gid)
            else:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _changed(text: str, keys: tuple[str, ...], value: str) -> str:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for depth, key in enumerate(keys):
        if not isinstance(node, yaml.MappingNode):
            raise ValueError(f"'{'.'.join(keys[:depth]) or 'the file'}' holds no keys and values")
        pairs = [pair for pair in node.value if pair[0].value == key]
        if not pairs:
            return _added(text, node, keys[depth:], value, depth)
        last, node = pairs[-1]
        if isinstance(node, yaml.ScalarNode) and not node.value and node.style is None:
            # An empty value has no text of its own: it comes after the key's colon.
            end = text.index(":", last.end_mark.index) + 1
            return f"{text[:end]} {value}{text[max(end, node.end_mark.index) :]}"
    if node is None:
        raise ValueError("the file is empty")
    start, end = node.start_mark.index, node.end_mark.index
    return text[:start] + value + text[end:]


def _added(text: str, node: yaml.MappingNode, keys: tuple[str, ...], value: str, depth: int) -> str:
    inner = value
    for key in reversed(keys[1:]):
        inner = f"{{{key}: {inner}}}"
    if node.flow_style:
        start = node.start_mark.index + 1
        comma = ", " if node.value else ""
        return f"{text[:start]}{keys[0]}: {inner}{comma}{text[start:]}"
    start = node.start_mark.index
    indent = " " * node.start_mark.column if depth else ""
    return f"{text[:start]}{keys[0]}: {inner}\n{indent}{text[start:]}"
