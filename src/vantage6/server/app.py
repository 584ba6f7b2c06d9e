"""The server as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from fastapi_offline import FastAPIOffline
from sqlalchemy.exc import SQLAlchemyError
from starlette.middleware.cors import CORSMiddleware

from vantage6.common import __version__
from vantage6.common.heap import give_back
from vantage6.common.tracing import HEADER
from vantage6.server.api import (
    algorithm_store,
    blobstream,
    collaboration,
    column,
    event,
    health,
    kill,
    node,
    organization,
    password,
    port,
    recovery,
    robots,
    role,
    rule,
    run,
    study,
    task,
    task_status,
    token,
    user,
    vpn,
)
from vantage6.server.auth.imported_keys import ImportedKeys
from vantage6.server.auth.limits import Limits
from vantage6.server.auth.tokens import Tokens
from vantage6.server.bus import make_bus
from vantage6.server.config import ServerConfig
from vantage6.server.description.document import describe
from vantage6.server.events import Events
from vantage6.server.metrics import ServerMetrics
from vantage6.server.model.database import POOL_SIZE, Database
from vantage6.server.payloads.housekeeping import Housekeeping
from vantage6.server.pool import Pool
from vantage6.server.presence import FLUSH_SECONDS, Presence
from vantage6.server.processes import BEAT_SECONDS, FOLLOW_SECONDS, Processes, new_process_id
from vantage6.server.services import Services
from vantage6.server.socket_library import socketio
from vantage6.server.sockets import Sockets, make_socket_server
from vantage6.server.start import StartRefused, prepare, signing_key
from vantage6.server.stores import Stores
from vantage6.server.telemetry import trace
from vantage6.web import errors
from vantage6.web.front import Front, RateLimit
from vantage6.web.links import Links

log = logging.getLogger(__name__)

# Per resource the methods of its `/<resource>/<id>` route, as links show them.
_METHODS = {
    "organization": ("GET", "PATCH", "DELETE"),
    "collaboration": ("GET", "PATCH", "DELETE"),
    "study": ("GET", "PATCH", "DELETE"),
    "user": ("GET", "PATCH", "DELETE"),
    "node": ("GET", "PATCH", "DELETE"),
    "role": ("GET", "PATCH", "DELETE"),
    "rule": ("GET",),
    "task": ("GET", "DELETE"),
    "run": ("GET", "PATCH"),
    "result": ("GET", "PATCH"),
    "algorithmstore": ("GET", "PATCH", "DELETE"),
}
_ROUTERS: list[APIRouter] = [
    module.router
    # Routes are looked through in this order: what is asked for most comes first.
    for module in (
        task,
        run,
        task_status,
        token,
        health,
        event,
        blobstream,
        node,
        user,
        organization,
        collaboration,
        study,
        kill,
        password,
        recovery,
        role,
        rule,
        algorithm_store,
        port,
        vpn,
        column,
    )
]
# Each takes 19 MiB while it works. A queue that is full is worked off in a second or two.
_HASHING_THREADS = max(2, min(4, (os.cpu_count() or 1) // 2))
_HASHING_QUEUE = 64
_HASHING_NICENESS = 10
_MAIL_THREADS = 2
_MAIL_QUEUE = 500
_SWEEP_SECONDS = 65.0
# Memory for hashes and payloads is kept this long for the next one, which it makes faster.
_GIVE_BACK_SECONDS = 1.0


def _origins(configured: list[str]) -> tuple[list[str], list[str]]:
    """The origins that are meant as they stand, and regular expressions.

    A dot alone makes no expression: `https://ui.example.org` must not let `https://uixexample.org`
    in.
    """
    exact = [origin for origin in configured if origin == "*" or re.fullmatch(r"[\w.:/-]+", origin)]
    return exact, [origin for origin in configured if origin not in exact]


class Application:
    """The server as an ASGI application.

    REST lies below ``api_path``, Socket.IO at ``/socket.io``. Opens the database and brings it up
    to date; the background work starts and ends with the ASGI lifespan.

    Parameters
    ----------
    config : ServerConfig
        Its configuration.

    Raises
    ------
    ValueError, StartRefused, ConfigurationError
        If it cannot work so.
    """

    def __init__(self, config: ServerConfig) -> None:
        if config.vpn_server is not None:
            log.warning(
                "'vpn_server' is configured, but this server does not support eduVPN: ignored"
            )
        database = Database(config.database_uri)
        prepare(database)
        secret = signing_key(database, config.jwt_secret_key)
        redis = config.redis.uri if config.redis else None
        bus = make_bus(redis, config.rabbitmq.uri, secret)
        sio = make_socket_server(config.cors_allowed_origins, bus)
        events = Events(sio, bus)
        metrics = ServerMetrics(database)
        self.services = Services(
            config=config,
            database=database,
            tokens=Tokens(secret, config.token_expires_hours, config.refresh_token_expires_hours),
            events=events,
            presence=Presence(database),
            links=Links(config.api_path, _METHODS),
            hashing=Pool("hashing", _HASHING_THREADS, _HASHING_QUEUE, niceness=_HASHING_NICENESS),
            mailroom=Pool("mailroom", _MAIL_THREADS, _MAIL_QUEUE),
            limits=Limits(config.rate_limits),
            imported_keys=ImportedKeys(),
            stores=Stores(config.dev.host_uri),
            payloads=config.open_payload_store(),
            metrics=metrics,
            process=new_process_id(),
        )
        self._housekeeping = Housekeeping(self.services)
        self.services.discarded = self._housekeeping.wake
        self._sockets = Sockets(self.services)
        self._sockets.register(sio)
        self._processes = Processes(
            database, events, self.services.process, self._sockets.still_here
        )
        self._background = (
            (FLUSH_SECONDS, self.services.presence.flush),
            (_SWEEP_SECONDS, self._sockets.sweep),
            (_SWEEP_SECONDS, self._sockets.expel),
            (BEAT_SECONDS, self._processes.beat),
            (FOLLOW_SECONDS, self._processes.follow),
            (_GIVE_BACK_SECONDS, give_back),
        )
        self._flush_traces: Callable[[], None] = lambda: None
        self._front = self._make_front(socketio.ASGIApp(sio, other_asgi_app=self._make_api()))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI."""
        await self._front(scope, receive, send)

    def open_metrics(self) -> None:
        """Open the exporter of metrics, if it is configured; it closes with the application.

        Raises
        ------
        StartRefused
            If its port cannot be had.
        """
        config = self.services.config
        if not config.prometheus.enabled:
            return
        try:
            self.services.metrics.open(config.ip, config.metrics_port)
        except OSError as error:
            raise StartRefused(
                f"Metrics cannot be offered at {config.ip}:{config.metrics_port}: "
                f"{error.strerror or error}. Choose another 'prometheus.exporter_port', or end "
                "what uses this one"
            ) from error

    def stop_waiting(self) -> None:
        """Answer everybody who waits for something: the server is about to stop."""
        self.services.events.close()
        self._front.end_polls()

    def _make_api(self) -> Any:
        config = self.services.config
        api = FastAPIOffline(
            title="vantage6 server",
            description="Federated analysis: users, organizations, collaborations, tasks and"
            " results.",
            version=__version__,
            openapi_url="/openapi.json",
            docs_url="/docs",
            generate_unique_id_function=lambda route: route.name,
            redoc_url=None,
            redirect_slashes=False,
            lifespan=self._lifespan,
        )
        api.state.services = self.services
        errors.install(api)
        describe(api, config.api_path)
        for router in _ROUTERS:
            api.include_router(router, prefix=config.api_path)
        api.include_router(robots.router)
        if config.cors_allowed_origins:
            exact, patterns = _origins(config.cors_allowed_origins)
            api.add_middleware(
                CORSMiddleware,
                allow_origins=exact,
                allow_origin_regex="|".join(f"(?:{pattern})" for pattern in patterns) or None,
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=["total-count", "Link", HEADER],
            )
        if config.opentelemetry is None:
            return api
        traced, self._flush_traces = trace(api, config.opentelemetry.endpoint, config.name)
        return traced

    def _make_front(self, app: Any) -> Front:
        config = self.services.config
        limit = config.rate_limit
        return Front(
            app,
            self.services.metrics,
            most_bytes=int(config.max_body_mb * 2**20),
            unlimited=f"{config.api_path}/blobstream",
            rate_limit=RateLimit(limit.requests_per_second, limit.burst) if limit else None,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        services, events = self.services, self.services.events
        anyio.to_thread.current_default_thread_limiter().total_tokens = POOL_SIZE
        events.open()
        if events.bus is not None:
            events.bus.open(events.hear, self._bus_is_back)
        await anyio.to_thread.run_sync(self._processes.beat)
        background = [
            asyncio.create_task(self._housekeeping.run()),
            *(asyncio.create_task(_every(seconds, act)) for seconds, act in self._background),
        ]
        try:
            yield
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await anyio.to_thread.run_sync(self._leave)
            if events.bus is not None:
                await events.bus.close()
            services.hashing.shutdown(wait=False)
            services.imported_keys.close()
            services.mailroom.shutdown(wait=False)
            await services.stores.close()
            services.database.close()

    def _bus_is_back(self) -> None:
        """Nothing of what others did meanwhile was told here."""
        self.services.events.wake_all()
        self._sockets.nudge()

    def _leave(self) -> None:
        self.services.metrics.close()
        self._flush_traces()
        for last in (self.services.presence.flush, self._processes.leave):
            try:
                last()
            except SQLAlchemyError as error:
                log.warning("Nothing more can be stored: %s", type(error).__name__)


async def _every(seconds: float, action: Callable[[], None]) -> None:
    failed = False
    while True:
        await asyncio.sleep(seconds)
        try:
            await anyio.to_thread.run_sync(action)
            failed = False
        except SQLAlchemyError as error:
            # A database that is away now is tried again next time; said once.
            if not failed:
                name = getattr(action, "__qualname__", action)
                log.error("%s: the database does not answer: %s", name, type(error).__name__)
            failed = True
        except Exception:
            log.exception("%s failed", getattr(action, "__qualname__", action))
