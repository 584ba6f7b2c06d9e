"""What the server measures beside its requests: nodes, runs, sockets (``server.md``, 10.3)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from vantage6.common.task_status import ALIVE
from vantage6.server.model.database import Database
from vantage6.server.model.tables import Run, Task
from vantage6.web.metrics import Metrics

log = logging.getLogger(__name__)

_NODE = ("node_id", "platform", "os")
_GAUGES = {
    "cpu_percent": "Processor time in use",
    "memory_percent": "Memory in use",
    "num_algorithm_containers": "Algorithms at work",
    "cpu_count": "Processors",
    "memory_total": "Bytes of memory",
    "memory_available": "Bytes of memory not in use",
}
_GPU_GAUGES = {
    "gpu_count": "Graphics processors",
    "gpu_load": "Load of a graphics processor",
    "gpu_memory_used": "Its memory in use",
    "gpu_memory_free": "Its memory not in use",
    "gpu_temperature": "Its temperature",
}


class ServerMetrics(Metrics):
    """The server's measurements.

    Parameters
    ----------
    database : Database
        Where open runs are counted, when somebody asks.
    """

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._gauges = {
            name: Gauge(name, text, _NODE, registry=self.registry) for name, text in _GAUGES.items()
        }
        self._gpu_gauges = {
            name: Gauge(name, text, (*_NODE, "gpu_id"), registry=self.registry)
            for name, text in _GPU_GAUGES.items()
        }
        self._known: dict[int, set[tuple[Gauge, tuple[str, ...]]]] = {}
        self._sockets = Gauge(
            "vantage6_connected_sockets",
            "Sockets of nodes and users at this process",
            ("kind",),
            registry=self.registry,
        )
        self._ended = Counter(
            "vantage6_runs_ended",
            "Runs whose end this process took, by status",
            ("status",),
            registry=self.registry,
        )
        self.registry.register(_OpenRuns(database))

    def run_ended(self, status: str, number: int = 1) -> None:
        """Count ends of runs."""
        self._ended.labels(status).inc(number)

    def count_sockets(self, kind: str, number: Callable[[], int]) -> None:
        """Let a function count the sockets of a kind."""
        self._sockets.labels(kind).set_function(number)

    def node_reported(self, node_id: int, data: Mapping[str, Any]) -> None:
        """Take what a node measured; what is unknown or of a wrong type is logged and left out."""
        labels = (str(node_id), *(str(data.get(key, "unknown"))[:64] for key in ("platform", "os")))
        for name, value in data.items():
            if name in ("platform", "os"):
                continue
            if name in self._gauges and _is_number(value):
                self._set(node_id, self._gauges[name], labels, value)
            elif name in self._gpu_gauges and isinstance(value, list):
                for index, item in enumerate(value[:64]):
                    if _is_number(item):
                        self._set(node_id, self._gpu_gauges[name], (*labels, str(index)), item)
            else:
                log.warning("Metric %.64r of node %d is unknown or of a wrong type", name, node_id)

    def node_left(self, node_id: int) -> None:
        """Forget what a node measured: it would look like news for ever."""
        for gauge, labels in self._known.pop(node_id, ()):
            gauge.remove(*labels)

    def _set(self, node_id: int, gauge: Gauge, labels: tuple[str, ...], value: float) -> None:
        gauge.labels(*labels).set(value)
        self._known.setdefault(node_id, set()).add((gauge, labels))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class _OpenRuns:
    """Runs of unfinished tasks by status, counted when asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """What it measures, without measuring."""
        yield self._family()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Count."""
        family = self._family()
        try:
            with self._database.read() as db:
                counts = db.execute(
                    select(Run.status, func.count())
                    .join(Task, Task.id == Run.task_id)
                    .where(Task.status.in_(ALIVE))
                    .group_by(Run.status)
                ).all()
        except SQLAlchemyError as error:
            log.warning("Runs cannot be counted: %s", type(error).__name__)
            return
        for status, count in counts:
            family.add_metric([status], count)
        yield family

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily(
            "vantage6_runs", "Runs of unfinished tasks, by status", labels=["status"]
        )
