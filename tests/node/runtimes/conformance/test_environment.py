"""What a task or the node's configuration puts into an algorithm's environment, however hostile."""

from __future__ import annotations

from typing import Any

import pytest

from vantage6.node.runtimes.base import Ended, IllegalVariable

pytestmark = pytest.mark.anyio

HOSTILE = {
    "NEWLINE": "x\nLD_PRELOAD=/tmp/evil.so\nINJECTED=1",
    "EQUALS": "INJECTED=1",
    "SHELL": "$(id) `id` ${HOME} ; export INJECTED=1 # ' \" \\",
    "OPTION": "--env INJECTED=1",
    "CONTROL_QUERY": "\x01\x1b[31m\x7f\r\t",
    "UNICODE": "ünïcøde \U0001f511 \u202e\u0301",
    "PADDING": "MNZXM!!!",
    "EMPTY": "",
    # What the contract's encoding makes of it just fits into one variable.
    "LONG": "x\n=" * 27_000,
}


@pytest.mark.parametrize(
    "name",
    [
        "PKG_NAME",
        "with-hyphen",
        "",
        "A B",
        "A=B",
        "A\nINJECTED",
        "A\0",
        "$A",
        "7A",
        "N" * 999 + " ",
    ],
)
async def test_a_name_that_may_not_be_set_is_refused(start: Any, name: str) -> None:
    with pytest.raises(IllegalVariable, match="Environment variable") as refusal:
        await start("nothing", environment={name: "x"})
    message = str(refusal.value)
    assert message.isprintable()
    assert len(message) < 400


async def test_hostile_values_arrive_as_they_are_and_nothing_else(run: Any) -> None:
    harmless = (await run("environment")).result
    outcome = await run("environment", environment=HOSTILE)
    assert outcome.ended == Ended(0), outcome
    found = dict(outcome.result)
    assert {name: found.pop(name) for name in HOSTILE} == HOSTILE
    for of_the_run in ("INPUT_FILE", "OUTPUT_FILE", "TOKEN_FILE", "HOSTNAME"):
        found.pop(of_the_run, None)
        harmless.pop(of_the_run, None)
    assert found == harmless


async def test_several_hundred_kilobytes_arrive(run: Any) -> None:
    values = {f"LARGE_{number}": str(number) * 75_000 for number in range(8)}
    outcome = await run("environment", environment=values)
    assert outcome.ended == Ended(0), outcome
    assert {name: outcome.result[name] for name in values} == values


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
async def test_a_value_that_no_variable_can_hold_is_refused(start: Any, value: str) -> None:
    with pytest.raises(IllegalVariable, match="Environment variable 'PG_QUERY' holds"):
        await start("nothing", environment={"PG_QUERY": value})


async def test_what_is_too_long_is_refused_before_anything_starts(start: Any) -> None:
    with pytest.raises(IllegalVariable, match=r"'PG_QUERY' is too long.*100000 bytes.*about 81000"):
        await start("nothing", environment={"PG_QUERY": "x" * 100_000})
    values = {f"Q{number}": "x" * 75_000 for number in range(9)}
    with pytest.raises(IllegalVariable, match=r"too large: 13 variables of 675\d\d\d bytes.*65500"):
        await start("nothing", environment=values)
