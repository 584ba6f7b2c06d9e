"""Where a mortal process can die: the steps of a run's life, by the functions that take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Wanted = Callable[..., bool]
When = Literal["before", "after", "during", "committed", "told"]


def ALWAYS(*_: Any, **__: Any) -> bool:  # noqa: N802 (a constant that happens to be a function)
    """Whatever a function is called with."""
    return True


@dataclass(frozen=True)
class Point:
    """A function, when it is called with what is wanted, and which moment of it.

    ``committed`` and ``told``: as the first, or the last, of what a server's request does once its
    transaction is through; the function's first argument is the request's work. ``during``: after
    the first piece of an iterator.
    """

    target: str
    when: When
    wanted: Wanted = ALWAYS


def _report(word: str) -> Wanted:
    def wanted(_: Any, method: str, path: str, **options: Any) -> bool:
        body = options.get("body")
        return method == "PATCH" and path.startswith("/run/") and word.encode() in (body or b"")

    return wanted


def _proposal(status: str) -> Wanted:
    return lambda _work, _run, proposal: proposal.status == status


def _event(name: str) -> Wanted:
    return lambda _events, event, *_, **__: event == name


def _posts_task(_: Any, method: str, target: str, *__: Any) -> bool:
    return (method, target) == ("POST", "/task")


def _told_of_end(_: Any, message: dict[str, Any]) -> bool:
    return bool(message["event"] == "ended")


#: A run goes through them in this order.
NODE: dict[str, Point] = {
    "offered": Point("reconciler:Reconciler.consider", "before"),
    "being accepted": Point("journal:Journal.accept", "before"),
    "accepted": Point("journal:Journal.accept", "after"),
    "prepared": Point("admission:Admission.prepare", "after"),
    "claimed at the server only": Point("http:Http.request", "after", _report('"active"')),
    "claimed": Point("steps:Steps._claim", "after"),
    "image checked": Point("runtimes.process:ProcessRuntime._find", "after"),
    "started in the journal": Point("journal:Journal.start", "after"),
    "sandboxed": Point("runtimes.process_execution:ProcessExecution.prepare", "after"),
    "running": Point("execution:Executions.watch", "before"),
    "ended": Point(
        "runtimes.process_execution:ProcessExecution._on_message", "before", _told_of_end
    ),
    "seen to have ended": Point("execution:Executions.watch", "after"),
    "judged": Point("steps:Steps._conclude", "after"),
    "result being noted": Point("journal:Journal.compute", "before"),
    "result noted": Point("journal:Journal.compute", "after"),
    "result half uploaded": Point("payloads:_read", "during"),
    "result uploaded": Point("payloads:Payloads.hand_over", "after"),
    "being delivered": Point("http:Http.request", "before", _report('"finished_at"')),
    "delivered at the server only": Point("http:Http.request", "after", _report('"finished_at"')),
    "delivered": Point("delivery:Delivery.deliver", "after"),
    "half cleaned up": Point("journal:Journal.forget", "after"),
    "cleaned up": Point("folders:RunFolders.remove", "after"),
    # The proxy is a part of the node's process: it has no death of its own.
    "proxy asked for a subtask": Point("proxy:_Line._send", "before", _posts_task),
    "proxy got a subtask": Point("proxy:_Line._send", "after", _posts_task),
    "proxy passed the subtask on": Point("proxy:_Line._create_task", "after"),
}  # fmt: skip
#: In the place of those of processes, with the docker runtime.
CONTAINERS: dict[str, Point] = {
    "container image checked": Point("runtimes.docker.images:Images.get", "after"),
    "container made": Point("runtimes.docker.cells:Cells.take", "after"),
    "container ended": Point("runtimes.docker.execution:DockerExecution._conclude", "before"),
}
SERVER: dict[str, Point] = {
    "task being created": Point("api.task:add_task", "after"),
    "task created": Point("call:Work.tell_in_order", "committed"),
    "task told": Point("events:Events._emit", "after", _event("new_task")),
    "run being claimed": Point("api.run:propose", "after", _proposal("active")),
    "run claimed": Point("api.run:propose", "committed", _proposal("active")),
    "upload announced": Point("payloads.intake:store", "before"),
    "upload written": Point("payloads.intake:blobs.complete", "before"),
    "upload complete": Point("payloads.intake:store", "after"),
    "result being stored": Point("api.run:propose", "after", _proposal("completed")),
    "result stored": Point("api.run:propose", "committed", _proposal("completed")),
    "result about to be told": Point("api.run:propose", "told", _proposal("completed")),
    "result told": Point("events:Events._emit", "after", _event("status_update")),
}
POINTS = {"node": NODE | CONTAINERS, "server": SERVER}
