"""Reading a service's YAML file: what is wrong is told with its line, what is unknown is told.

Only for services: a plain client install has neither PyYAML nor Pydantic.
"""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from vantage6.common.yaml_lines import Lines, Location

_KEYS_AND_VALUES = "keys and values, one 'key: value' per line"
# What is allowed, where the model's own words do not say it; by what it calls the mistake.
_ALLOWED = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "such as 3",
    "int_parsing": "such as 3",
    "list_type": "such as [a, b], or one '- a' per line",
    "dict_type": _KEYS_AND_VALUES,
    "model_type": _KEYS_AND_VALUES,
    "byte_size": "such as 512MiB or 4GiB",
}
_REFERENCE = re.compile(r"\$\{[A-Za-z_]\w*\}")
# Two names this much alike are one and a slip of the pen.
_ALIKE = 0.8


class ConfigurationError(Exception):
    """The configuration cannot be used; the message names file, key, line and what is allowed."""


class Document:
    """A YAML file that holds keys and values.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Raises
    ------
    ConfigurationError
        If it cannot be read, or is not a YAML mapping.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
            content = yaml.safe_load(text)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"Cannot read {path}: {error}") from error
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{path} is not YAML: {_told(error)}") from error
        if not isinstance(content, dict):
            raise ConfigurationError(f"{path} must hold keys and values, such as 'port: 7601'")
        self.content: dict[str, Any] = content
        self._lines = Lines(yaml.compose(text, Loader=yaml.SafeLoader))
        self._elsewhere: dict[tuple[int | str, ...], str] = {}

    def overlay(self, location: tuple[str, ...], value: Any, source: str) -> None:
        """Set a key, whatever the file says; `source` names where the value comes from.

        Raises
        ------
        ConfigurationError
            If something above the key is no section.
        """
        place = self.content
        for part in location[:-1]:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ConfigurationError(f"{source}: '{part}' is not a section of {self.path}")
            place = inner
        place[location[-1]] = value
        self._elsewhere[location] = source

    def overlay_environment(self, prefix: str, environment: Mapping[str, str]) -> None:
        """Set ``section.key`` from each variable ``<prefix>SECTION__KEY``.

        Lists and sections are written as YAML (``[a, b]``); anything else is taken as it is.
        """
        for name in sorted(environment):
            if not name.startswith(prefix):
                continue
            location = tuple(part.lower() for part in name.removeprefix(prefix).split("__"))
            if not all(location):
                raise ConfigurationError(f"The variable {name} names no key: {prefix}SECTION__KEY")
            self.overlay(location, _value(environment[name]), f"variable {name}")

    def explain(self, error: ValidationError) -> ConfigurationError:
        """What a model found wrong, in words; values are not quoted, they may be secret."""
        problems = []
        for item in error.errors(include_input=False, include_url=False):
            location = item["loc"]
            key = ".".join(str(part) for part in location)
            message = item["msg"].removeprefix("Value error, ")
            if item["type"] == "missing":
                message = "is required but missing"
            elif item["type"] == "extra_forbidden":
                message = "is not a key of this section"
            allowed = _ALLOWED.get(item["type"])
            if allowed:
                message = f"{message}: {allowed}"
            at = self.place(location)
            problems.append(f"  {key}{at}: {message}" if key else f"  {message}")
        return ConfigurationError(f"{self.path} cannot be used:\n" + "\n".join(problems))

    def place(self, location: Location) -> str:
        """Where a key, or the nearest one above it, is written: `` (line 3)``."""
        found, line = self._lines.nearest(location)
        for length in range(len(location), found - 1, -1):
            source = self._elsewhere.get(tuple(location[:length]))
            if source is not None:
                return f" ({source})"
        return f" (line {line})" if found else ""

    def refuse_doubled_keys(self) -> None:
        """Make sure that no key occurs twice in one place: the first would go unseen.

        Raises
        ------
        ConfigurationError
            If one does; the message has both lines.
        """
        doubled = [
            f"  {key} (lines {first} and {second}): occurs twice; keep one"
            for key, first, second in self._lines.doubled()
        ]
        if doubled:
            raise ConfigurationError(f"{self.path} cannot be used:\n" + "\n".join(doubled))

    def refuse_slips(self, model: type[BaseModel], *, known_elsewhere: Iterable[str] = ()) -> None:
        """Make sure that no key that says something is but a misspelt one.

        Parameters
        ----------
        known_elsewhere
            As for :meth:`unknown_keys`.

        Raises
        ------
        ConfigurationError
            If one is; the message has its line and what it looks like.
        """
        slips = [
            f"  {each.dotted}{each.at}: is not a key of this section; did you mean '{each.near}'?"
            for each in self._unknown(model, known_elsewhere)
            if each.is_slip and each.value not in (None, "", [], {})
        ]
        if slips:
            raise ConfigurationError(f"{self.path} cannot be used:\n" + "\n".join(slips))

    def refuse_references(self, *, remedy: str) -> None:
        """Make sure that nothing in the file stands for an environment variable.

        Raises
        ------
        ConfigurationError
            If something does: it would be taken literally.
        """
        found = [
            f"  {'.'.join(map(str, location))}{self.place(location)}: '{name}' is not replaced by "
            f"what the environment says; {remedy}"
            for location, name in _references(self.content, ())
            if tuple(location) not in self._elsewhere
        ]
        if found:
            raise ConfigurationError(f"{self.path} cannot be used:\n" + "\n".join(found))

    def unknown_keys(
        self, model: type[BaseModel], *, known_elsewhere: Iterable[str] = ()
    ) -> Iterator[str]:
        """Sentences on keys that no field of the model reads.

        Parameters
        ----------
        known_elsewhere
            Dotted keys that something else reads; with all that is below them.
        """
        for each in self._unknown(model, known_elsewhere):
            hint = f"; did you mean '{each.near}'?" if each.near else ""
            yield f"'{each.dotted}'{each.at} is not a key that is read{hint}"

    def _unknown(
        self, model: type[BaseModel], known_elsewhere: Iterable[str]
    ) -> Iterator[_UnknownKey]:
        return _unknown(self, self.content, model, (), frozenset(known_elsewhere))


@dataclass(frozen=True)
class _UnknownKey:
    """A key that no field reads, where it stands, and the field it most resembles."""

    dotted: str
    at: str
    value: Any
    near: str | None
    is_slip: bool


def _unknown(
    document: Document, content: Any, annotation: Any, above: Location, elsewhere: frozenset[str]
) -> Iterator[_UnknownKey]:
    """Look through what an annotation describes, lists and mappings of sections included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if isinstance(content, dict):
            yield from _unknown_in_section(document, content, annotation, above, elsewhere)
        return
    kind, inner = get_origin(annotation), get_args(annotation)
    if kind in (Union, types.UnionType):
        for each in inner:
            yield from _unknown(document, content, each, above, elsewhere)
    elif kind is Annotated:
        yield from _unknown(document, content, inner[0], above, elsewhere)
    elif kind is list and isinstance(content, list):
        for index, each in enumerate(content):
            yield from _unknown(document, each, inner[0], (*above, index), elsewhere)
    elif kind is dict and isinstance(content, dict):
        for key, each in content.items():
            yield from _unknown(document, each, inner[1], (*above, key), elsewhere)


