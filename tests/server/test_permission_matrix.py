"""Who may do what: sections 2 and 4 to 8 of the contract's ``permissions.md``.

The tables in the folder ``permission_matrix`` are transcribed from the contract, not from our code.
Every row is tried by one caller per rule of its resource, by one who has all other rules and none
of these (rights only add up: no other rule opens it alone), by one without rules, by one with all,
by a node and by an algorithm; on things of the own organization, of a partner in the same
collaboration, and of a stranger. ``V6_FULL_MATRIX=1`` tries each of the other rules alone as well.
Changes are rehearsed: answered as always, then undone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx
import pytest

from permission_tables import CODES, FOLDER, ORDER, RULES, fill, table
from vantage6.server.stores import Stores

EVERY_RULE = os.environ.get("V6_FULL_MATRIX") == "1"
FUNCTIONS = dict(table("functions"))
BODIES = json.loads((FOLDER / "bodies.json").read_text())


#: A rule that opens nothing; everybody here has it, to have something to grant.
COMMON = "port VIEW ORGANIZATION"


@dataclass(frozen=True)
class Row:
    """One endpoint. ``{names}`` in path and body are ids of the target."""

    method: str
    path: str
    right: str
    #: Per target the scopes that suffice; None: everybody.
    sufficient: Mapping[str, frozenset[str] | None]
    success: int
    #: Per target the status that an allowed caller gets instead.
    refused: Mapping[str, int]
    #: Targets that are refused so before anybody's rights are looked at.
    refused_to_all: frozenset[str]

    @property
    def body(self) -> Any:
        """What is sent."""
        return BODIES.get(f"{self.method} {self.path}")

    def expected(self, target: str, held: set[str]) -> int:
        """The status for a caller with these scopes."""
        if target in self.refused_to_all:
            return self.refused[target]
        sufficient = self.sufficient[target]
        if sufficient is None or held & sufficient:
            return self.refused.get(target, self.success)
        return 401


def pairs(text: str) -> dict[str, list[str]]:
    return {
        key: values.split(",") for key, _, values in (word.partition("=") for word in text.split())
    }


def scopes(names: list[str]) -> frozenset[str] | None:
    return None if names == ["*"] else frozenset(CODES[name] for name in names if name != "-")


def rows(name: str) -> list[Row]:
    result = []
    for endpoint, right, who, *outcome in table(name):
        method, path = endpoint.split()
        function, _, others = who.partition(" ")
        text = f"{FUNCTIONS.get(function, function)} {others}"
        statuses = (outcome or ["200"])[0].split()
        refusals = [word.split(":") for word in statuses[1:]]
        result.append(
            Row(
                method=method,
                path=path,
                right=right,
                sufficient={target: scopes(names) for target, names in pairs(text).items()},
                success=int(statuses[0]),
                refused={target: int(status.rstrip("!")) for target, status in refusals},
                refused_to_all=frozenset(t for t, status in refusals if status.endswith("!")),
            )
        )
    return result


def cases(name: str) -> list[Any]:
    return [
        pytest.param(row, target, id=f"{row.method} {row.path} {target}")
        for row in rows(name)
        for target in row.sufficient
    ]


class World:
    """Organizations that know each other or not, and callers of the first of them."""

    def __init__(self, server: Any) -> None:
        self.server = server
        own, partner, foreign, bystander, stranger = (
            server.organization(name)
            for name in ("own", "partner", "foreign", "bystander", "stranger")
        )
        together = server.collaboration(own, partner, bystander, name="together")
        apart = server.collaboration(foreign, bystander, name="apart")
        common_role = server.role(stranger, COMMON)
        self.own = own
        self._common_role = common_role
        everyone = {"common_rule": server.rule(COMMON), "stranger": stranger}
        own_role = server.role(own, COMMON)
        node_options = {"status": "online", "config": [["columns_known", "age"]]}
        self.targets: dict[str, dict[str, Any]] = {}
        for name, organization, collaboration in (
            ("own", own, together),
            ("partner", partner, together),
            ("foreign", foreign, apart),
        ):
            user = server.user(organization)
            task = server.task(collaboration, organization, user.id, job_id=len(self.targets) + 1)
            self.targets[name] = {
                **everyone,
                "organization": organization,
                "collaboration": collaboration,
                "bystander": bystander,
                "nodeless_collaboration": server.collaboration(organization),
                "study": server.study(collaboration, organization),
                "store": server.store(collaboration),
                "node": server.node(organization, collaboration, **node_options).id,
                "user": user.id,
                "role": own_role if name == "own" else server.role(organization, COMMON),
                "task": task,
                "job": len(self.targets) + 1,
                "run": server.runs(task)[0],
                "running_task": server.task(
                    collaboration, organization, runs={organization: "active"}
                ),
            }
        for target in self.targets.values():
            target["idle_node"] = server.node(bystander, None).id
        elsewhere = server.task(apart, own, self.targets["own"]["user"])
        self.targets["elsewhere"] = {"task": elsewhere, "run": server.runs(elsewhere)[0]}
        self.targets["left"] = {"study": server.study(apart, own)}
        self.targets["default"] = {
            **everyone,
            "role": server.default_role("Viewer"),
            "store": server.store(None),
            "collaboration": None,
        }
        own_node = self.targets["own"]["node"]
        running = self.targets["own"]["running_task"]
        self.node = server.known_node(own_node)
        self.container = server.container(self.node, own, together, running)
        self._foreign = foreign
        self._apart = apart
        self._callers: dict[frozenset[str], Any] = {}
        self._mine: dict[int, dict[str, Any]] = {}

    def caller(self, *rules: str) -> Any:
        """A user of the own organization with these rules, and the common one by a role."""
        key = frozenset(rules)
        if key not in self._callers:
            caller = self.server.user(self.own, *key, roles=[self._common_role])
            task = self.server.task(self._apart, self._foreign, caller.id)
            self._mine[caller.id] = {
                "user": caller.id,
                "task": task,
                "run": self.server.runs(task)[0],
                "role": self._common_role,
            }
            self._callers[key] = caller
        return self._callers[key]

    def target(self, name: str, caller: Any) -> dict[str, Any]:
        """Ids by name."""
        return self._mine[caller.id] if name == "mine" else self.targets[name]

    def callers(self, right: str) -> Iterator[tuple[str, set[str], Any]]:
        """Who tries: a label, the scopes of the right that they have, and the caller."""
        for label, held, rules in attempts(right):
            yield label, held, self.caller(*rules)


def attempts(right: str) -> Iterator[tuple[str, set[str], list[str]]]:
    """Who is to try: a label, the scopes of the right that they have, and their rules."""
    resource, operation = right.split()
    for rule in RULES:
        other, verb, scope = rule.split()
        if other == resource or EVERY_RULE:
            yield rule, {scope} if (other, verb) == (resource, operation) else set(), [rule]
    others = [rule for rule in RULES if not rule.startswith(f"{right} ")]
    yield f"all but {right}", set(), others
    yield "nothing", set(), []
    every = {rule.split()[2] for rule in RULES if rule.startswith(f"{right} ")}
    yield "everything", every, RULES


@pytest.fixture(scope="module")
def populated(shared_server: Any) -> World:
    made = World(shared_server)
    # So that no caller is added while requests are rehearsed.
    for row in rows("endpoints"):
        list(made.callers(row.right))
    return made


@pytest.fixture(scope="module", autouse=True)
def agreeable_store(shared_server: Any) -> Iterator[None]:
    """Every algorithm store says yes; test_algorithm_store.py talks to a real one."""
    services = shared_server.services
    before = services.stores
    services.stores = Stores(transport=httpx.MockTransport(_yes))
    yield
    services.stores = before


async def _yes(request: httpx.Request) -> httpx.Response:
    return httpx.Response(201) if request.method == "POST" else httpx.Response(200, json=[])


@pytest.fixture
def world(populated: World) -> Iterator[World]:
    with populated.server.rehearse():
        yield populated


@pytest.mark.parametrize(("row", "target"), [*cases("endpoints"), *cases("filters")])
def test_a_rule_opens_what_the_contract_says_and_nothing_else(
    world: World, row: Row, target: str
) -> None:
    wrong = []
    for label, held, caller in world.callers(row.right):
        ids = world.target(target, caller)
        answer = caller.request(row.method, fill(row.path, ids), json=fill(row.body, ids))
        expected = row.expected(target, held)
        if answer.status_code != expected:
            wrong.append(f"{label}: {answer.status_code} not {expected}: {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)


TOKENS = {
    endpoint: {kind: set(targets.split()) for kind in kinds.split()}
    for endpoint, kinds, targets in table("tokens")
}


@pytest.mark.parametrize(("row", "target"), [*cases("endpoints"), *cases("filters")])
def test_a_node_and_an_algorithm_open_what_the_contract_says_and_nothing_else(
    world: World, row: Row, target: str
) -> None:
    if target == "mine":
        return  # of users only
    ids = world.targets[target]
    for kind, caller in (("N", world.node), ("C", world.container)):
        answer = caller.request(row.method, fill(row.path, ids), json=fill(row.body, ids))
        opened = TOKENS.get(f"{row.method} {row.path}", {}).get(kind, set())
        expected = row.success if target in opened else 401
        assert answer.status_code == expected, f"{kind}: {answer.text}"


def test_every_row_about_tokens_is_one_of_the_matrix() -> None:
    endpoints = {f"{row.method} {row.path}" for row in [*rows("endpoints"), *rows("filters")]}
    assert set(TOKENS) <= endpoints


def test_the_rules_are_those_of_the_contract_and_the_cases_thousands(shared_server: Any) -> None:
    assert sorted(RULES) == sorted(shared_server.all_rules)
    assert len(RULES) == 86
    tried = sum(
        len(list(attempts(row.right))) + 2
        for row in [*rows("endpoints"), *rows("filters")]
        for _ in row.sufficient
    )
    assert tried > 3000


@pytest.mark.parametrize(("path", "right", "kind", "text"), table("lists"))
def test_a_list_shows_what_the_contract_says_and_nothing_else(
    world: World, path: str, right: str, kind: str, text: str
) -> None:
    shown = {CODES.get(code): set(targets) for code, targets in pairs(text).items()}
    wrong = []
    for label, held, caller in world.callers(right):
        widest = next((scope for scope in ORDER if scope in held), None)
        answer = caller.get(f"{path}?per_page=1000")
        if widest not in shown:
            found: Any = answer.status_code
            expected: Any = 401
        else:
            ids = {item["id"] for item in answer.json()["data"]}
            names = set().union(*shown.values())
            found = {name for name in names if world.target(name, caller)[kind] in ids}
            expected = shown[widest]
            assert answer.headers["total-count"] == str(len(ids))
        if found != expected:
            wrong.append(f"{label}: {found} not {expected}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("method", "path", "body", "right", "sufficient"),
    [
        # Only members change an organization's key, not even those with global rights.
        (
            "PATCH",
            "/organization/{organization}",
            {"public_key": "a2V5"},
            "organization EDIT",
            {"own": "glo,org,col", "partner": "-", "foreign": "-"},
        ),
        # All members at once only with global rights.
        (
            "PATCH",
            "/collaboration/{collaboration}",
            {"organization_ids": ["{organization}"]},
            "collaboration EDIT",
            {"own": "glo", "foreign": "glo"},
        ),
    ],
)
def test_some_fields_need_more(
    world: World, method: str, path: str, body: Any, right: str, sufficient: Mapping[str, str]
) -> None:
    for target, text in sufficient.items():
        for label, held, caller in world.callers(right):
            ids = world.target(target, caller)
            answer = caller.request(method, fill(path, ids), json=fill(body, ids))
            expected = 200 if held & (scopes(text.split(",")) or set()) else 401
            assert answer.status_code == expected, f"{label} on {target}: {answer.text}"


def test_everybody_finds_themselves_by_their_own_username_and_nobody_else(world: World) -> None:
    caller = world.caller()
    me = caller.get(f"/user/{caller.id}").json()
    assert caller.ids("/user", username=me["username"]) == [caller.id]
    assert caller.get("/user", username="user%").status_code == 401


@pytest.mark.parametrize("path", ["/task", "/task/{task}"])
@pytest.mark.parametrize("task_scope", CODES.values())
@pytest.mark.parametrize("run_scope", [*CODES.values(), None])
def test_results_inside_tasks_need_a_right_to_runs(
    shared_server: Any, path: str, task_scope: str, run_scope: str | None
) -> None:
    server = shared_server
    organization = server.organization()
    collaboration = server.collaboration(organization)
    rules = [f"task VIEW {task_scope}", *([f"run VIEW {run_scope}"] if run_scope else [])]
    caller = server.user(organization, *rules)
    task = server.task(collaboration, organization, caller.id)
    answer = caller.get(f"{path.format(task=task)}?include=results")
    if path == "/task":
        # At least as wide as the right to tasks.
        order = [*ORDER, None]
        right = order.index(run_scope) <= order.index(task_scope)
    else:
        # The contract also takes task VIEW OWN for run VIEW OWN; no consumer depends on it.
        right = run_scope is not None
    assert answer.status_code == (200 if right else 401), answer.text


def test_a_collaboration_scope_reaches_the_own_organization_only_inside_a_collaboration(
    shared_server: Any,
) -> None:
    lonely = shared_server.organization()
    caller = shared_server.user(
        lonely, "organization EDIT COLLABORATION", "user VIEW COLLABORATION"
    )
    other = shared_server.user(lonely)
    assert caller.patch(f"/organization/{lonely}", country="NL").status_code == 401
    assert caller.get(f"/user/{other.id}").status_code == 401
    assert set(caller.ids("/user")) == {caller.id, other.id}


def test_changed_rights_count_from_the_next_request_on(server: Any) -> None:
    root = server.root()
    organization = server.organization()
    user = server.user(organization)
    assert user.get("/organization").status_code == 401
    rule = server.rule("organization VIEW GLOBAL")
    assert root.patch(f"/user/{user.id}", rules=[rule]).status_code == 200
    assert user.get("/organization").status_code == 200
    assert root.patch(f"/user/{user.id}", rules=[]).status_code == 200
    assert user.get("/organization").status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/user/{}",
        "/organization/{}",
        "/collaboration/{}",
        "/study/{}",
        "/node/{}",
        "/task/{}",
        "/task/{}/status",
        "/run/{}",
        "/result/{}",
        "/role/{}",
        "/rule/{}",
    ],
)
def test_what_does_not_exist_is_not_found_whatever_the_rights(
    shared_server: Any, path: str
) -> None:
    caller = shared_server.user(shared_server.organization())
    for id_ in ("0", "999999999", "9" * 30, "9" * 5000):
        answer = caller.get(path.format(id_))
        assert answer.status_code == 404
        assert isinstance(answer.json()["msg"], str)
