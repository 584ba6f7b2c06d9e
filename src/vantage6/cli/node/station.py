"""Looking at a data station: its policies, its decisions, its databases, its health."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer

from vantage6.cli.entry import require
from vantage6.cli.node.options import ConfigFile, Name, System

policy = typer.Typer(help="What may run at a node.", no_args_is_help=True)
audit = typer.Typer(help="What a node was asked, decided, ran and sent.", no_args_is_help=True)
data = typer.Typer(help="A node's databases.", no_args_is_help=True)
_MONTH = typer.Option(help="Such as 2026-01.", show_default="all")
_MARKS = {True: "yes", False: "NO", None: "?"}


@policy.command("check")
def check_policy(
    task: Annotated[
        Path,
        typer.Argument(
            help="JSON file: image, and as far as it matters init_user, init_org, method,"
            " databases, algorithm_store (a URL), encrypted.",
            exists=True,
            dir_okay=False,
        ),
    ],
    name: Name = None,
    system: System = False,
    config: ConfigFile = None,
) -> None:
    """What would happen to a task, rule by rule; nothing is run, nobody is asked."""
    require("node")
    from vantage6.cli.asking import leave
    from vantage6.cli.node.instances import find
    from vantage6.common.messages import warning
    from vantage6.node.rehearsal import Malformed, misspelt, rehearse

    instance = find(name, config, system)
    try:
        content = json.loads(task.read_text(encoding="utf-8"))
        verdicts = rehearse(instance.config, content)
    except (ValueError, Malformed) as problem:
        leave(f"{task}: {problem}")
    for key, near in misspelt(content).items():
        warning(f"{task}: '{key}' is not read; did you mean '{near}'?")
    for verdict in verdicts:
        typer.echo(f"{_MARKS[verdict.allowed]:<4}{verdict.rule}: {verdict.reason}")
    if any(verdict.allowed is False for verdict in verdicts):
        typer.echo("The task would be refused.")
        raise typer.Exit(1)
    typer.echo("The task would run.")


@audit.command()
def verify(
    name: Name = None,
    system: System = False,
    config: ConfigFile = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="NUMBER:HASH of a line that was written down elsewhere: it must still be there."
        ),
    ] = None,
) -> None:
    """Check that no line was changed, removed or put in between."""
    require("node")
    from vantage6.cli.asking import leave
    from vantage6.cli.node.instances import find
    from vantage6.node.decisions import Head
    from vantage6.node.decisions import verify as look

    expected = None
    if head is not None:
        number, colon, digest = head.partition(":")
        if not colon or not number.isdecimal():
            leave("--head must be NUMBER:HASH, as an earlier 'v6 node audit verify' said")
        expected = Head(int(number), digest)
    verified = look(find(name, config, system).config.decisions, expected)
    for flaw in verified.flaws:
        typer.echo(f"{flaw.place}: {flaw.problem}")
    if verified.repairs:
        typer.echo(f"{verified.repairs} interrupted writes were repaired, and noted.")
    if verified.flaws:
        typer.echo(f"NOT as the node wrote it: {_count(len(verified.flaws), 'flaw')}.")
        raise typer.Exit(1)
    typer.echo(f"{verified.lines} lines, unbroken.")
    typer.echo(f"Keep this elsewhere, to notice if the end is cut off: {_head(verified.head)}")


@audit.command()
def show(
    name: Name = None,
    system: System = False,
    config: ConfigFile = None,
    month: Annotated[str | None, _MONTH] = None,
    run: Annotated[int | None, typer.Option(help="Only this run.")] = None,
) -> None:
    """Print the lines, as JSON."""
    require("node")
    from vantage6.cli.node.instances import find
    from vantage6.node.decisions import entries

    folder = find(name, config, system).config.decisions
    _warn_of_flaws(folder)
    for entry in entries(folder, _valid(month)):
        if run is None or entry.get("run") == run:
            typer.echo(json.dumps(entry))


@audit.command()
def report(
    name: Name = None,
    system: System = False,
    config: ConfigFile = None,
    month: Annotated[str | None, _MONTH] = None,
) -> None:
    """Who asked for what, what came of it, how much left; per organization and image."""
    require("node")
    from vantage6.cli.node.instances import find
    from vantage6.node.decisions import entries

    folder = find(name, config, system).config.decisions
    _warn_of_flaws(folder)
    asked: dict[int, dict[str, Any]] = {}
    rows: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    seconds: dict[tuple[Any, ...], float] = defaultdict(float)
    refusals: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for entry in entries(folder, _valid(month)):
        if entry["event"] == "asked":
            asked[entry["run"]] = entry
            rows[_row(entry)][entry["verdict"]] += 1
            if entry["verdict"] == "refused":
                refusals[entry["rule"]] += 1
        elif entry["event"] == "ended" and entry["run"] in asked:
            first = asked[entry["run"]]
            key = _row(first)
            rows[key][entry["status"]] += 1
            if first["verdict"] == "allowed" and entry["status"] != "completed":
                failures[entry["status"]] += 1
            seconds[key] += entry["seconds"]
            rows[key]["bytes"] += (
                entry["result_bytes"] + entry["log_bytes"] + entry["request_bytes"]
            )
    if not rows:
        typer.echo(f"Nothing was asked{f' in {month}' if month else ''}.")
        return
    header = ("organization", "user", "allowed", "refused", "completed", "seconds", "bytes out")
    typer.echo(" ".join(f"{each:>12}" for each in header) + "  image, function")
    for key, counts in sorted(rows.items(), key=str):
        organization, user, image, function = key
        figures = [counts[each] for each in ("allowed", "refused", "completed")]
        values = [organization, "-" if user is None else user, *figures]
        values += [f"{round(seconds[key], 1):g}", counts["bytes"]]
        typer.echo(" ".join(f"{each:>12}" for each in values) + f"  {image}, {function}")
    for rule, count in refusals.most_common():
        typer.echo(f"refused by {rule}: {count}")
    for status, count in failures.most_common():
        typer.echo(f"allowed, and ended as {status}: {count}")


def _row(entry: dict[str, Any]) -> tuple[Any, ...]:
    return entry["organization"], entry["user"], entry["image"], entry["function"] or "-"


def _valid(month: str | None) -> str | None:
    from vantage6.cli.asking import leave

    if month is not None and not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", month):
        leave("--month must be a year and a month, such as 2026-01")
    return month


def _warn_of_flaws(folder: Path) -> None:
    """On standard error, so that what is printed stays what it was."""
    from vantage6.node.decisions import verify as look

    flaws = look(folder).flaws
    if flaws:
        typer.echo(
            f"The log is NOT as the node wrote it ({_count(len(flaws), 'flaw')}), and this may not "
            "be all: see 'v6 node audit verify'.",
            err=True,
        )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


@data.command("check")
def check_data(name: Name = None, system: System = False, config: ConfigFile = None) -> None:
    """Are the databases reachable, and what columns do they have? No row is shown."""
    require("node")
    import asyncio

    from vantage6.cli.node.instances import find
    from vantage6.node.data_check import check_all

    instance = find(name, config, system)

    async def look() -> int:
        bad = 0
        async for database, found in check_all(instance.config):
            state = f"NOT usable: {found.problem}" if found.problem else "reachable"
            typer.echo(f"{found.label} ({found.type}, {database.shown_uri}): {state}")
            for line in found.columns:
                typer.echo(f"    {line}")
            for warning in found.warnings:
                typer.echo(f"    note: {warning}")
            bad += bool(found.problem)
        return bad

    bad = asyncio.run(look())
    if not instance.config.databases:
        typer.echo("No databases are configured.")
    raise typer.Exit(1 if bad else 0)


def doctor(name: Name = None, system: System = False, config: ConfigFile = None) -> None:
    """Say what is wrong with a node, and what to do about it. Nothing is changed."""
    require("node")
    import asyncio

    from vantage6.cli.node.instances import Instance, find
    from vantage6.node.doctor import examine
    from vantage6.node.main import make_runtime, set_up_network

    instance = find(name, config, system)
    set_up_network(instance.config)

    async def look(instance: Instance) -> int:
        errors = 0
        runtime = make_runtime(instance.config)
        running = instance.holder() is not None
        async for finding in examine(instance.config, runtime, running=running):
            typer.echo(f"{finding.level:<8}{finding.about}: {finding.text}")
            if finding.remedy:
                typer.echo(f"        -> {finding.remedy}")
            errors += finding.level == "error"
        return errors

    raise typer.Exit(1 if asyncio.run(look(instance)) else 0)


def _head(head: Any) -> str:
    return f"{head.number}:{head.hash}"
