"""Traces for OpenTelemetry, when the configuration says where they go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vantage6.common import __version__
from vantage6.common.configuration import ConfigurationError


def trace(app: Any, endpoint: str, name: str) -> tuple[Any, Callable[[], None]]:
    """An application that sends a span per request, and what sends the last of them.

    A caller's ``traceparent`` is taken up.

    Parameters
    ----------
    app
        ASGI application.
    endpoint : str
        Of a collector that takes OTLP over HTTP, such as ``http://localhost:4318``.
    name : str
        The name of this server.

    Raises
    ------
    ConfigurationError
        If the packages for it are not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationError(
            "'opentelemetry' is configured but not installed: pip install 'vantage6[telemetry]'"
        ) from error
    resource = Resource.create({"service.name": f"vantage6-{name}", "service.version": __version__})
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    # Every part of an answer as a span of its own would drown the requests.
    traced = OpenTelemetryMiddleware(
        app, tracer_provider=provider, exclude_spans=["receive", "send"]
    )
    return traced, provider.shutdown