def _unknown_in_section(
    document: Document,
    content: Mapping[Any, Any],
    model: type[BaseModel],
    above: Location,
    elsewhere: frozenset[str],
) -> Iterator[_UnknownKey]:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, value in content.items():
        location = (*above, key)
        dotted = ".".join(str(part) for part in location)
        if dotted in elsewhere:
            continue
        if key in fields:
            yield from _unknown(document, value, fields[key].annotation, location, elsewhere)
            continue
        near = difflib.get_close_matches(str(key), fields, n=1)
        slips = difflib.get_close_matches(str(key), fields, n=1, cutoff=_ALIKE)
        at = document.place(location)
        yield _UnknownKey(dotted, at, value, near[0] if near else None, bool(slips))


def _references(content: Any, above: Location) -> Iterator[tuple[Location, str]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _references(value, (*above, key))
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from _references(value, (*above, index))
    elif isinstance(content, str) and (found := _REFERENCE.search(content)):
        yield above, found[0]


def _told(error: yaml.YAMLError) -> str:
    """What a parser says, beginning with the line."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(error)
    problem = getattr(error, "problem", None) or "cannot be read"
    if "'\\t'" in problem:
        problem = "there is a tab; YAML takes spaces only"
    snippet = mark.get_snippet()
    return f"line {mark.line + 1}: {problem}" + (f"\n{snippet}" if snippet else "")


def _value(text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    # The model reads numbers and yes or no from text; a password may look like either.
    return value if value is None or isinstance(value, list | dict) else text
