"""Connections to SQL databases, from the addresses that data stations write down.

Needs SQLAlchemy, which the extras ``algorithm``, ``node`` and ``server`` bring.
"""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Engine

# Addresses without a driver mean the one SQLAlchemy was made for; these are installed here.
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}


def connect_to(uri: str, *, connect_timeout: int | None = None) -> Engine:
    """An engine without a pool; nothing is connected yet.

    Parameters
    ----------
    uri : str
        SQLAlchemy address, or absolute path of a file ending in ``.sqlite``.
    connect_timeout : int, optional
        Seconds to wait for a server to answer.

    Raises
    ------
    sqlalchemy.exc.ArgumentError
        If the address cannot be read.
    ImportError
        If the database's driver is not installed.
    """
    import sqlalchemy
    from sqlalchemy.exc import NoSuchModuleError

    if os.path.isabs(uri) and uri.endswith(".sqlite"):
        uri = f"sqlite:///{uri}"
    url = sqlalchemy.make_url(uri)
    arguments: dict[str, Any] = {}
    if connect_timeout is not None and url.get_backend_name() != "sqlite":
        arguments["connect_timeout"] = connect_timeout

    def engine() -> Engine:
        return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=arguments)

    try:
        return engine()
    except (ModuleNotFoundError, NoSuchModuleError):
        if url.drivername not in _DRIVERS:
            raise
        url = url.set(drivername=_DRIVERS[url.drivername])
        return engine()
