"""Query parameters and bodies as the contract's clients send them."""

from __future__ import annotations

import inspect
import ipaddress
import re
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from fastapi import Depends, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

T = TypeVar("T")

_FALSE = {"false", "0", "", "no", "none", "null"}


def as_bool(value: Any) -> Any:
    """Read ``True``, ``false``, ``0``, ``""`` …: anything that does not mean no means yes."""
    return value.strip().lower() not in _FALSE if isinstance(value, str) else value


#: A boolean query parameter: clients send the words ``True`` and ``False``.
Flag = Annotated[bool, BeforeValidator(as_bool)]


class Body(BaseModel):
    """A request body: unknown keys are refused, and null is not the same as absent."""

    model_config = ConfigDict(extra="forbid")


def _not_only_digits(name: str) -> str:
    if name.isdigit():
        raise ValueError("A name cannot consist of digits only.")
    return name


#: The name of something that people refer to by name or by id.
Name = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_not_only_digits)]
Text128 = Annotated[str, Field(max_length=128)]
Id = Annotated[int, Field(ge=1, le=2**31 - 1)]
#: For SQL LIKE, with the caller's own wildcards; SQLite fails on patterns that are much longer.
Pattern = Annotated[str, Field(max_length=1024)]


_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]+|localhost", re.IGNORECASE)


def _web_address(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("Not a valid URL.") from None
    if parts.scheme not in ("http", "https") or not text.isprintable() or " " in text:
        raise ValueError("Not a valid URL: it starts with http:// or https://.")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("Not a valid URL: no user, query or fragment, please.")
    if not _HOST.fullmatch(host) and not _is_ip(host):
        raise ValueError("Not a valid URL: the host is a name with a dot, an IP or localhost.")
    return text


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


#: The base address of another service.
WebAddress = Annotated[str, Field(max_length=1024), AfterValidator(_web_address)]


class Reference(Body):
    """A body that names one thing by its id."""

    id: Id


def _unique(ids: list[int]) -> list[int]:
    if len(set(ids)) != len(ids):
        raise ValueError("Every id may occur once only.")
    return ids


#: The members of something: at least one, none twice.
MemberIds = Annotated[list[Id], Field(min_length=1), AfterValidator(_unique)]


class Included:
    """What ``include`` asks for: repeated, comma separated, or both."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.names = tuple(name.strip() for text in texts for name in text.split(",") if name)

    def check(self, known: Sequence[str]) -> tuple[str, ...]:
        """The names that mean something here; others are ignored, as the contract does."""
        return tuple(name for name in known if name in self.names)


async def _included(
    include: Annotated[
        list[str] | None, Query(description="What to show in full instead of linking to it")
    ] = None,
) -> Included:
    return Included(include or [])


Include = Annotated[Included, Depends(_included)]


def at_once(make: Callable[..., T]) -> Callable[..., Coroutine[Any, Any, T]]:
    """A dependency that is made without a thread, which would take longer than making it."""

    async def made(**parameters: Any) -> T:
        return make(**parameters)

    made.__signature__ = inspect.signature(make, eval_str=True)  # type: ignore[attr-defined]
    return made


def _moment(value: Any) -> Any:
    """Dates and times in any ISO form, as UTC without a zone."""
    if value in (None, ""):
        return None
    try:
        moment = datetime.fromisoformat(str(value))
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise ValueError(f"'{value}' is not a date or time such as 2026-01-31T12:00:00") from None


#: A point in time in a query.
Moment = Annotated[datetime | None, BeforeValidator(_moment)]
