"""Running the server in the foreground."""

from __future__ import annotations

import logging
import sys

from vantage6.common import __version__
from vantage6.common.configuration import ConfigurationError
from vantage6.common.heap import share_one_heap
from vantage6.server.app import Application
from vantage6.server.config import ServerConfig
from vantage6.server.listening import Listening
from vantage6.server.model.database import Database, DatabaseDamaged
from vantage6.server.start import StartRefused, wait_for
from vantage6.web import logs

log = logging.getLogger(__name__)


def serve(config: ServerConfig, *, log_name: str = "server_user.log") -> None:
    """Run a server until it gets SIGTERM or SIGINT.

    Parameters
    ----------
    config : ServerConfig
        The configuration.
    log_name : str
        Name of the file in the log folder.

    Raises
    ------
    SystemExit
        With status 1 when it cannot start; the reason is printed.
    """
    share_one_heap()
    try:
        folder = config.directories.log
        logs.set_up(
            config.logging,
            None if folder is None else folder / log_name,
            config.secrets,
            config.name,
        )
        for logger in config.logging.loggers:
            logging.getLogger(logger.name).setLevel(logger.level.upper())
        config.warn()
        database = Database(config.database_uri)
        wait_for(database)
        database.close()
        app = Application(config)
        app.open_metrics()
    except (ConfigurationError, StartRefused, DatabaseDamaged, ValueError, OSError) as error:
        print(f"[error] - {error}", file=sys.stderr)
        raise SystemExit(1) from None
    log.info("vantage6 server %s '%s' on %s:%s", __version__, config.name, config.ip, config.port)
    server = Listening(app, config)
    server.run()
    if not server.started:
        raise SystemExit(1)
