"""The rules engine: who may do what, as data.

A *rule* is (resource, operation, scope). A service declares its rules in one table, a
:class:`RuleBook`; rights of a person are the rules of the person's roles and the rules given
directly. A wider scope suffices wherever a narrower one is asked for, but is not itself a stored
right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple


class Operation(Enum):
    """What is done to a resource; the value is the contract's code."""

    VIEW = "v"
    EDIT = "e"
    CREATE = "c"
    DELETE = "d"
    SEND = "s"
    RECEIVE = "r"


class Scope(IntEnum):
    """How far a rule reaches, from narrow to wide."""

    OWN = 1
    ORGANIZATION = 2
    COLLABORATION = 3
    GLOBAL = 4

    @property
    def code(self) -> str:
        """The contract's short form, such as ``glo``."""
        return self.name[:3].lower()


class Rule(NamedTuple):
    """One right that can be given."""

    resource: str
    operation: Operation
    scope: Scope


@dataclass(frozen=True)
class Described:
    """A rule with the sentence that explains it to an administrator."""

    rule: Rule
    description: str


class RuleBook:
    """All rules of a service, in the order in which they are registered."""

    def __init__(self, rules: Iterable[Described]) -> None:
        self._rules = list(rules)

    def __iter__(self) -> Iterator[Described]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def numbered(self, numbers: Iterable[int]) -> frozenset[Rule]:
        """The rules with these numbers, counted from 1 in the order of registration."""
        return frozenset(self._rules[number - 1].rule for number in numbers)


class Rights:
    """The rules somebody holds."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = frozenset(rules)
        widest: dict[tuple[str, Operation], Scope] = {}
        for resource, operation, scope in self.rules:
            key = (resource, operation)
            widest[key] = max(scope, widest.get(key, scope))
        self._widest: Mapping[tuple[str, Operation], Scope] = widest

    def has(self, resource: str, operation: Operation, scope: Scope) -> bool:
        """Whether exactly this rule is held."""
        return Rule(resource, operation, scope) in self.rules

    def widest(self, resource: str, operation: Operation) -> Scope | None:
        """The widest scope held, or None."""
        return self._widest.get((resource, operation))

    def at_least(self, resource: str, operation: Operation, scope: Scope) -> bool:
        """Whether a rule of this scope or a wider one is held."""
        widest = self.widest(resource, operation)
        return widest is not None and widest >= scope

    def lacking(self, rules: Iterable[Rule]) -> Rule | None:
        """The first rule that is not covered by what is held: nobody grants more than they have."""
        return next((rule for rule in sorted(rules, key=_order) if not self.at_least(*rule)), None)


def _order(rule: Rule) -> tuple[str, str, int]:
    return rule.resource, rule.operation.value, rule.scope


def parse_operation(text: str) -> Operation | None:
    """An operation by name (``VIEW``) or code (``v``)."""
    return next((o for o in Operation if text in (o.name, o.value)), None)


def parse_scope(text: str) -> Scope | None:
    """A scope by name (``GLOBAL``) or code (``glo``)."""
    return next((s for s in Scope if text in (s.name, s.code)), None)
