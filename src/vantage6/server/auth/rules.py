"""The table of rules and of default roles: the one source for code, `GET /rule`, docs and page.

Numbers are those of ``permissions.md``: the order of registration on an empty database.
"""

from __future__ import annotations

from dataclasses import dataclass

from vantage6.web.rules import Described, Operation, Rights, Rule, RuleBook, Scope

_VIEW, _EDIT, _CREATE, _DELETE = (
    Operation.VIEW,
    Operation.EDIT,
    Operation.CREATE,
    Operation.DELETE,
)
_SEND, _RECEIVE = Operation.SEND, Operation.RECEIVE
_GLO, _COL, _ORG, _OWN = Scope.GLOBAL, Scope.COLLABORATION, Scope.ORGANIZATION, Scope.OWN

# resource, operation, scopes in the order of registration
_TABLE: list[tuple[str, Operation, tuple[Scope, ...]]] = [
    ("node", _VIEW, (_GLO, _COL, _ORG)),
    ("node", _EDIT, (_GLO, _COL, _ORG)),
    ("node", _CREATE, (_GLO, _COL, _ORG)),
    ("node", _DELETE, (_GLO, _COL, _ORG)),
    ("collaboration", _VIEW, (_GLO, _ORG)),
    ("collaboration", _EDIT, (_GLO, _COL)),
    ("collaboration", _CREATE, (_GLO,)),
    ("collaboration", _DELETE, (_GLO, _COL)),
    ("organization", _VIEW, (_GLO, _ORG, _COL)),
    ("organization", _EDIT, (_GLO, _ORG, _COL)),
    ("organization", _CREATE, (_GLO,)),
    ("organization", _DELETE, (_GLO,)),
    ("task", _VIEW, (_GLO, _COL, _ORG, _OWN)),
    ("task", _CREATE, (_GLO, _COL)),
    ("task", _DELETE, (_GLO, _COL, _ORG, _OWN)),
    ("run", _VIEW, (_GLO, _COL, _ORG, _OWN)),
    ("user", _VIEW, (_GLO, _COL, _ORG)),
    ("user", _CREATE, (_GLO, _COL, _ORG)),
    ("user", _EDIT, (_GLO, _COL, _ORG, _OWN)),
    ("user", _DELETE, (_GLO, _COL, _ORG, _OWN)),
    ("role", _VIEW, (_GLO, _COL, _ORG)),
    ("role", _CREATE, (_GLO, _COL, _ORG)),
    ("role", _EDIT, (_GLO, _COL, _ORG)),
    ("role", _DELETE, (_GLO, _COL, _ORG)),
    ("port", _VIEW, (_GLO, _ORG)),
    ("event", _RECEIVE, (_ORG, _COL, _GLO)),
    ("event", _SEND, (_ORG, _COL, _GLO)),
    ("study", _VIEW, (_GLO, _ORG, _COL)),
    ("study", _EDIT, (_GLO, _COL, _ORG)),
    ("study", _CREATE, (_GLO, _COL)),
    ("study", _DELETE, (_GLO, _COL, _ORG)),
]

_VERBS = {
    _VIEW: "See",
    _EDIT: "Change",
    _CREATE: "Create",
    _DELETE: "Delete",
    _SEND: "Stop tasks by sending",
    _RECEIVE: "Follow what happens by receiving",
}

_NOUNS = {
    "node": "nodes",
    "collaboration": "collaborations",
    "organization": "organizations",
    "task": "tasks",
    "run": "runs and results",
    "user": "users",
    "role": "roles",
    "port": "ports",
    "event": "events",
    "study": "studies",
}

_REACH = {
    _GLO: "of everybody",
    _COL: "within the collaborations of your organization",
    _ORG: "of your own organization",
    _OWN: "of your own",
}


def _describe(rule: Rule) -> str:
    return f"{_VERBS[rule.operation]} {_NOUNS[rule.resource]} {_REACH[rule.scope]}"


def _book() -> RuleBook:
    rules = [
        Rule(resource, operation, scope)
        for resource, operation, scopes in _TABLE
        for scope in scopes
    ]
    return RuleBook(Described(rule, _describe(rule)) for rule in rules)


BOOK = _book()


@dataclass(frozen=True)
class DefaultRole:
    """A role that every server has; it belongs to no organization and cannot be edited."""

    name: str
    description: str
    rules: frozenset[Rule]


_NODE = {3, 6, 14, 21, 22, 24, 29, 39, 69, 77}
_CONTAINER = {3, 14, 21, 22, 29, 39, 69, 77}
_VIEWER = {2, 3, 14, 21, 22, 29, 39, 44, 51, 55, 58, 69, 70, 71, 77}
_RESEARCHER = _VIEWER | {33, 36}
_ORGANIZATION_ADMIN = _VIEWER | {6, 9, 24, 47, 50, 54, 61, 64, 67, 73}
_COLLABORATION_ADMIN = (
    _ORGANIZATION_ADMIN | _RESEARCHER | {8, 11, 16, 20, 25, 43, 46, 49, 57, 74, 78, 80, 83, 85}
)

#: In the order in which an empty database gets them.
DEFAULT_ROLES = [
    DefaultRole("Root", "All rules", frozenset(item.rule for item in BOOK)),
    DefaultRole("container", "What a running algorithm may do", BOOK.numbered(_CONTAINER)),
    DefaultRole("node", "What a node may do", BOOK.numbered(_NODE)),
    DefaultRole("Viewer", "Look at the collaborations of the organization", BOOK.numbered(_VIEWER)),
    DefaultRole("Researcher", "Look, and run tasks", BOOK.numbered(_RESEARCHER)),
    DefaultRole(
        "Organization Admin",
        "Look, and manage the own organization",
        BOOK.numbered(_ORGANIZATION_ADMIN),
    ),
    DefaultRole(
        "Collaboration Admin",
        "Run tasks, and manage the collaborations of the organization",
        BOOK.numbered(_COLLABORATION_ADMIN),
    ),
]

NODE_RIGHTS = Rights(BOOK.numbered(_NODE))
CONTAINER_RIGHTS = Rights(BOOK.numbered(_CONTAINER))
