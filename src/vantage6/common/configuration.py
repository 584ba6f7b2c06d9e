"""Reading a service's YAML file: what is wrong is told with its line, what is unknown is told.

Only for services: a plain client install has neither PyYAML nor Pydantic.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from vantage6.common.yaml_lines import Lines, Location


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
            raise ConfigurationError(f"{path} is not YAML: {error}") from error
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

    def unknown_keys(
        self, model: type[BaseModel], *, known_elsewhere: Iterable[str] = ()
    ) -> Iterator[str]:
        """Sentences on keys that no field of the model reads.

        Parameters
        ----------
        known_elsewhere
            Dotted keys that something else reads; with all that is below them.
        """
        yield from _unknown(self, self.content, model, (), frozenset(known_elsewhere))


def _unknown(
    document: Document,
    content: Mapping[Any, Any],
    model: type[BaseModel],
    above: Location,
    elsewhere: frozenset[str],
) -> Iterator[str]:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, value in content.items():
        location = (*above, key)
        dotted = ".".join(str(part) for part in location)
        if dotted in elsewhere:
            continue
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            yield f"'{dotted}'{document.place(location)} is not a key that is read{hint}"
            continue
        section = _section(fields[key].annotation)
        if section is not None and isinstance(value, dict):
            yield from _unknown(document, value, section, location, elsewhere)


def _section(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _value(text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    # The model reads numbers and yes or no from text; a password may look like either.
    return value if value is None or isinstance(value, list | dict) else text
